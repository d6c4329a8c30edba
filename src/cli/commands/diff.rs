//! Turns two recordings into what differs between them, on standard output or in files.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cli::errors::exit_code;
use crate::cli::terminal::streams::{self, Severity};
use crate::cli::terminal::summary::shown;
use crate::cli::{commands, request};
use crate::export::diff::{self as export, DiffFormat, Names, table, verdict};
use crate::export::source_text::SourceText;
use crate::export::words::escape::escaped;
use crate::export::words::number::size;
use crate::profile::diff::{Diff, Outcome, SampledProfile, Verdict};
use crate::profile::filter::{NothingLeft, Selection};
use crate::run::inputs::{self, Trouble};
use crate::run::outputs::{Destination, Readers};
use crate::run::sources;

/// How many rows the tables have on a terminal.
const ROWS: usize = 20;

/// Compares.
///
/// # Errors
/// When one of the recordings cannot be read, nothing is left of both, or the tables cannot be printed.
pub fn run(request: &request::Diff) -> Result<u8> {
    let places = request.outputs.iter().map(|(path, format)| {
        let place = Destination::named(path, request.force)?;
        Ok((place, *format))
    });
    let places: Vec<(Destination, DiffFormat)> = places.collect::<Result<_>>()?;
    let mut trouble = Trouble::default();
    let (base, base_source, base_left) = side(&request.base, &request.selection, &mut trouble)?;
    let (new, new_source, new_left) = side(&request.new, &request.selection, &mut trouble)?;
    let code = commands::say_trouble(trouble);
    say_nothing_left(request, base_left, new_left)?;
    let diff = Diff::with_own_lines(&base, &new, request.scale, |base, new| {
        let text = base_source.text_of(base);
        text.is_some() && text == new_source.text_of(new)
    });
    let verdicts: Vec<Verdict<'_>> = request
        .limits
        .iter()
        .map(|limit| limit.verdict(&diff))
        .collect();
    let names = Names {
        base: request.base.display().to_string(),
        new: request.new.display().to_string(),
    };
    if places.is_empty() {
        streams::print(&table::table(&diff, &names, ROWS)).context("write to standard output")?;
    }
    let is_whole = write(&places, (&diff, &verdicts), &names, request.quiet);
    let verdict = say_verdicts(&verdicts, request.quiet);
    Ok(match (is_whole, code) {
        (false, _) => exit_code::OUTPUT_FAILED,
        // Part of a recording says nothing about the whole.
        (true, exit_code::OK) => verdict,
        (true, code) => code,
    })
}

/// Says what came of the limits, and chooses the exit code.
fn say_verdicts(verdicts: &[Verdict<'_>], is_quiet: bool) -> u8 {
    let outcome = Outcome::of_all(verdicts).unwrap_or(Outcome::Passed);
    let text = verdict::verdicts(verdicts);
    if !text.is_empty() && (!is_quiet || outcome != Outcome::Passed) {
        streams::say(text.trim_end());
    }
    match outcome {
        Outcome::Passed | Outcome::Undecided => exit_code::OK,
        Outcome::Failed => exit_code::SLOWER,
    }
}

/// What one word of the command line stands for, the source text in it, and whether the filters left something of it.
fn side(
    word: &PathBuf,
    selection: &Selection,
    trouble: &mut Trouble,
) -> Result<(SampledProfile, SourceText, Result<(), NothingLeft>)> {
    let mut inputs = inputs::open(inputs::expand(std::slice::from_ref(word))?, trouble)?;
    let mut side = SampledProfile::new(selection.mode);
    let left = inputs::read_selected(&mut inputs, selection, trouble, &mut |event| {
        side.apply(event)
    });
    if selection.leaves_out_idle_waits() {
        side.leave_out_idle_waits();
    }
    Ok((side, sources::recorded(&inputs), left))
}

/// What only one side has is a difference; what none has is an error.
fn say_nothing_left(
    request: &request::Diff,
    base: Result<(), NothingLeft>,
    new: Result<(), NothingLeft>,
) -> Result<()> {
    let (path, left) = match (base, new) {
        (Err(base), Err(_)) => return Err(base.into()),
        (Err(base), Ok(())) => (&request.base, base),
        (Ok(()), Err(new)) => (&request.new, new),
        (Ok(()), Ok(())) => return Ok(()),
    };
    let warning = escaped(&format!("{path:?}: {left}")).into_owned();
    streams::say(format_args!("rsamp: {}: {warning}", Severity::Warning));
    Ok(())
}

/// Whether everything was written.
fn write(
    places: &[(Destination, DiffFormat)],
    (diff, verdicts): (&Diff<'_>, &[Verdict<'_>]),
    names: &Names,
    is_quiet: bool,
) -> bool {
    let mut is_whole = true;
    for (place, format) in places {
        let written = place.write(Readers::Usual, &mut |out| {
            export::write(*format, diff, names, verdicts, out)
        });
        let path = shown(&place.path);
        match written {
            Ok(bytes) if !is_quiet && place.path != Path::new("-") => {
                streams::say(format_args!(
                    "wrote {path} ({}): {}",
                    size(bytes),
                    use_of(*format)
                ));
            }
            Ok(_) => {}
            Err(error) => {
                is_whole = false;
                let error = escaped(&format!("{error}: {}", error.source)).into_owned();
                streams::say(format_args!("rsamp: {}: {error}", Severity::Error));
            }
        }
    }
    is_whole
}

fn use_of(format: DiffFormat) -> &'static str {
    match format {
        DiffFormat::FlameGraph => "flame graph of what differs, open it in a browser",
        DiffFormat::Text => "tables of what differs",
        DiffFormat::Csv => "table for a spreadsheet or pandas",
        DiffFormat::Json => "JSON, for scripts",
    }
}
