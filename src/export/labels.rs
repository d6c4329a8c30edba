//! Turns functions, threads and processes into the labels of frames in a graph.

use std::collections::HashMap;

use crate::profile::event::{Process, Thread};
use crate::profile::functions::{Function, Functions};

/// What stands where a thread had no Python frame.
pub(super) const NO_PYTHON_FRAMES: &str = "<no Python frames>";

/// Longer names end in `…`. Generated code has names of any length, and a viewer shows about a
/// hundred characters at most.
const MAX_NAME_CHARS: usize = 200;

/// The label of each function, by its id: `name (file:first line)`, where the file is shown by as
/// many of its last components as it takes to tell functions apart.
pub(super) fn of_functions(functions: &Functions<'_>) -> Vec<String> {
    let functions: Vec<Function<'_>> = functions.rows().iter().map(|row| row.function).collect();
    of_each(&functions)
}

/// The label of each of several functions, in their order; as [`of_functions`].
pub(super) fn of_each(functions: &[Function<'_>]) -> Vec<String> {
    let mut labels = vec![String::new(); functions.len()];
    let mut open: Vec<usize> = (0..labels.len()).collect();
    for components in [1, 2, 4, usize::MAX] {
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
    let name = clean(function.name);
    match (function.file, function.first_line) {
        (Some(file), Some(line)) => format!("{name} ({}:{line})", clean(tail(file, components))),
        (Some(file), None) => format!("{name} ({})", clean(tail(file, components))),
        (None, _) => name,
    }
}

/// The last components of a path.
fn tail(path: &str, components: usize) -> &str {
    let from_the_end = components.checked_sub(1);
    let slash = from_the_end.and_then(|skip| path.rmatch_indices('/').nth(skip));
    slash.map_or(path, |(at, _)| &path[at + 1..])
}

/// `thread NAME (TID)`.
pub(super) fn of_thread(thread: &Thread) -> String {
    format!("thread {}", thread_name(thread))
}

/// `NAME (TID)`.
pub(super) fn thread_name(thread: &Thread) -> String {
    let name = match (&thread.name, thread.is_main) {
        (Some(name), _) => clean(name),
        (None, true) => "MainThread".to_owned(),
        (None, false) => "without a name".to_owned(),
    };
    match thread.tid {
        Some(tid) => format!("{name} ({tid})"),
        None => format!("{name} (id unknown)"),
    }
}

/// `process PID (COMMAND)`.
pub(super) fn of_process(process: &Process) -> String {
    format!(
        "process {} ({})",
        process.pid,
        clean(&process.command.join(" "))
    )
}

/// Labels of threads or processes, with a number behind those that were there before: two threads
/// of one name and unknown id stay two. (No label ends like a numbered one: each ends in `)`.)
pub(super) fn distinct(labels: Vec<String>) -> Vec<String> {
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

/// A name made fit for one line of collapsed stacks and for XML: no `;` (it separates frames), no
/// line breaks or other control characters, no characters that XML forbids, no spaces at its ends,
/// and not too long.
///
/// A last word of digits would be read as a weight: it is tied to the word before it by a
/// no-break space. So is `# ` at the beginning, which would make the line a comment.
pub(super) fn clean(name: &str) -> String {
    let mut cleaned: String = name.chars().take(MAX_NAME_CHARS).map(clean_char).collect();
    if name.chars().nth(MAX_NAME_CHARS).is_some() {
        cleaned.push('…');
    }
    let mut cleaned = cleaned.trim().to_owned();
    if cleaned.is_empty() {
        return "<no name>".to_owned();
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

fn clean_char(c: char) -> char {
    match c {
        ';' => ':',
        '\n' | '\r' | '\t' => ' ',
        '\u{fffe}' | '\u{ffff}' => char::REPLACEMENT_CHARACTER,
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}
