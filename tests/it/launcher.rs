//! Runs the command in its arguments as `rsamp record` does, and returns its exit code: for the tests of launching.
//! Each event is a line on the file that `LAUNCHER_EVENTS` names. With `LAUNCHER_PAUSES`, a second thread stops
//! the command's main thread with ptrace and lets it go, over and over, as a sampler would; 99 is returned if that failed.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write;
use std::process::ExitCode;

use rsamp::process::{Launched, ProcessError, Tid, pause};

fn main() -> ExitCode {
    let command: Vec<OsString> = std::env::args_os().skip(1).collect();
    let mut events = std::env::var_os("LAUNCHER_EVENTS")
        .and_then(|path| OpenOptions::new().append(true).create(true).open(path).ok());
    let mut note = |line: String| {
        if let Some(file) = &mut events {
            let _ = file.write_all(line.as_bytes());
        }
    };
    let mut launched = match Launched::spawn(&command) {
        Ok(launched) => launched,
        Err(error) => return ExitCode::from(error.exit_code()),
    };
    note(format!("started {}\n", launched.pid()));
    let pauser = std::env::var_os("LAUNCHER_PAUSES").map(|_| {
        let (pid, main_thread) = (launched.pid(), Tid(launched.pid().0));
        std::thread::spawn(move || {
            loop {
                match pause(pid, main_thread) {
                    // On a busy machine it has no CPU to stop on; it is let go as soon as it has.
                    Ok(_) | Err(ProcessError::PauseTimeout { .. }) => {}
                    // Ends with the command, which is gone then.
                    Err(error) => return error.is_gone(),
                }
            }
        })
    });
    let status = launched.wait(|event| note(format!("{event:?}\n")));
    note(format!("{status:?}\n"));
    if pauser.is_some_and(|thread| !thread.join().unwrap_or(false)) {
        return ExitCode::from(99);
    }
    status.map_or(ExitCode::from(125), |status| {
        ExitCode::from(status.shell_code())
    })
}
