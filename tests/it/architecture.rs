//! Turns the source into a list of what breaks the design: the rooms and what each may name.

use std::fs;
use std::path::{Path, PathBuf};

/// Each room and those that it may name, as on the crate's documentation page.
const ROOMS: &[(&str, &[&str])] = &[
    ("sys", &[]),
    ("process", &["sys"]),
    ("memory", &["sys", "process"]),
    ("cpython", &["process", "memory"]),
    ("native", &["process", "memory", "cpython"]),
    ("profile", &[]),
    (
        "sampler",
        &["process", "memory", "cpython", "native", "profile"],
    ),
    ("recording", &["profile"]),
    ("export", &["profile"]),
    ("tui", &["profile"]),
    ("launch", &["process"]),
    (
        "cli",
        &[
            "process",
            "memory",
            "cpython",
            "native",
            "profile",
            "sampler",
            "recording",
            "export",
            "tui",
            "launch",
        ],
    ),
];

/// Names that say nothing about what a room turns into what.
const NO_ROOMS: &[&str] = &[
    "utils", "util", "core", "common", "shared", "types", "helpers", "misc",
];

/// A function fits on a screen: about 70 lines. Here is where the test says no.
const MAX_FUNCTION_LINES: usize = 80;

/// A file of the source, without comments and text in quotes.
struct Source {
    path: PathBuf,
    text: String,
    code: String,
}

#[test]
fn rooms_name_only_what_they_may() {
    check(|source| {
        let room = room_of(&source.path)?;
        let (_, allowed) = ROOMS.iter().find(|(name, _)| *name == room)?;
        let depth = module_depth(&source.path);
        let named: Vec<String> = rooms_named(&source.code, depth)
            .into_iter()
            .filter(|named| *named != room && !allowed.contains(&named.as_str()))
            .collect();
        (!named.is_empty()).then(|| format!("{room} may not name {}", named.join(", ")))
    });
}

#[test]
fn every_room_is_in_the_table() {
    check(|source| {
        let room = room_of(&source.path)?;
        (!ROOMS.iter().any(|(name, _)| *name == room))
            .then(|| format!("the table does not know the room {room}"))
    });
}

#[test]
fn no_module_has_a_name_that_says_nothing() {
    check(|source| {
        let mut names = source.path.iter().map(|name| name.to_string_lossy());
        names
            .find(|name| NO_ROOMS.contains(&name.trim_end_matches(".rs")))
            .map(|name| format!("{name} says nothing"))
    });
}

#[test]
fn every_file_opens_with_what_it_does() {
    check(|source| {
        let first = source.text.lines().next().unwrap_or_default();
        let is_told = first
            .strip_prefix("//!")
            .is_some_and(|text| text.len() > 10);
        (!is_told).then(|| format!("opens with {first:?}"))
    });
}

#[test]
fn unsafe_is_in_sys_only() {
    check(|source| {
        let is_sys = room_of(&source.path).as_deref() == Some("sys");
        (!is_sys && has_word(&source.code, "unsafe")).then(|| "uses unsafe".to_owned())
    });
}

#[test]
fn functions_fit_on_a_screen() {
    check(|source| {
        let long = long_functions(&source.code);
        (!long.is_empty()).then(|| long.join(", "))
    });
}

/// Applies `rule` to every file of the source and fails with all that break it.
fn check(rule: impl Fn(&Source) -> Option<String>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    read_folder(&root, &root, &mut sources);
    assert!(sources.len() > 10, "the source was not found");
    let broken = sources
        .iter()
        .filter_map(|source| Some(format!("{}: {}", source.path.display(), rule(source)?)));
    let broken: Vec<String> = broken.collect();
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

fn read_folder(root: &Path, folder: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            read_folder(root, &path, sources);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path).expect("source");
            let path = path.strip_prefix(root).expect("below the root").to_owned();
            sources.push(Source {
                path,
                code: code_of(&text),
                text,
            });
        }
    }
}

/// The first component below `src`; `None` for `main.rs` and `lib.rs`.
fn room_of(path: &Path) -> Option<String> {
    let first = path.iter().next()?.to_string_lossy();
    let room = first.trim_end_matches(".rs");
    (!["main", "lib"].contains(&room)).then(|| room.to_owned())
}

/// How many `super` lead from this file's module to the crate.
fn module_depth(path: &Path) -> usize {
    let is_folder_module = path.file_name().is_some_and(|name| name == "mod.rs");
    path.iter().count() - usize::from(is_folder_module)
}

/// The rooms behind `crate::`, `rsamp::` and enough `super::`, alone or in braces.
fn rooms_named(code: &str, depth: usize) -> Vec<String> {
    let code: String = code
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace(":: ", "::")
        .replace(" ::", "::");
    let mut named = Vec::new();
    let up = "super::".repeat(depth);
    for start in ["crate::", "rsamp::", up.as_str()] {
        for (at, _) in code.match_indices(start) {
            if code[..at].ends_with(|c: char| {
                c.is_alphanumeric() || c == '_' || (c == ':' && start == "rsamp::")
            }) {
                continue;
            }
            named.extend(heads(&code[at + start.len()..]));
        }
    }
    named.retain(|name| ROOMS.iter().any(|(room, _)| room == name));
    named.sort();
    named.dedup();
    named
}

/// The first word of a path, or of each path in braces.
fn heads(path: &str) -> Vec<String> {
    let word = |text: &str| -> String {
        text.trim()
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    let Some(group) = path.strip_prefix('{') else {
        return vec![word(path)];
    };
    let (mut depth, mut from, mut heads) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                heads.push(word(&group[from..at]));
                from = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    heads
}

fn has_word(code: &str, word: &str) -> bool {
    code.split(|c: char| !c.is_alphanumeric() && c != '_')
        .any(|found| found == word)
}

/// Functions with more than [`MAX_FUNCTION_LINES`], found by the indentation that rustfmt gives.
fn long_functions(code: &str) -> Vec<String> {
    let lines: Vec<&str> = code.lines().collect();
    let mut long = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let indent = &line[..line.len() - line.trim_start().len()];
        let head = line.trim_start().split('(').next().unwrap_or_default();
        let Some((_, name)) = head
            .split_once("fn ")
            .filter(|(before, _)| before.is_empty() || before.ends_with(' '))
        else {
            continue;
        };
        let close = format!("{indent}}}");
        let length = lines[start..]
            .iter()
            .position(|line| *line == close)
            .map_or(0, |end| end + 1);
        // A declaration without a body ends at its semicolon, before any brace.
        let has_body = lines[start..]
            .iter()
            .find_map(|line| line.find(['{', ';']).map(|at| line[at..].starts_with('{')));
        if length > MAX_FUNCTION_LINES && has_body == Some(true) {
            long.push(format!(
                "{} has {length} lines",
                name.split('<').next().unwrap_or(name)
            ));
        }
    }
    long
}

/// The text without comments and without what is in quotes; line breaks stay.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = skipped(rest, code.chars().last());
        if skipped > 0 {
            code.extend(rest[..skipped].chars().filter(|c| *c == '\n'));
            rest = &rest[skipped..];
        } else {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    code
}

/// How many bytes of a comment, text or character `rest` starts with.
fn skipped(rest: &str, before: Option<char>) -> usize {
    let end_of = |pattern: &str, from: usize| {
        rest[from..]
            .find(pattern)
            .map_or(rest.len(), |at| from + at + pattern.len())
    };
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return end_of("*/", 2);
    }
    let starts_word = !before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if starts_word && let Some(raw) = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r')) {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let from = rest.len() - raw.len() + hashes + 1;
            return end_of(&format!("\"{}", "#".repeat(hashes)), from);
        }
    }
    if let Some(quoted) = rest.strip_prefix('"') {
        return 1 + end_of_quoted(quoted, '"');
    }
    match rest.strip_prefix('\'') {
        // A lifetime has no quote behind its first character.
        Some(quoted) if quoted.starts_with('\\') || quoted.chars().nth(1) == Some('\'') => {
            1 + end_of_quoted(quoted, '\'')
        }
        _ => 0,
    }
}

fn end_of_quoted(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

mod of_itself {
    //! The rules find what breaks them.

    use super::*;

    #[test]
    fn rooms_are_found_however_they_are_named() {
        let table: &[(&str, usize, &[&str])] = &[
            ("use crate::process::Pid;", 2, &["process"]),
            (
                "use crate::{memory::Address, process::{Pid, Tid}, sys};",
                2,
                &["memory", "process", "sys"],
            ),
            ("fn f() -> crate::cli::Args {}", 2, &["cli"]),
            ("use super::super::export::Format;", 2, &["export"]),
            ("use super::export::Format;", 2, &[]),
            ("use super::export;", 1, &["export"]),
            ("use rsamp::sampler::Stop;", 1, &["sampler"]),
            ("use crate::\n    sampler::Stop;", 1, &["sampler"]),
            ("use other_crate::process::Pid;", 2, &[]),
            ("use std::process::Child;", 2, &[]),
        ];
        for (code, depth, expected) in table {
            assert_eq!(&rooms_named(&code_of(code), *depth), expected, "{code}");
        }
    }

    #[test]
    fn comments_and_quotes_are_no_code() {
        let text = "a // crate::cli\n\"crate::cli \\\" unsafe\" r#\"unsafe \" \"# '\"' b'\\'' 'a /* unsafe */ fn f<'b>(x: &'b str) {}";
        let code = code_of(text);
        assert!(
            !has_word(&code, "unsafe") && !code.contains("crate::cli"),
            "{code}"
        );
        assert!(code.contains("fn f<'b>(x: &'b str) {}"), "{code}");
        assert!(has_word("x { unsafe { y } }", "unsafe") && !has_word("unsafe_code", "unsafe"));
    }

    #[test]
    fn long_functions_are_found() {
        let of = |lines: usize| {
            format!(
                "impl X {{\n    pub fn long<T>(\n        x: T) {{\n{}    }}\n}}\n",
                "        x;\n".repeat(lines)
            )
        };
        assert_eq!(long_functions(&of(78)), ["long has 81 lines"]);
        assert!(long_functions(&of(77)).is_empty());
    }

    #[test]
    fn files_know_their_room_and_depth() {
        for (path, room, depth) in [
            ("sys.rs", Some("sys"), 1),
            ("cli/mod.rs", Some("cli"), 1),
            ("cli/commands/dump.rs", Some("cli"), 3),
            ("lib.rs", None, 1),
        ] {
            assert_eq!(room_of(Path::new(path)).as_deref(), room);
            assert_eq!(module_depth(Path::new(path)), depth, "{path}");
        }
    }
}
