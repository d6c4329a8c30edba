//! Turns a running job into the stacks of all its ranks on standard output, equal ones as one.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use crate::cli::commands;
use crate::cli::request::{self, DumpForm, Dumped};
use crate::cli::terminal::streams;
use crate::export::dump::json;
use crate::export::dump::native::keep;
use crate::export::dump::ranks::{self, OfJob, Origin};
use crate::run::job;
use crate::sampler::EndRequest;

/// Prints the stacks.
///
/// # Errors
/// When the job cannot be reached, runs no Python, or standard output cannot be written.
pub fn run(request: &request::DumpJob) -> Result<u8> {
    let mut texts: BTreeMap<Origin, Vec<u8>> = BTreeMap::new();
    let mut words = vec!["dump".into()];
    words.extend(request.native.map(|_| request::NATIVE.into()));
    words.extend((request.what == Dumped::Tasks).then(|| request::TASKS.into()));
    let gathered = job::gather(
        &request.job,
        &words,
        &EndRequest::default(),
        &mut |node, told, bytes| {
            let origin = Origin {
                step: told.step.clone(),
                rank: told.rank,
                node: node.to_owned(),
                pid: told.pid,
            };
            texts.entry(origin).or_default().extend_from_slice(bytes);
            Ok(())
        },
    )?;
    // Of one that failed there is nothing, which is told below.
    texts.retain(|_, text| !text.is_empty());
    if texts.is_empty() {
        return commands::fail_job(gathered.errors());
    }
    let mut of_job = OfJob {
        job: request.job.to_string(),
        nodes: gathered.nodes(),
        processes: Vec::new(),
    };
    for (origin, text) in texts {
        let dump = json::read(&text);
        let mut dump = dump.with_context(|| format!("read what {origin} sent"))?;
        if let Some(which) = request.native {
            keep(&mut dump, which);
        }
        of_job.processes.push((origin, dump));
    }
    let text = match (request.form, request.what) {
        (DumpForm::Text, Dumped::Threads) => ranks::text(&of_job),
        (DumpForm::Text, Dumped::Tasks) => ranks::tasks(&of_job),
        (DumpForm::Json, _) => ranks::json(&of_job).context("build the JSON")?,
    };
    streams::print(&text).context("write to standard output")?;
    Ok(commands::say_job_errors(gathered.errors()))
}
