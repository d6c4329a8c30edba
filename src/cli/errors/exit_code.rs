//! The exit codes; the one table that the help, the commands and the tests share.

/// Done.
pub const OK: u8 = 0;
/// Failed in a way that has no code of its own.
pub const FAILED: u8 = 1;
/// The command line is wrong.
pub const USAGE: u8 = 2;
/// There is no such process, or no such job that runs.
pub const NO_SUCH_PROCESS: u8 = 3;
/// The process is no Python program.
pub const NOT_PYTHON: u8 = 4;
/// The kernel does not let this user read the process.
pub const PERMISSION: u8 = 5;
/// The process runs a version of Python that rsamp has no table for.
pub const UNKNOWN_VERSION: u8 = 6;
/// The process ended before it could be read.
pub const ENDED_EARLY: u8 = 7;
/// A recording is slower than another by more than allowed.
pub const SLOWER: u8 = 8;
/// An input is no recording, or a damaged one (`EX_DATAERR`).
pub const BAD_INPUT: u8 = 65;
/// An input cannot be opened or read (`EX_NOINPUT`).
pub const NO_INPUT: u8 = 66;
/// Slurm, or a node or process of the job, could not be reached (`EX_UNAVAILABLE`).
pub const UNAVAILABLE: u8 = 69;
/// An output file cannot be created; nothing was started or sampled (`EX_CANTCREAT`).
pub const OUTPUT_REFUSED: u8 = 73;
/// An output file could not be written at the end (`EX_IOERR`).
pub const OUTPUT_FAILED: u8 = 74;
/// The job does not run yet (`EX_TEMPFAIL`).
pub const NOT_YET: u8 = 75;
/// The command could not be started for another reason (as env(1) has it).
pub const NOT_STARTED: u8 = 125;
/// The command cannot be executed (as a shell has it).
pub const NOT_EXECUTABLE: u8 = 126;
/// The command was not found (as a shell has it).
pub const NOT_FOUND: u8 = 127;

/// What a shell makes of the end by a signal: 128 and its number.
#[must_use]
pub fn of_signal(signal: i32) -> u8 {
    (128 + (signal & 0x7f)) as u8
}

/// Each code and what it says to a user, in ascending order.
pub const TABLE: &[(u8, &str)] = &[
    (OK, "done"),
    (FAILED, "failed in another way"),
    (USAGE, "wrong usage"),
    (
        NO_SUCH_PROCESS,
        "no such process, or no such job or step that runs",
    ),
    (
        NOT_PYTHON,
        "not a Python process; no Python process in the job",
    ),
    (
        PERMISSION,
        "no permission to read the process, or another user's job",
    ),
    (
        UNKNOWN_VERSION,
        "a version of Python that rsamp does not know",
    ),
    (ENDED_EARLY, "the process ended before it could be read"),
    (SLOWER, "diff: slower than --fail-if allows"),
    (
        BAD_INPUT,
        "report, diff: a file is not a recording, or is damaged; record: recordings of ranks are \
         missing or damaged; what could be read was written",
    ),
    (NO_INPUT, "report, diff: a file cannot be read"),
    (
        UNAVAILABLE,
        "--job: Slurm, or a part of the job, could not be reached; what was read was written",
    ),
    (
        OUTPUT_REFUSED,
        "an output file cannot be created; nothing was started or sampled",
    ),
    (
        OUTPUT_FAILED,
        "an output file could not be written at the end",
    ),
    (NOT_YET, "--job: the job does not run yet"),
    (
        NOT_STARTED,
        "record: the command could not be started for another reason",
    ),
    (NOT_EXECUTABLE, "record: the command cannot be executed"),
    (NOT_FOUND, "record: the command was not found"),
];
