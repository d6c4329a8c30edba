//! Turns an address of the target into bytes.

mod blocks;
mod live;
mod resident;
mod snapshot;
pub(crate) mod window;

pub use live::LiveMemory;
pub use snapshot::SavedMemory;

pub(crate) use blocks::Blocks;
pub(crate) use resident::Resident;
pub(crate) use window::Window;

use std::fmt;
use std::ops::Add;

use thiserror::Error;

/// A place in the target's address space. Never a pointer of ours, never dereferenced here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Address(pub u64);

impl Address {
    /// The null pointer.
    pub const NULL: Address = Address(0);

    /// Whether this is the null pointer.
    #[must_use]
    pub fn is_null(self) -> bool {
        self.0 == 0
    }

    /// The distance in bytes from `base` up to this address, `None` when it lies below.
    #[must_use]
    pub fn offset_from(self, base: Address) -> Option<u64> {
        self.0.checked_sub(base.0)
    }
}

impl Add<u64> for Address {
    type Output = Address;

    /// Wraps around, as the target's own pointer arithmetic would: what is read there simply fails.
    fn add(self, bytes: u64) -> Address {
        Address(self.0.wrapping_add(bytes))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// Why bytes of the target could not be had.
#[derive(Debug, Error)]
#[error("read {length} bytes at {at}")]
pub struct ReadError {
    /// The first byte asked for.
    pub at: Address,
    /// How many bytes were asked for.
    pub length: usize,
    /// What the kernel said.
    #[source]
    pub source: std::io::Error,
}

/// A range of the target's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Its first byte.
    pub at: Address,
    /// Its length in bytes.
    pub length: usize,
}

/// Gives bytes of a target: a live process, or saved pages in tests.
pub trait ReadMemory {
    /// Fills `into` with the bytes that start at `at`.
    ///
    /// # Errors
    /// When not all of the bytes can be read; `into` then holds anything.
    fn read(&self, at: Address, into: &mut [u8]) -> Result<(), ReadError>;

    /// Fills `into` with the bytes of `pieces`, one after another, and returns how many bytes came.
    ///
    /// Fewer than asked for means that the piece at that place could not be read whole; nothing
    /// after it was tried. `into` is as long as the pieces together.
    fn read_pieces(&self, pieces: &[Piece], into: &mut [u8]) -> usize {
        let mut done = 0;
        for piece in pieces {
            let Some(target) = into.get_mut(done..done + piece.length) else {
                return done;
            };
            if self.read(piece.at, target).is_err() {
                return done;
            }
            done += piece.length;
        }
        done
    }

    /// Reads one little-endian 64-bit word.
    ///
    /// # Errors
    /// As [`ReadMemory::read`].
    fn word(&self, at: Address) -> Result<u64, ReadError> {
        let mut bytes = [0; 8];
        self.read(at, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Reads a pointer of the target.
    ///
    /// # Errors
    /// As [`ReadMemory::read`].
    fn pointer(&self, at: Address) -> Result<Address, ReadError> {
        self.word(at).map(Address)
    }
}

impl<M: ReadMemory + ?Sized> ReadMemory for &M {
    fn read(&self, at: Address, into: &mut [u8]) -> Result<(), ReadError> {
        (**self).read(at, into)
    }

    fn read_pieces(&self, pieces: &[Piece], into: &mut [u8]) -> usize {
        (**self).read_pieces(pieces, into)
    }
}
