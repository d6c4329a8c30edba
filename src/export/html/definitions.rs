//! Turns a profile into columns of what its runs refer to: strings, functions, the tree of stacks, what the kernel
//! counted of processes, what was lost, tasks, and when they blocked their loop.

use std::collections::HashMap;
use std::io;

use super::columns::Columns;
use super::content::Content;
use super::moved;
use crate::profile::Profile;
use crate::profile::attributes::Attribute;
use crate::profile::event::{LostCause, Nanos, Usage};
use crate::profile::functions::{FunctionKind, Functions};
use crate::profile::origin::{Origin, Origins};

/// Text that is written once, however often it is referred to.
#[derive(Default)]
struct Strings<'p> {
    texts: Vec<&'p str>,
    numbers: HashMap<&'p str, u64>,
}

impl<'p> Strings<'p> {
    /// The number of a text, from 0.
    fn number(&mut self, text: &'p str) -> u64 {
        let next = self.texts.len() as u64;
        let number = *self.numbers.entry(text).or_insert(next);
        if number == next {
            self.texts.push(text);
        }
        number
    }
}

/// Writes all of it, in the order in which `page/decode.ts` reads it.
pub(super) fn write(content: &Content<'_>, columns: &mut Columns<'_>) -> io::Result<()> {
    let profile = content.input.profile;
    let functions = Functions::of(profile);
    write_functions(profile, &functions, columns)?;
    write_stacks(profile, &functions, columns)?;
    write_usage(profile.usage(), columns)?;
    write_losses(content, columns)?;
    write_attribute(profile, Attribute::Task, columns)?;
    write_attribute(profile, Attribute::NativeClass, columns)?;
    write_blocks(profile, columns)?;
    let counted = content
        .base
        .map(|base| moved::counted_as(profile, &functions, base.processes));
    columns.column(counted.unwrap_or_default(), |function| function)
}

/// Strings first, then of each function its name, file, module, first line, origin and kind.
fn write_functions(
    profile: &Profile,
    functions: &Functions<'_>,
    columns: &mut Columns<'_>,
) -> io::Result<()> {
    let origins = Origins::of(profile);
    let rows = functions.rows();
    let mut strings = Strings::default();
    let mut texts = Vec::with_capacity(rows.len());
    for row in rows {
        let function = &row.function;
        let owner = match (function.kind, origins.of_function(function)) {
            (FunctionKind::Native(module), _) => Some(module),
            (_, Origin::Package(package)) => Some(package),
            _ => None,
        };
        let name = strings.number(function.name);
        let file = function.file.map(|file| strings.number(file));
        texts.push((name, file, owner.map(|owner| strings.number(owner))));
    }
    columns.number(strings.texts.len() as u64)?;
    for text in &strings.texts {
        columns.text(text)?;
    }
    columns.number(rows.len() as u64)?;
    columns.column(&texts, |(name, ..)| *name)?;
    texts
        .iter()
        .try_for_each(|(_, file, _)| columns.optional(*file))?;
    texts
        .iter()
        .try_for_each(|(.., owner)| columns.optional(*owner))?;
    rows.iter()
        .try_for_each(|row| columns.optional(row.function.first_line.map(u64::from)))?;
    columns.column(rows, |row| {
        number_of_origin(origins.of_function(&row.function))
    })?;
    columns.column(rows, |row| match row.function.kind {
        FunctionKind::Python if row.function.is_import() => 3,
        FunctionKind::Python => 0,
        FunctionKind::Native(_) => 1,
        FunctionKind::Mark => 2,
    })
}

fn number_of_origin(origin: Origin<'_>) -> u64 {
    match origin {
        Origin::Own => 0,
        Origin::Package(_) => 1,
        Origin::StandardLibrary => 2,
        Origin::Native => 3,
        Origin::Mark => 4,
    }
}

/// Of each stack how far back its parent is (0: it has none), its function, its line, and what a wait at it costs.
fn write_stacks(
    profile: &Profile,
    functions: &Functions<'_>,
    columns: &mut Columns<'_>,
) -> io::Result<()> {
    let stacks = profile.stacks();
    columns.number(stacks.len() as u64)?;
    columns.column((0_u32..).zip(stacks), |(id, stack)| {
        stack.parent.map_or(0, |parent| u64::from(id - parent.0))
    })?;
    columns.column(stacks, |stack| {
        functions
            .of_frame(stack.frame)
            .map_or(0, |id| u64::from(id.0))
    })?;
    for stack in stacks {
        let line = profile.frame(stack.frame).and_then(|frame| frame.line);
        columns.optional(line.map(u64::from))?;
    }
    columns.column(profile.waits_of_main_threads(), |wait| wait as u64)
}

/// Of each reading its process, moment and counters, of which any may be unknown.
fn write_usage(readings: &[Usage], columns: &mut Columns<'_>) -> io::Result<()> {
    columns.number(readings.len() as u64)?;
    columns.differences(readings, |usage| u64::from(usage.process.0))?;
    columns.differences(readings, |usage| usage.at.0)?;
    let counters: [fn(&Usage) -> Option<u64>; 13] = [
        |usage| usage.resident,
        |usage| usage.peak,
        |usage| usage.anonymous,
        |usage| usage.cpu.map(|Nanos(time)| time),
        |usage| usage.runnable.map(u64::from),
        |usage| usage.read_calls_bytes,
        |usage| usage.write_calls_bytes,
        |usage| usage.storage_read_bytes,
        |usage| usage.storage_written_bytes,
        |usage| usage.minor_faults,
        |usage| usage.major_faults,
        |usage| usage.voluntary_switches,
        |usage| usage.forced_switches,
    ];
    for counter in counters {
        // Unknown is 0, as in `Columns::optional`.
        columns.differences(readings, |usage| {
            counter(usage).map_or(0, |number| number.saturating_add(1))
        })?;
    }
    Ok(())
}

/// The values of an attribute (the names of asyncio tasks, of classes of native work), then of each set of attributes its one.
fn write_attribute(
    profile: &Profile,
    attribute: Attribute,
    columns: &mut Columns<'_>,
) -> io::Result<()> {
    let mut names = Strings::default();
    let sets = profile.attribute_sets().iter();
    let values: Vec<Option<u64>> = sets
        .map(|set| Some(names.number(set.0.get(&attribute)?)))
        .collect();
    columns.number(names.texts.len() as u64)?;
    names.texts.iter().try_for_each(|name| columns.text(name))?;
    columns.number(values.len() as u64)?;
    values.iter().try_for_each(|value| columns.optional(*value))
}

/// Of each block of an event loop its thread, its end and its length.
fn write_blocks(profile: &Profile, columns: &mut Columns<'_>) -> io::Result<()> {
    let blocks = profile.loop_blocks();
    columns.number(blocks.len() as u64)?;
    columns.column(&blocks, |block| u64::from(block.thread.0))?;
    columns.differences(&blocks, |block| block.end.0)?;
    columns.column(&blocks, |block| block.time.0)
}

/// The causes in words, then of each loss its moment, cause and count.
fn write_losses(content: &Content<'_>, columns: &mut Columns<'_>) -> io::Result<()> {
    let causes: Vec<LostCause> = content.about.lost().keys().copied().collect();
    let losses = content
        .input
        .profile
        .timeline()
        .map_or(&[][..], |timeline| timeline.losses());
    columns.number(causes.len() as u64)?;
    for cause in &causes {
        columns.text(&cause.to_string())?;
    }
    columns.number(losses.len() as u64)?;
    columns.differences(losses, |loss| loss.at.0)?;
    columns.column(losses, |loss| {
        let cause = causes.iter().position(|cause| *cause == loss.cause);
        cause.unwrap_or_default() as u64
    })?;
    columns.column(losses, |loss| loss.count)
}
