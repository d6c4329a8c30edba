//! Tests in the jobs of a real Slurm with real MPI, which `scripts/cluster up` starts and `scripts/test` asks for.

#[path = "../support/mod.rs"]
#[macro_use]
mod support;

mod slurm;

mod endings;
mod exit_codes;
mod launchers;
mod running;
mod scripts;
