//! Turns a pattern with `*` and `?`, as a shell has them, into a test of whole texts.

use std::fmt;

use regex::Regex;

/// A pattern for names and paths: `*` stands for any text, `/` included, `?` for one character;
/// everything else for itself.
#[derive(Debug, Clone)]
pub struct Glob {
    text: String,
    regex: Regex,
}

impl Glob {
    /// Takes the pattern as it was typed.
    ///
    /// # Errors
    /// When it is too long: the compiled pattern would exceed the `regex` crate's limit of 10 MB.
    pub fn new(text: &str) -> Result<Glob, regex::Error> {
        let mut pattern = String::from("(?s)^");
        for c in text.chars() {
            match c {
                '*' => pattern.push_str(".*"),
                '?' => pattern.push('.'),
                c => pattern.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
            }
        }
        pattern.push('$');
        Ok(Glob {
            text: text.to_owned(),
            regex: Regex::new(&pattern)?,
        })
    }

    /// Whether the whole of `text` fits.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_whole_texts() {
        let table = [
            ("worker", "worker", true),
            ("worker", "worker-1", false),
            ("worker-*", "worker-1", true),
            ("worker-?", "worker-12", false),
            ("*/numpy/*", "/v/site-packages/numpy/linalg/a.py", true),
            ("*.py", "/a.pyc", false),
            ("a+(b)[c]", "a+(b)[c]", true),
            ("a*", "a\nb", true),
            ("?", "λ", true),
            ("", "", true),
        ];
        for (pattern, text, expected) in table {
            let glob = Glob::new(pattern).expect("a pattern");
            assert_eq!(glob.matches(text), expected, "{pattern} {text}");
        }
    }
}
