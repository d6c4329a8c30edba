//! Turns errors into exit codes; the one table that the help, the commands and the tests share.

use crate::cli::request::RequestError;
use crate::launch::{LaunchError, SlurmError};
use crate::process::{ProcessError, SpawnError};
use crate::profile::filter::NothingLeft;
use crate::profile::line_tables::NoSuchName;
use crate::recording::ReadError;
use crate::run::inputs::InputError;
use crate::run::job::JobError;
use crate::run::outputs::{OutputError, WriteError};
use crate::sampler::SamplerError;

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
        "an output file cannot be created or exists; nothing was started or sampled",
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

/// The table as a section of the help.
#[must_use]
pub fn help() -> String {
    let mut text = String::from("Exit codes:\n");
    for (code, meaning) in TABLE {
        text.push_str(&format!("  {code:<6} {meaning}\n"));
    }
    text.push_str(
        "  128+N  as a shell sees it: record: signal N killed the program, and then rsamp; attach: a second \
         signal N ended rsamp\n",
    );
    text.push_str(
        "\n`record` returns the program's own exit code; the codes below 125 are rsamp's only\n\
         when the program was not started (73), or ended with 0 and its files were not written (74),\n\
         nothing could be recorded (1, 5, 6), or recordings of ranks are missing or damaged (65).",
    );
    text
}

/// The code for an error: that of the first of its causes that has one.
#[must_use]
pub fn of(error: &anyhow::Error) -> u8 {
    let code = error.chain().find_map(|cause| {
        if let Some(error) = cause.downcast_ref::<SamplerError>() {
            of_sampler(error)
        } else if let Some(error) = cause.downcast_ref::<ProcessError>() {
            of_process(error)
        } else if let Some(error) = cause.downcast_ref::<SpawnError>() {
            Some(error.exit_code())
        } else if let Some(error) = cause.downcast_ref::<InputError>() {
            Some(of_input(error))
        } else if let Some(error) = cause.downcast_ref::<SlurmError>() {
            Some(of_slurm(error))
        } else if let Some(error) = cause.downcast_ref::<JobError>() {
            Some(of_job(error))
        } else if cause.is::<NothingLeft>() || cause.is::<NoSuchName>() || cause.is::<LaunchError>()
        {
            Some(USAGE)
        } else if cause.is::<OutputError>() {
            Some(OUTPUT_REFUSED)
        } else if cause.is::<WriteError>() {
            Some(OUTPUT_FAILED)
        } else {
            cause.is::<RequestError>().then_some(USAGE)
        }
    });
    code.unwrap_or(FAILED)
}

fn of_sampler(error: &SamplerError) -> Option<u8> {
    match error {
        SamplerError::NoSuchProcess(_) => Some(NO_SUCH_PROCESS),
        SamplerError::NotPython { .. } | SamplerError::NeverPython { .. } => Some(NOT_PYTHON),
        SamplerError::PermissionDenied { .. } | SamplerError::PermissionLost { .. } => {
            Some(PERMISSION)
        }
        SamplerError::UnknownVersion { .. } => Some(UNKNOWN_VERSION),
        SamplerError::EndedEarly(_)
        | SamplerError::EndedInDelay { .. }
        | SamplerError::NeverStarted { .. } => Some(ENDED_EARLY),
        // Its cause decides.
        SamplerError::Process { .. }
        | SamplerError::NoAnswer { .. }
        | SamplerError::Io { .. }
        | SamplerError::Unstoppable { .. } => None,
    }
}

fn of_input(error: &InputError) -> u8 {
    match error {
        InputError::NoMatch(_)
        | InputError::Refused { .. }
        | InputError::Unreadable {
            source: ReadError::Io(_),
            ..
        } => NO_INPUT,
        InputError::BadPattern { .. } | InputError::IsOutput(_) => USAGE,
        InputError::Unreadable { .. }
        | InputError::SameTwice { .. }
        | InputError::Damaged { .. } => BAD_INPUT,
    }
}

fn of_slurm(error: &SlurmError) -> u8 {
    match error {
        SlurmError::NoSlurm { .. } | SlurmError::NoAnswer { .. } => UNAVAILABLE,
        SlurmError::NoSuchJob(_)
        | SlurmError::NotRunning { .. }
        | SlurmError::NoSuchStep { .. } => NO_SUCH_PROCESS,
        SlurmError::NotYet { .. } => NOT_YET,
        SlurmError::Array { .. } => USAGE,
        SlurmError::OtherUser { .. } => PERMISSION,
    }
}

fn of_job(error: &JobError) -> u8 {
    match error {
        JobError::NoPython { .. } => NOT_PYTHON,
        JobError::Run { .. } | JobError::Missing { .. } | JobError::Process { .. } => UNAVAILABLE,
    }
}

fn of_process(error: &ProcessError) -> Option<u8> {
    match error {
        ProcessError::NoSuchProcess(_) | ProcessError::NotAProcess(..) => Some(NO_SUCH_PROCESS),
        error if error.is_denied() => Some(PERMISSION),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::PathBuf;

    use super::*;
    use crate::process::{Denied, Pid, Tid};

    #[test]
    fn each_error_has_its_code() {
        let pid = Pid(42);
        let what = || "bash".to_owned();
        let io = || io::Error::from(io::ErrorKind::StorageFull);
        let path = || PathBuf::from("a.rsamp");
        let job = || crate::launch::JobName {
            job: what(),
            step: None,
        };
        let table: [(anyhow::Error, u8); 25] = [
            (
                SlurmError::NoSlurm {
                    job: job(),
                    program: "srun",
                    source: io(),
                }
                .into(),
                69,
            ),
            (SlurmError::NoSuchJob(job()).into(), 3),
            (
                SlurmError::NotRunning {
                    job: job(),
                    state: what(),
                }
                .into(),
                3,
            ),
            (
                SlurmError::NotYet {
                    job: job(),
                    state: what(),
                    reason: what(),
                }
                .into(),
                75,
            ),
            (
                SlurmError::OtherUser {
                    job: job(),
                    owner: what(),
                }
                .into(),
                5,
            ),
            (
                SlurmError::Array {
                    job: job(),
                    count: 2,
                }
                .into(),
                2,
            ),
            (
                JobError::NoPython {
                    job: job(),
                    looked_at: 1,
                    nodes: what(),
                }
                .into(),
                4,
            ),
            (
                JobError::Process {
                    pid: 1,
                    node: what(),
                    why: what(),
                }
                .into(),
                69,
            ),
            (InputError::NoMatch("*.rsamp".to_owned()).into(), 66),
            (
                InputError::Refused {
                    path: path(),
                    source: io(),
                }
                .into(),
                66,
            ),
            (
                InputError::Unreadable {
                    path: path(),
                    source: ReadError::NotARecording,
                }
                .into(),
                65,
            ),
            (SamplerError::NoSuchProcess(pid).into(), 3),
            (SamplerError::NotPython { pid, what: what() }.into(), 4),
            (SamplerError::NeverPython { pid, what: what() }.into(), 4),
            (
                SamplerError::PermissionDenied {
                    pid,
                    why: Denied::Unknown,
                }
                .into(),
                5,
            ),
            (
                SamplerError::UnknownVersion {
                    pid,
                    found: what(),
                    known: what(),
                }
                .into(),
                6,
            ),
            (SamplerError::EndedEarly(pid).into(), 7),
            (
                SamplerError::Io {
                    pid,
                    tried: what(),
                    source: io(),
                }
                .into(),
                1,
            ),
            (ProcessError::NoSuchProcess(pid).into(), 3),
            (ProcessError::NotAProcess(Tid(43), pid).into(), 3),
            (RequestError::NoCommand.into(), 2),
            (OutputError::Exists("a".into()).into(), 73),
            (
                OutputError::Refused {
                    path: "a".into(),
                    source: io(),
                }
                .into(),
                73,
            ),
            (
                WriteError {
                    path: "a".into(),
                    written_bytes: 0,
                    source: io(),
                }
                .into(),
                74,
            ),
            (anyhow::anyhow!("something else"), 1),
        ];
        for (error, code) in table {
            let error = error.context("while profiling");
            assert_eq!(of(&error), code, "{error:#}");
            assert!(
                TABLE.iter().any(|(known, _)| *known == code),
                "{code} is not in the help"
            );
        }
    }
}
