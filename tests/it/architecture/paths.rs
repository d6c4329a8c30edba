//! Turns code into the paths that it names.

use std::path::Path;

/// A module's path below the crate: `["export", "words", "labels"]`.
pub type Module = Vec<String>;

/// The module that a file below `src` is.
pub fn module_of(path: &Path) -> Module {
    let path = path.with_extension("");
    let mut module: Module = path
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    module.pop_if(|last| last == "mod");
    module
}

/// The code with each run of white space as one space.
pub fn on_one_line(code: &str) -> String {
    code.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The paths of `use`, or of `pub use`, with groups in braces taken apart.
pub fn uses(code: &str, is_pub: bool) -> Vec<Module> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("use ") {
        let before = code[..at].trim_end();
        let is_word = code[..at].ends_with([' ', ';', '}']) || at == 0;
        let is_handed_on = before.ends_with("pub") || before.ends_with(')');
        if !is_word || is_handed_on != is_pub {
            continue;
        }
        let end = code[at..].find(';').map_or(code.len(), |end| at + end);
        expand("", code[at + 4..end].trim(), &mut found);
    }
    found
}

fn expand(before: &str, path: &str, found: &mut Vec<Module>) {
    let Some((head, group)) = path.split_once('{') else {
        let path = format!("{before}{path}");
        let path = path.split(" as ").next().unwrap_or_default();
        let parts = path.split("::").map(|part| part.trim().to_owned());
        found.push(parts.filter(|part| part != "self" && part != "*").collect());
        return;
    };
    let head = format!("{before}{head}");
    let group = group.trim_end().strip_suffix('}').unwrap_or(group);
    let (mut depth, mut from) = (0, 0);
    for (at, c) in group.char_indices().chain([(group.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let part = group[from..at].trim();
                if !part.is_empty() {
                    expand(&head, part, found);
                }
                from = at + 1;
            }
            _ => {}
        }
    }
}

/// The paths that begin with `crate`, `super` or `rsamp` anywhere in the code.
pub fn inline_paths(code: &str) -> Vec<Module> {
    let starts = ["crate::", "super::", "rsamp::"].into_iter();
    let found = starts.flat_map(|start| code.match_indices(start));
    let found = found.filter(|(at, _)| {
        !code[..*at].ends_with(|c: char| c == ':' || c == '_' || c.is_alphanumeric())
    });
    found
        .map(|(at, _)| {
            let end = code[at..].find(|c: char| c != ':' && c != '_' && !c.is_alphanumeric());
            let path = &code[at..end.map_or(code.len(), |end| at + end)];
            path.split("::")
                .filter(|part| !part.is_empty())
                .map(str::to_owned)
                .collect()
        })
        .collect()
}

/// The path from the crate on; `None` for one that leads out of it.
pub fn absolute(path: &[String], module: &Module) -> Option<Module> {
    let ups = path.iter().take_while(|part| *part == "super").count();
    match path.first()?.as_str() {
        "crate" | "rsamp" => Some(path[1..].to_vec()),
        "super" => {
            let above = module.get(..module.len().checked_sub(ups)?)?;
            Some(above.iter().chain(&path[ups..]).cloned().collect())
        }
        _ => None,
    }
}
