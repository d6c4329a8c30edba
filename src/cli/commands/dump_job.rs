//! Turns a running job into the stacks of all its ranks on standard output, equal ones as one.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use crate::cli::dump_ranks::{self, OfJob, Origin};
use crate::cli::request::{self, DumpForm};
use crate::cli::{commands, dump_json, job, streams};
use crate::sampler::Stop;

/// Prints the stacks.
///
/// # Errors
/// When the job cannot be reached, runs no Python, or standard output cannot be written.
pub fn run(request: &request::DumpJob) -> Result<u8> {
    let mut texts: BTreeMap<Origin, Vec<u8>> = BTreeMap::new();
    let gathered = job::gather(
        &request.job,
        &["dump".into()],
        &Stop::default(),
        &mut |node, told, bytes| {
            let origin = Origin::new(node, told);
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
        let dump = dump_json::read(&text).with_context(|| format!("read what {origin} sent"))?;
        of_job.processes.push((origin, dump));
    }
    let text = match request.form {
        DumpForm::Text => dump_ranks::text(&of_job),
        DumpForm::Json => dump_ranks::json(&of_job).context("build the JSON")?,
    };
    streams::print(&text).context("write to standard output")?;
    Ok(commands::say_job_errors(gathered.errors()))
}
