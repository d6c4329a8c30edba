//! Turns an address in a module into its unwind entry: a search in `.eh_frame_hdr`, then the FDE found and its CIE.
//!
//! Both sections are read from the target's memory, where the loader maps them (LSB Core, "Exception Frames"): no file of
//! the target is opened, and a deleted, replaced or remote file is read as the program has it.

use crate::memory::{Address, Blocks, ReadMemory};

/// The longest CIE or FDE that is read. Those of interpreter loops, the longest seen, have some 20 KiB.
const MAX_ENTRY_BYTES: u32 = 256 << 10;

/// Version 1, `.eh_frame` by `DW_EH_PE_pcrel | DW_EH_PE_sdata4`, the count as `DW_EH_PE_udata4`, and a table of
/// `DW_EH_PE_datarel | DW_EH_PE_sdata4`: what GNU ld, gold, lld and mold write.
const HEADER: [u8; 4] = [1, 0x1b, 0x03, 0x3b];

/// Bytes of the header before the table, and of each of its entries: where a function begins, and its FDE.
const TABLE_AT: u64 = 12;
const ROW_BYTES: u64 = 8;

/// Bytes of the length at the start of a CIE or FDE, and of the word behind it: 0 in a CIE, and in an FDE the distance
/// back to its CIE.
const LENGTH_BYTES: usize = 4;

/// A module's table of unwind entries, sorted by address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchTable {
    header: Address,
    rows: u64,
}

/// An FDE behind its CIE, as a small `.eh_frame` section of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnwindEntry {
    /// The section's bytes.
    pub section: Vec<u8>,
    /// The address at which its pointers have their meaning. Only those of the FDE do.
    pub at: u64,
    /// Where in it the FDE begins.
    pub fde: usize,
}

impl SearchTable {
    /// The table whose header lies at `header`, in a segment of `size` bytes; `None` where it is of another form.
    pub fn read<M: ReadMemory>(
        header: Address,
        size: u64,
        memory: &mut Blocks<M>,
    ) -> Option<SearchTable> {
        let mut bytes = [0; TABLE_AT as usize];
        memory.read(header, &mut bytes)?;
        let (form, rest) = bytes.split_first_chunk::<4>()?;
        let rows = u64::from(u32::from_le_bytes(*rest.last_chunk()?));
        let fits = rows * ROW_BYTES <= size.checked_sub(TABLE_AT)?;
        (*form == HEADER && fits).then_some(SearchTable { header, rows })
    }

    /// The entry of the last function that begins at `address` or before; whether it reaches so far is not looked at.
    pub fn find<M: ReadMemory>(&self, address: u64, memory: &mut Blocks<M>) -> Option<UnwindEntry> {
        let (mut low, mut high) = (0, self.rows);
        while low < high {
            let middle = low + (high - low) / 2;
            let (start, _) = self.row(middle, memory)?;
            if start.0 <= address {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let (_, fde) = self.row(low.checked_sub(1)?, memory)?;
        UnwindEntry::read(fde, memory)
    }

    fn row<M: ReadMemory>(&self, row: u64, memory: &mut Blocks<M>) -> Option<(Address, Address)> {
        let mut bytes = [0; ROW_BYTES as usize];
        memory.read(self.header + TABLE_AT + row * ROW_BYTES, &mut bytes)?;
        let (start, fde) = bytes.split_first_chunk::<4>()?;
        let place = |distance: [u8; 4]| {
            self.header + i64::from(i32::from_le_bytes(distance)).cast_unsigned()
        };
        Some((place(*start), place(*fde.first_chunk()?)))
    }
}

impl UnwindEntry {
    fn read<M: ReadMemory>(at: Address, memory: &mut Blocks<M>) -> Option<UnwindEntry> {
        let mut fde = read_entry(at, memory)?;
        let distance: [u8; 4] = *fde.get(LENGTH_BYTES..)?.first_chunk()?;
        let pointer = at.0.wrapping_add(LENGTH_BYTES as u64);
        let cie_at = pointer.wrapping_sub(u64::from(u32::from_le_bytes(distance)));
        let mut section = read_entry(Address(cie_at), memory)?;
        let start = section.len();
        let back = u32::try_from(start + LENGTH_BYTES).ok()?;
        fde[LENGTH_BYTES..2 * LENGTH_BYTES].copy_from_slice(&back.to_le_bytes());
        section.extend(fde);
        Some(UnwindEntry {
            section,
            at: at.0.wrapping_sub(start as u64),
            fde: start,
        })
    }
}

/// The bytes of a CIE or FDE with its length.
fn read_entry<M: ReadMemory>(at: Address, memory: &mut Blocks<M>) -> Option<Vec<u8>> {
    let mut length = [0; LENGTH_BYTES];
    memory.read(at, &mut length)?;
    // The form with 64-bit lengths, which begins with 0xffffffff, is too long too: nobody writes it here.
    let bytes = u32::from_le_bytes(length);
    if !(LENGTH_BYTES as u32..=MAX_ENTRY_BYTES).contains(&bytes) {
        return None;
    }
    let mut entry = vec![0; LENGTH_BYTES + bytes as usize];
    memory.read(at, &mut entry)?;
    // It may have changed since.
    entry[..LENGTH_BYTES].copy_from_slice(&length);
    Some(entry)
}
