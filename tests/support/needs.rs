//! Turns what a test needs, and this machine may lack, into its run or into `SKIP name: reason`.
//!
//! A need is an environment variable that `scripts/test` sets (`RSAMP_TOOLS`), an interpreter that `RSAMP_PYTHONS` lists
//! (`v3_11`, `system`), a program in `PATH` (`dot`), or `root`. Rust's test harness cannot skip a test that has begun: it passes. Where `RSAMP_SKIPS` names
//! a file, the reason is appended to it, so that `scripts/test` can count. Where `CI` is true, a test that lacks anything but
//! root fails.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Once;

use nix::unistd::Uid;

use super::pythons;

/// Ends the test in which it stands, as skipped, unless it has all of its needs: `needs!(v3_11, RSAMP_TOOLS)`.
macro_rules! needs {
    ($($need:ident),+) => {
        $(if !$crate::support::needs::has(this_test!(), stringify!($need)) {
            return;
        })+
    };
}

/// Ends the test in which it stands, as skipped, for a reason that it found while it ran.
macro_rules! skip {
    ($reason:expr) => {{
        $crate::support::needs::skip(this_test!(), $reason);
        return;
    }};
}

/// The path of the function in which it stands.
macro_rules! this_test {
    () => {{
        fn here() {}
        std::any::type_name_of_val(&here).trim_end_matches("::here")
    }};
}

/// One test for each of these interpreters, which can be run alone: `test_on!(rule: v3_9 system)` makes `rule::v3_9` and
/// `rule::system` of the function `rule(python: &Python)`.
macro_rules! test_on {
    ($rule:ident: $($python:ident)+) => {
        mod $rule {
            $(#[test]
            fn $python() {
                needs!($python);
                super::$rule(&$crate::support::pythons::python(stringify!($python)));
            })+
        }
    };
}

/// One test for each interpreter that rsamp reads by its own tables.
macro_rules! test_on_each {
    ($rule:ident) => {
        each_python!(test_on!($rule:));
    };
}

/// The same without those that run by a loader of their own.
macro_rules! test_on_each_local {
    ($rule:ident) => {
        each_local_python!(test_on!($rule:));
    };
}

/// Whether `test` has what it needs. If not, says so.
pub fn has(test: &str, need: &str) -> bool {
    let lacks = match need {
        "root" => (!Uid::effective().is_root()).then(|| "it needs root".to_owned()),
        variable if variable.starts_with("RSAMP_") => {
            let value = std::env::var(variable).unwrap_or_default();
            value.is_empty().then(|| format!("{variable} is not set"))
        }
        python if python == "system" || python.starts_with('v') => pythons::find(python)
            .is_none()
            .then(|| format!("RSAMP_PYTHONS lists no {python}")),
        program => (!is_in_path(program)).then(|| format!("there is no program {program}")),
    };
    let Some(lacks) = lacks else { return true };
    let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(need == "root" || !is_ci, "{lacks}: run scripts/test");
    skip(test, &lacks);
    false
}

fn is_in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// The path in an environment variable, for a test that checked that it is set.
pub fn prepared(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable);
    path.unwrap_or_else(|| panic!("{variable} is not set: run scripts/test"))
        .into()
}

/// Says why `test` does not run.
pub fn skip(test: &str, reason: &str) {
    static HINT: Once = Once::new();
    let test = test.split_once("::").map_or(test, |(_, path)| path);
    // Not by a macro, whose output the harness keeps to itself when the test passes.
    HINT.call_once(|| {
        let hint =
            "\nsome tests are skipped here: scripts/test brings what they need, and runs all\n";
        let _ = std::io::stderr().write_all(hint.as_bytes());
    });
    let line = format!("SKIP {test}: {reason}\n");
    print!("{line}");
    if let Some(file) = std::env::var_os("RSAMP_SKIPS") {
        let file = OpenOptions::new().append(true).create(true).open(file);
        // One write: tests run side by side.
        file.and_then(|mut file| file.write_all(line.as_bytes()))
            .expect("RSAMP_SKIPS names a file");
    }
}
