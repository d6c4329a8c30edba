//! Turns a message into a checksummed, compressed block of bytes, and back.
//!
//! Numbers are little-endian. The file begins with the preamble, of which no later version of the
//! format changes a byte's meaning:
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 8 | [`MAGIC`] |
//! | 8 | 2 | version of the format |
//! | 10 | 6 | version of the rsamp that wrote it: major, minor, patch |
//! | 16 | 4 | CRC-32 of the 16 bytes before |
//!
//! Then block after block:
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 4 | size of the compressed message |
//! | 4 | 4 | size of the message, at most [`MAX_MESSAGE_BYTES`] |
//! | 8 | 4 | CRC-32 of the compressed message |
//! | 12 | 4 | CRC-32 of the 12 bytes before |
//! | 16 | | the message, one zstd frame |
//!
//! CRC-32 is that of zlib (IEEE 802.3). It notices every change of up to 32 bits in a row. The message
//! is a `Block` of `rsamp.proto`. The first block holds the header, the last one the end; a file
//! without an end was cut off.

use std::io::{self, Read, Write};

use zstd::bulk::Decompressor;

/// The first bytes of every recording. As in PNG, the first one is no text and the last two show a
/// transfer that changed line ends.
pub const MAGIC: [u8; 8] = *b"\x89RSAMP\r\n";

/// The version of the format that is written, and the highest one that is read. Version 2 tells the kind of each frame and
/// has attributes of samples; version 1 is read as well.
pub const VERSION: u16 = 2;

/// The most that one block may take in memory. The writer stays far below.
pub const MAX_MESSAGE_BYTES: u32 = 8 << 20;

/// zstd needs a little more room than its input for what cannot be compressed (`ZSTD_COMPRESSBOUND`).
const MAX_COMPRESSED_BYTES: u32 = MAX_MESSAGE_BYTES + (MAX_MESSAGE_BYTES >> 6);

/// From here on zstd looks for the cheapest code, which makes the columns of small numbers a tenth smaller
/// than the levels below. Higher levels gain nothing more, in several times the time.
const LEVEL: i32 = 15;

const PREAMBLE_BYTES: usize = 20;
const BLOCK_HEADER_BYTES: usize = 16;

/// What the preamble tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preamble {
    /// The version of the format.
    pub format: u16,
    /// The version of the rsamp that wrote it.
    pub rsamp: [u16; 3],
}

impl Preamble {
    /// That of a file written by this rsamp.
    #[must_use]
    pub fn own() -> Preamble {
        let number = |text: &str| text.parse().unwrap_or(0);
        Preamble {
            format: VERSION,
            rsamp: [
                number(env!("CARGO_PKG_VERSION_MAJOR")),
                number(env!("CARGO_PKG_VERSION_MINOR")),
                number(env!("CARGO_PKG_VERSION_PATCH")),
            ],
        }
    }

    /// Its bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; PREAMBLE_BYTES] {
        let [major, minor, patch] = self.rsamp;
        let mut bytes = [0; PREAMBLE_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        for (at, number) in [self.format, major, minor, patch].into_iter().enumerate() {
            bytes[8 + 2 * at..10 + 2 * at].copy_from_slice(&number.to_le_bytes());
        }
        let sum = crc32fast::hash(&bytes[..16]);
        bytes[16..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }
}

/// Why no preamble or block could be taken from a stream.
#[derive(Debug)]
pub(super) enum Unreadable {
    /// The stream ended within it, or where one should begin; so many bytes of it were there.
    CutOff(usize),
    /// It is not what was written.
    Damaged(&'static str),
    /// The stream failed.
    Io(io::Error),
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Unreadable {
        Unreadable::Io(error)
    }
}

/// Reads the preamble; `None` when the stream begins with something else.
pub(super) fn read_preamble(from: &mut impl Read) -> Result<Option<Preamble>, Unreadable> {
    let mut bytes = [0; PREAMBLE_BYTES];
    let count = fill(from, &mut bytes)?;
    let known = count.min(MAGIC.len());
    if bytes[..known] != MAGIC[..known] {
        return Ok(None);
    }
    if count < PREAMBLE_BYTES {
        return Err(Unreadable::CutOff(count));
    }
    if crc32fast::hash(&bytes[..16]) != number(&bytes, 16) {
        return Err(Unreadable::Damaged("a wrong checksum of the first bytes"));
    }
    let short = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    Ok(Some(Preamble {
        format: short(8),
        rsamp: [short(10), short(12), short(14)],
    }))
}

/// Compresses a message that is given in parts, and writes it as a block. Returns the block's size.
///
/// Each part is compressed by itself within the one frame, with statistics of its own: numbers of
/// one kind, which a part should be, compress much better so.
pub(super) fn write_block(out: &mut impl Write, parts: &[Vec<u8>]) -> io::Result<u64> {
    let whole: usize = parts.iter().map(Vec::len).sum();
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), LEVEL)?;
    // Without it, the tables are made for megabytes: a millisecond for each block.
    encoder.set_pledged_src_size(Some(whole as u64))?;
    for part in parts {
        encoder.write_all(part)?;
        encoder.flush()?;
    }
    let compressed = encoder.finish()?;
    let size = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
    let message_bytes = size(whole);
    if message_bytes > MAX_MESSAGE_BYTES {
        return Err(io::Error::other("a block too large to be read again"));
    }
    let mut block = Vec::with_capacity(BLOCK_HEADER_BYTES + compressed.len());
    block.extend(size(compressed.len()).to_le_bytes());
    block.extend(message_bytes.to_le_bytes());
    block.extend(crc32fast::hash(&compressed).to_le_bytes());
    block.extend(crc32fast::hash(&block).to_le_bytes());
    block.extend(&compressed);
    // One call: a writer that is killed leaves a whole block or a cut one, but none out of order.
    out.write_all(&block)?;
    out.flush()?;
    Ok(block.len() as u64)
}

/// Reads blocks, with what is worth keeping between them.
pub(super) struct Blocks {
    decompressor: Decompressor<'static>,
    compressed: Vec<u8>,
}

impl Blocks {
    pub(super) fn new() -> io::Result<Blocks> {
        Ok(Blocks {
            decompressor: Decompressor::new()?,
            compressed: Vec::new(),
        })
    }

    /// The message of the next block and the block's size; `CutOff(0)` when the stream ends.
    pub(super) fn read(&mut self, from: &mut impl Read) -> Result<(Vec<u8>, u64), Unreadable> {
        let mut header = [0; BLOCK_HEADER_BYTES];
        let count = fill(from, &mut header)?;
        if count < BLOCK_HEADER_BYTES {
            return Err(Unreadable::CutOff(count));
        }
        if crc32fast::hash(&header[..12]) != number(&header, 12) {
            return Err(Unreadable::Damaged("a wrong checksum of a block's header"));
        }
        let (compressed_bytes, message_bytes) = (number(&header, 0), number(&header, 4));
        if compressed_bytes > MAX_COMPRESSED_BYTES || message_bytes > MAX_MESSAGE_BYTES {
            return Err(Unreadable::Damaged("a block too large"));
        }
        self.compressed.clear();
        let limited = &mut from.take(u64::from(compressed_bytes));
        let count = limited.read_to_end(&mut self.compressed)?;
        if count < compressed_bytes as usize {
            return Err(Unreadable::CutOff(BLOCK_HEADER_BYTES + count));
        }
        if crc32fast::hash(&self.compressed) != number(&header, 8) {
            return Err(Unreadable::Damaged("a wrong checksum of a block"));
        }
        // Never writes more than it was given room for: a frame that holds more is an error.
        let message = self
            .decompressor
            .decompress(&self.compressed, message_bytes as usize)
            .ok()
            .filter(|message| message.len() == message_bytes as usize)
            .ok_or(Unreadable::Damaged(
                "a block that is not as large as it says",
            ))?;
        let block_bytes = BLOCK_HEADER_BYTES as u64 + u64::from(compressed_bytes);
        Ok((message, block_bytes))
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    let bytes = bytes.get(at..at + 4).and_then(|b| b.try_into().ok());
    u32::from_le_bytes(bytes.unwrap_or_default())
}

/// Reads until `buffer` is full or the stream ends, and returns how much it read.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < buffer.len() {
        match from.read(&mut buffer[count..]) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}
