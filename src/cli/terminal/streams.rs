//! Turns what rsamp has to say into lines on standard error, whether or not anybody still reads them.

use std::fmt::{self, Display};
use std::io::{self, Write};

use crate::cli::errors::advice;
use crate::cli::errors::hints::{self, Action};
use crate::export::words::escape::escaped;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// What was asked for was not done.
    Error,
    /// It was done, but perhaps not what was meant.
    Warning,
}

impl Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        })
    }
}

/// Writes one line to standard error. A closed pipe or a full disk there is nobody's error.
pub fn say(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Writes text to standard output; a reader that went away (`rsamp dump … | head`) is no error.
///
/// # Errors
/// When standard output cannot be written for another reason, such as a full disk.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Writes an error with its causes, once, and what the user can do about it, to standard error.
pub fn complain(severity: Severity, error: &anyhow::Error, doing: &Action) {
    say(format_args!(
        "rsamp: {severity}: {}",
        escaped(&format!("{error:#}"))
    ));
    let rsamp = hints::sudo_name(std::env::current_exe().ok().as_deref());
    if let Some(hint) = advice::hint(error, doing, &rsamp) {
        say(format_args!("hint: {}", escaped(&hint)));
    }
}
