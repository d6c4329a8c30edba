//! Turns the environment variable `RSAMP_PYTHONS` into the interpreters to test against.

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

/// The interpreters that `RSAMP_PYTHONS` lists: one a line, the version, a tab, the words of the
/// command with spaces between them.
pub fn pythons() -> Vec<Python> {
    let Ok(list) = std::env::var("RSAMP_PYTHONS") else {
        panic!("RSAMP_PYTHONS is not set: run scripts/test");
    };
    list.lines()
        .filter(|line| !line.trim().is_empty())
        .map(parse_python)
        .collect()
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
