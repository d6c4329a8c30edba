//! Turns `pthread_t` values into kernel thread ids, for versions that do not keep them (up to 3.10).
//!
//! With glibc and musl a `pthread_t` is the address of the C library's `struct pthread`, which holds
//! the kernel's id (`tid`) as an int. Where in it is not part of any interface (byte 720 in glibc on
//! x86-64), so the place is the one at which every thread has the id of an existing thread.

use std::collections::{HashMap, HashSet};

use crate::memory::window::int_at;
use crate::memory::{Address, ReadMemory};

/// How far into `struct pthread` the id is looked for. It has some 2,300 bytes in glibc, most of
/// them after `tid`.
const MAX_OFFSET: usize = 1024;

/// The kernel's ids, as the target's PID namespace has them, of the threads with these `pthread_t`s;
/// `existing` are the ids of all its threads. A thread in two interpreters may be named twice, and
/// one that is just ending has no id any more. Empty when the place cannot be told.
#[must_use]
pub fn native_ids(
    idents: &[u64],
    existing: &HashSet<i32>,
    memory: &impl ReadMemory,
) -> HashMap<u64, i32> {
    let idents: HashSet<u64> = idents.iter().copied().collect();
    let structs: Vec<(u64, [u8; MAX_OFFSET])> = idents
        .into_iter()
        .filter_map(|ident| {
            let mut bytes = [0; MAX_OFFSET];
            memory.read(Address(ident), &mut bytes).ok()?;
            Some((ident, bytes))
        })
        .collect();
    let mut best = HashMap::new();
    for offset in (0..MAX_OFFSET as u64).step_by(4) {
        let ids: HashMap<u64, i32> = structs
            .iter()
            .filter_map(|(ident, bytes)| Some((*ident, int_at(bytes, offset)?)))
            .filter(|(_, id)| existing.contains(id))
            .collect();
        let distinct: HashSet<&i32> = ids.values().collect();
        if ids.len() > best.len() && distinct.len() == ids.len() {
            best = ids;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::SavedMemory;

    #[test]
    fn the_place_is_where_most_threads_have_an_id() {
        let mut memory = SavedMemory::default();
        for (ident, tid) in [(0x1000_u64, 77_i32), (0x3000, 78)] {
            let mut bytes = vec![0; 2048];
            // A decoy that only the first thread has, before the real place.
            bytes[16..20].copy_from_slice(&77_i32.to_le_bytes());
            bytes[720..724].copy_from_slice(&tid.to_le_bytes());
            memory.insert(Address(ident), bytes);
        }
        let existing = HashSet::from([77, 78]);
        let ids = native_ids(&[0x1000, 0x3000], &existing, &memory);
        assert_eq!(ids, HashMap::from([(0x1000, 77), (0x3000, 78)]));
        assert!(native_ids(&[0x1000], &HashSet::from([5]), &memory).is_empty());
    }

    #[test]
    fn a_thread_in_two_interpreters_and_one_that_is_ending_hide_no_other() {
        let mut memory = SavedMemory::default();
        for (ident, tid) in [(0x1000_u64, 77_i32), (0x3000, 78), (0x5000, 0)] {
            let mut bytes = vec![0; 2048];
            bytes[720..724].copy_from_slice(&tid.to_le_bytes());
            memory.insert(Address(ident), bytes);
        }
        let ids = native_ids(
            &[0x1000, 0x3000, 0x1000, 0x5000],
            &HashSet::from([77, 78]),
            &memory,
        );
        assert_eq!(ids, HashMap::from([(0x1000, 77), (0x3000, 78)]));
    }
}
