//! Turns a profile into a call tree for a terminal: the program's own functions, with libraries folded into the call that
//! enters them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::colour::Style;
use super::first_screen::Screen;
use super::words::escape::visible;
use super::words::fit::begin_of;
use super::words::labels::NO_PYTHON_FRAMES;
use super::words::precision::Precision;
use super::words::table::{line, place};
use super::words::units::span;
use crate::export::ReportInput;
use crate::export::words::lost::why_empty;
use crate::export::words::number::grouped;
use crate::export::words::paths::Shortener;
use crate::profile::event::{Frame, Nanos};
use crate::profile::functions::{Function, FunctionKind};
use crate::profile::origin::{Origin, Origins};
use crate::profile::{Profile, paths};

/// So many calls are shown at most: those of a screen or two.
const MAX_CALLS: usize = 40;

/// A call with a smaller part of the time is not shown.
const MIN_SHARE: f64 = 0.01;

/// Of the name of a call so many characters are shown, however deep it is in the tree.
const MIN_LABEL: usize = 20;

/// Writes the tree, each call below its caller, the longest first. Threads and processes are together.
#[must_use]
pub fn call_tree(input: &ReportInput<'_>, screen: &Screen) -> String {
    let (profile, mode) = (input.profile.with_native_frames(), input.meta.mode);
    let whole = profile.totals().time(mode);
    let mut text = String::new();
    if whole == Nanos(0) {
        line(&mut text, &why_empty(profile, mode));
        return text;
    }
    let tree = Tree::of(input);
    let shown = tree.shown(whole);
    let (samples, threads) = (profile.totals().samples, profile.python_threads());
    let of_threads = match threads {
        1 => String::new(),
        threads => format!(" of {threads} threads (--thread shows one)"),
    };
    let head = format!(
        "{} of {mode} time{of_threads}, {} samples",
        span(whole),
        grouped(samples)
    );
    line(&mut text, &begin_of(&head, screen.width));
    text.push_str("\n total s      %   self s  function\n");
    let files = profile.frames().iter();
    let totals = tree.calls.iter().zip(&shown).filter(|(_, shown)| **shown);
    let least = totals.map(|(call, _)| call.total).min();
    let writer = Writer {
        tree: &tree,
        shown: &shown,
        shortener: Shortener::of(files.filter_map(|frame| frame.file.as_deref())),
        least: least.unwrap_or_default(),
        precision: Precision::of(profile, input.meta.mode),
        whole,
        screen,
    };
    writer.write(&mut text);
    let hidden = tree.calls.iter().zip(&shown).filter(|(_, shown)| !**shown);
    if let Some(most) = hidden.map(|(call, _)| call.total).max() {
        let share = 100.0 * most.seconds() / whole.seconds();
        let share = share.ceil().max(1.0);
        line(
            &mut text,
            &format!("\ncalls below {share:.0} % are not shown"),
        );
    }
    text
}

/// A function where it was called: with all of its calls from the same place together.
#[derive(Debug)]
struct Call<'p> {
    function: Function<'p>,
    parent: Option<usize>,
    is_own: bool,
    self_time: Nanos,
    total: Nanos,
    /// The functions of libraries further in, up to the program's own.
    hidden: BTreeSet<Function<'p>>,
    /// Whose they are, and how many of them.
    packages: BTreeMap<&'p str, usize>,
}

/// All calls; parents come before their children.
#[derive(Debug)]
struct Tree<'p> {
    calls: Vec<Call<'p>>,
}

/// The calls of a tree while it is made.
struct Builder<'p> {
    origins: Origins,
    calls: Vec<Call<'p>>,
    known: HashMap<(Option<usize>, Function<'p>), usize>,
}

impl<'p> Tree<'p> {
    fn of(input: &ReportInput<'p>) -> Tree<'p> {
        let profile: &'p Profile = input.profile.with_native_frames();
        let mut builder = Builder {
            origins: Origins::of(profile),
            calls: Vec::new(),
            known: HashMap::new(),
        };
        let mut call_of: Vec<Option<usize>> = Vec::with_capacity(profile.stacks().len());
        for stack in profile.stacks() {
            let parent = stack
                .parent
                .and_then(|parent| call_of.get(parent.0 as usize));
            let parent = parent.copied().flatten();
            let frame = profile.frame(stack.frame);
            call_of.push(frame.map_or(parent, |frame| Some(builder.enter(parent, frame))));
        }
        for row in profile.rows() {
            let known = row.stack.and_then(|stack| *call_of.get(stack.0 as usize)?);
            let call = known.unwrap_or_else(|| builder.without_frames());
            builder.calls[call].self_time += row.totals.time(input.meta.mode);
        }
        let mut calls = builder.calls;
        for id in (0..calls.len()).rev() {
            let call = &mut calls[id];
            call.total += call.self_time;
            let total = call.total;
            if let Some(parent) = call.parent {
                calls[parent].total += total;
            }
        }
        Tree { calls }
    }

    /// By call, whether it is shown: the longest are. No call is longer than its caller.
    fn shown(&self, whole: Nanos) -> Vec<bool> {
        let mut longest: Vec<usize> = (0..self.calls.len()).collect();
        longest.retain(|id| self.calls[*id].total.seconds() >= MIN_SHARE * whole.seconds());
        longest.sort_by_key(|id| (Reverse(self.calls[*id].total), *id));
        longest.truncate(MAX_CALLS);
        let mut shown = vec![false; self.calls.len()];
        for id in longest {
            shown[id] = true;
        }
        shown
    }
}

impl<'p> Builder<'p> {
    /// The call that a frame is part of, from that of its caller: its own, but for recursion, and for libraries in
    /// libraries.
    fn enter(&mut self, parent: Option<usize>, frame: &'p Frame) -> usize {
        let function = Function::from(frame);
        let origin = self.origins.of_function(&function);
        let is_own = origin == Origin::Own;
        if let Some(id) = parent
            && let Some(caller) = self.calls.get_mut(id)
        {
            if caller.function == function {
                return id;
            }
            if !is_own && !caller.is_own {
                if let (true, Some(owner)) = (caller.hidden.insert(function), owner(origin)) {
                    *caller.packages.entry(owner).or_default() += 1;
                }
                return id;
            }
        }
        self.call(parent, function, is_own)
    }

    fn without_frames(&mut self) -> usize {
        let function = Function {
            file: None,
            first_line: None,
            name: NO_PYTHON_FRAMES,
            kind: FunctionKind::Mark,
        };
        self.call(None, function, false)
    }

    fn call(&mut self, parent: Option<usize>, function: Function<'p>, is_own: bool) -> usize {
        *self.known.entry((parent, function)).or_insert_with(|| {
            self.calls.push(Call {
                function,
                parent,
                is_own,
                self_time: Nanos(0),
                total: Nanos(0),
                hidden: BTreeSet::new(),
                packages: BTreeMap::new(),
            });
            self.calls.len() - 1
        })
    }
}

fn owner(origin: Origin<'_>) -> Option<&str> {
    match origin {
        Origin::Package(name) => Some(name),
        Origin::StandardLibrary => Some("standard library"),
        Origin::Native => Some("native code"),
        Origin::Own | Origin::Mark => None,
    }
}

/// What the lines of a tree have in common.
struct Writer<'t, 'p> {
    tree: &'t Tree<'p>,
    shown: &'t [bool],
    shortener: Shortener,
    precision: Precision,
    /// The shortest call shown.
    least: Nanos,
    whole: Nanos,
    screen: &'t Screen,
}

impl Writer<'_, '_> {
    fn write(&self, text: &mut String) {
        let mut children: HashMap<Option<usize>, Vec<usize>> = HashMap::new();
        for (id, call) in self.tree.calls.iter().enumerate() {
            if self.shown[id] {
                children.entry(call.parent).or_default().push(id);
            }
        }
        for siblings in children.values_mut() {
            // The longest is taken from the end.
            siblings.sort_by_key(|id| (self.tree.calls[*id].total, Reverse(*id)));
        }
        // A call, and what stands before its name and before those of its own calls.
        let mut todo: Vec<(usize, String, String)> = Vec::new();
        for id in children.remove(&None).unwrap_or_default() {
            todo.push((id, String::new(), String::new()));
        }
        while let Some((id, before, below)) = todo.pop() {
            self.row(text, id, &before);
            for (at, child) in (0..).zip(children.remove(&Some(id)).unwrap_or_default()) {
                // The first of the list is written last.
                let (branch, rest) = if at == 0 {
                    ("└ ", "  ")
                } else {
                    ("├ ", "│ ")
                };
                todo.push((child, format!("{below}{branch}"), format!("{below}{rest}")));
            }
        }
    }

    fn row(&self, text: &mut String, id: usize, before: &str) {
        let call = &self.tree.calls[id];
        let numbers = format!(
            "{:>8} {:>6} {:>8}",
            self.precision.plain_seconds(call.total, self.least),
            percent(call.total, self.whole),
            self.precision.plain_seconds(call.self_time, self.least),
        );
        let room = self.screen.width.saturating_sub(numbers.len() + 2);
        // Of a deep tree the branches are cut, not the names.
        let depth = before.chars().count();
        let skipped = depth.saturating_sub(room.saturating_sub(MIN_LABEL));
        let branches: String = before.chars().skip(skipped).collect();
        let room = room.saturating_sub(depth - skipped);
        let (label, note) = self.label_and_note(call, room);
        let heat = Style::of_share(call.self_time.seconds() / self.whole.seconds());
        let weight = if call.is_own {
            Style::Plain
        } else {
            Style::Faint
        };
        let paint = |style, text: &str| self.screen.colour.paint(style, text);
        line(
            text,
            &format!(
                "{}  {}{}{}",
                paint(heat, &numbers),
                paint(Style::Faint, &branches),
                paint(weight, &label),
                paint(Style::Faint, &note),
            ),
        );
    }

    /// The name of a call, and behind it what is hidden below: of both what fits.
    fn label_and_note(&self, call: &Call<'_>, room: usize) -> (String, String) {
        let function = &call.function;
        let name = visible(function.name);
        let label = match function.is_module() && function.name != paths::MODULE {
            // `import pandas` says where it is.
            true => name.clone(),
            false => place(&self.shortener, function, function.first_line),
        };
        let frames = match call.hidden.len() {
            0 => return (begin_of(&label, room), String::new()),
            1 => "  1 frame hidden".to_owned(),
            count => format!("  {count} frames hidden"),
        };
        let packages = call.packages.iter();
        let most = packages.max_by_key(|(name, count)| (**count, Reverse(**name)));
        let more = if call.packages.len() > 1 { ", …" } else { "" };
        let whose = most.map(|(name, _)| format!("{frames} ({}{more})", visible(name)));
        let whose = whose.unwrap_or_else(|| frames.clone());
        let choices = [(&label, &whose), (&name, &whose), (&name, &frames)];
        let fits = choices.into_iter().find(|(label, note)| {
            let width = label.chars().count() + note.chars().count();
            width <= room
        });
        match fits {
            Some((label, note)) => (label.clone(), note.clone()),
            None => (begin_of(&label, room), String::new()),
        }
    }
}

/// `37 %`; no digits behind the point, which a sampler seldom knows.
fn percent(part: Nanos, whole: Nanos) -> String {
    let share = 100.0 * part.seconds() / whole.seconds().max(1e-9);
    match part {
        Nanos(0) => "0 %".to_owned(),
        _ if share < 1.0 => "<1 %".to_owned(),
        _ => format!("{share:.0} %"),
    }
}
