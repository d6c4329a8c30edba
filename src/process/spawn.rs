//! Turns a command into a running child.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};

use thiserror::Error;

use super::Pid;

/// A child.
pub struct Launched(Child);

/// Why there is no child.
#[derive(Debug, Error)]
#[error("run {command}")]
pub struct SpawnError {
    command: String,
    source: io::Error,
}

impl SpawnError {
    /// As a shell has it.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if self.source.kind() == io::ErrorKind::NotFound {
            127
        } else {
            126
        }
    }
}

/// How it ended.
pub struct Status(ExitStatus);

impl Status {
    /// As a shell has it.
    #[must_use]
    pub fn shell_code(&self) -> u8 {
        match (self.0.code(), self.0.signal()) {
            (Some(code), _) => code as u8,
            (None, signal) => 128 + signal.unwrap_or(0) as u8,
        }
    }
}

impl Launched {
    /// Starts.
    ///
    /// # Errors
    /// As `SpawnError`.
    pub fn spawn(command: &[OsString]) -> Result<Launched, SpawnError> {
        let child = Command::new(&command[0]).args(&command[1..]).spawn();
        child.map(Launched).map_err(|source| SpawnError {
            command: command[0].to_string_lossy().into_owned(),
            source,
        })
    }

    /// Its id.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid(self.0.id() as i32)
    }

    /// Waits.
    ///
    /// # Errors
    /// Never.
    pub fn wait(mut self) -> io::Result<Status> {
        self.0.wait().map(Status)
    }
}
