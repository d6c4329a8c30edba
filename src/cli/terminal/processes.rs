//! Turns the Python processes that this user may read into a list to choose from.

use std::time::Duration;

use crate::export::words::escape::escaped;
use crate::run::{PythonProcess, PythonProcesses};

/// A line is no wider than a terminal.
const COLUMNS: usize = 80;

/// What stands above the columns of a line.
pub const TITLE: &str = "     PID       age  Python    command";

/// The list; `subcommand` is what is to be done with one of them.
#[must_use]
pub fn list(found: &PythonProcesses, subcommand: &str) -> String {
    let mut lines = Vec::new();
    match found.readable.as_slice() {
        [] => lines.push("no Python process is running that you may read".to_owned()),
        processes => {
            lines.push("Python processes that you may read:".to_owned());
            lines.push(TITLE.to_owned());
            lines.extend(processes.iter().map(line));
            lines.push(format!(
                "hint: rsamp {subcommand} --pid {}",
                processes[0].pid
            ));
        }
    }
    match found.denied {
        0 => {}
        1 => lines.push(format!(
            "hint: 1 other cannot be read: sudo rsamp {subcommand} lists it"
        )),
        denied => lines.push(format!(
            "hint: {denied} others cannot be read: sudo rsamp {subcommand} lists them"
        )),
    }
    lines.join("\n")
}

/// A process as a line of the list.
#[must_use]
pub fn line(process: &PythonProcess) -> String {
    let age = process.age.map_or_else(|| "?".to_owned(), clock);
    let command = process.command.join(" ");
    let (pid, python, command) = (process.pid.0, &process.python, escaped(&command));
    let line = format!("{pid:>8} {age:>9}  {python:<8}  {command}");
    match line.chars().count() > COLUMNS {
        true => line.chars().take(COLUMNS - 1).chain(['…']).collect(),
        false => line,
    }
}

/// `0:07`, `12:34`, `1:02:03`, `3 d 1 h`.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        1..24 => format!("{hours}:{minutes:02}:{seconds:02}"),
        _ => format!("{} d {} h", hours / 24, hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Pid;

    #[test]
    fn a_process_is_one_line_of_a_terminal() {
        let process = |pid, age, command: &str| PythonProcess {
            pid: Pid(pid),
            python: "3.11.7".to_owned(),
            command: command.split(' ').map(str::to_owned).collect(),
            age: Some(Duration::from_secs(age)),
        };
        let found = PythonProcesses {
            readable: vec![
                process(42, 754, "python scatter.py -nx 200"),
                process(
                    1234567,
                    266_400,
                    &format!("python \u{1b}[31m{}", "x".repeat(80)),
                ),
            ],
            denied: 2,
        };
        insta::assert_snapshot!(list(&found, "attach"), @r"
        Python processes that you may read:
             PID       age  Python    command
              42     12:34  3.11.7    python scatter.py -nx 200
         1234567   3 d 2 h  3.11.7    python \u{1b}[31mxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
        hint: rsamp attach --pid 42
        hint: 2 others cannot be read: sudo rsamp attach lists them
        ");
        let none = PythonProcesses::default();
        assert_eq!(
            list(&none, "dump"),
            "no Python process is running that you may read"
        );
    }
}
