//! Turns the paths that files name into the circles in which files of one room name each other.

use std::collections::{BTreeMap, BTreeSet};

use super::Source;
use super::paths::{Module, absolute, inline_paths, module_of, on_one_line, uses};

/// What each module names of its own room.
type Names = BTreeMap<Module, BTreeSet<Module>>;

/// The circles, each as one line: `export::a → export::b → export::a`.
pub fn circles(sources: &[Source]) -> Vec<String> {
    let modules = Modules::of(sources);
    let names: Names = modules
        .code
        .iter()
        .map(|(module, code)| (module.clone(), modules.named_by(module, code)))
        .collect();
    let mut found: Vec<BTreeSet<Module>> = Vec::new();
    let mut lines = Vec::new();
    for module in names.keys() {
        if found.iter().any(|circle| circle.contains(module)) {
            continue;
        }
        let Some(way) = way_back(&names, module) else {
            continue;
        };
        let line: Vec<String> = way.iter().map(|module| module.join("::")).collect();
        lines.push(line.join(" → "));
        found.push(way.into_iter().collect());
    }
    lines
}

/// The shortest way from a module over others back to itself.
fn way_back(names: &Names, start: &Module) -> Option<Vec<Module>> {
    let mut came_from: BTreeMap<&Module, &Module> = BTreeMap::new();
    let mut next = vec![start];
    while let Some(module) = next.pop() {
        for named in &names[module] {
            if named == start {
                let mut way = vec![start.clone(), module.clone()];
                while let Some(before) = came_from.get(way.last().expect("begun")) {
                    way.push((*before).clone());
                }
                way.reverse();
                return Some(way);
            }
            if !came_from.contains_key(named) {
                came_from.insert(named, module);
                next.insert(0, named);
            }
        }
    }
    None
}

struct Modules {
    code: BTreeMap<Module, String>,
    /// What a name in a module stands for that it only hands on (`pub use`).
    handed_on: BTreeMap<(Module, String), Module>,
}

impl Modules {
    fn of(sources: &[Source]) -> Modules {
        let code: BTreeMap<Module, String> = sources
            .iter()
            .filter(|source| super::room_of(&source.path).is_some())
            .map(|source| (module_of(&source.path), without_tests(&source.code)))
            .collect();
        let mut handed_on = BTreeMap::new();
        for (module, text) in &code {
            for path in uses(text, true) {
                let name = path.last().cloned().unwrap_or_default();
                let target = absolute(&path, module)
                    .unwrap_or_else(|| module.iter().cloned().chain(path).collect());
                handed_on.insert((module.clone(), name), target);
            }
        }
        Modules { code, handed_on }
    }

    /// The modules of the same room that the code of one names.
    fn named_by(&self, module: &Module, code: &str) -> BTreeSet<Module> {
        let paths = uses(code, false).into_iter().chain(inline_paths(code));
        let named = paths.filter_map(|path| self.resolve(absolute(&path, module)?, 0));
        let children = self
            .code
            .keys()
            .filter(|child| child[..child.len() - 1] == module[..])
            .filter(|child| calls_child(code, child));
        named
            .chain(children.cloned())
            .filter(|named| named != module && named.first() == module.first())
            .collect()
    }

    /// The module that a path leads to, through what others hand on.
    fn resolve(&self, path: Module, depth: usize) -> Option<Module> {
        let length = (1..=path.len())
            .rev()
            .find(|length| self.code.contains_key(&path[..*length]))?;
        let (module, rest) = path.split_at(length);
        let handed_on = rest
            .first()
            .and_then(|name| self.handed_on.get(&(module.to_vec(), name.clone())));
        match handed_on {
            Some(target) if depth < 5 => {
                let target = target.iter().chain(&rest[1..]).cloned().collect();
                self.resolve(target, depth + 1)
            }
            _ => Some(module.to_vec()),
        }
    }
}

fn without_tests(code: &str) -> String {
    on_one_line(code.split("#[cfg(test)]").next().unwrap_or_default())
}

/// Whether a module calls into a child by its name, as `child::write(…)`; to hand on what is in it is no call.
fn calls_child(code: &str, child: &Module) -> bool {
    let name = child.last().map_or("", String::as_str);
    let call = format!("{name}::");
    code.match_indices(&call).any(|(at, _)| {
        let before = code[..at].trim_end();
        let is_path = before.ends_with([':', '_'])
            || before.ends_with(char::is_alphanumeric) && !before.ends_with("use");
        let statement = before.rfind(';').map_or(before, |end| &before[end..]);
        let is_use = statement.contains("use ") || before.ends_with("use");
        !is_path && !is_use
    })
}

mod of_itself {
    //! The rule finds what breaks it.

    use std::path::PathBuf;

    use super::*;

    fn source(path: &str, code: &str) -> Source {
        Source {
            path: PathBuf::from(path),
            text: code.to_owned(),
            code: code.to_owned(),
        }
    }

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let sources: Vec<Source> = files
            .iter()
            .map(|(path, code)| source(path, code))
            .collect();
        circles(&sources)
    }

    #[test]
    fn files_that_name_each_other_are_a_circle() {
        let circle = found(&[
            ("room/mod.rs", "mod a; mod b;"),
            ("room/a.rs", "use super::b::B;"),
            ("room/b.rs", "fn f() { crate::room::a::f() }"),
        ]);
        assert_eq!(circle, ["room::a → room::b → room::a"]);
    }

    #[test]
    fn what_a_parent_hands_on_is_its_childs() {
        let none = found(&[
            (
                "room/mod.rs",
                "mod a; mod b; pub use a::A; pub use b::{B, c as d};",
            ),
            ("room/a.rs", "use super::{B, d};"),
            ("room/b.rs", "pub struct B;"),
        ]);
        assert!(none.is_empty(), "{none:?}");
        let circle = found(&[
            ("room/mod.rs", "mod a; pub struct R; fn f() { a::f() }"),
            ("room/a.rs", "use super::R;"),
        ]);
        assert_eq!(circle, ["room → room::a → room"]);
    }

    #[test]
    fn rooms_and_tests_do_not_count() {
        let none = found(&[
            ("one.rs", "use crate::two::T;"),
            ("two.rs", "use crate::one::O;"),
            ("room/a.rs", "use super::b::B;"),
            (
                "room/b.rs",
                "struct B; #[cfg(test)] mod tests { use super::super::a::A; }",
            ),
        ]);
        assert!(none.is_empty(), "{none:?}");
    }
}
