//! Turns dicts, ints and the attributes of instances of the target into addresses and numbers.
//!
//! A dict keeps its keys in a table (`PyDictKeysObject`): a hash index and then the entries in order of
//! insertion. In a *combined* table the entries have the values, too. A *split* table is shared by the
//! instances of a class, and each has an array of values of its own. Sources:
//! `Objects/dict-common.h` (3.6–3.10), `internal/pycore_dict.h` (3.11 on), `internal/pycore_object.h`.
//!
//! Nothing here is locked: the target may change a table while it is read. What comes out then is
//! incomplete or strange, and never more than the bounds allow.

use thiserror::Error;

use super::layout::{Layout, ManagedDict};
use super::text::{ascii_str_bytes, is_ascii_str};
use crate::memory::window::{int_at, word_at};
use crate::memory::{Address, ReadError, ReadMemory, Window};

/// The most entries of one dict that are read. `sys.modules` of large programs has some ten thousand.
pub const MAX_ENTRIES: u64 = 1 << 16;

/// No table is believed to be larger: entries, or bytes of the hash index, as a power of two.
const MAX_LOG2_SIZE: u32 = 40;

/// How many keys are compared per system call: enough that the call itself costs little, few enough that
/// not much is read beyond the one that is looked for.
const KEYS_AT_ONCE: usize = 64;

/// Bytes that hold the fixed part of every version's `PyDictKeysObject`: it has 40 or fewer.
const KEYS_HEADER: usize = 64;

/// `PyDictKeyEntry`: hash, key, value.
const GENERAL_ENTRY: EntryFormat = EntryFormat {
    bytes: 24,
    key: 8,
    value: 16,
};

/// `PyDictUnicodeEntry` (3.11 on): key, value; for tables that have nothing but `str` keys.
const UNICODE_ENTRY: EntryFormat = EntryFormat {
    bytes: 16,
    key: 0,
    value: 8,
};

/// `DICT_KEYS_GENERAL` of `DictKeysKind` (3.11 on); the other kinds have [`UNICODE_ENTRY`].
const KIND_GENERAL: u8 = 0;

/// `Py_TPFLAGS_MANAGED_DICT` (`object.h`, 3.11 on).
const MANAGED_DICT: u64 = 1 << 4;

/// `Py_TPFLAGS_INLINE_VALUES` (`object.h`, 3.13 on).
const INLINE_VALUES: u64 = 1 << 2;

/// `Py_TPFLAGS_LIST_SUBCLASS` and `Py_TPFLAGS_TUPLE_SUBCLASS` (`object.h`, all versions).
const LIST: u64 = 1 << 25;
const TUPLE: u64 = 1 << 26;

/// Bits in a digit of an int: `PYLONG_BITS_IN_DIGIT` of every 64-bit build.
const DIGIT_BITS: u32 = 30;

/// Digits of 30 bits that a 64-bit number has at most.
const MAX_DIGITS: usize = 3;

/// From 3.12 on, `lv_tag` has the sign in its lowest bits: 0 for positive, 1 for zero, 2 for negative;
/// the number of digits starts at bit 3 (`internal/pycore_long.h`).
const TAG_SIGN: u64 = 3;
const TAG_DIGITS_SHIFT: u32 = 3;
const TAG_NEGATIVE: u64 = 2;

/// Why an object could not be read.
#[derive(Debug, Error)]
pub enum ObjectError {
    /// Its memory could not be read.
    #[error("read an object")]
    Read(#[from] ReadError),
    /// The dict at that address has a table that no dict has.
    #[error("read the dict at {0}: its table makes no sense")]
    Dict(Address),
    /// The int at that address is negative or has more than 64 bits.
    #[error("read the int at {0}: it is no unsigned 64-bit number")]
    Int(Address),
    /// The object at that address keeps its attributes in a way that is not known, or has none.
    #[error("read the attributes of the object at {0}: it has no dict")]
    NoDict(Address),
}

/// One entry of a dict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The key object.
    pub key: Address,
    /// The value object.
    pub value: Address,
}

/// Where the entries of a table have what.
#[derive(Clone, Copy)]
struct EntryFormat {
    bytes: usize,
    key: u64,
    value: u64,
}

/// The entries of a table.
struct Keys {
    /// The first entry.
    entries: Address,
    /// How many are in use, dead ones included; [`MAX_ENTRIES`] or fewer.
    count: usize,
    format: EntryFormat,
}

/// The entries of the dict at `dict`, in order of insertion, the first [`MAX_ENTRIES`] of them.
///
/// # Errors
/// When its memory cannot be read or is not that of a dict.
pub fn dict_entries(
    memory: &impl ReadMemory,
    layout: &Layout,
    dict: Address,
) -> Result<Vec<Entry>, ObjectError> {
    let keys = memory.pointer(dict + layout.object.dict_keys)?;
    let values = memory.pointer(dict + layout.object.dict_values)?;
    let keys = read_keys(memory, layout, keys)?.ok_or(ObjectError::Dict(dict))?;
    if values.is_null() {
        combined_entries(memory, &keys)
    } else {
        split_entries(memory, layout, &keys, values)
    }
}

/// The entries of the attributes of the instance at `object`: its `__dict__`, whether there is one yet or not.
///
/// # Errors
/// When memory cannot be read or the object has no `__dict__`.
pub fn attributes(
    memory: &impl ReadMemory,
    layout: &Layout,
    object: Address,
) -> Result<Vec<Entry>, ObjectError> {
    let type_object = memory.pointer(object + layout.object.ob_type)?;
    let flags = memory.word(type_object + layout.object.type_flags)?;
    if layout.object.managed_dict == ManagedDict::Absent || flags & MANAGED_DICT == 0 {
        return plain_attributes(memory, layout, object, type_object);
    }
    let (dict, values) = managed(memory, layout, object, type_object, flags)?;
    if !dict.is_null() {
        return dict_entries(memory, layout, dict);
    }
    let keys = match layout.object.type_cached_keys {
        Some(cached_keys) if !values.is_null() => memory.pointer(type_object + cached_keys)?,
        _ => return Ok(Vec::new()),
    };
    let keys = read_keys(memory, layout, keys)?.ok_or(ObjectError::NoDict(object))?;
    split_entries(memory, layout, &keys, values)
}

/// The value of the entry whose key is the ASCII string `name`.
#[must_use]
pub fn find(
    memory: &impl ReadMemory,
    layout: &Layout,
    entries: &[Entry],
    name: &str,
) -> Option<Address> {
    let length = ascii_str_bytes(layout, name.len());
    let mut window = Window::default();
    for some in entries.chunks(KEYS_AT_ONCE) {
        window.clear();
        for entry in some {
            window.want(entry.key, length);
        }
        window.fill(memory);
        let is_name = |number: &usize| {
            window
                .piece(*number)
                .is_some_and(|bytes| is_ascii_str(layout, bytes, name))
        };
        if let Some(found) = (0..some.len()).find(is_name) {
            return Some(some[found].value);
        }
    }
    None
}

/// The global names of a module, by the dict `sys.modules`; `None` when it was not imported or cannot be read.
#[must_use]
pub fn module_globals(
    memory: &impl ReadMemory,
    layout: &Layout,
    modules: Address,
    module: &str,
) -> Option<Vec<Entry>> {
    let globals = module_dict(memory, layout, modules, module)?;
    dict_entries(memory, layout, globals).ok()
}

/// The dict of a module's global names, by the dict `sys.modules`; `None` when it was not imported or cannot be read.
#[must_use]
pub fn module_dict(
    memory: &impl ReadMemory,
    layout: &Layout,
    modules: Address,
    module: &str,
) -> Option<Address> {
    let modules = dict_entries(memory, layout, modules).ok()?;
    let module = find(memory, layout, &modules, module)?;
    memory.pointer(module + layout.object.module_dict).ok()
}

/// Where the items of the list or tuple at `object` begin, one pointer each, and how many there are; `None` when it is neither.
/// The number is not checked: it may be anything.
#[must_use]
pub fn items(memory: &impl ReadMemory, layout: &Layout, object: Address) -> Option<(Address, u64)> {
    let layout = &layout.object;
    let type_object = memory.pointer(object + layout.ob_type).ok()?;
    let flags = memory.word(type_object + layout.type_flags).ok()?;
    let count = memory.word(object + layout.ob_size).ok()?;
    let items = match flags & (LIST | TUPLE) {
        LIST => memory.pointer(object + layout.list_items).ok()?,
        TUPLE => object + layout.tuple_items,
        _ => return None,
    };
    Some((items, count))
}

/// The value of the int at `address`.
///
/// # Errors
/// When its memory cannot be read, or it is negative, or longer than 64 bits.
pub fn int_value(
    memory: &impl ReadMemory,
    layout: &Layout,
    address: Address,
) -> Result<u64, ObjectError> {
    let no_int = || ObjectError::Int(address);
    let digits = match layout.object.long_tag {
        Some(at) => {
            let tag = memory.word(address + at)?;
            if tag & TAG_SIGN == TAG_NEGATIVE {
                return Err(no_int());
            }
            tag >> TAG_DIGITS_SHIFT
        }
        // The number of digits, negative when the int is.
        None => memory.word(address + layout.object.ob_size)?,
    };
    let count = usize::try_from(digits)
        .ok()
        .filter(|count| *count <= MAX_DIGITS)
        .ok_or_else(no_int)?;
    let mut bytes = [0; MAX_DIGITS * 4];
    memory.read(address + layout.object.long_digits, &mut bytes[..count * 4])?;
    let value = (0..count).rev().try_fold(0_u128, |value, number| {
        let digit = int_at(&bytes, number as u64 * 4)?.cast_unsigned();
        (digit >> DIGIT_BITS == 0).then_some(value << DIGIT_BITS | u128::from(digit))
    });
    value
        .and_then(|value| u64::try_from(value).ok())
        .ok_or_else(no_int)
}

/// `__dict__` of an instance that has the pointer to it in itself, at `tp_dictoffset`.
fn plain_attributes(
    memory: &impl ReadMemory,
    layout: &Layout,
    object: Address,
    type_object: Address,
) -> Result<Vec<Entry>, ObjectError> {
    let offset = memory.word(type_object + layout.object.type_dictoffset)?;
    // 0: none. Negative, that is huge: it counts from the end, for subclasses of int, tuple and the like.
    if offset == 0 || offset > i64::MAX.cast_unsigned() {
        return Err(ObjectError::NoDict(object));
    }
    match memory.pointer(object + offset)? {
        Address::NULL => Ok(Vec::new()),
        dict => dict_entries(memory, layout, dict),
    }
}

/// Of an instance whose type has [`MANAGED_DICT`]: the dict and the values, either may be null.
fn managed(
    memory: &impl ReadMemory,
    layout: &Layout,
    object: Address,
    type_object: Address,
    flags: u64,
) -> Result<(Address, Address), ObjectError> {
    let before = |bytes: u64| Address(object.0.wrapping_sub(bytes));
    Ok(match layout.object.managed_dict {
        ManagedDict::Absent => (Address::NULL, Address::NULL),
        ManagedDict::Separate {
            values_before,
            dict_before,
        } => (
            memory.pointer(before(dict_before))?,
            memory.pointer(before(values_before))?,
        ),
        ManagedDict::Tagged { before: bytes } => match memory.pointer(before(bytes))? {
            values if values.0 & 1 == 1 => (Address::NULL, values + 1),
            dict => (dict, Address::NULL),
        },
        ManagedDict::Inline { dict_before } => {
            let dict = memory.pointer(before(dict_before))?;
            let values = if flags & INLINE_VALUES == 0 {
                Address::NULL
            } else {
                object + memory.word(type_object + layout.object.type_basicsize)?
            };
            (dict, values)
        }
    })
}

/// The table at `keys`; `None` when it makes no sense.
fn read_keys(
    memory: &impl ReadMemory,
    layout: &Layout,
    keys: Address,
) -> Result<Option<Keys>, ReadError> {
    let mut header = [0; KEYS_HEADER];
    let length = usize::try_from(layout.object.keys_indices).unwrap_or(KEYS_HEADER);
    let header = &mut header[..length.min(KEYS_HEADER)];
    memory.read(keys, header)?;
    Ok(parse_keys(layout, keys, header))
}

fn parse_keys(layout: &Layout, keys: Address, header: &[u8]) -> Option<Keys> {
    let object = &layout.object;
    let byte = |offset: u64| header.get(usize::try_from(offset).ok()?).copied();
    let (size, index_bytes, format) = match (object.keys_kind, object.keys_log2_index_bytes) {
        (Some(kind), Some(log2_index_bytes)) => {
            let size = power_of_two(u32::from(byte(object.keys_size)?))?;
            let format = if byte(kind)? == KIND_GENERAL {
                GENERAL_ENTRY
            } else {
                UNICODE_ENTRY
            };
            (
                size,
                power_of_two(u32::from(byte(log2_index_bytes)?))?,
                format,
            )
        }
        _ => {
            let size = word_at(header, object.keys_size).filter(|size| size.is_power_of_two())?;
            power_of_two(size.trailing_zeros())?;
            (size, size * index_width(size), GENERAL_ENTRY)
        }
    };
    let used = word_at(header, object.keys_nentries).filter(|used| *used <= size)?;
    Some(Keys {
        entries: keys + object.keys_indices + index_bytes,
        count: usize::try_from(used.min(MAX_ENTRIES)).ok()?,
        format,
    })
}

fn power_of_two(exponent: u32) -> Option<u64> {
    (exponent <= MAX_LOG2_SIZE).then(|| 1 << exponent)
}

/// Bytes of one number in the hash index of a table of that size: `DK_IXSIZE` (3.6–3.10).
fn index_width(size: u64) -> u64 {
    match size {
        0..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    }
}

/// A deleted entry has no key or no value.
fn is_live(entry: &Entry) -> bool {
    !entry.key.is_null() && !entry.value.is_null()
}

fn combined_entries(memory: &impl ReadMemory, keys: &Keys) -> Result<Vec<Entry>, ObjectError> {
    let bytes = read_entries(memory, keys)?;
    let entry = |bytes: &[u8]| {
        let (key, value) = (
            word_at(bytes, keys.format.key)?,
            word_at(bytes, keys.format.value)?,
        );
        Some(Entry {
            key: Address(key),
            value: Address(value),
        })
    };
    Ok(bytes
        .chunks_exact(keys.format.bytes)
        .filter_map(entry)
        .filter(is_live)
        .collect())
}

fn split_entries(
    memory: &impl ReadMemory,
    layout: &Layout,
    keys: &Keys,
    values: Address,
) -> Result<Vec<Entry>, ObjectError> {
    let bytes = read_entries(memory, keys)?;
    let mut value_bytes = vec![0; keys.count * 8];
    memory.read(values + layout.object.values_items, &mut value_bytes)?;
    let entry = |(bytes, value): (&[u8], &[u8])| {
        let (key, value) = (word_at(bytes, keys.format.key)?, word_at(value, 0)?);
        Some(Entry {
            key: Address(key),
            value: Address(value),
        })
    };
    let pairs = bytes
        .chunks_exact(keys.format.bytes)
        .zip(value_bytes.chunks_exact(8));
    Ok(pairs.filter_map(entry).filter(is_live).collect())
}

fn read_entries(memory: &impl ReadMemory, keys: &Keys) -> Result<Vec<u8>, ReadError> {
    let mut bytes = vec![0; keys.count * keys.format.bytes];
    memory.read(keys.entries, &mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cpython::layout::debug_offsets;
    use crate::cpython::layout::rows::{ROWS, Row};
    use crate::memory::SavedMemory;

    const DICT: Address = Address(0x1000);
    const KEYS: Address = Address(0x2000);
    const VALUES: Address = Address(0x3000);

    fn words(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// A dict of 3.8: refcount, type, used, version, keys, values; and its table: refcount, size,
    /// lookup, usable, entries, one index of 8 bytes, entries of hash, key and value.
    fn dict(size: u64, used: u64, entries: &[u64], values: Option<&[u64]>) -> SavedMemory {
        let mut memory = SavedMemory::default();
        let at = values.map_or(0, |_| VALUES.0);
        memory.insert(DICT, words(&[1, 0x500, 2, 7, KEYS.0, at]));
        let mut table = words(&[1, size, 0, 5, used]);
        table.extend([0; 8]);
        table.extend(words(entries));
        memory.insert(KEYS, table);
        memory.insert(VALUES, words(values.unwrap_or_default()));
        memory
    }

    fn read(memory: &SavedMemory) -> Result<Vec<(u64, u64)>, ObjectError> {
        let entries = dict_entries(memory, Row::of_minor(3, 8).expect("a row").layout, DICT)?;
        Ok(entries
            .into_iter()
            .map(|entry| (entry.key.0, entry.value.0))
            .collect())
    }

    #[test]
    fn combined_tables_have_their_values_and_skip_the_deleted() {
        let memory = dict(8, 3, &[11, 100, 200, 12, 101, 0, 13, 102, 202], None);
        assert_eq!(read(&memory).expect("entries"), [(100, 200), (102, 202)]);
    }

    #[test]
    fn split_tables_take_the_values_of_the_instance() {
        let memory = dict(
            8,
            3,
            &[11, 100, 0, 12, 101, 0, 13, 102, 0],
            Some(&[300, 0, 302]),
        );
        assert_eq!(read(&memory).expect("entries"), [(100, 300), (102, 302)]);
    }

    #[test]
    fn absurd_tables_are_refused() {
        for (size, used) in [
            (7, 1),
            (0, 0),
            (8, 9),
            (8, u64::MAX),
            (1 << 63, 1),
            (1 << 41, 1),
        ] {
            let error = read(&dict(size, used, &[1, 2, 3], None)).expect_err("no table");
            assert!(
                matches!(error, ObjectError::Dict(DICT)),
                "{size} {used}: {error}"
            );
        }
        assert!(matches!(
            read(&dict(8, 3, &[1, 2, 3], None)),
            Err(ObjectError::Read(_))
        ));
    }

    #[test]
    fn ints_are_64_bits_or_refused() {
        let value = |ob_size: i64, digits: &[u32]| {
            let mut bytes = words(&[1, 0x500, ob_size.cast_unsigned()]);
            bytes.extend(digits.iter().flat_map(|digit| digit.to_le_bytes()));
            let mut memory = SavedMemory::default();
            memory.insert(DICT, bytes);
            int_value(&memory, Row::of_minor(3, 8).expect("a row").layout, DICT).ok()
        };
        assert_eq!(value(0, &[]), Some(0));
        assert_eq!(value(2, &[5, 3]), Some((3 << 30) + 5));
        assert_eq!(value(3, &[0x3fff_ffff, 0x3fff_ffff, 15]), Some(u64::MAX));
        assert_eq!(value(3, &[0, 0, 16]), None);
        assert_eq!(value(1, &[1 << 30]), None);
        assert_eq!(value(-1, &[1]), None);
        assert_eq!(value(4, &[1, 1, 1, 1]), None);
        assert_eq!(value(2, &[1]), None);
    }

    #[test]
    fn later_ints_have_their_length_in_a_tag() {
        let value = |tag: u64, digits: [u32; 2]| {
            let mut bytes = words(&[1, 0x500, tag]);
            bytes.extend(digits.iter().flat_map(|digit| digit.to_le_bytes()));
            let mut memory = SavedMemory::default();
            memory.insert(DICT, bytes);
            int_value(&memory, Row::of_minor(3, 12).expect("a row").layout, DICT).ok()
        };
        assert_eq!(value(1, [0, 0]), Some(0));
        assert_eq!(value(2 << 3, [5, 3]), Some((3 << 30) + 5));
        assert_eq!(value(1 << 3 | 2, [5, 0]), None);
    }

    /// A memory in which every address can be read and the bytes are noise of small numbers and pointers.
    struct Noise(u64);

    impl ReadMemory for Noise {
        fn read(&self, at: Address, into: &mut [u8]) -> Result<(), ReadError> {
            for (byte, place) in into.iter_mut().zip(0..) {
                let mixed = (at.0.wrapping_add(place) ^ self.0).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let small = at.0.wrapping_add(place) % 8 < 1 + self.0 % 8;
                *byte = if small { mixed.to_le_bytes()[7] } else { 0 };
            }
            Ok(())
        }
    }

    proptest! {
        /// Whatever the memory holds, every version's walk ends, within its bounds.
        #[test]
        fn noise_is_survived(seed in any::<u64>(), at in any::<u64>()) {
            let own = debug_offsets::parse(include_bytes!("../../tests/images/debug_offsets_3.15.2"));
            let own = own.expect("debug offsets").layout;
            let tables = ROWS.iter().map(|row| row.layout).chain([&own]);
            for layout in tables {
                let (memory, at) = (Noise(seed), Address(at));
                let entries = dict_entries(&memory, layout, at).unwrap_or_default();
                prop_assert!(entries.len() as u64 <= MAX_ENTRIES);
                let entries = attributes(&memory, layout, at).unwrap_or_default();
                prop_assert!(entries.len() as u64 <= MAX_ENTRIES);
                let _ = find(&memory, layout, &entries, "name");
                int_value(&memory, layout, at).ok();
            }
        }
    }
}
