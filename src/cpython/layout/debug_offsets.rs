//! Turns the bytes of `_Py_DebugOffsets` into a [`Layout`].
//!
//! From 3.13 on, `_PyRuntime` starts with this struct of 64-bit words (`internal/pycore_runtime.h` in 3.13,
//! `internal/pycore_debug_offsets.h` from 3.14 on). Each minor version has its own order of words;
//! `tables.rs` has where each word is. What the struct lacks (of dicts, of calls in a frame, of the length of a frame, of
//! `switch_number`) is taken from the headers of that minor version.

use thiserror::Error;

use super::debug_fields::DebugFields;
use super::rows::{Row, SelfDescription, known};
use super::traits::Traits;
use super::{
    CodeLayout, FrameLayout, GilLayout, InterpreterLayout, Layout, ObjectLayout, Offset,
    RuntimeLayout, ThreadLayout,
};

/// The first bytes of `_PyRuntime` from 3.13 on: `_Py_Debug_Cookie`.
pub const COOKIE: &[u8; 8] = b"xdebugpy";

/// Bytes that are enough for [`parse`] in every known version.
pub const MAX_BYTES: usize = 1024;

/// No `PyInterpreterState` is longer: it has 0.3 MB in 3.15, free-threaded.
const MAX_INTERPRETER_BYTES: u64 = 4 << 20;

/// `interpreters.head` comes soon after the debug offsets in `_PyRuntime`, within the first 1000 bytes in 3.15.
const MAX_RUNTIME_BYTES: u64 = 64 << 10;

/// No other struct is longer up to its last field of interest: `PyThreadState` has less than 1 KB of them.
const MAX_STRUCT_BYTES: u64 = 16 << 10;

/// No object that is laid out by `_Py_DebugOffsets` without a size of its own is longer.
const MAX_OBJECT_BYTES: u64 = 1 << 10;

/// Bytes of a pointer, of `Py_ssize_t`, of `unsigned long`.
const WORD: u64 = 8;

/// Bytes of an `int`.
const INT: u64 = 4;

/// What an interpreter says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebugOffsets {
    /// `PY_VERSION_HEX`: 0x030D00F0 is 3.13.0 final.
    pub version_hex: u64,
    /// Whether it was built with `--disable-gil`.
    pub free_threaded: bool,
    /// Where its fields are.
    pub layout: Layout,
    /// The traits of its version.
    pub traits: &'static Traits,
}

/// Why bytes are no debug offsets that rsamp can use.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum DebugOffsetsError {
    /// Fewer bytes than the struct has.
    #[error("debug offsets: {length} bytes, {needed} are needed")]
    Short {
        /// Bytes given.
        length: usize,
        /// Bytes needed.
        needed: usize,
    },
    /// They do not start with [`COOKIE`]: 3.12 or older, or not yet initialised.
    #[error("debug offsets: they do not start with \"xdebugpy\"")]
    Cookie,
    /// A version that came after this rsamp.
    #[error(
        "debug offsets: CPython {major}.{minor} ({version_hex:#x}) is not known; known are {}",
        known()
    )]
    Version {
        /// `PY_MAJOR_VERSION`.
        major: u64,
        /// `PY_MINOR_VERSION`.
        minor: u64,
        /// `PY_VERSION_HEX`.
        version_hex: u64,
    },
    /// `free_threaded` is neither 0 nor 1.
    #[error("debug offsets: free_threaded is {0}")]
    FreeThreaded(u64),
    /// An offset that no CPython has.
    #[error("debug offsets: {value} in byte {word} is misplaced in a struct of {limit} bytes")]
    Offset {
        /// Where in `_Py_DebugOffsets`.
        word: usize,
        /// What was there.
        value: u64,
        /// Bytes of the struct that it should lie in.
        limit: u64,
    },
}

/// Turns the first bytes of `_PyRuntime`, [`MAX_BYTES`] of them or fewer, into the offsets of that interpreter.
///
/// # Errors
/// When they are no debug offsets, or those of an unknown version, or when an offset makes no sense.
pub fn parse(bytes: &[u8]) -> Result<DebugOffsets, DebugOffsetsError> {
    if !bytes.starts_with(COOKIE) {
        return Err(DebugOffsetsError::Cookie);
    }
    let words = Words { bytes };
    let version_hex = words.at(8)?;
    let free_threaded = match words.at(16)? {
        0 => false,
        1 => true,
        other => return Err(DebugOffsetsError::FreeThreaded(other)),
    };
    let (row, own) = row_of(version_hex)?;
    let fields = own.fields;
    let known = if free_threaded {
        own.free_threaded
    } else {
        row.layout
    };
    if bytes.len() < fields.size {
        let (length, needed) = (bytes.len(), fields.size);
        return Err(DebugOffsetsError::Short { length, needed });
    }
    let layout = Layout {
        runtime: runtime(words, fields)?,
        interpreter: interpreter(words, fields, known)?,
        thread: thread(words, fields)?,
        frame: frame(words, fields, known)?,
        code: code(words, fields, known)?,
        object: object(words, fields, known)?,
        tasks: known.tasks.clone(),
    };
    Ok(DebugOffsets {
        version_hex,
        free_threaded,
        layout,
        traits: &row.traits,
    })
}

/// The row of that version, and how its interpreters describe themselves.
fn row_of(version_hex: u64) -> Result<(&'static Row, &'static SelfDescription), DebugOffsetsError> {
    let (major, minor) = (version_hex >> 24, version_hex >> 16 & 0xff);
    let unknown = DebugOffsetsError::Version {
        major,
        minor,
        version_hex,
    };
    let pair = u8::try_from(major).ok().zip(u8::try_from(minor).ok());
    let row = pair.and_then(|(major, minor)| Row::of_minor(major, minor));
    let own = row.and_then(|row| Some((row, row.debug_offsets.as_ref()?)));
    own.ok_or(unknown)
}

fn runtime(words: Words, at: &DebugFields) -> Result<RuntimeLayout, DebugOffsetsError> {
    let runtime = Struct {
        words,
        bytes: MAX_RUNTIME_BYTES,
    };
    Ok(RuntimeLayout {
        interpreters_head: runtime.field(at.runtime_state_interpreters_head, WORD)?,
        gil_holder: None,
        gil_last_holder: None,
        gil_switch_number: None,
        gc_collecting: None,
    })
}

fn interpreter(
    words: Words,
    at: &DebugFields,
    known: &Layout,
) -> Result<InterpreterLayout, DebugOffsetsError> {
    let interpreter = words.sized(at.interpreter_state_size, MAX_INTERPRETER_BYTES)?;
    Ok(InterpreterLayout {
        next: interpreter.field(at.interpreter_state_next, WORD)?,
        id: Some(interpreter.field(at.interpreter_state_id, WORD)?),
        threads_head: interpreter.field(at.interpreter_state_threads_head, WORD)?,
        modules: interpreter.field(at.interpreter_state_imports_modules, WORD)?,
        gil: Some(interpreter.field(at.interpreter_state_ceval_gil, WORD)?),
        gil_state: gil_state(interpreter, at, known)?,
        code_generation: interpreter.optional(at.interpreter_state_code_object_generation, WORD)?,
        gc_collecting: Some(gc_collecting(interpreter, at)?),
    })
}

/// The words count from the start of the interpreter; here they count from the GIL's own start,
/// because the GIL in use may be another interpreter's.
fn gil_state(
    interpreter: Struct,
    at: &DebugFields,
    known: &Layout,
) -> Result<Option<GilLayout>, DebugOffsetsError> {
    let Some(known) = &known.interpreter.gil_state else {
        return Ok(None);
    };
    let start = interpreter.field(at.interpreter_state_gil_runtime_state, WORD)?;
    let inside = |word: usize, width: u64| {
        let value = interpreter.field(word, width)?;
        let limit = MAX_OBJECT_BYTES;
        value
            .checked_sub(start)
            .filter(|offset| *offset < limit)
            .ok_or(DebugOffsetsError::Offset { word, value, limit })
    };
    Ok(Some(GilLayout {
        last_holder: inside(at.interpreter_state_gil_runtime_state_holder, WORD)?,
        locked: inside(at.interpreter_state_gil_runtime_state_locked, INT)?,
        switch_number: known.switch_number,
    }))
}

/// `collecting`, which counts from the start of `gc`, from that of the interpreter.
fn gc_collecting(interpreter: Struct, at: &DebugFields) -> Result<Offset, DebugOffsetsError> {
    let gc = interpreter.field(at.interpreter_state_gc, WORD)?;
    let inside = Struct {
        words: interpreter.words,
        bytes: interpreter.bytes - gc,
    };
    Ok(gc + inside.field(at.gc_collecting, INT)?)
}

fn thread(words: Words, at: &DebugFields) -> Result<ThreadLayout, DebugOffsetsError> {
    let thread = words.sized(at.thread_state_size, MAX_STRUCT_BYTES)?;
    let next = thread.field(at.thread_state_next, WORD)?;
    let interp = thread.field(at.thread_state_interp, WORD)?;
    let frame = thread.field(at.thread_state_current_frame, WORD)?;
    let thread_id = thread.field(at.thread_state_thread_id, WORD)?;
    let native_thread_id = thread.field(at.thread_state_native_thread_id, WORD)?;
    let datastack_chunk = thread.field(at.thread_state_datastack_chunk, WORD)?;
    let all = [
        next,
        interp,
        frame,
        thread_id,
        native_thread_id,
        datastack_chunk,
    ];
    Ok(ThreadLayout {
        size: all.into_iter().fold(0, Offset::max) + WORD,
        next,
        interp,
        frame,
        cframe: None,
        cframe_current_frame: None,
        thread_id,
        native_thread_id: Some(native_thread_id),
        datastack_chunk: Some(datastack_chunk),
    })
}

fn frame(words: Words, at: &DebugFields, known: &Layout) -> Result<FrameLayout, DebugOffsetsError> {
    let frame = words.sized(at.interpreter_frame_size, MAX_OBJECT_BYTES)?;
    let localsplus = frame.field(at.interpreter_frame_localsplus, WORD)?;
    let specials = Struct {
        words,
        bytes: localsplus,
    };
    let tlbc_index = match known.frame.tlbc_index {
        Some(_) => specials.optional(at.interpreter_frame_tlbc_index, INT)?,
        None => None,
    };
    Ok(FrameLayout {
        size: localsplus,
        previous: specials.field(at.interpreter_frame_previous, WORD)?,
        code: specials.field(at.interpreter_frame_executable, WORD)?,
        instruction: specials.field(at.interpreter_frame_instr_ptr, WORD)?,
        function: known.frame.function,
        owner: Some(specials.field(at.interpreter_frame_owner, 1)?),
        is_entry: known.frame.is_entry,
        return_offset: known.frame.return_offset,
        stacktop: known.frame.stacktop,
        stackpointer: specials.optional(at.interpreter_frame_stackpointer, WORD)?,
        tlbc_index,
    })
}

fn code(words: Words, at: &DebugFields, known: &Layout) -> Result<CodeLayout, DebugOffsetsError> {
    let whole = words.sized(at.code_object_size, MAX_OBJECT_BYTES)?;
    let instructions = whole.field(at.code_object_co_code_adaptive, 2)?;
    let code = Struct {
        words,
        bytes: instructions,
    };
    let tlbc = match known.code.tlbc {
        Some(_) => code.optional(at.code_object_co_tlbc, WORD)?,
        None => None,
    };
    Ok(CodeLayout {
        size: instructions,
        filename: code.field(at.code_object_filename, WORD)?,
        name: code.field(at.code_object_name, WORD)?,
        qualname: Some(code.field(at.code_object_qualname, WORD)?),
        linetable: code.field(at.code_object_linetable, WORD)?,
        first_line: code.field(at.code_object_firstlineno, INT)?,
        flags: known.code.flags,
        code: instructions,
        nlocalsplus: known.code.nlocalsplus,
        stacksize: known.code.stacksize,
        framesize: known.code.framesize,
        tlbc,
    })
}

fn object(
    words: Words,
    at: &DebugFields,
    known: &Layout,
) -> Result<ObjectLayout, DebugOffsetsError> {
    let object = Struct {
        words,
        bytes: MAX_OBJECT_BYTES,
    };
    let type_object = words.sized(at.type_object_size, MAX_OBJECT_BYTES)?;
    let known = &known.object;
    let str_ascii_size = object.field(at.unicode_object_asciiobject_size, WORD)?;
    let str_compact_size = str_ascii_size + (known.str_compact_size - known.str_ascii_size);
    Ok(ObjectLayout {
        ob_type: object.field(at.pyobject_ob_type, WORD)?,
        ob_size: object.field(at.bytes_object_ob_size, WORD)?,
        bytes_data: object.field(at.bytes_object_ob_sval, 1)?,
        str_length: object.field(at.unicode_object_length, WORD)?,
        str_state: object.field(at.unicode_object_state, INT)?,
        str_ascii_size,
        str_compact_size,
        str_data: str_compact_size,
        long_tag: Some(object.field(at.long_object_lv_tag, WORD)?),
        long_digits: object.field(at.long_object_ob_digit, INT)?,
        dict_keys: object.field(at.dict_object_ma_keys, WORD)?,
        dict_values: object.field(at.dict_object_ma_values, WORD)?,
        type_name: type_object.field(at.type_object_tp_name, WORD)?,
        type_flags: type_object.field(at.type_object_tp_flags, WORD)?,
        ..known.clone()
    })
}

/// The struct's bytes as 64-bit words.
#[derive(Clone, Copy)]
struct Words<'a> {
    bytes: &'a [u8],
}

impl<'a> Words<'a> {
    fn at(self, word: usize) -> Result<u64, DebugOffsetsError> {
        self.bytes
            .get(word..)
            .and_then(|rest| rest.first_chunk())
            .map(|bytes| u64::from_le_bytes(*bytes))
            .ok_or(DebugOffsetsError::Short {
                length: self.bytes.len(),
                needed: word + 8,
            })
    }

    /// A struct whose size is in `word`.
    fn sized(self, word: usize, limit: u64) -> Result<Struct<'a>, DebugOffsetsError> {
        match self.at(word)? {
            bytes if (WORD..=limit).contains(&bytes) => Ok(Struct { words: self, bytes }),
            value => Err(DebugOffsetsError::Offset { word, value, limit }),
        }
    }
}

/// A struct of the target that offsets must lie in.
#[derive(Clone, Copy)]
struct Struct<'a> {
    words: Words<'a>,
    bytes: u64,
}

impl Struct<'_> {
    /// The offset in `word` of a field of `width` bytes: aligned, and all of it inside of the struct.
    fn field(self, word: usize, width: u64) -> Result<Offset, DebugOffsetsError> {
        let value = self.words.at(word)?;
        let end = value.checked_add(width);
        if value % width == 0 && end.is_some_and(|end| end <= self.bytes) {
            Ok(value)
        } else {
            let limit = self.bytes;
            Err(DebugOffsetsError::Offset { word, value, limit })
        }
    }

    /// As [`Struct::field`], for a word that not every version has.
    fn optional(
        self,
        word: Option<usize>,
        width: u64,
    ) -> Result<Option<Offset>, DebugOffsetsError> {
        word.map(|word| self.field(word, width)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::rows::ROWS;
    use super::super::tables;
    use super::*;

    /// `_Py_DebugOffsets` of running interpreters, and what their headers say.
    const REAL: [(&[u8], u64, &Layout); 3] = [
        (
            include_bytes!("../../../tests/images/debug_offsets_3.13.0"),
            0x030d_00f0,
            &tables::V3_13,
        ),
        (
            include_bytes!("../../../tests/images/debug_offsets_3.14.10"),
            0x030e_0af0,
            &tables::V3_14,
        ),
        (
            include_bytes!("../../../tests/images/debug_offsets_3.15.2"),
            0x030f_02f0,
            &tables::V3_15,
        ),
    ];

    #[test]
    fn real_bytes_say_what_the_headers_say() {
        for (bytes, version_hex, layout) in REAL {
            let parsed = parse(bytes).expect("debug offsets");
            assert_eq!(parsed.version_hex, version_hex);
            assert!(!parsed.free_threaded);
            assert_eq!(&parsed.layout, layout, "{version_hex:#x}");
        }
    }

    #[test]
    fn real_bytes_of_a_free_threaded_build_say_so() {
        let bytes = include_bytes!("../../../tests/images/debug_offsets_3.13.15t");
        let parsed = parse(bytes).expect("debug offsets");
        assert_eq!(
            (parsed.version_hex, parsed.free_threaded),
            (0x030d_0ff0, true)
        );
        assert_eq!(parsed.layout, tables::V3_13T);
    }

    /// What `_Py_DebugOffsets` would hold in a build with these offsets.
    fn written(version_hex: u64, at: &DebugFields, known: &Layout) -> Vec<u8> {
        let mut bytes = vec![0; at.size];
        let mut put =
            |word: usize, value: u64| bytes[word..word + 8].copy_from_slice(&value.to_le_bytes());
        put(0, u64::from_le_bytes(*COOKIE));
        put(8, version_hex);
        put(16, 1);
        put(
            at.runtime_state_interpreters_head,
            known.runtime.interpreters_head,
        );
        let interpreter = &known.interpreter;
        put(at.interpreter_state_size, 300_000);
        put(at.interpreter_state_next, interpreter.next);
        put(at.interpreter_state_id, interpreter.id.expect("id"));
        put(at.interpreter_state_threads_head, interpreter.threads_head);
        put(at.interpreter_state_imports_modules, interpreter.modules);
        put(
            at.interpreter_state_ceval_gil,
            interpreter.gil.expect("gil"),
        );
        let gil = interpreter.gil_state.as_ref().expect("gil_state");
        put(at.interpreter_state_gil_runtime_state, 8000);
        put(
            at.interpreter_state_gil_runtime_state_locked,
            8000 + gil.locked,
        );
        put(
            at.interpreter_state_gil_runtime_state_holder,
            8000 + gil.last_holder,
        );
        let collecting = interpreter.gc_collecting.expect("gc");
        put(at.interpreter_state_gc, collecting - 160);
        put(at.gc_collecting, 160);
        put(at.thread_state_size, known.thread.size);
        put(at.thread_state_next, known.thread.next);
        put(at.thread_state_interp, known.thread.interp);
        put(at.thread_state_current_frame, known.thread.frame);
        put(at.thread_state_thread_id, known.thread.thread_id);
        put(
            at.thread_state_native_thread_id,
            known.thread.native_thread_id.expect("id"),
        );
        put(
            at.thread_state_datastack_chunk,
            known.thread.datastack_chunk.expect("chunk"),
        );
        put(at.interpreter_frame_size, known.frame.size + 8);
        put(at.interpreter_frame_previous, known.frame.previous);
        put(at.interpreter_frame_executable, known.frame.code);
        put(at.interpreter_frame_instr_ptr, known.frame.instruction);
        put(at.interpreter_frame_localsplus, known.frame.size);
        put(
            at.interpreter_frame_owner,
            known.frame.owner.expect("owner"),
        );
        put(at.code_object_size, known.code.size + 8);
        put(at.code_object_filename, known.code.filename);
        put(at.code_object_name, known.code.name);
        put(
            at.code_object_qualname,
            known.code.qualname.expect("qualname"),
        );
        put(at.code_object_linetable, known.code.linetable);
        put(at.code_object_firstlineno, known.code.first_line);
        put(at.code_object_co_code_adaptive, known.code.code);
        put(at.pyobject_ob_type, known.object.ob_type);
        put(at.type_object_size, 432);
        put(at.type_object_tp_name, known.object.type_name);
        put(at.type_object_tp_flags, known.object.type_flags);
        put(at.dict_object_ma_keys, known.object.dict_keys);
        put(at.dict_object_ma_values, known.object.dict_values);
        put(at.long_object_lv_tag, known.object.long_tag.expect("tag"));
        put(at.long_object_ob_digit, known.object.long_digits);
        put(at.bytes_object_ob_size, known.object.ob_size);
        put(at.bytes_object_ob_sval, known.object.bytes_data);
        put(at.unicode_object_state, known.object.str_state);
        put(at.unicode_object_length, known.object.str_length);
        put(
            at.unicode_object_asciiobject_size,
            known.object.str_ascii_size,
        );
        let mut put_if = |word: Option<usize>, value: Option<u64>| {
            if let Some(word) = word {
                put(word, value.unwrap_or(0));
            }
        };
        put_if(
            at.interpreter_state_code_object_generation,
            interpreter.code_generation,
        );
        put_if(at.interpreter_frame_stackpointer, known.frame.stackpointer);
        put_if(at.interpreter_frame_tlbc_index, known.frame.tlbc_index);
        put_if(at.code_object_co_tlbc, known.code.tlbc);
        bytes
    }

    #[test]
    fn free_threaded_builds_keep_their_own_offsets() {
        for row in ROWS {
            let Some(own) = &row.debug_offsets else {
                continue;
            };
            let version_hex = 0x0300_00f0 | u64::from(row.since.0) << 16;
            let bytes = written(version_hex, own.fields, own.free_threaded);
            let parsed = parse(&bytes).expect("debug offsets");
            assert!(parsed.free_threaded);
            assert_eq!(&parsed.layout, own.free_threaded, "{version_hex:#x}");
            assert_eq!(parsed.traits, &row.traits);
        }
    }

    #[test]
    fn strangers_are_refused_by_name() {
        let mut bytes = REAL[0].0.to_vec();
        bytes[10] = 99;
        let error = parse(&bytes).expect_err("3.99");
        let known = known();
        let text =
            format!("debug offsets: CPython 3.99 (0x36300f0) is not known; known are {known}");
        assert_eq!(error.to_string(), text);
        assert_eq!(parse(b""), Err(DebugOffsetsError::Cookie));
        assert_eq!(parse(&[0; 1024]), Err(DebugOffsetsError::Cookie));
    }

    #[test]
    fn every_truncation_is_refused() {
        for (bytes, version_hex, _) in REAL {
            let needed = row_of(version_hex).expect("known").1.fields.size;
            assert!(parse(&bytes[..needed]).is_ok());
            for length in 0..needed {
                assert!(parse(&bytes[..length]).is_err(), "{length} bytes");
            }
        }
    }

    proptest! {
        /// Any word may say anything: what is accepted stays within the bounds.
        #[test]
        fn damage_never_gives_an_absurd_offset(
            which in 0..REAL.len(),
            word in 1..73usize,
            value in prop_oneof![any::<u64>(), 0..1_000_000u64],
        ) {
            let mut bytes = REAL[which].0.to_vec();
            bytes[word * 8..][..8].copy_from_slice(&value.to_le_bytes());
            if let Ok(parsed) = parse(&bytes) {
                let text = format!("{:?}", parsed.layout);
                for number in text.split(|c: char| !c.is_ascii_digit()).filter(|n| !n.is_empty()) {
                    prop_assert!(number.parse::<u64>().expect("a number") <= MAX_INTERPRETER_BYTES);
                }
            }
        }
    }
}
