//! Turns `sys.modules` of an interpreter into the names that the program gave its threads.
//!
//! `threading._active` is a dict from `Thread.ident` to the `Thread`, whose attribute `_name` is its
//! name; `threading._main_thread` is the main thread (`Lib/threading.py` of 3.6–3.15). Threads that were
//! made without that module have no name.

use std::collections::HashMap;

use super::layout::Layout;
use super::objects::{attributes, dict_entries, find, int_value, module_globals};
use super::text::read_str;
use crate::memory::{Address, ReadMemory};

/// The most characters of a name that are kept: longer ones help nobody in a picture or table.
pub const MAX_NAME_CHARS: usize = 500;

/// The names of the threads of one interpreter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ThreadNames {
    /// Name by ident: `PyThreadState.thread_id`, the `pthread_t`; in a program whose `threading` gevent has patched, the
    /// address of a greenlet.
    pub names: HashMap<u64, String>,
    /// The ident of the thread that the program takes for the main one, which is among the names.
    pub main: Option<u64>,
}

/// Whether `threading` made a name up, as it does when the program gives none: `Thread-3`, from 3.10 on
/// `Thread-3 (work)` with the name of the function; `Dummy-1` for a thread that it did not start.
#[must_use]
pub fn is_made_up(name: &str) -> bool {
    let number = name.strip_prefix("Thread-").or(name.strip_prefix("Dummy-"));
    let Some(number) = number else { return false };
    let rest = number.trim_start_matches(|c: char| c.is_ascii_digit());
    rest.len() < number.len() && (rest.is_empty() || rest.starts_with(" (") && rest.ends_with(')'))
}

/// The names of the threads of the interpreter whose `PyInterpreterState` is at `interpreter`, as far as they
/// are wanted: `is_wanted` is asked with the ident. That of the main thread always is.
///
/// Never fails: what cannot be read is missing, and everything is when the program has not imported
/// `threading`.
#[must_use]
pub fn thread_names(
    memory: &impl ReadMemory,
    layout: &Layout,
    interpreter: Address,
    is_wanted: impl Fn(u64) -> bool,
) -> ThreadNames {
    match memory.pointer(interpreter + layout.interpreter.modules) {
        Ok(modules) if !modules.is_null() => thread_names_in(memory, layout, modules, is_wanted),
        _ => ThreadNames::default(),
    }
}

/// As [`thread_names`], from the dict `sys.modules` itself.
#[must_use]
pub fn thread_names_in(
    memory: &impl ReadMemory,
    layout: &Layout,
    modules: Address,
    is_wanted: impl Fn(u64) -> bool,
) -> ThreadNames {
    let Some(globals) = module_globals(memory, layout, modules, "threading") else {
        return ThreadNames::default();
    };
    let main = find(memory, layout, &globals, "_main_thread")
        .and_then(|thread| attribute(memory, layout, thread, "_ident"))
        .and_then(|ident| int_value(memory, layout, ident).ok())
        .filter(|ident| *ident != 0);
    let is_wanted = |ident| is_wanted(ident) || Some(ident) == main;
    let names = find(memory, layout, &globals, "_active")
        .map(|active| names_in(memory, layout, active, is_wanted))
        .unwrap_or_default();
    ThreadNames { names, main }
}

/// The names in `threading._active`.
fn names_in(
    memory: &impl ReadMemory,
    layout: &Layout,
    active: Address,
    is_wanted: impl Fn(u64) -> bool,
) -> HashMap<u64, String> {
    let entries = dict_entries(memory, layout, active).unwrap_or_default();
    let name = |thread| {
        let name = attribute(memory, layout, thread, "_name")?;
        read_str(memory, layout, name, MAX_NAME_CHARS).ok()
    };
    entries
        .into_iter()
        .filter_map(|entry| {
            let ident = int_value(memory, layout, entry.key).ok()?;
            is_wanted(ident).then_some((ident, name(entry.value)?))
        })
        .collect()
}

fn attribute(
    memory: &impl ReadMemory,
    layout: &Layout,
    object: Address,
    name: &str,
) -> Option<Address> {
    find(
        memory,
        layout,
        &attributes(memory, layout, object).ok()?,
        name,
    )
}
