//! Names the exit codes of rsamp; the one table that the help, the commands and the tests share.

/// Done.
pub const OK: u8 = 0;
/// Failed in a way that has no code of its own.
pub const FAILED: u8 = 1;
/// The command line is wrong.
pub const USAGE: u8 = 2;
/// There is no such process.
pub const NO_SUCH_PROCESS: u8 = 3;
/// The process is no Python program.
pub const NOT_PYTHON: u8 = 4;
/// The kernel does not let this user read the process.
pub const PERMISSION: u8 = 5;
/// The process runs a version of Python that rsamp has no table for.
pub const UNKNOWN_VERSION: u8 = 6;
/// The process ended before it could be read.
pub const ENDED_EARLY: u8 = 7;
/// An output file cannot be created; nothing was started or sampled (`EX_CANTCREAT`).
pub const OUTPUT_REFUSED: u8 = 73;
/// An output file could not be written at the end (`EX_IOERR`).
pub const OUTPUT_FAILED: u8 = 74;
/// The command cannot be executed (as a shell has it).
pub const NOT_EXECUTABLE: u8 = 126;
/// The command was not found (as a shell has it).
pub const NOT_FOUND: u8 = 127;

/// Each code and what it says to a user, in ascending order.
pub const TABLE: &[(u8, &str)] = &[
    (OK, "done"),
    (FAILED, "failed in another way"),
    (USAGE, "wrong usage"),
    (NO_SUCH_PROCESS, "no such process"),
    (NOT_PYTHON, "the process is no Python program"),
    (PERMISSION, "no permission to read the process"),
    (
        UNKNOWN_VERSION,
        "a version of Python that rsamp does not know",
    ),
    (ENDED_EARLY, "the process ended before it could be read"),
    (
        OUTPUT_REFUSED,
        "an output file cannot be created or exists; nothing was started or sampled",
    ),
    (
        OUTPUT_FAILED,
        "an output file could not be written at the end",
    ),
    (NOT_EXECUTABLE, "record: the command cannot be executed"),
    (NOT_FOUND, "record: the command was not found"),
];

/// The table as a section of the help.
#[must_use]
pub fn help() -> String {
    let mut text = String::from("Exit codes:\n");
    for (code, meaning) in TABLE {
        text.push_str(&format!("  {code:<6} {meaning}\n"));
    }
    text.push_str(
        "  128+N  record: signal N killed the program; attach: a second signal N ended rsamp\n",
    );
    text.push_str(
        "\n`record` returns the program's own exit code; the codes above 2 and below 126 are rsamp's only\n\
         when the program was not started (73), or ended with 0 and its files were not written (74).",
    );
    text
}
