//! Runs the command line and turns its result into the one exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    rsamp::cli::main()
}
