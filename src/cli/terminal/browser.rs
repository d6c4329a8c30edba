//! Turns a written page into an open tab of a browser, or into how to get it there.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::{User, geteuid, gethostname};

use crate::export::words::escape::quoted;

/// What opens a file in the browser of a Linux desktop.
const OPENER: &str = "xdg-open";

/// Opens a page, where this machine has a screen and rsamp has the rights of its owner. Says what was done, or what the user
/// can do.
#[must_use]
pub fn open(page: &Path) -> String {
    let path = std::path::absolute(page).unwrap_or_else(|_| page.to_owned());
    let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    if is_set("SSH_CONNECTION") {
        return copy_line(&user(), &host(), &path);
    }
    let has_screen = is_set("DISPLAY") || is_set("WAYLAND_DISPLAY");
    // A browser must not run with root's rights.
    if !has_screen || geteuid().is_root() {
        return format!("open it in a browser: {}", quoted(&path.to_string_lossy()));
    }
    let mut opener = Command::new(OPENER);
    let opener = opener.arg(&path).stdin(Stdio::null());
    match opener.stdout(Stdio::null()).stderr(Stdio::null()).status() {
        Ok(status) if status.success() => "opened it in the browser".to_owned(),
        Ok(status) => format!("{OPENER} failed ({status}): open it in a browser yourself"),
        Err(error) => format!("cannot run {OPENER} ({error}): open it in a browser yourself"),
    }
}

/// What to type on the machine with the screen.
fn copy_line(user: &str, host: &str, path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let from = quoted(&format!("{user}@{host}:{}", path.to_string_lossy()));
    format!(
        "to see it, type on your own machine: scp {from} . && xdg-open {}",
        quoted(&name)
    )
}

fn user() -> String {
    let user = User::from_uid(geteuid()).ok().flatten();
    user.map_or_else(|| geteuid().to_string(), |user| user.name)
}

fn host() -> String {
    gethostname().map_or_else(
        |_| "HOST".to_owned(),
        |host| host.to_string_lossy().into_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_ssh_the_line_to_copy_is_told() {
        assert_eq!(
            copy_line("ada", "node1", Path::new("/home/ada/a b.html")),
            "to see it, type on your own machine: scp 'ada@node1:/home/ada/a b.html' . && xdg-open 'a b.html'"
        );
    }
}
