//! Turns a list of wanted ranges into one copy of them, taken with as few system calls as possible.

use super::{Address, Piece, ReadMemory};

/// Ranges of the target's memory, copied in the order in which they were asked for.
///
/// What belongs together in time is asked for together: the kernel copies range after range.
#[derive(Debug, Default)]
pub struct Window {
    pieces: Vec<Piece>,
    /// How many bytes they have.
    wanted: usize,
    /// Where each piece starts in `bytes`; `None` when it could not be read.
    starts: Vec<Option<usize>>,
    bytes: Vec<u8>,
}

impl Window {
    /// Forgets all pieces; keeps the buffers.
    pub fn clear(&mut self) {
        self.pieces.clear();
        self.wanted = 0;
        self.starts.clear();
    }

    /// Asks for a range and returns its number. It is there after the next [`Window::fill`].
    pub fn want(&mut self, at: Address, length: usize) -> usize {
        self.pieces.push(Piece { at, length });
        self.wanted += length;
        self.pieces.len() - 1
    }

    /// How many pieces were asked for.
    #[must_use]
    pub fn piece_count(&self) -> usize {
        self.pieces.len()
    }

    /// How many bytes were asked for.
    #[must_use]
    pub fn wanted_bytes(&self) -> usize {
        self.wanted
    }

    /// Copies all pieces, in order. A piece that cannot be read is left out; the rest still comes.
    ///
    /// Returns whether every piece came in one go, so that all of it is of one moment.
    pub fn fill(&mut self, memory: &impl ReadMemory) -> bool {
        let total = self.wanted;
        if self.bytes.len() < total {
            self.bytes.resize(total, 0);
        }
        self.starts.clear();
        let (mut next, mut offset, mut whole) = (0, 0, true);
        let mut wanted = total;
        while next < self.pieces.len() {
            let target = &mut self.bytes[offset..];
            let read = memory.read_pieces(&self.pieces[next..], &mut target[..wanted]);
            let mut end = 0;
            while next < self.pieces.len() && end + self.pieces[next].length <= read {
                self.starts.push(Some(offset + end));
                end += self.pieces[next].length;
                next += 1;
            }
            offset += end;
            wanted -= end;
            if let Some(unreadable) = self.pieces.get(next) {
                wanted -= unreadable.length;
                self.starts.push(None);
                next += 1;
                whole = false;
            }
        }
        whole
    }

    /// The bytes of piece `number`, `None` when it could not be read.
    #[must_use]
    pub fn piece(&self, number: usize) -> Option<&[u8]> {
        let start = (*self.starts.get(number)?)?;
        self.bytes
            .get(start..start + self.pieces.get(number)?.length)
    }

    /// The `length` bytes at `at` when piece `number` holds them all.
    #[must_use]
    pub fn within(&self, number: usize, at: Address, length: usize) -> Option<&[u8]> {
        let piece = self.pieces.get(number)?;
        let skip = usize::try_from(at.offset_from(piece.at)?).ok()?;
        if skip.checked_add(length)? > piece.length {
            return None;
        }
        self.piece(number)?.get(skip..skip + length)
    }
}

/// The little-endian 64-bit word at `offset` of `bytes`, `None` past the end.
#[must_use]
pub fn word_at(bytes: &[u8], offset: u64) -> Option<u64> {
    let start = usize::try_from(offset).ok()?;
    let word = bytes.get(start..start.checked_add(8)?)?;
    Some(u64::from_le_bytes(word.try_into().ok()?))
}

/// The little-endian signed 32-bit number at `offset` of `bytes`, `None` past the end.
#[must_use]
pub fn int_at(bytes: &[u8], offset: u64) -> Option<i32> {
    let start = usize::try_from(offset).ok()?;
    let int = bytes.get(start..start.checked_add(4)?)?;
    Some(i32::from_le_bytes(int.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::SavedMemory;

    #[test]
    fn a_piece_that_cannot_be_read_costs_only_itself() {
        let mut memory = SavedMemory::default();
        memory.insert(Address(0x1000), vec![1; 16]);
        memory.insert(Address(0x3000), vec![3; 16]);
        let mut window = Window::default();
        let first = window.want(Address(0x1000), 8);
        let missing = window.want(Address(0x2000), 8);
        let last = window.want(Address(0x3004), 8);
        assert!(!window.fill(&memory));
        assert_eq!(window.piece(first), Some(&[1; 8][..]));
        assert_eq!(window.piece(missing), None);
        assert_eq!(window.within(last, Address(0x3008), 4), Some(&[3; 4][..]));
        assert_eq!(window.within(last, Address(0x3008), 5), None);
    }
}
