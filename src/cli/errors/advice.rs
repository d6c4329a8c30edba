//! Turns an error into its exit code and into what the user can do about it: each error says both.

use std::error::Error;

use super::exit_code as code;
use super::hints::{self, Action};
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

/// What an error tells the shell and the user.
trait Advice {
    /// Its exit code; `None`: its cause decides.
    fn exit_code(&self) -> Option<u8>;

    /// What the user can do about it; `None`: nothing, or its cause tells. `rsamp` is how `sudo` finds this program.
    fn hint(&self, doing: &Action, rsamp: &str) -> Option<String> {
        let _ = (doing, rsamp);
        None
    }
}

/// What a cause tells, if it is one of rsamp's errors.
fn advice<'e>(cause: &'e (dyn Error + 'static)) -> Option<&'e dyn Advice> {
    macro_rules! first_of {
        ($($error:ty),* $(,)?) => {
            $(if let Some(error) = cause.downcast_ref::<$error>() {
                return Some(error);
            })*
        };
    }
    first_of!(
        SamplerError,
        ProcessError,
        SpawnError,
        RequestError,
        OutputError,
        WriteError,
        InputError,
        LaunchError,
        SlurmError,
        JobError,
        NothingLeft,
        NoSuchName,
    );
    None
}

/// The code for an error: that of the first of its causes that has one.
#[must_use]
pub fn exit_code(error: &anyhow::Error) -> u8 {
    let codes = error.chain().filter_map(|cause| advice(cause)?.exit_code());
    codes.into_iter().next().unwrap_or(code::FAILED)
}

/// What the user can do about `error`, if anything; without `hint:` in front. `rsamp` is how `sudo` finds this program,
/// see [`hints::sudo_name`].
#[must_use]
pub fn hint(error: &anyhow::Error, doing: &Action, rsamp: &str) -> Option<String> {
    error
        .chain()
        .find_map(|cause| advice(cause)?.hint(doing, rsamp))
}

impl Advice for SamplerError {
    fn exit_code(&self) -> Option<u8> {
        match self {
            SamplerError::NoSuchProcess(_) => Some(code::NO_SUCH_PROCESS),
            SamplerError::NotPython { .. } | SamplerError::NeverPython { .. } => {
                Some(code::NOT_PYTHON)
            }
            SamplerError::PermissionDenied { .. } | SamplerError::PermissionLost { .. } => {
                Some(code::PERMISSION)
            }
            SamplerError::UnknownVersion { .. } => Some(code::UNKNOWN_VERSION),
            SamplerError::EndedEarly(_)
            | SamplerError::EndedInDelay { .. }
            | SamplerError::NeverStarted { .. } => Some(code::ENDED_EARLY),
            SamplerError::Process { .. }
            | SamplerError::NoAnswer { .. }
            | SamplerError::Io { .. }
            | SamplerError::Unstoppable { .. } => None,
        }
    }

    fn hint(&self, doing: &Action, rsamp: &str) -> Option<String> {
        hints::of_sampler(self, doing, rsamp)
    }
}

impl Advice for ProcessError {
    fn exit_code(&self) -> Option<u8> {
        match self {
            ProcessError::NoSuchProcess(_) | ProcessError::NotAProcess(..) => {
                Some(code::NO_SUCH_PROCESS)
            }
            error if error.is_denied() => Some(code::PERMISSION),
            _ => None,
        }
    }

    fn hint(&self, doing: &Action, _: &str) -> Option<String> {
        hints::of_process(self, doing)
    }
}

impl Advice for SpawnError {
    fn exit_code(&self) -> Option<u8> {
        Some(self.exit_code())
    }

    fn hint(&self, doing: &Action, _: &str) -> Option<String> {
        hints::of_spawn(self, doing)
    }
}

impl Advice for RequestError {
    fn exit_code(&self) -> Option<u8> {
        Some(code::USAGE)
    }

    fn hint(&self, doing: &Action, _: &str) -> Option<String> {
        Some(hints::of_request(self, doing))
    }
}

impl Advice for OutputError {
    fn exit_code(&self) -> Option<u8> {
        Some(code::OUTPUT_REFUSED)
    }

    fn hint(&self, _: &Action, _: &str) -> Option<String> {
        hints::of_output(self)
    }
}

impl Advice for WriteError {
    fn exit_code(&self) -> Option<u8> {
        Some(code::OUTPUT_FAILED)
    }
}

impl Advice for InputError {
    fn exit_code(&self) -> Option<u8> {
        Some(match self {
            InputError::NoMatch(_)
            | InputError::Refused { .. }
            | InputError::Unreadable {
                source: ReadError::Io(_),
                ..
            } => code::NO_INPUT,
            InputError::BadPattern { .. } | InputError::IsOutput(_) => code::USAGE,
            InputError::Unreadable { .. }
            | InputError::SameTwice { .. }
            | InputError::Damaged { .. } => code::BAD_INPUT,
        })
    }

    fn hint(&self, _: &Action, _: &str) -> Option<String> {
        hints::of_input(self)
    }
}

impl Advice for LaunchError {
    fn exit_code(&self) -> Option<u8> {
        Some(code::USAGE)
    }

    fn hint(&self, _: &Action, _: &str) -> Option<String> {
        Some(hints::of_launch(self))
    }
}

impl Advice for SlurmError {
    fn exit_code(&self) -> Option<u8> {
        Some(match self {
            SlurmError::NoSlurm { .. } | SlurmError::NoAnswer { .. } => code::UNAVAILABLE,
            SlurmError::NoSuchJob(_)
            | SlurmError::NotRunning { .. }
            | SlurmError::NoSuchStep { .. } => code::NO_SUCH_PROCESS,
            SlurmError::NotYet { .. } => code::NOT_YET,
            SlurmError::Array { .. } => code::USAGE,
            SlurmError::OtherUser { .. } => code::PERMISSION,
        })
    }

    fn hint(&self, _: &Action, rsamp: &str) -> Option<String> {
        hints::of_slurm(self, rsamp)
    }
}

impl Advice for JobError {
    fn exit_code(&self) -> Option<u8> {
        Some(match self {
            JobError::NoPython { .. } => code::NOT_PYTHON,
            JobError::Run { .. } | JobError::Missing { .. } | JobError::Process { .. } => {
                code::UNAVAILABLE
            }
        })
    }

    fn hint(&self, _: &Action, rsamp: &str) -> Option<String> {
        hints::of_job(self, rsamp)
    }
}

impl Advice for NothingLeft {
    fn exit_code(&self) -> Option<u8> {
        Some(code::USAGE)
    }

    fn hint(&self, _: &Action, _: &str) -> Option<String> {
        Some("without a filter, rsamp report shows what there is".to_owned())
    }
}

impl Advice for NoSuchName {
    fn exit_code(&self) -> Option<u8> {
        Some(code::USAGE)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::PathBuf;

    use super::*;
    use crate::cli::errors::exit_code::TABLE;
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
            (OutputError::Protected("a".into()).into(), 73),
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
            assert_eq!(exit_code(&error), code, "{error:#}");
            assert!(
                TABLE.iter().any(|(known, _)| *known == code),
                "{code} is not in the help"
            );
        }
    }
}
