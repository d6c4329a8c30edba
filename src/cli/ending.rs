//! Turns how a program ended into how rsamp ends: by the same signal, or with an exit code.

use std::process::ExitCode;

use crate::cli::errors::exit_code;
use crate::process::{Launched, end_by_signal};

/// How rsamp ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With this exit code.
    Code(u8),
    /// By this signal.
    Signal(i32),
}

impl Ending {
    /// The ending after `launched`, when `code` is what a shell would return: its own, or one of rsamp's.
    #[must_use]
    pub fn after(launched: &Launched, code: u8) -> Ending {
        match launched.died_of() {
            Some(signal) if code == exit_code::of_signal(signal) => Ending::Signal(signal),
            _ => Ending::Code(code),
        }
    }

    /// Ends by the signal, if it is one that ends this process; else tells the exit code.
    #[must_use]
    pub fn carry_out(self) -> ExitCode {
        match self {
            Ending::Code(code) => ExitCode::from(code),
            Ending::Signal(signal) => {
                end_by_signal(signal);
                ExitCode::from(exit_code::of_signal(signal))
            }
        }
    }
}

impl From<u8> for Ending {
    fn from(code: u8) -> Ending {
        Ending::Code(code)
    }
}
