//! Turns recordings into a summary on standard output, or into files of other formats.

use std::path::Path;

use anyhow::{Context, Result};

use crate::cli::inputs::{self, Input, Trouble};
use crate::cli::outputs::Plan;
use crate::cli::request;
use crate::cli::streams;
use crate::cli::tables;
use crate::cli::{commands, exit_code, overview, report as summary};
use crate::export::Meta;
use crate::process::Pid;
use crate::profile::Profile;
use crate::profile::confidence::Confidence;
use crate::profile::diff::Side;

/// Makes the report.
///
/// # Errors
/// When nothing can be read, or a file cannot be written.
pub fn run(request: &request::Report) -> Result<u8> {
    let mut trouble = Trouble::default();
    let mut inputs = inputs::open(inputs::expand(&request.inputs)?, &mut trouble)?;
    for input in &mut inputs {
        input.wants_source = request.tables.is_any();
    }
    let name = overview::name(&inputs);
    let plan = match &request.outputs {
        Some(outputs) => Some(Plan::check(outputs, &name, None)?),
        None => None,
    };
    let mut profile = match &plan {
        Some(plan) => plan.empty_profile(),
        None => Profile::default(),
    };
    if request.tables.memory.is_some() {
        profile = Profile::with_timeline();
    }
    // Intervals are made of how the times are spread, which takes longer to fold.
    let mut side = (request.tables.with_confidence)
        .then(|| Side::folding_into(profile.clone(), request.selection.view));
    let left = inputs::read_selected(
        &mut inputs,
        &request.selection,
        &mut trouble,
        &mut |event| match &mut side {
            Some(side) => side.apply(event),
            None => profile.apply(event),
        },
    );
    let code = commands::say_trouble(trouble);
    left?;
    let profile = side.as_ref().map_or(&profile, Side::profile);
    let confidence = side.as_ref().map(Confidence::of);
    if request.tables.is_any() {
        let text = tables::text(request, &inputs, profile, confidence.as_ref())?;
        streams::print(&text).context("write to standard output")?;
    } else if plan.is_none() {
        let selection = &request.selection;
        let text = overview::text(&inputs, profile, selection, confidence.as_ref());
        streams::print(&text).context("write to standard output")?;
    }
    let is_written = plan.is_none_or(|plan| write(&plan, &inputs, profile, request));
    Ok(if is_written {
        code
    } else {
        exit_code::OUTPUT_FAILED
    })
}

/// Whether everything was written.
fn write(plan: &Plan, inputs: &[Input], profile: &Profile, request: &request::Report) -> bool {
    // Names a file that could not be written where it should be.
    let pid = Pid(profile.processes().first().map_or(0, |process| process.pid));
    let drawing = request.outputs.as_ref().map(|outputs| outputs.drawing);
    let meta = Meta {
        drawing: drawing.unwrap_or_default(),
        ..overview::meta(inputs, profile, &request.selection)
    };
    let outcomes = plan.write(profile, &meta, pid, Vec::new);
    if !request.quiet {
        for outcome in &outcomes {
            let saved = outcome.saved.as_ref();
            if let Some(saved) = saved.filter(|saved| saved.path != Path::new("-")) {
                streams::say(summary::wrote(outcome.kind, saved).trim_end());
            }
        }
    }
    commands::say_errors(&outcomes)
}
