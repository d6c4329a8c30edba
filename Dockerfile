# syntax=docker/dockerfile:1
# Turns the source into an image that holds rsamp and little else, for profiling what runs on its host:
#
#     docker build -t rsamp .
#     docker run --rm -it --pid=host --cap-add=SYS_PTRACE -v "$PWD:/out" rsamp attach --pid 1234
#
# The files appear in the current folder. Where AppArmor confines containers (Ubuntu, Debian), add
# `--security-opt apparmor=unconfined`: its profile for Docker forbids reading processes outside.

ARG RUST=1.95

# The same Debian as below, so that the program finds the libc that it was linked to.
FROM rust:${RUST}-slim-bookworm AS build
# What `rsamp --version` says, as git is not in the image: --build-arg RSAMP_COMMIT="$(git rev-parse --short=10 HEAD)".
ARG RSAMP_COMMIT=
WORKDIR /source
COPY . .
# The dependencies stay compiled between builds in these caches, which are no part of any layer; so the
# program has to be copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    CARGO_PROFILE_RELEASE_STRIP=debuginfo cargo build --release --locked --bin rsamp \
    && cp target/release/rsamp /usr/local/bin/rsamp

FROM debian:bookworm-slim
COPY --from=build /usr/local/bin/rsamp /usr/local/bin/rsamp
# Files are written here when none is named: mount a folder of the host on it.
WORKDIR /out
ENTRYPOINT ["rsamp"]
CMD ["--help"]
