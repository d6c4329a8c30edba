//! Turns a section, compressed or not, into its bytes.

use std::io::Read;

use flate2::read::ZlibDecoder;
use goblin::elf::SectionHeader;
use goblin::elf::section_header::SHF_COMPRESSED;

use crate::process::{ElfFile, ReadBudget};

/// `ELFCOMPRESS_ZLIB` and `ELFCOMPRESS_ZSTD` (elf(5), gABI).
const ZLIB: u32 = 1;
const ZSTD: u32 = 2;

/// No section is larger decompressed: that of the largest debug files is.
const MAX_SECTION_BYTES: u64 = 512 << 20;

/// The bytes; `None` when they can't be read, are too many or are not of a known compression.
pub fn section(elf: &ElfFile, header: &SectionHeader, budget: &mut ReadBudget) -> Option<Vec<u8>> {
    if header.sh_size > MAX_SECTION_BYTES {
        return None;
    }
    let bytes = elf.bytes_of(header, budget).ok()?;
    if header.sh_flags & u64::from(SHF_COMPRESSED) == 0 {
        return Some(bytes);
    }
    // `Elf64_Chdr`: type, reserved, size, alignment; `Elf32_Chdr`: type, size, alignment.
    let number = |at: usize, length: usize| {
        let bytes = bytes.get(at..at + length)?.iter();
        let fold = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(match elf.is_little_endian() {
            true => bytes.rev().fold(0, fold),
            false => bytes.fold(0, fold),
        })
    };
    let (size, data) = match elf.is_64_bit() {
        true => (number(8, 8)?, bytes.get(24..)?),
        false => (number(4, 4)?, bytes.get(12..)?),
    };
    if size > MAX_SECTION_BYTES || !budget.take(size) {
        return None;
    }
    match number(0, 4)? as u32 {
        ZLIB => read(ZlibDecoder::new(data), size),
        ZSTD => read(zstd::Decoder::new(data).ok()?, size),
        _ => None,
    }
}

/// Exactly so many bytes; room is made for what comes, not for what a header says.
fn read(decoder: impl Read, size: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    decoder.take(size).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 == size).then_some(bytes)
}
