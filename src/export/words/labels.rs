//! Turns functions, threads and processes into the labels of frames in a graph.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::export::words::escape;
use crate::profile::Profile;
use crate::profile::event::{Process, Thread};
use crate::profile::functions::{Function, FunctionKind, Functions};
use crate::profile::paths::file_name;

/// What stands where a thread had no Python frame.
pub(crate) const NO_PYTHON_FRAMES: &str = "<no Python frames>";

/// What stands for a name of no characters.
const NO_NAME: &str = "<no name>";

/// Longer names end in `…`. Generated code has names of any length, and a viewer shows about a
/// hundred characters at most.
const MAX_NAME_CHARS: usize = 200;

/// Longer commands lose their middle.
const MAX_COMMAND_CHARS: usize = 80;

/// The label of each function, `name (file:line)`, where the file is shown by as many of its last
/// components as it takes to tell functions apart. Imports go without, where one component is enough.
pub(crate) fn of_functions(functions: &[Function<'_>]) -> Vec<String> {
    let mut labels = vec![String::new(); functions.len()];
    let mut open: Vec<usize> = (0..labels.len()).collect();
    for components in [0, 1, 2, 4, usize::MAX] {
        let mut seen = HashMap::new();
        for id in &open {
            labels[*id] = of_function(&functions[*id], components);
            *seen.entry(labels[*id].clone()).or_insert(0_u32) += 1;
        }
        open.retain(|id| seen.get(&labels[*id]).is_some_and(|count| *count > 1));
    }
    labels
}

fn of_function(function: &Function<'_>, components: usize) -> String {
    let name = name_of(function);
    if components == 0 && function.is_import() {
        return name;
    }
    if components == 0 && matches!(function.kind, FunctionKind::Native(_)) {
        return name;
    }
    let components = components.max(1);
    match (function.file, function.first_line) {
        (Some(file), Some(line)) => format!("{name} ({}:{line})", clean(tail(file, components))),
        (Some(file), None) => format!("{name} ({})", clean(tail(file, components))),
        (None, _) => name,
    }
}

/// The name of a function; that of a native one with its library, `dgemm_ in libblas.so.3`, or the library with an address.
pub(crate) fn name_of(function: &Function<'_>) -> String {
    let name = clean(function.name);
    let FunctionKind::Native(module) = function.kind else {
        return name;
    };
    let library = clean(file_name(module));
    let is_address = name.strip_prefix(&*library);
    match is_address.is_some_and(|rest| rest.starts_with('+')) {
        true => name,
        false => format!("{name} in {library}"),
    }
}

/// The last components of a path.
fn tail(path: &str, components: usize) -> &str {
    let from_the_end = components.checked_sub(1);
    let slash = from_the_end.and_then(|skip| path.rmatch_indices('/').nth(skip));
    slash.map_or(path, |(at, _)| &path[at + 1..])
}

/// `thread NAME (TID)`.
pub(crate) fn of_thread(thread: &Thread) -> String {
    format!("thread {}", thread_name(thread))
}

/// `thread NAME`, for equal threads of several processes.
pub(crate) fn of_threads_named(thread: &Thread) -> String {
    format!("thread {}", bare_thread_name(thread))
}

/// `NAME (TID)`.
pub(crate) fn thread_name(thread: &Thread) -> String {
    let name = bare_thread_name(thread);
    match thread.tid {
        Some(tid) => format!("{name} ({tid})"),
        None => format!("{name} (id unknown)"),
    }
}

/// Its name, with `*` for each number in it: threads of one pool have one pattern. Of `Thread-7 (serve)`, as Python
/// names threads from 3.10 on, the function.
pub(crate) fn thread_pattern(thread: &Thread) -> String {
    let name = bare_thread_name(thread);
    let inner = name.strip_prefix("Thread-").and_then(|rest| {
        let (number, function) = rest.split_once(" (")?;
        let is_number = number.chars().all(|c| c.is_ascii_digit());
        function.strip_suffix(')').filter(|_| is_number)
    });
    if let Some(function) = inner {
        return function.to_owned();
    }
    let mut pattern = String::new();
    for c in name.chars() {
        match c.is_ascii_digit() {
            true if pattern.ends_with('*') => {}
            true => pattern.push('*'),
            false => pattern.push(c),
        }
    }
    pattern
}

/// `NAME`.
pub(crate) fn bare_thread_name(thread: &Thread) -> String {
    match (&thread.name, thread.is_main) {
        (Some(name), _) => clean(name),
        (None, true) => "MainThread".to_owned(),
        (None, false) => "without a name".to_owned(),
    }
}

/// `process PID (COMMAND)`, or `process PID (HOST rank RANK: COMMAND)` in a recording of several ranks.
pub(crate) fn of_process(process: &Process) -> String {
    let (pid, command) = (process.pid, clean(&command(process)));
    // Recordings of one rank don't tell the host of a process.
    let Some(host) = &process.host else {
        return format!("process {pid} ({command})");
    };
    let rank = process.rank.map(|rank| format!(" rank {rank}"));
    let rank = rank.unwrap_or_default();
    format!("process {pid} ({}{rank}: {command})", clean(host))
}

/// A command as short as it may be told apart from others: the program without its folder, and of a long one
/// both ends, as `multiprocessing` says at the end what it does.
fn command(process: &Process) -> String {
    let mut words: Vec<Cow<'_, str>> = process.words().collect();
    if let Some(program) = words.first_mut() {
        *program = file_name(program).to_owned().into();
    }
    let line = words.join(" ");
    let count = line.chars().count();
    if count <= MAX_COMMAND_CHARS {
        return line;
    }
    let begin = line.chars().take(MAX_COMMAND_CHARS / 2);
    let end = line.chars().skip(count - MAX_COMMAND_CHARS / 2);
    begin.chain(['…']).chain(end).collect()
}

/// The label of each thread, below that of its process where there are several; no two are alike.
pub(crate) fn of_threads(profile: &Profile) -> Vec<String> {
    let many_processes = profile.processes().len() > 1;
    let label = |thread: &Thread| {
        let label = of_thread(thread);
        match profile.process(thread.process) {
            Some(process) if many_processes => format!("{}, {label}", of_process(process)),
            _ => label,
        }
    };
    distinct(profile.threads().iter().map(label).collect())
}

/// Labels of threads or processes, with a number behind those that were there before: two threads
/// of one name and unknown id stay two. (No label ends like a numbered one: each ends in `)`.)
pub(crate) fn distinct(labels: Vec<String>) -> Vec<String> {
    let mut counts: HashMap<String, u32> = HashMap::new();
    let number = |label: String| {
        let count = counts.entry(label.clone()).or_insert(0);
        *count += 1;
        match *count {
            1 => label,
            count => format!("{label} #{count}"),
        }
    };
    labels.into_iter().map(number).collect()
}

/// The name of each function, by its id, such that no two of one file are alike: where they would
/// be, with `:first line` behind. Whole, but on one line.
pub(crate) fn within_files(functions: &Functions<'_>) -> Vec<String> {
    let key = |function: &Function<'_>| (function.file.map(one_line), one_line(function.name));
    let mut counts: HashMap<_, u32> = HashMap::new();
    for row in functions.rows() {
        *counts.entry(key(&row.function)).or_insert(0) += 1;
    }
    let mut numbers: HashMap<_, u32> = HashMap::new();
    let label = |function: &Function<'_>| {
        let key = key(function);
        let is_alone = counts.get(&key) == Some(&1);
        let (file, name) = key;
        let label = match function.first_line {
            Some(line) if !is_alone => format!("{name}:{line}"),
            _ => name,
        };
        // Names that differ only in what was replaced.
        let number = numbers.entry((file, label.clone())).or_insert(0);
        *number += 1;
        match *number {
            1 => label,
            number => format!("{label} #{number}"),
        }
    };
    let functions = functions.rows().iter().map(|row| &row.function);
    functions.map(label).collect()
}

/// A name made fit for a line of its own: without line breaks and other control characters, without
/// spaces at its ends, not empty.
pub(crate) fn one_line(name: &str) -> String {
    let line: String = name.chars().map(visible).collect();
    let line = line.trim();
    if line.is_empty() {
        return NO_NAME.to_owned();
    }
    line.to_owned()
}

/// A name made fit for one line of collapsed stacks and for XML: no `;` (it separates frames), no
/// line breaks or other control characters, no characters that XML forbids, no spaces at its ends,
/// and not too long.
///
/// A last word of digits would be read as a weight: it is tied to the word before it by a
/// no-break space. So is `# ` at the beginning, which would make the line a comment.
pub(crate) fn clean(name: &str) -> String {
    let cut: String = name.chars().take(MAX_NAME_CHARS).collect();
    let mut cleaned = one_line(&cut).replace(';', ":");
    if name.chars().nth(MAX_NAME_CHARS).is_some() {
        cleaned.push('…');
    }
    if let Some((before, last)) = cleaned.rsplit_once(' ')
        && last.chars().all(|c| c.is_ascii_digit() || c == '.')
    {
        cleaned = format!("{before}\u{a0}{last}");
    }
    if let Some(rest) = cleaned.strip_prefix("# ") {
        cleaned = format!("#\u{a0}{rest}");
    }
    cleaned
}

/// A character that can be seen, for each that would end a line, steer a terminal, hide or reorder text, or be
/// forbidden in XML.
fn visible(c: char) -> char {
    match c {
        // The last two end a line for JavaScript, Python's splitlines and others.
        '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => ' ',
        '\u{fffe}' | '\u{ffff}' => char::REPLACEMENT_CHARACTER,
        c if escape::is_unsafe(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}
