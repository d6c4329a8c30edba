//! Turns what a run has to say while it goes on into a line on standard error.

use std::fmt::Display;
use std::io::{self, Write};

use crate::export::words::escape::escaped;

/// Warns: what was asked for is done, but not all of it, or elsewhere. A closed pipe or a full disk there is nobody's
/// error.
pub fn warn(what: impl Display) {
    let _ = writeln!(
        io::stderr(),
        "rsamp: warning: {}",
        escaped(&what.to_string())
    );
}
