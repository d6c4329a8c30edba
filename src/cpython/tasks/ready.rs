//! Turns an asyncio event loop into how many callbacks are ready to be called: steps of tasks, mostly.
//!
//! asyncio's loop keeps them in the deque `_ready` among its attributes, uvloop's in a field of its C struct, which has one deque.

use super::kinds::{copy, type_name};
use crate::cpython::layout::Layout;
use crate::cpython::objects::{attributes, find};
use crate::memory::window::word_at;
use crate::memory::{Address, ReadMemory};

/// No loop is believed to have more.
const MAX_READY: u64 = 1 << 24;

/// So many bytes of a loop's C struct are looked through: `uvloop.Loop` of 0.23 has 1,400.
const MAX_STRUCT_BYTES: u64 = 4096;

/// How many callbacks the loop at `event_loop` has yet to call; `None` where it is another kind of loop.
pub fn ready_callbacks(
    memory: &impl ReadMemory,
    layout: &Layout,
    event_loop: Address,
) -> Option<u32> {
    let own = attributes(memory, layout, event_loop).unwrap_or_default();
    let deque = match find(memory, layout, &own, "_ready") {
        Some(deque) => deque,
        None => only_deque(memory, layout, event_loop)?,
    };
    let count = memory.word(deque + layout.object.ob_size).ok()?;
    let count = (count <= MAX_READY).then_some(count)?;
    u32::try_from(count).ok()
}

/// The deque that the struct of an object names, if it is one only.
fn only_deque(memory: &impl ReadMemory, layout: &Layout, object: Address) -> Option<Address> {
    let type_object = memory.pointer(object + layout.object.ob_type).ok()?;
    let size = memory
        .word(type_object + layout.object.type_basicsize)
        .ok()?;
    let mut bytes = vec![0; usize::try_from(size.min(MAX_STRUCT_BYTES)).ok()?];
    memory.read(object, &mut bytes).ok()?;
    let words = bytes.chunks_exact(8).filter_map(|word| word_at(word, 0));
    let mut fields: Vec<Address> = words.map(Address).collect();
    fields.retain(|field| field.0 % 8 == 0 && !field.is_null());
    let end = layout.object.ob_type as usize + 8;
    let types = copy(memory, fields.iter().copied(), end);
    let deques = fields.iter().enumerate().filter(|(number, _)| {
        let bytes = types.piece(*number);
        let type_object = bytes.and_then(|bytes| word_at(bytes, layout.object.ob_type));
        let name = type_object.and_then(|it| type_name(memory, layout, Address(it)));
        name.as_deref() == Some(b"collections.deque")
    });
    let mut deques: Vec<Address> = deques.map(|(_, at)| *at).collect();
    deques.dedup();
    match deques.as_slice() {
        [deque] => Some(*deque),
        _ => None,
    }
}
