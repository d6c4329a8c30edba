//! Turns two recordings into what differs between them, on standard output or in files.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cli::errors::exit_code;
use crate::cli::terminal::streams::{self, Severity};
use crate::cli::terminal::summary::shown;
use crate::cli::{commands, request};
use crate::export::ReportInput;
use crate::export::diff::{self as export, Both, DiffFormat, Names, table, verdict};
use crate::export::source_text::SourceText;
use crate::export::words::escape::escaped;
use crate::export::words::number::size;
use crate::profile::Profile;
use crate::profile::diff::{Diff, Outcome, SampledProfile, Verdict};
use crate::profile::event::Event;
use crate::profile::filter::{NothingLeft, Selection};
use crate::profile::limits::MAX_ROWS;
use crate::recording::Merger;
use crate::run::inputs::{self, Input, Trouble};
use crate::run::outputs::{Destination, Readers};
use crate::run::work::NativeShown;
use crate::run::{headlines, sources};

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
    let mut merged = places
        .iter()
        .any(|(_, format)| *format == DiffFormat::Html)
        .then(Merged::default);
    let selection = &request.selection;
    let base = side(&request.base, selection, &mut trouble, merged.as_mut())?;
    let new = side(&request.new, selection, &mut trouble, merged.as_mut())?;
    let code = commands::say_trouble(trouble);
    say_nothing_left(request, base.left, new.left)?;
    let scale = request.scale;
    let diff = Diff::with_own_lines(&base.profile, &new.profile, scale, |before, after| {
        let text = base.source.text_of(before);
        text.is_some() && text == new.source.text_of(after)
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
    let meta = headlines::meta(&new.inputs, new.profile.profile(), selection);
    let merged = merged.unwrap_or_default().finished();
    let both = Both {
        input: ReportInput {
            sources: Some(&new.source),
            ..ReportInput::new(&merged, &meta)
        },
        base_processes: base.profile.profile().processes().len() as u32,
        new: new.profile.profile(),
    };
    let is_whole = write(&places, request.quiet, &mut |format, out| {
        export::write(format, &diff, &names, &verdicts, &both, out)
    });
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

/// What one word of the command line stands for.
struct Side {
    inputs: Vec<Input>,
    profile: SampledProfile,
    /// The source text in it.
    source: SourceText,
    /// Whether the filters left something of it.
    left: Result<(), NothingLeft>,
}

/// Both recordings as one profile: processes stay apart, equal functions and stacks are one. What was lost is that of the
/// second.
#[derive(Default)]
struct Merged {
    merger: Merger,
    recordings: usize,
    profile: Option<Profile>,
}

impl Merged {
    fn begin(&mut self) {
        self.merger.begin();
        self.recordings += 1;
        let new = || Profile::with_timeline().with_max_rows(MAX_ROWS);
        self.profile.get_or_insert_with(new);
    }

    fn apply(&mut self, event: Event) {
        let is_of_base = self.recordings < 2;
        if let Some(profile) = &mut self.profile
            && !(is_of_base && matches!(event, Event::Lost(_)))
        {
            self.merger.apply(event, &mut |event| profile.apply(event));
        }
    }

    /// The profile; empty where nothing began.
    fn finished(self) -> Profile {
        let mut profile = self.profile.unwrap_or_default();
        self.merger.finish(&mut |event| profile.apply(event));
        profile
    }
}

fn side(
    word: &PathBuf,
    selection: &Selection,
    trouble: &mut Trouble,
    mut merged: Option<&mut Merged>,
) -> Result<Side> {
    let mut inputs = inputs::open(inputs::expand(std::slice::from_ref(word))?, trouble)?;
    let mut profile = SampledProfile::new(selection.mode);
    if let Some(merged) = &mut merged {
        merged.begin();
    }
    let left = inputs::read_selected(&mut inputs, selection, trouble, &mut |event| {
        if let Some(merged) = &mut merged {
            merged.apply(event.clone());
        }
        profile.apply(event);
    });
    if selection.leaves_out_idle_waits() {
        profile.leave_out_idle_waits();
    }
    NativeShown::default().refine_sampled(&mut profile);
    Ok(Side {
        source: sources::recorded(&inputs),
        inputs,
        profile,
        left,
    })
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
    is_quiet: bool,
    render: &mut dyn FnMut(DiffFormat, &mut dyn io::Write) -> io::Result<()>,
) -> bool {
    let mut is_whole = true;
    for (place, format) in places {
        let written = place.write(Readers::Usual, &mut |out| render(*format, out));
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
        DiffFormat::Html => "one page with both recordings, open it in a browser",
    }
}
