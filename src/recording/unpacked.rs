//! How much memory a message takes when it is decoded, told before it is.
//!
//! A message of eight million bytes can hold four million empty ones. (Protobuf's encoding: a key of field number and wire
//! type, then a number, or a length and so many bytes.)

use prost::bytes::Buf;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use super::schema::{
    Attributes, Loss, Missing, Process, RateSpan, Repeated, Source, Thread, Usage,
};
use crate::profile::event::Event;

/// The most memory that one decoded message may take, in bytes. Those of the writer take a few MiB.
pub(super) const MAX_BYTES: usize = 96 << 20;

/// What a byte within a nested message stands for at the most: two bytes for an empty string of 24.
const NESTED_PER_BYTE: usize = 12;

/// What a byte of a column of numbers stands for at the most: one byte for a number of eight.
const NUMBER_PER_BYTE: usize = 8;

/// Whether `message` takes no more than [`MAX_BYTES`] when it is decoded. `false` also where it is no message.
pub(super) fn fits(mut message: &[u8]) -> bool {
    let mut left = MAX_BYTES;
    while message.has_remaining() {
        let Some(bytes) = take_field(&mut message) else {
            return false;
        };
        match left.checked_sub(bytes) {
            Some(rest) => left = rest,
            None => return false,
        }
    }
    true
}

/// Goes past a field, and tells what it takes.
fn take_field(message: &mut &[u8]) -> Option<usize> {
    let (tag, wire_type) = decode_key(message).ok()?;
    if wire_type != WireType::LengthDelimited {
        skip_field(wire_type, tag, message, DecodeContext::default()).ok()?;
        return Some(NUMBER_PER_BYTE);
    }
    let length = usize::try_from(decode_varint(message).ok()?).ok()?;
    *message = message.get(length..)?;
    let (fixed, per_byte) = size_of_field(tag);
    Some(fixed + length * per_byte)
}

/// What one field takes, and each of its bytes. The number is the tag in [`Block`](super::schema::Block).
fn size_of_field(tag: u32) -> (usize, usize) {
    // A definition is an event as well until all of its block make sense.
    let event = size_of::<Event>();
    match tag {
        2 => (size_of::<String>() + 2 * size_of::<usize>(), 1),
        3 => (size_of::<Process>() + event, NESTED_PER_BYTE),
        4 => (size_of::<Thread>() + event, NESTED_PER_BYTE),
        19 => (size_of::<Loss>() + event, 0),
        20 => (size_of::<Repeated>() + event, 0),
        22 => (size_of::<Source>(), 1),
        25 => (size_of::<RateSpan>(), 0),
        31 => (size_of::<Usage>(), 0),
        33 => (size_of::<Missing>() + event, NESTED_PER_BYTE),
        40 => (size_of::<Attributes>() + event, NESTED_PER_BYTE),
        // The header, columns of numbers, and what this version does not know.
        1 => (0, NESTED_PER_BYTE),
        _ => (0, NUMBER_PER_BYTE),
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::recording::schema::Block;

    fn fits_block(block: &Block) -> bool {
        fits(&block.encode_to_vec())
    }

    #[test]
    fn a_message_that_takes_too_much_is_told_from_one_that_does_not() {
        assert!(fits(&[]));
        assert!(!fits(&[0x12, 0x7f]) && !fits(&[0xff]));
        for count in [1, 1000] {
            let block = Block {
                usage: vec![Usage::default(); count],
                strings: vec![String::new(); count],
                stack_parent: vec![1; count],
                ..Block::default()
            };
            assert!(fits_block(&block));
        }
        let usage = Block {
            usage: vec![Usage::default(); MAX_BYTES / size_of::<Usage>() + 1],
            ..Block::default()
        };
        let numbers = Block {
            sample_at: vec![0; MAX_BYTES / NUMBER_PER_BYTE + 1],
            ..Block::default()
        };
        let words = schema_process(MAX_BYTES / NESTED_PER_BYTE);
        let processes = Block {
            processes: vec![words],
            ..Block::default()
        };
        assert!(!fits_block(&usage) && !fits_block(&numbers) && !fits_block(&processes));
    }

    fn schema_process(words: usize) -> Process {
        Process {
            command: vec![String::new(); words],
            ..Process::default()
        }
    }
}
