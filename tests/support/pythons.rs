//! Turns the environment variable `RSAMP_PYTHONS` into the interpreters to test against.

use std::process::Command;

/// One interpreter.
#[derive(Debug, Clone)]
pub struct Python {
    /// Major, minor, micro.
    pub version: (u8, u8, u8),
    /// The version as the variable has it, for messages.
    pub label: String,
    /// The words that start it, to be followed by its arguments.
    pub command: Vec<String>,
}

impl Python {
    /// `system` for the one in `/usr/bin`, or such as `v3_11`.
    pub fn name(&self) -> String {
        if self.command[0].starts_with("/usr/bin/") {
            return "system".to_owned();
        }
        self.version_name()
    }

    fn version_name(&self) -> String {
        format!("v{}_{}", self.version.0, self.version.1)
    }

    /// A command that starts it; its arguments are to follow.
    pub fn interpreter(&self) -> Command {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]);
        command
    }
}

/// Hands the names of all interpreters that rsamp reads by its own tables to a macro, behind what is given. `v3_11` is the
/// first 3.11 in the list, `system` the one in `/usr/bin`: a static build, stripped, and not position-independent.
macro_rules! each_python {
    ($then:ident!($($given:tt)*)) => {
        each_local_python! { $then!($($given)* v3_14 v3_15) }
    };
}

/// The same without those that run by a loader of their own, as they need a newer libc than Debian 12 has.
macro_rules! each_local_python {
    ($then:ident!($($given:tt)*)) => {
        $then! { $($given)* v3_6 v3_7 v3_8 v3_9 v3_10 v3_11 v3_12 v3_13 system }
    };
}

macro_rules! names {
    ($($name:ident)*) => { &[$(stringify!($name)),*] };
}

/// The names in `each_python!`.
pub const EACH: &[&str] = each_python!(names!());

/// The interpreters that `RSAMP_PYTHONS` lists: one a line, the version, a tab, the words of the
/// command with spaces between them. Empty where it is not set.
pub fn pythons() -> Vec<Python> {
    let list = std::env::var("RSAMP_PYTHONS").unwrap_or_default();
    list.lines()
        .filter(|line| !line.trim().is_empty())
        .map(parse_python)
        .collect()
}

/// The interpreter of that name, such as `v3_11` or `system`, if the list has it.
pub fn find(name: &str) -> Option<Python> {
    let is_called = |python: &Python| match name {
        "system" => python.name() == "system",
        version => python.version_name() == version,
    };
    pythons().into_iter().find(is_called)
}

/// As [`find`], for a test that checked that the list has it.
pub fn python(name: &str) -> Python {
    find(name).unwrap_or_else(|| panic!("RSAMP_PYTHONS lists no {name}"))
}

/// The interpreter of one such line.
pub fn parse_python(line: &str) -> Python {
    let Some((label, words)) = line.split_once('\t') else {
        panic!("no tab in this line of RSAMP_PYTHONS: {line}");
    };
    let number = |part: Option<&str>| {
        let digits: String = part
            .unwrap_or_default()
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        digits
            .parse()
            .unwrap_or_else(|_| panic!("no version in this line of RSAMP_PYTHONS: {line}"))
    };
    let mut parts = label.split('.');
    Python {
        version: (
            number(parts.next()),
            number(parts.next()),
            number(parts.next()),
        ),
        label: label.to_owned(),
        command: words.split_whitespace().map(str::to_owned).collect(),
    }
}
