//! Turns saved pages into a memory that is read like a live one, for tests and saved images.

use std::collections::BTreeMap;
use std::io;

use super::{Address, ReadError, ReadMemory};

/// Ranges of memory, as they were once.
#[derive(Debug, Clone, Default)]
pub struct SavedMemory {
    /// First address → bytes. Ranges do not overlap.
    ranges: BTreeMap<u64, Vec<u8>>,
}

impl SavedMemory {
    /// Adds the range that starts at `at`. A later range must not overlap an earlier one.
    pub fn insert(&mut self, at: Address, bytes: Vec<u8>) {
        self.ranges.insert(at.0, bytes);
    }

    /// The ranges in ascending order.
    pub fn ranges(&self) -> impl Iterator<Item = (Address, &[u8])> {
        self.ranges
            .iter()
            .map(|(at, bytes)| (Address(*at), bytes.as_slice()))
    }

    /// The bytes of the range that starts exactly at `at`, to change them.
    pub fn range_mut(&mut self, at: Address) -> Option<&mut Vec<u8>> {
        self.ranges.get_mut(&at.0)
    }
}

impl ReadMemory for SavedMemory {
    /// To read no bytes succeeds anywhere, as with a live process.
    fn read(&self, at: Address, into: &mut [u8]) -> Result<(), ReadError> {
        if into.is_empty() {
            return Ok(());
        }
        let found = self
            .ranges
            .range(..=at.0)
            .next_back()
            .and_then(|(start, bytes)| {
                let skip = usize::try_from(at.0 - start).ok()?;
                bytes.get(skip..skip.checked_add(into.len())?)
            });
        match found {
            Some(bytes) => {
                into.copy_from_slice(bytes);
                Ok(())
            }
            None => Err(ReadError {
                at,
                length: into.len(),
                source: io::Error::from_raw_os_error(nix::libc::EFAULT),
            }),
        }
    }
}
