//! Turns stacks with frames of the import system into the part of the time that imports take, by module.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::finding::{Finding, HotLine, ImportedModule};
use super::scope::Scope;
use crate::profile::Profile;
use crate::profile::event::{Frame, FrameId, Nanos, ThreadId};
use crate::profile::functions::Function;
use crate::profile::own_frames::{Importing, Line};
use crate::profile::paths;

/// Below it, start-up is nothing to think about.
const MIN_SHARE: f64 = 0.1;

/// Shorter is not worth a sentence, whatever the share.
const MIN_TIME: Nanos = Nanos(50_000_000);

/// Whether imports take much, and of which modules.
pub(super) fn finding<'p>(scope: &Scope<'p>) -> Option<Finding<'p>> {
    let mut by_thread: HashMap<ThreadId, Nanos> = HashMap::new();
    let mut by_import: HashMap<Importing, Nanos> = HashMap::new();
    let (mut time, mut samples) = (Nanos(0), 0_u64);
    let is_start = starts(scope.profile);
    for row in scope.rows() {
        if row
            .stack
            .is_some_and(|id| is_start.get(id.0 as usize) == Some(&true))
        {
            continue;
        }
        let Some(importing) = scope.lines.importing(row.stack) else {
            continue;
        };
        time += row.totals.wall;
        samples = samples.saturating_add(row.totals.samples);
        *by_thread.entry(row.thread).or_default() += row.totals.wall;
        *by_import.entry(importing).or_default() += row.totals.wall;
    }
    let importing = scope
        .threads()
        .filter(|(id, ..)| by_thread.contains_key(id));
    let whole = importing.fold(Nanos(0), |sum, (.., totals)| sum + totals.wall);
    let share = time.seconds() / whole.seconds().max(1e-9);
    let is_worth = time >= MIN_TIME && share >= MIN_SHARE && scope.is_worth(time, samples);
    is_worth.then(|| Finding::Imports {
        time,
        whole,
        threads: by_thread.len(),
        modules: modules(scope, &by_import, time),
    })
}

/// Of each stack, whether Python itself imports in it, before the program begins: the outermost frame is one of an import
/// then. No program can do that later.
fn starts(profile: &Profile) -> Vec<bool> {
    let mut is_start: Vec<bool> = Vec::with_capacity(profile.stacks().len());
    for stack in profile.stacks() {
        let of_outermost = || {
            let frame = profile.frame(stack.frame);
            let file = frame.and_then(|frame| frame.file.as_deref());
            let is_importlib = file == Some("<frozen importlib._bootstrap>");
            is_importlib || frame.is_some_and(Frame::is_import)
        };
        let parent = stack.parent.map(|parent| is_start.get(parent.0 as usize));
        is_start.push(match parent {
            None => of_outermost(),
            Some(of_parent) => of_parent == Some(&true),
        });
    }
    is_start
}

/// The modules, the longest first. The time in which a module was looked for or read is that of the one that its
/// statement imports longest.
fn modules<'p>(
    scope: &Scope<'p>,
    by_import: &HashMap<Importing, Nanos>,
    whole: Nanos,
) -> Vec<ImportedModule<'p>> {
    let profile = scope.profile;
    let name = |module: FrameId| profile.frame(module)?.file.as_deref().map(module_name);
    let mut of_line: HashMap<Line<'p>, HashMap<Option<String>, Nanos>> = HashMap::new();
    for (importing, time) in by_import {
        if let Some(frame) = profile.frame(importing.importer) {
            let line = of_line
                .entry((Function::from(frame), frame.line))
                .or_default();
            *line.entry(importing.module.and_then(name)).or_default() += *time;
        }
    }
    let mut of_name: HashMap<Option<String>, Vec<(Nanos, Line<'p>)>> = HashMap::new();
    for (line, mut names) in of_line {
        let unnamed = names.remove(&None).unwrap_or_default();
        let longest = names
            .iter()
            .max_by_key(|(name, time)| (**time, Reverse(*name)));
        let longest = longest.and_then(|(name, _)| name.clone());
        *names.entry(longest).or_default() += unnamed;
        for (name, time) in names {
            of_name.entry(name).or_default().push((time, line));
        }
    }
    let module = |(name, lines): (Option<String>, Vec<(Nanos, Line<'p>)>)| {
        let time = lines.iter().fold(Nanos(0), |sum, (time, _)| sum + *time);
        let (most, (function, line)) = lines
            .into_iter()
            .max_by_key(|(time, line)| (*time, Reverse(*line)))?;
        let line = HotLine {
            function,
            line,
            amount: most.0,
            share: most.seconds() / whole.seconds().max(1e-9),
        };
        Some(ImportedModule { name, time, line })
    };
    let mut modules: Vec<_> = of_name.into_iter().filter_map(module).collect();
    modules.sort_by(|a, b| (b.time, &a.name).cmp(&(a.time, &b.name)));
    modules
}

/// The name of the package that a file belongs to, or of the module that it is.
fn module_name(file: &str) -> String {
    let name = match paths::package(file) {
        Some(package) => package.to_owned(),
        None => paths::module_name(file, &[]),
    };
    let end = name.find('.').unwrap_or(name.len());
    name[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_named_by_their_package() {
        for (file, name) in [
            (
                "/v/lib/python3.12/site-packages/pandas/__init__.py",
                "pandas",
            ),
            (
                "/v/lib/python3.12/site-packages/pandas/core/frame.py",
                "pandas",
            ),
            ("/v/lib/python3.12/site-packages/six.py", "six"),
            ("/usr/lib/python3.11/json/__init__.py", "json"),
            ("/home/ada/helpers.py", "helpers"),
            ("/home/ada/model/__init__.py", "model"),
            ("", ""),
        ] {
            assert_eq!(module_name(file), name, "{file}");
        }
    }
}
