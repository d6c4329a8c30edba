//! Turns bytes into text that takes a quarter more: each four bytes are five characters.
//!
//! Four bytes are a number, the first byte the highest, written in base 85, the highest digit first. One to three bytes at
//! the end are followed by zeros, of which no digits are written: n bytes are n + 1 characters. Base64 makes the text a third
//! longer than the bytes.

use std::io::{self, Write};

/// The digits: all of them are one byte in UTF-8, and none means anything in a script tag, as `<` does.
const DIGITS: &[u8; 85] =
    b"#$%&'()*+,-./0123456789:;x=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvw";

/// So many characters are handed on at a time.
const BUFFER_BYTES: usize = 5 << 12;

/// Writes what it is given as text.
pub(super) struct Base85<'w> {
    out: &'w mut dyn Write,
    /// The bytes that are no four yet.
    open: [u8; 4],
    opened: usize,
    text: Vec<u8>,
}

impl<'w> Base85<'w> {
    pub(super) fn new(out: &'w mut dyn Write) -> Base85<'w> {
        Base85 {
            out,
            open: [0; 4],
            opened: 0,
            text: Vec::with_capacity(BUFFER_BYTES),
        }
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// When `out` fails.
    pub(super) fn finish(mut self) -> io::Result<()> {
        if self.opened > 0 {
            self.open[self.opened..].fill(0);
            let digits = digits_of(self.open);
            self.text.extend_from_slice(&digits[..=self.opened]);
        }
        self.out.write_all(&self.text)
    }

    fn push(&mut self, four: [u8; 4]) -> io::Result<()> {
        self.text.extend_from_slice(&digits_of(four));
        if self.text.len() >= BUFFER_BYTES {
            self.out.write_all(&self.text)?;
            self.text.clear();
        }
        Ok(())
    }
}

impl Write for Base85<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while self.opened > 0 && !rest.is_empty() {
            self.open[self.opened] = rest[0];
            self.opened = (self.opened + 1) % 4;
            rest = &rest[1..];
            if self.opened == 0 {
                self.push(self.open)?;
            }
        }
        let (fours, rest) = rest.as_chunks::<4>();
        fours.iter().try_for_each(|four| self.push(*four))?;
        if !rest.is_empty() {
            self.open[..rest.len()].copy_from_slice(rest);
            self.opened = rest.len();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn digits_of(four: [u8; 4]) -> [u8; 5] {
    let mut number = u32::from_be_bytes(four);
    let mut digits = [0; 5];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(number % 85) as usize];
        number /= 85;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(parts: &[&[u8]]) -> String {
        let mut out = Vec::new();
        let mut base85 = Base85::new(&mut out);
        parts
            .iter()
            .for_each(|part| base85.write_all(part).expect("written"));
        base85.finish().expect("written");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn digits_are_one_byte_each_and_open_no_tag() {
        let mut known: Vec<u8> = DIGITS.to_vec();
        known.sort_unstable();
        known.dedup();
        assert_eq!(known.len(), 85);
        assert!(
            known
                .iter()
                .all(|digit| digit.is_ascii_graphic() && *digit != b'<')
        );
    }

    #[test]
    fn bytes_are_the_same_text_in_whatever_parts_they_come() {
        // 0x00000001; 0xffffffff: 82·85⁴ + 23·85³ + 54·85² + 12·85 + 0; and one byte more, 0x55000000: 27·85⁴ + 27·85³ + a
        // rest whose digits are left out.
        let bytes = [0, 0, 0, 1, 255, 255, 255, 255, 85];
        let whole = text(&[&bytes]);
        assert_eq!(whole, "####$u:Y/#>>");
        for at in 0..bytes.len() {
            assert_eq!(text(&[&bytes[..at], &bytes[at..]]), whole);
        }
        assert_eq!(text(&[]), "");
    }
}
