//! Turns text that a profiled program chose into text that cannot steer a terminal.

use std::borrow::Cow;

/// The same text with every character that a terminal could obey, or that hides or reorders text,
/// written as `\u{…}` (or `\n`, `\t`, `\r`).
///
/// Escaped are the C0 and C1 controls, DEL, line and paragraph separators, and the invisible and
/// bidirectional format characters (Unicode UTR 36, "Trojan Source", CVE-2021-42574).
#[must_use]
pub fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) {
            out.extend(c.escape_default())
        } else {
            out.push(c)
        }
    }
    Cow::Owned(out)
}

/// The text as a word that a shell reads back, where it needs no escapes: quoted if it has to be.
#[must_use]
pub fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-./=:,+@%".contains(c);
    let text = escaped(text);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.into_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Whether a terminal could obey the character, or it hides or reorders text: what [`escaped`] escapes, in whatever way.
#[must_use]
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A line of source that cannot steer the terminal; tabs stay.
pub(crate) fn visible(text: &str) -> String {
    let visible = |c: char| match c {
        '\t' => c,
        c if is_unsafe(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    text.chars().map(visible).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_a_terminal_obeys_is_left() {
        let table = [
            ("Field.<lambda>", "Field.<lambda>"),
            ("散乱 é 😀 \\ \"", "散乱 é 😀 \\ \""),
            ("\u{1b}[31mred\u{7}", "\\u{1b}[31mred\\u{7}"),
            ("a\nb\r\tc", "a\\nb\\r\\tc"),
            ("\u{9b}2J\u{7f}", "\\u{9b}2J\\u{7f}"),
            ("x\u{202e}y\u{200b}z", "x\\u{202e}y\\u{200b}z"),
        ];
        for (text, expected) in table {
            assert_eq!(escaped(text), expected);
        }
    }

    #[test]
    fn words_can_be_pasted() {
        let table = [
            ("a.svg", "a.svg"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
            ("a\nb", r"'a\nb'"),
            ("$(x)", "'$(x)'"),
        ];
        for (text, expected) in table {
            assert_eq!(quoted(text), expected);
        }
    }
}
