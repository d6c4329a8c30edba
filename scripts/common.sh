# What the scripts share: where the repository and the cache are, how a folder gets into the cache, and
# how a script gives up. Sourced, not run.
# shellcheck shell=bash
set -euo pipefail
# Else -e is off inside $(…).
shopt -s inherit_errexit
export LC_ALL=C

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${RSAMP_CACHE:-$repository/.cache}

# fail MESSAGE HINT
fail() {
    printf '%s: %s\nhint: %s\n' "scripts/$(basename "$0")" "$1" "$2" >&2
    exit 1
}

# RSAMP_PYTHONS and its like hold commands as words with spaces between them.
case $cache in
    *[[:space:]]*) fail "the cache's path has a space in it: $cache" 'set RSAMP_CACHE to a path without one' ;;
esac

# make_once NAME FUNCTION [ARGUMENT…]: unless it is there already, makes the folder NAME in the cache by
# calling FUNCTION FOLDER [ARGUMENT…]; what that says goes to standard error. Of several scripts that want
# it at the same time, one makes it and the others wait. The folder is made where it stays (a virtual
# environment can't be moved); the file `made` in it says that it is whole.
make_once() {
    local folder=$cache/$1
    [[ -e $folder/made ]] && return
    mkdir -p "$cache"
    (
        flock 9
        [[ -e $folder/made ]] && exit
        rm -rf "$folder"
        mkdir "$folder"
        "$2" "$folder" "${@:3}" >&2 9>&-
        touch "$folder/made"
    ) 9>"$folder.lock"
}

# A short name for what is made of the words given: another word, another name.
name_of() {
    local sum
    sum=$(cksum <<<"$*")
    printf '%s' "${sum%% *}"
}

# venv PYTHON REQUIREMENT…: prints the folder of a virtual environment with just that in it.
venv() {
    local name python
    # One name for python, python3 and python3.11 of one folder.
    python=$(readlink -f "$1")
    name=venv-$(name_of "$python" "${@:2}")
    make_once "$name" make_venv "$python" "${@:2}"
    printf '%s\n' "$cache/$name"
}

make_venv() {
    local folder=$1 python=$2
    "$python" -m venv "$folder" || fail "$python can't make a virtual environment" 'apt-get install python3-venv'
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: "${@:3}"
}

# packages PYTHON VERSION REQUIREMENT…: prints a folder with just that for another version of Python, for its
# PYTHONPATH. PYTHON has pip, which the other one need not have.
packages() {
    local name
    name=packages-$(name_of "${@:2}")
    make_once "$name" make_packages "$@"
    printf '%s\n' "$cache/$name"
}

make_packages() {
    local folder=$1 python=$2 version=$3
    "$python" -m pip install --quiet --disable-pip-version-check --only-binary :all: --no-deps \
        --no-compile --python-version "$version" --target "$folder" "${@:4}"
}

# What tests/programs/scatter.py imports; for Python 3.11 and newer.
# shellcheck disable=SC2034
science=(numpy==2.4.6 scipy==1.17.1)

debian_keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# private_apt FOLDER SUITE…: fetches the package lists of other suites of Debian into FOLDER, by a
# configuration of our own beside the machine's, which is not touched. No root needed. After it,
# `apt-get -c FOLDER/apt.conf` downloads from them, with the archive's signatures checked.
private_apt() {
    local folder=$1 suite mirror
    [[ -r $debian_keyring ]] || fail "no $debian_keyring" 'apt-get install debian-archive-keyring'
    mirror=$(debian_mirror)
    mkdir -p "$folder"/lists/partial "$folder"/cache/archives/partial
    for suite in "${@:2}"; do
        printf '%s [signed-by=%s] %s %s main\n' deb "$debian_keyring" "$mirror" "$suite"
        printf '%s [signed-by=%s] %s %s main\n' deb-src "$debian_keyring" "$mirror" "$suite"
    done >"$folder/sources.list"
    cat >"$folder/apt.conf" <<CONFIGURATION
Dir::Etc::sourcelist "$folder/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::Lists "$folder/lists";
Dir::State::status "/dev/null";
Dir::Cache "$folder/cache";
Acquire::Languages "none";
Acquire::Retries "3";
APT::Sandbox::User "";
#clear Acquire::IndexTargets::deb::DEP-11;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
CONFIGURATION
    apt-get -c "$folder/apt.conf" -q update ||
        fail "no package lists of ${*:2} from $mirror" 'is the network up? try again'
}

# Where this machine's own Debian packages come from.
debian_mirror() {
    local codename
    # shellcheck source=/dev/null
    codename=$(. /etc/os-release && [[ $ID == debian ]] && printf '%s' "$VERSION_CODENAME") ||
        fail 'this needs the package manager of Debian' 'run it on Debian'
    apt-get update --print-uris |
        sed -nE "s!^'([^']+)/dists/($codename|stable|oldstable)/.*!\1!p" | sed -n 1p | grep . ||
        fail "no source of $codename in apt's configuration" 'add one to /etc/apt/sources.list'
}
