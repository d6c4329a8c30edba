//! Turns numbers and text into the bytes of columns: what is small takes one byte.

use std::io::{self, Write};

/// Writes columns, one behind the other.
pub(super) struct Columns<'w> {
    out: &'w mut dyn Write,
}

impl<'w> Columns<'w> {
    pub(super) fn new(out: &'w mut dyn Write) -> Columns<'w> {
        Columns { out }
    }

    /// Says that what follows is of another kind: it is packed apart, where there is enough of it.
    pub(super) fn end_of_kind(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// A number in base 128, the lowest seven bits first (LEB128).
    pub(super) fn number(&mut self, mut number: u64) -> io::Result<()> {
        let mut bytes = [0; 10];
        let mut length = 0;
        loop {
            let low = (number & 0x7f) as u8;
            number >>= 7;
            bytes[length] = if number > 0 { low | 0x80 } else { low };
            length += 1;
            if number == 0 {
                return self.out.write_all(&bytes[..length]);
            }
        }
    }

    /// A difference: `2n` for what is not negative, `-2n - 1` for what is.
    pub(super) fn difference(&mut self, before: u64, now: u64) -> io::Result<()> {
        match now.checked_sub(before) {
            Some(more) => self.number(more << 1),
            None => self.number(((before - now) << 1) - 1),
        }
    }

    /// A number that may be unknown: 0, or one more than it is.
    pub(super) fn optional(&mut self, number: Option<u64>) -> io::Result<()> {
        self.number(number.map_or(0, |number| number.saturating_add(1)))
    }

    /// A number for each item.
    pub(super) fn column<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        number: impl Fn(T) -> u64,
    ) -> io::Result<()> {
        let mut items = items.into_iter();
        items.try_for_each(|item| self.number(number(item)))?;
        self.end_of_kind()
    }

    /// For each item the difference to the one before, the first to 0.
    pub(super) fn differences<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        number: impl Fn(T) -> u64,
    ) -> io::Result<()> {
        let mut before = 0;
        for item in items {
            let now = number(item);
            self.difference(before, now)?;
            before = now;
        }
        self.end_of_kind()
    }

    /// Bytes as they are.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)
    }

    /// Text: how many bytes of UTF-8, and these.
    pub(super) fn text(&mut self, text: &str) -> io::Result<()> {
        self.number(text.len() as u64)?;
        self.out.write_all(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_as_many_bytes_as_they_need() {
        let mut bytes = Vec::new();
        let mut columns = Columns::new(&mut bytes);
        columns.column([0, 127, 128, u64::MAX], |n| n).unwrap();
        columns.differences([5, 3], |n| n).unwrap();
        columns.optional(None).unwrap();
        columns.text("é").unwrap();
        let largest = [255, 255, 255, 255, 255, 255, 255, 255, 255, 1];
        let rest = [10, 3, 0, 2, 0xc3, 0xa9];
        assert_eq!(bytes, [&[0, 127, 128, 1], &largest[..], &rest].concat());
    }
}
