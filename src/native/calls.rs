//! Turns the code before a return address into the call that ends there (Intel SDM, volume 2, "CALL").

use crate::memory::{Address, Blocks, ReadMemory};

/// So many bytes before a return address are looked at: the longest call has 7.
const BEFORE: usize = 8;

/// What a call instruction calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// The function at this address.
    Function(u64),
    /// One that a register or a word in memory names.
    Pointer,
}

/// The call before `return_address`, if bytes there look like one.
pub fn call_before<M: ReadMemory>(return_address: u64, memory: &mut Blocks<M>) -> Option<Call> {
    let mut bytes = [0; BEFORE];
    let start = return_address.checked_sub(BEFORE as u64)?;
    memory.read(Address(start), &mut bytes)?;
    parse(&bytes, return_address)
}

fn parse(bytes: &[u8; BEFORE], return_address: u64) -> Option<Call> {
    if let [_, _, _, 0xe8, distance @ ..] = bytes {
        let distance = i64::from(i32::from_le_bytes(*distance));
        return Some(Call::Function(return_address.wrapping_add_signed(distance)));
    }
    // `0xff`, and 2 in the middle of the byte behind; a byte more (SIB) where its last three bits are 4.
    let is_call = match bytes {
        [.., 0xff, 0xd0..=0xd7] => true,
        [.., 0xff, mode @ 0x10..=0x17] => ![0x14, 0x15].contains(mode),
        [.., 0xff, 0x14, _] => true,
        [.., 0xff, mode @ 0x50..=0x57, _] => *mode != 0x54,
        [.., 0xff, 0x54, _, _] => true,
        [_, _, 0xff, 0x15, ..] => true,
        [_, _, 0xff, mode @ 0x90..=0x97, ..] => *mode != 0x94,
        [_, 0xff, 0x94, ..] => true,
        _ => false,
    };
    is_call.then_some(Call::Pointer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_from_other_code() {
        let at = 0x1000;
        for (bytes, expected) in [
            // call 0x1010; call *%rax; call *%r12; call *(%rax); call *0x18(%rdx)
            ([0, 0, 0, 0xe8, 0x10, 0, 0, 0], Some(Call::Function(0x1010))),
            (
                [0, 0, 0, 0xe8, 0xf0, 0xff, 0xff, 0xff],
                Some(Call::Function(0xff0)),
            ),
            ([0, 0, 0, 0, 0, 0, 0xff, 0xd0], Some(Call::Pointer)),
            ([0, 0, 0, 0, 0, 0x41, 0xff, 0xd4], Some(Call::Pointer)),
            ([0, 0, 0, 0, 0, 0, 0xff, 0x10], Some(Call::Pointer)),
            ([0, 0, 0, 0, 0, 0xff, 0x52, 0x18], Some(Call::Pointer)),
            // call *0x200(%rip); call *0x200(%rax); call *8(%rsp); call *(%rax,%rbx,8); call *0x200(%rsp)
            ([0, 0, 0xff, 0x15, 0, 2, 0, 0], Some(Call::Pointer)),
            ([0, 0, 0xff, 0x90, 0, 2, 0, 0], Some(Call::Pointer)),
            ([0, 0, 0, 0, 0xff, 0x54, 0x24, 8], Some(Call::Pointer)),
            ([0, 0, 0, 0, 0, 0xff, 0x14, 0xd8], Some(Call::Pointer)),
            ([0, 0xff, 0x94, 0x24, 0, 2, 0, 0], Some(Call::Pointer)),
            // nops; jmp *%rax; push; inc
            ([0x90; 8], None),
            ([0, 0, 0, 0, 0, 0, 0xff, 0xe0], None),
            ([0, 0, 0, 0, 0, 0, 0xff, 0x30], None),
            ([0, 0, 0, 0, 0, 0, 0xff, 0xc0], None),
        ] {
            assert_eq!(parse(&bytes, at), expected, "{bytes:x?}");
        }
    }
}
