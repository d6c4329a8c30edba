//! Turns text into as much of it as has room in a width, with `…` in the place of the rest.
//!
//! Widths are columns of a terminal: an East Asian character takes two.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Its beginning.
pub(crate) fn begin_of(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    fitting(text.chars(), width) + "…"
}

/// Its end.
pub(crate) fn end_of(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let end: String = fitting(text.chars().rev(), width);
    std::iter::once('…').chain(end.chars().rev()).collect()
}

/// The characters that fit, and leave room for one more.
fn fitting(chars: impl Iterator<Item = char>, width: usize) -> String {
    let mut used = 1;
    let fits = |char: &char| {
        used += char.width().unwrap_or(0);
        used <= width
    };
    chars.take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_too_wide_says_so() {
        for (text, width, begin, end) in [
            ("solve", 5, "solve", "solve"),
            ("solve", 4, "sol…", "…lve"),
            ("模型函数", 5, "模型…", "…函数"),
            ("模型函数", 6, "模型…", "…函数"),
            ("ab", 1, "…", "…"),
        ] {
            assert_eq!(
                (begin_of(text, width).as_str(), end_of(text, width).as_str()),
                (begin, end)
            );
        }
    }
}
