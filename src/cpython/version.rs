//! Turns what an interpreter says of itself into a version.

use std::fmt;

/// The version of an interpreter build. What follows from it is in its [row](super::layout::rows).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version {
    /// 2 or 3.
    pub major: u8,
    /// 11 in 3.11.7.
    pub minor: u8,
    /// 7 in 3.11.7.
    pub micro: u8,
    /// Whether it is a final release (`PY_RELEASE_LEVEL` 0xF), not an alpha, beta or candidate.
    pub is_final: bool,
    /// Whether it was built without the GIL (PEP 703).
    pub free_threaded: bool,
}

impl Version {
    /// From `PY_VERSION_HEX` (`Include/patchlevel.h`): major, minor, micro, level and serial.
    #[must_use]
    pub fn from_hex(hex: u32, free_threaded: bool) -> Version {
        let [major, minor, micro, level] = hex.to_be_bytes();
        Version {
            major,
            minor,
            micro,
            is_final: level >> 4 == 0xF,
            free_threaded,
        }
    }

    /// The first text in `bytes` that looks like `Py_GetVersion()`: `3.8.18 (default, Jul…) `.
    ///
    /// `Python/getversion.c` formats it into a static buffer as `%.80s (%.80s) %.80s`.
    #[must_use]
    pub fn scan(bytes: &[u8]) -> Option<Version> {
        (0..bytes.len()).find_map(|start| {
            let follows_text = start > 0 && !matches!(bytes[start - 1], 0);
            if follows_text || !matches!(bytes[start], b'2' | b'3') {
                return None;
            }
            let line = &bytes[start..bytes.len().min(start + MAX_VERSION_TEXT)];
            let line = line.split(|byte| *byte == 0).next()?;
            parse_sys_version(std::str::from_utf8(line).ok()?)
        })
    }
}

/// The longest text that `Py_GetVersion` makes: its buffer has 250 bytes up to 3.11, 300 later.
const MAX_VERSION_TEXT: usize = 300;

/// Parses `3.8.18 (default, Jul  1 2023, 10:00:00) \n[GCC 12.2.0]`, the text of `sys.version`.
fn parse_sys_version(text: &str) -> Option<Version> {
    let (number, rest) = text.split_once(' ')?;
    if !rest.starts_with('(') || !rest.contains(") ") {
        return None;
    }
    let number = number.trim_end_matches('+');
    let mut parts = number.splitn(3, '.');
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next()?.parse().ok()?;
    let micro = parts.next()?;
    let digits = micro
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(micro.len());
    Some(Version {
        major,
        minor,
        micro: micro[..digits].parse().ok()?,
        is_final: digits == micro.len(),
        free_threaded: rest.starts_with("(") && text.contains("free-threading build"),
    })
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.micro)?;
        if self.free_threaded {
            f.write_str("t")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: Option<&str>) {
        assert_eq!(
            Version::scan(bytes).map(|v| v.to_string()).as_deref(),
            expected
        );
    }

    #[test]
    fn versions_are_found_among_other_bytes() {
        check(
            b"\0\x013.8\0\x003.8.18 (default, Jul  1 2023, 10:00:00) \n[GCC 12.2.0]\0",
            Some("3.8.18"),
        );
        check(b"2.7.18 (default, Apr 20 2020) [GCC]\0", Some("2.7.18"));
        check(
            b"\x003.9.2+ (heads/3.9:abc, Jan 1 2021) [GCC]\0",
            Some("3.9.2"),
        );
        check(b"\x003.12.0rc1 (main, Jan 1 2023) [GCC]\0", Some("3.12.0"));
        check(
            b"\x003.13.1 experimental free-threading build (main, Jan 1 2023) [GCC]\0",
            None,
        );
        check(b"x3.8.18 (default, Jul) [GCC]\0", None);
        check(b"3.8.18\0", None);
        check(b"", None);
    }

    #[test]
    fn hex_versions_are_split() {
        let version = Version::from_hex(0x030b_07f0, false);
        assert_eq!(
            (version.to_string().as_str(), version.is_final),
            ("3.11.7", true)
        );
        assert!(!Version::from_hex(0x030f_00a1, true).is_final);
    }
}
