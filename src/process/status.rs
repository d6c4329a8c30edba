//! Turns a `status` file of a process or a thread into single fields.

/// The first number behind `key` in a `status` file.
pub(super) fn status_number(status: &[u8], key: &str) -> Option<i32> {
    status_field(status, key)?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

/// What stands behind `key` (with its colon) in a `status` file.
pub(super) fn status_field<'a>(status: &'a [u8], key: &str) -> Option<&'a str> {
    let line = status
        .split(|&byte| byte == b'\n')
        .find_map(|line| line.strip_prefix(key.as_bytes()))?;
    std::str::from_utf8(line).ok().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_fields_are_found_by_their_whole_key() {
        let status = b"Name:\tTgid: 9\nTgid:\t42\nNSpid:\t42\t7\n";
        assert_eq!(status_number(status, "Tgid:"), Some(42));
        assert_eq!(status_field(status, "NSpid:"), Some("42\t7"));
        assert_eq!(status_field(status, "NoSuch:"), None);
    }
}
