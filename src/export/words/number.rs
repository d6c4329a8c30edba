//! Turns counts and sizes into short text for people.

/// The number with commas: `9,996`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The size in bytes with a unit of powers of 1000: `812 B`, `1.2 MB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut units = ["kB", "MB", "GB", "TB"].iter();
    let mut unit = "B";
    while value >= 999.95
        && let Some(larger) = units.next()
    {
        value /= 1000.0;
        unit = larger;
    }
    if unit == "B" {
        format!("{bytes} B")
    } else {
        format!("{value:.1} {unit}")
    }
}

/// What was added and what was taken away, in MB: `+12.3 -0.4`; nothing for nothing.
#[must_use]
pub fn bytes_with_sign(grown: u64, shrunk: u64) -> String {
    let part = |sign: &str, bytes: u64| {
        let shown = format!("{:.1}", bytes as f64 / 1e6);
        (shown != "0.0").then(|| format!("{sign}{shown}"))
    };
    let parts = [part("+", grown), part("-", shrunk)];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, expected) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (12_345_678, "12,345,678"),
        ] {
            assert_eq!(grouped(number), expected);
        }
    }

    #[test]
    fn sizes_have_a_unit() {
        for (bytes, expected) in [
            (0, "0 B"),
            (812, "812 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (1_234_567, "1.2 MB"),
            (999_990, "1.0 MB"),
        ] {
            assert_eq!(size(bytes), expected);
        }
    }
}
