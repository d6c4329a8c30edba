//! Turns the environment that sudo(8) leaves into the user who typed the command, with whose rights files are opened.

use std::io;

use nix::unistd::geteuid;

use crate::process::{ActingAs, Credentials};

/// The rights of the user who typed the command: behind sudo those of that user, else this process's own.
///
/// # Errors
/// When the groups cannot be had.
pub fn credentials() -> io::Result<Credentials> {
    match behind_sudo() {
        Some((uid, gid)) => Credentials::of_user(uid, gid),
        None => Credentials::own(),
    }
}

/// That user's id.
#[must_use]
pub fn uid() -> u32 {
    behind_sudo().map_or(geteuid().as_raw(), |(uid, _)| uid)
}

/// As long as what this returns lives, this thread opens and makes files as that user; `None`: as which it runs.
///
/// # Errors
/// When it may not.
pub fn act() -> io::Result<Option<ActingAs>> {
    match behind_sudo() {
        Some((uid, gid)) => ActingAs::begin(&Credentials::of_user(uid, gid)?).map(Some),
        None => Ok(None),
    }
}

/// User and group behind sudo, when this process is root through it.
fn behind_sudo() -> Option<(u32, u32)> {
    let number = |name| std::env::var(name).ok()?.parse().ok();
    parse(geteuid().is_root(), number("SUDO_UID"), number("SUDO_GID"))
}

fn parse(is_root: bool, uid: Option<u32>, gid: Option<u32>) -> Option<(u32, u32)> {
    is_root.then_some((uid?, gid?)).filter(|(uid, _)| *uid != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sudo_names_the_user() {
        assert_eq!(parse(true, Some(1000), Some(100)), Some((1000, 100)));
        assert_eq!(parse(false, Some(1000), Some(100)), None);
        assert_eq!(parse(true, Some(0), Some(0)), None);
        assert_eq!(parse(true, None, None), None);
    }
}
