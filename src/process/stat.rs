//! Turns a `stat` file of a process or a thread into its fields.

use thiserror::Error;

/// Enough of a `stat` for the state: the id (10 digits), the name in parentheses, which the kernel cuts
/// at 15 bytes (63 for its own workers), and spaces.
pub(super) const STAT_PREFIX: usize = 128;

/// What the kernel says a thread is doing (field 3 of its `stat`, proc(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TaskState {
    /// `R`: on a CPU or waiting for one.
    Running,
    /// `S`: in a wait that a signal would interrupt.
    Sleeping,
    /// `D`: in a wait that no signal interrupts, mostly for a disk or a network file system.
    DiskSleep,
    /// `T`: stopped by a signal.
    Stopped,
    /// `t`: stopped by a tracer.
    Traced,
    /// `Z`: ended, not yet waited for.
    Zombie,
    /// `X`, `x`: ended.
    Dead,
    /// `I`: an idle kernel thread.
    Idle,
    /// A state of another kernel version.
    Other(char),
}

impl TaskState {
    /// The state that a letter stands for.
    #[must_use]
    pub fn from_letter(letter: u8) -> TaskState {
        match letter {
            b'R' => TaskState::Running,
            b'S' => TaskState::Sleeping,
            b'D' => TaskState::DiskSleep,
            b'T' => TaskState::Stopped,
            b't' => TaskState::Traced,
            b'Z' => TaskState::Zombie,
            b'X' | b'x' => TaskState::Dead,
            b'I' => TaskState::Idle,
            other => TaskState::Other(char::from(other)),
        }
    }
}

/// What rsamp uses of a `stat` file, of a process or a thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Field 1: the id.
    pub id: i32,
    /// Field 2: the name, at most 15 bytes of it.
    pub name: String,
    /// Field 3.
    pub state: TaskState,
    /// Field 4: the parent's PID.
    pub parent: i32,
    /// Field 5: the process group.
    pub group: i32,
    /// Field 6: the session.
    pub session: i32,
    /// Field 10: page faults that needed no reading, of all threads.
    pub minor_faults: u64,
    /// Field 12: page faults that had to wait for storage.
    pub major_faults: u64,
    /// Fields 14 and 15: CPU time in user and kernel mode, in clock ticks.
    pub cpu_ticks: u64,
    /// Field 20: how many threads the process has.
    pub threads: u32,
    /// Field 22: when it started, in clock ticks since boot.
    pub start_ticks: u64,
    /// Field 26: where the code starts; 0 or 1 when hidden from us.
    pub code_start: u64,
    /// Field 28: where the stack starts; 0 when hidden from us.
    pub stack_start: u64,
}

/// Why bytes are no `stat` file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StatError {
    /// There is no name in parentheses.
    #[error("no name in parentheses")]
    NoName,
    /// A field is missing or no number.
    #[error("field {0} is missing or not a number")]
    Field(usize),
}

/// Parses a `stat` file (proc(5)). The name may hold anything, `) ` included; it ends at the last parenthesis.
///
/// # Errors
/// When a field is missing or not a number.
pub fn parse_stat(bytes: &[u8]) -> Result<Stat, StatError> {
    let open = bytes
        .iter()
        .position(|&byte| byte == b'(')
        .ok_or(StatError::NoName)?;
    let close = bytes
        .iter()
        .rposition(|&byte| byte == b')')
        .ok_or(StatError::NoName)?;
    if close < open {
        return Err(StatError::NoName);
    }
    let behind = String::from_utf8_lossy(&bytes[close + 1..]);
    let fields: Vec<&str> = behind.split_ascii_whitespace().collect();
    // proc(5) counts from 1, and field 3 is the first behind the name.
    let text = |number: usize| {
        fields
            .get(number - 3)
            .copied()
            .ok_or(StatError::Field(number))
    };
    let signed = |number| text(number)?.parse().map_err(|_| StatError::Field(number));
    let unsigned = |number| {
        text(number)?
            .parse::<u64>()
            .map_err(|_| StatError::Field(number))
    };
    let id = String::from_utf8_lossy(&bytes[..open]);
    Ok(Stat {
        id: id.trim().parse().map_err(|_| StatError::Field(1))?,
        name: String::from_utf8_lossy(&bytes[open + 1..close]).into_owned(),
        state: TaskState::from_letter(text(3)?.as_bytes()[0]),
        parent: signed(4)?,
        group: signed(5)?,
        session: signed(6)?,
        minor_faults: unsigned(10)?,
        major_faults: unsigned(12)?,
        cpu_ticks: unsigned(14)?.saturating_add(unsigned(15)?),
        threads: text(20)?.parse().map_err(|_| StatError::Field(20))?,
        start_ticks: unsigned(22)?,
        code_start: unsigned(26)?,
        stack_start: unsigned(28)?,
    })
}

/// The state in the first bytes of a `stat` file.
pub(super) fn parse_state(prefix: &[u8]) -> Option<TaskState> {
    let close = prefix.iter().rposition(|&byte| byte == b')')?;
    let letter = prefix.get(close + 2)?;
    Some(TaskState::from_letter(*letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PYTHON: &str = "4242 (python3.12) S 4000 4242 3999 34816 4242 4194304 2127 0 1 0 25 7 0 0 20 0 3 0 \
        987654 34267136 2862 18446744073709551615 94340 97260 140728 0 0 0 0 16781312 2 0 0 0 17 1 0 0 0 0 0 \
        107472 108312 110592 140732 140733 140734 140735 0\n";

    #[test]
    fn a_stat_gives_its_fields() {
        let stat = parse_stat(PYTHON.as_bytes()).unwrap();
        assert_eq!(
            stat,
            Stat {
                id: 4242,
                name: "python3.12".to_owned(),
                state: TaskState::Sleeping,
                parent: 4000,
                group: 4242,
                session: 3999,
                minor_faults: 2127,
                major_faults: 1,
                cpu_ticks: 32,
                threads: 3,
                start_ticks: 987_654,
                code_start: 94340,
                stack_start: 140_728,
            }
        );
    }

    #[test]
    fn names_may_hold_parentheses_spaces_and_anything() {
        for name in ["a) R (b", ") Z 1 2", "((", "))", "", "x\ny", "\u{fffd}"] {
            let text = PYTHON.replace("python3.12", name);
            let stat = parse_stat(text.as_bytes()).unwrap();
            assert_eq!(
                (stat.name.as_str(), stat.state),
                (name, TaskState::Sleeping)
            );
            assert_eq!(
                parse_state(&text.as_bytes()[..text.len().min(STAT_PREFIX)]),
                Some(TaskState::Sleeping)
            );
        }
    }

    #[test]
    fn a_stat_cut_anywhere_is_refused_or_read_never_a_panic() {
        for length in 0..PYTHON.len() {
            let _ = parse_stat(&PYTHON.as_bytes()[..length]);
            let _ = parse_state(&PYTHON.as_bytes()[..length]);
        }
        assert_eq!(parse_stat(b"1 x) (y R"), Err(StatError::NoName));
        assert_eq!(parse_stat(b"1 (x) R 1"), Err(StatError::Field(5)));
    }

    #[test]
    fn every_letter_is_a_state() {
        for (letter, state) in [
            (b'R', TaskState::Running),
            (b'S', TaskState::Sleeping),
            (b'D', TaskState::DiskSleep),
            (b'T', TaskState::Stopped),
            (b't', TaskState::Traced),
            (b'Z', TaskState::Zombie),
            (b'X', TaskState::Dead),
            (b'I', TaskState::Idle),
            (b'P', TaskState::Other('P')),
        ] {
            assert_eq!(TaskState::from_letter(letter), state);
        }
    }
}
