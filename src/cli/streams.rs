//! Turns what rsamp has to say into lines on standard error, whether or not anybody still reads them.

use std::fmt::Display;
use std::io::{self, Write};

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
