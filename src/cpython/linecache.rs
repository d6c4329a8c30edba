//! Turns the name of a file that may be nowhere on disk, such as that of a notebook's cell, into the text that ran.
//!
//! IPython, doctest's debugger, attrs and others put the text of what they compile into `linecache.cache`, for tracebacks: a
//! dict from the name of the file to a tuple `(size, mtime, lines, full name)`, with `lines` a list of `str`, each with its
//! line feed (`Lib/linecache.py` of 3.6–3.15). A tuple of one is a loader that was not asked yet: it has no text.

use super::layout::Layout;
use super::locate::Interpreter;
use super::objects::{dict_entries, find, items, module_globals};
use super::text::read_str;
use crate::memory::{Address, ReadMemory};

/// The most interpreters of a process that are asked.
const MAX_INTERPRETERS: usize = 16;

/// The most lines of a text: more are data, not source that a person reads.
const MAX_LINES: u64 = 1 << 16;

/// The most characters of a text, and so of a line.
const MAX_CHARS: usize = 4 << 20;

/// Where the tuple has the list of lines, and how many items it has at least then.
const LINES: u64 = 2;

/// The text that a program keeps for the file that its code objects name `file`, an ASCII name.
///
/// Never fails: what cannot be read is missing. `None` when there is no such text, or when it is longer than is believed.
#[must_use]
pub fn cached_source(
    memory: &impl ReadMemory,
    interpreter: &Interpreter,
    file: &str,
) -> Option<String> {
    let layout = &interpreter.layout;
    let mut at = memory.pointer(interpreter.interpreters_head).ok()?;
    for _ in 0..MAX_INTERPRETERS {
        if at.is_null() {
            break;
        }
        let modules = memory.pointer(at + layout.interpreter.modules).ok()?;
        if let Some(text) = text_in(memory, layout, modules, file) {
            return Some(text);
        }
        at = memory.pointer(at + layout.interpreter.next).ok()?;
    }
    None
}

/// The text in `linecache.cache` of the interpreter whose `sys.modules` is at `modules`.
fn text_in(
    memory: &impl ReadMemory,
    layout: &Layout,
    modules: Address,
    file: &str,
) -> Option<String> {
    let globals = module_globals(memory, layout, modules, "linecache")?;
    let cache = find(memory, layout, &globals, "cache")?;
    let cache = dict_entries(memory, layout, cache).ok()?;
    let entry = find(memory, layout, &cache, file)?;
    let (entry, count) = items(memory, layout, entry)?;
    if count <= LINES {
        return None;
    }
    let lines = memory.pointer(entry + LINES * 8).ok()?;
    joined(memory, layout, lines)
}

/// The strings of the list at `list`, one behind the other.
fn joined(memory: &impl ReadMemory, layout: &Layout, list: Address) -> Option<String> {
    let (lines, count) = items(memory, layout, list)?;
    if count > MAX_LINES {
        return None;
    }
    let mut text = String::new();
    let mut left = MAX_CHARS;
    for number in 0..count {
        let line = memory.pointer(lines + number * 8).ok()?;
        let line = read_str(memory, layout, line, left).ok()?;
        left = left.checked_sub(line.chars().count())?;
        text.push_str(&line);
    }
    Some(text)
}
