//! Turns recordings into a summary on standard output, or into files: one recording of all, or other formats.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cli::errors::exit_code;
use crate::cli::terminal::{browser, overview, screen, streams, summary, tables};
use crate::cli::{commands, request};
use crate::export::{Format, Meta, ReportInput};
use crate::process::Pid;
use crate::profile::Profile;
use crate::profile::confidence::Confidence;
use crate::profile::diff::SampledProfile;
use crate::profile::filter::{Folding, Selection};
use crate::profile::memory;
use crate::run::inputs::{self, Input, Trouble};
use crate::run::merge::{Recordings, common_header};
use crate::run::outputs::{Kind, Plan};
use crate::run::request::{Files, Outputs};
use crate::run::work::{self, NoWork};
use crate::run::{headlines, sources};

/// Makes the report.
///
/// # Errors
/// When nothing can be read, or a file cannot be written.
pub fn run(request: &request::Report) -> Result<u8> {
    let mut trouble = Trouble::default();
    let mut inputs = inputs::open(inputs::expand(&request.inputs)?, &mut trouble)?;
    let name = headlines::name(&inputs);
    let mut plan = match &request.outputs {
        Some(outputs) => {
            inputs::refuse_outputs(&inputs, &named(outputs))?;
            Some(Plan::check(outputs, &name, None)?)
        }
        None => None,
    };
    // Files that were named are not named after a process.
    let header = common_header(&inputs);
    let mut recordings = plan
        .as_mut()
        .map(|plan| Recordings::new(plan, Pid(0), &header));
    recordings = recordings.filter(|recordings| !recordings.is_empty());
    let mut profile = empty_profile(request, plan.as_ref());
    // Intervals are made of how the times are spread, which takes longer to fold.
    let mut side = (request.tables.with_confidence)
        .then(|| SampledProfile::folding_into(profile.clone(), request.selection.mode));
    let mut fold = |event| match &mut side {
        Some(side) => side.apply(event),
        None => profile.apply(event),
    };
    let (selection, mut folding) = folding(&request.selection, recordings.is_some());
    let left = inputs::read_selected(&mut inputs, &selection, &mut trouble, &mut |event| {
        if let Some(recordings) = &mut recordings {
            recordings.event(&event);
        }
        folding.apply(event, &mut fold);
    });
    let code = commands::say_trouble(trouble);
    left?;
    if request.selection.leaves_out_idle_waits() {
        match &mut side {
            Some(side) => side.leave_out_idle_waits(),
            None => profile.leave_out_idle_waits(),
        }
    }
    if let Some(recordings) = &mut recordings {
        for input in &inputs {
            recordings.sources(&input.source, &input.changed_files);
        }
    }
    let profile = &refined(request, profile, side.as_ref())?;
    let confidence = side.as_ref().map(Confidence::of);
    if request.tables.is_any() {
        let text = tables::text(request, &inputs, profile, confidence.as_ref())?;
        streams::print(&text).context("write to standard output")?;
    } else if plan.is_none() {
        let selection = &request.selection;
        let screen = screen::of_stdout(request.colour);
        let text = match request.full || confidence.is_some() {
            true => overview::text(&inputs, profile, selection, confidence.as_ref()),
            false => overview::first_screen(&inputs, profile, selection, &screen),
        };
        streams::print(&text).context("write to standard output")?;
    }
    let is_written = plan.is_none_or(|plan| write(&plan, recordings, &inputs, profile, request));
    Ok(if is_written {
        code
    } else {
        exit_code::OUTPUT_FAILED
    })
}

/// What was folded, with native frames where there are native samples.
fn refined(
    request: &request::Report,
    profile: Profile,
    side: Option<&SampledProfile>,
) -> Result<Profile, NoWork> {
    // The blocks of a side are those of its rows as they are.
    let mut profile = side.map_or(profile, |side| side.profile().clone());
    if let Some(folder) = &request.symbols {
        work::name_by_folder(&mut profile, folder);
    }
    request.native.refine(&mut profile)?;
    Ok(profile)
}

/// What the recordings are folded into.
fn empty_profile(request: &request::Report, plan: Option<&Plan>) -> Profile {
    match plan {
        _ if request.tables.memory.is_some() => Profile::with_timeline_of(memory::MAX_BYTES),
        Some(plan) => plan.empty_profile(),
        None => Profile::default(),
    }
}

/// Where imports are folded: while the recordings are read, or, as a recording keeps all frames, behind one that is
/// written.
fn folding(asked: &Selection, writes_recording: bool) -> (Selection, Folding) {
    let selection = Selection {
        folds_imports: asked.folds_imports && !writes_recording,
        ..asked.clone()
    };
    let folding = Folding::new(writes_recording && asked.folds_imports);
    (selection, folding)
}

/// The files that the user named.
fn named(outputs: &Outputs) -> Vec<PathBuf> {
    match &outputs.files {
        Files::Named(files) => files.iter().map(|file| file.path.clone()).collect(),
        Files::Default(_) => Vec::new(),
    }
}

/// Whether everything was written.
fn write(
    plan: &Plan,
    recordings: Option<Recordings>,
    inputs: &[Input],
    profile: &Profile,
    request: &request::Report,
) -> bool {
    // Names a file that could not be written where it should be.
    let pid = Pid(profile.processes().first().map_or(0, |process| process.pid));
    let drawing = request.outputs.as_ref().map(|outputs| outputs.drawing);
    let meta = Meta {
        drawing: drawing.unwrap_or_default(),
        ..headlines::meta(inputs, profile, &request.selection)
    };
    let recordings = || recordings.map_or_else(Vec::new, |recordings| recordings.finish(plan));
    let report = ReportInput {
        sources: Some(&sources::recorded(inputs)),
        ..ReportInput::new(profile, &meta)
    };
    let outcomes = plan.write(&report, pid, recordings);
    if !request.quiet {
        for outcome in &outcomes {
            let saved = outcome.saved.as_ref();
            if let Some(saved) = saved.filter(|saved| saved.path != Path::new("-")) {
                streams::say(summary::wrote(outcome.kind, saved).trim_end());
            }
        }
    }
    let page = outcomes
        .iter()
        .find(|outcome| outcome.kind == Kind::Export(Format::Html));
    let page = page.and_then(|outcome| outcome.saved.as_ref());
    if let Some(page) = page.filter(|_| request.open) {
        streams::say(browser::open(&page.path));
    }
    commands::say_errors(&outcomes)
}
