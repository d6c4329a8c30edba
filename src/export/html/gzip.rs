//! Turns columns into one gzip stream, in which each column is packed in the way that makes it smaller.
//!
//! A packer looks for what was there before, or only gives frequent bytes short codes. Numbers that chance made (which
//! stack a busy thread was in, for how many ticks) have short repetitions everywhere, and to name these takes more bits than
//! their codes do: of 5 million samples of random stacks, 22 bits a run instead of 15. So each piece is packed both ways.

use std::io::{self, Write};

use crc32fast::Hasher;
use miniz_oxide::deflate::core::{
    CompressionStrategy, CompressorOxide, TDEFLFlush, compress_to_output,
    create_comp_flags_from_zip_params,
};

/// A piece is no longer: so much is held at a time.
const MAX_PIECE_BYTES: usize = 1 << 17;

/// A shorter column is packed with the next one: a piece has codes of its own, which take some dozen bytes.
const MIN_PIECE_BYTES: usize = 1 << 12;

/// The gzip header (RFC 1952): deflate, no name, no time, unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// A last deflate block without data (RFC 1951): fixed codes, end of block.
const LAST_BLOCK: [u8; 2] = [3, 0];

/// Deflate without a header, with the usual window.
const RAW_WINDOW_BITS: i32 = -15;

/// How much effort is made to find repetitions: 0 to 10.
const LEVEL: i32 = 6;

/// Packs what is written; `flush` says that what follows is of another kind.
pub(super) struct Gzip<W: Write> {
    out: W,
    /// What is not packed yet.
    piece: Vec<u8>,
    packers: [Packer; 2],
    checksum: Hasher,
    length: u32,
}

/// A way to pack, and what it made of the last piece.
struct Packer {
    deflate: Box<CompressorOxide>,
    packed: Vec<u8>,
}

impl Packer {
    fn new(strategy: CompressionStrategy) -> Packer {
        let flags = create_comp_flags_from_zip_params(LEVEL, RAW_WINDOW_BITS, strategy as i32);
        Packer {
            deflate: Box::new(CompressorOxide::new(flags)),
            packed: Vec::new(),
        }
    }

    /// Packs a piece that refers to no other one and ends with a whole byte, so that any may follow.
    fn pack(&mut self, piece: &[u8]) {
        self.deflate.reset();
        self.packed.clear();
        compress_to_output(&mut self.deflate, piece, TDEFLFlush::Sync, |bytes| {
            self.packed.extend_from_slice(bytes);
            true
        });
    }
}

impl<W: Write> Gzip<W> {
    /// Begins a stream.
    ///
    /// # Errors
    /// When `out` fails.
    pub(super) fn new(mut out: W) -> io::Result<Gzip<W>> {
        out.write_all(&HEADER)?;
        let strategies = [
            CompressionStrategy::Default,
            CompressionStrategy::HuffmanOnly,
        ];
        Ok(Gzip {
            out,
            piece: Vec::new(),
            packers: strategies.map(Packer::new),
            checksum: Hasher::new(),
            length: 0,
        })
    }

    /// Ends the stream and gives back what it was written to.
    ///
    /// # Errors
    /// When that fails.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.end_piece()?;
        self.out.write_all(&LAST_BLOCK)?;
        self.out
            .write_all(&self.checksum.finalize().to_le_bytes())?;
        self.out.write_all(&self.length.to_le_bytes())?;
        Ok(self.out)
    }

    fn end_piece(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        self.checksum.update(&self.piece);
        // Modulo 2³², as gzip has it.
        self.length = self.length.wrapping_add(self.piece.len() as u32);
        self.packers
            .iter_mut()
            .for_each(|packer| packer.pack(&self.piece));
        self.piece.clear();
        let [repetitions, codes] = &self.packers;
        let is_smaller = codes.packed.len() < repetitions.packed.len();
        let smaller = if is_smaller { codes } else { repetitions };
        self.out.write_all(&smaller.packed)
    }
}

impl<W: Write> Write for Gzip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= MAX_PIECE_BYTES {
            self.end_piece()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.piece.len() < MIN_PIECE_BYTES {
            true => Ok(()),
            false => self.end_piece(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    fn packed(pieces: &[&[u8]]) -> Vec<u8> {
        let mut gzip = Gzip::new(Vec::new()).expect("written");
        for piece in pieces {
            gzip.write_all(piece).expect("written");
            gzip.flush().expect("written");
        }
        gzip.finish().expect("written")
    }

    fn unpacked(bytes: &[u8]) -> Vec<u8> {
        let mut all = Vec::new();
        let mut decoder = GzDecoder::new(bytes);
        decoder.read_to_end(&mut all).expect("a gzip stream");
        assert!(decoder.into_inner().is_empty());
        all
    }

    /// Bytes below 32 that chance made.
    fn random(count: usize) -> Vec<u8> {
        let mut state = 88_172_645_463_325_252_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as u8 % 32
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn any_tool_unpacks_the_pieces_as_one() {
        let (random, words) = (random(40_000), b"the same words ".repeat(9000));
        let (random, words) = (random.as_slice(), words.as_slice());
        let short: &[u8] = b"short";
        for pieces in [
            &[][..],
            &[short],
            &[random, words, short, random],
            &[&[], words],
        ] {
            assert_eq!(unpacked(&packed(pieces)), pieces.concat());
        }
    }

    #[test]
    fn pieces_are_as_small_as_what_they_are_allows() {
        let (random, words) = (random(40_000), b"the same words ".repeat(9000));
        let size = packed(&[&random, &words]).len();
        // Five bits for each of the random bytes.
        assert!((25_000..26_500).contains(&size), "{size} bytes");
    }
}
