//! Turns a running job into one recording of all its ranks and the files made of it.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::unistd::geteuid;

use crate::cli::commands;
use crate::cli::errors::exit_code;
use crate::cli::interrupt::Interrupts;
use crate::cli::terminal::{streams, summary};
use crate::export::{Meta, ReportInput};
use crate::process::Pid;
use crate::run::inputs::{self, Trouble};
use crate::run::merge::{Merged, common_header, merge};
use crate::run::outputs::Plan;
use crate::run::pipeline::{Recorded, Sampled};
use crate::run::request::{AttachJob, Extras, Sampling};
use crate::run::{headlines, job};
use crate::sampler::{Bounds, Budget, Children, EndRequest, Ended, NativeRate, Rate, StopPolicy};

/// Files are named after what was attached to: `job-4242.svg`.
const NAME: &str = "job";

/// Profiles the job.
///
/// # Errors
/// When the job cannot be reached or runs no Python, or a file cannot be written and nothing was sampled.
pub fn run(request: &AttachJob) -> Result<u8> {
    let interrupts = Interrupts::hold_back().context("hold back Ctrl-C")?;
    let number = number(&request.job.job);
    let plan = Plan::check(&request.outputs, NAME, Some(number))?;
    // Whose job it is was not asked: what root reads is for root.
    let mut plan = plan.private(geteuid().is_root());
    let stop = EndRequest::default();
    interrupts
        .turn_into(stop.clone())
        .context("watch for Ctrl-C")?;
    let mut spool = Spool::new(&request.job.job).context("make a folder for what is gathered")?;
    let gathered = job::gather(
        &request.job,
        &words(&request.sampling, &request.bounds, &request.extras),
        &stop,
        &mut |node, told, bytes| {
            spool.put(
                &format!("{}-{}.rsamp", node.replace('/', "_"), told.pid),
                bytes,
            )
        },
    )?;
    let paths = spool.recordings()?;
    if paths.is_empty() {
        return commands::fail_job(gathered.errors());
    }
    let mut trouble = Trouble::default();
    let recorded = merged(request, paths, &mut plan, number, &mut trouble)?;
    if !request.saying.quiet {
        let subject = format!("{} on {}", recorded.meta.title, gathered.nodes());
        let text = summary::text(&recorded, &subject, None, &request.saying);
        streams::say(text.trim_end());
    }
    let is_whole = commands::say_errors(&recorded.outcomes);
    spool.end(is_whole);
    let codes = [
        if is_whole {
            exit_code::OK
        } else {
            exit_code::OUTPUT_FAILED
        },
        commands::say_trouble(trouble),
        commands::say_job_errors(gathered.errors()),
    ];
    let failed = codes.into_iter().find(|code| *code != exit_code::OK);
    Ok(failed.unwrap_or(exit_code::OK))
}

/// Makes one profile of the recordings of the processes, and writes its files.
fn merged(
    request: &AttachJob,
    paths: Vec<PathBuf>,
    plan: &mut Plan,
    number: Pid,
    trouble: &mut Trouble,
) -> Result<Recorded, inputs::InputError> {
    let mut inputs = inputs::open(paths, trouble)?;
    let header = common_header(&inputs);
    let Merged {
        profile,
        recordings,
        sources,
    } = merge(
        &mut inputs,
        &header,
        plan,
        number,
        &request.outputs.shown,
        trouble,
    );
    let meta = Meta {
        title: format!("job {}, {} Python processes", request.job, inputs.len()),
        drawing: request.outputs.drawing,
        ..headlines::meta(&inputs, &profile, &request.outputs.shown.selection())
    };
    let report = ReportInput {
        sources: Some(&sources),
        ..ReportInput::new(&profile, &meta)
    };
    let outcomes = plan.write(&report, number, || recordings);
    let ended = match request.sampling.duration {
        Some(_) => Ended::DurationOver,
        None => Ended::TargetEnded,
    };
    let mut sampled = Sampled::merged(profile, header.start_unix_ns);
    sampled.ended = ended;
    Ok(Recorded {
        sampled,
        outcomes,
        meta,
        sources,
    })
}

/// What names the files in place of a PID: the first number of `4242_3`.
fn number(job: &str) -> Pid {
    let digits = job.split(|c: char| !c.is_ascii_digit()).next();
    Pid(digits.and_then(|digits| digits.parse().ok()).unwrap_or(0))
}

/// The words that ask `rsamp attach` for the same.
fn words(sampling: &Sampling, bounds: &Bounds, extras: &Extras) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec!["attach".into()];
    let mut option = |name: &str, value: String| words.push(format!("--{name}={value}").into());
    match sampling.rate {
        Rate::Auto => option("rate", "auto".to_owned()),
        Rate::Fixed(hz) => option("rate", hz.to_string()),
    }
    if let Budget::Held(part) = sampling.budget {
        option("max-overhead", (part * 100.0).to_string());
    }
    if let Some(duration) = sampling.duration {
        option("duration", duration.as_secs_f64().to_string());
    }
    if let Some(delay) = sampling.delay {
        option("delay", delay.as_secs_f64().to_string());
    }
    if let Some(function) = &bounds.start_at {
        option("start-at", function.clone());
    }
    if let Some(function) = &bounds.stop_at {
        option("stop-at", function.clone());
    }
    for name in &extras.environment {
        option("env", name.clone());
    }
    match sampling.stops {
        StopPolicy::Never => words.push("--never-stop".into()),
        StopPolicy::Always => words.push("--always-stop".into()),
        StopPolicy::WhereNeeded => {}
    }
    match sampling.native {
        Some(NativeRate::Usual) => words.push("--native".into()),
        Some(NativeRate::Fixed(hz)) => words.push(format!("--native={hz}").into()),
        None => {}
    }
    if sampling.children == Children::Ignored {
        words.push("--no-children".into());
    }
    if let Some(bytes) = extras.max_size_bytes {
        words.push(format!("--max-size={bytes}").into());
    }
    if !extras.source {
        words.push("--no-source".into());
    }
    words
}

/// A folder in which the recordings of the ranks grow, and can be read, until they are merged.
struct Spool {
    folder: PathBuf,
}

impl Spool {
    fn new(job: &str) -> io::Result<Spool> {
        let name = format!("rsamp-job-{job}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        // Nobody else's folder is taken, and nobody else looks into it.
        DirBuilder::new().mode(0o700).create(&folder)?;
        Ok(Spool { folder })
    }

    fn put(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        // Opened each time: a job may have more ranks than a process may open files.
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.join(name))?;
        file.write_all(bytes)
    }

    /// Those with anything in them, by name.
    fn recordings(&self) -> io::Result<Vec<PathBuf>> {
        let paths = fs::read_dir(&self.folder)?.map(|entry| entry.map(|entry| entry.path()));
        let mut paths = paths.collect::<io::Result<Vec<_>>>()?;
        paths.retain(|path| size(path) > 0);
        paths.sort();
        Ok(paths)
    }

    /// Removes the folder if it was merged into files that were all written, or says where it is.
    fn end(self, is_written: bool) {
        if is_written {
            let _ = fs::remove_dir_all(&self.folder);
            return;
        }
        streams::say(format_args!(
            "rsamp: the recordings of the ranks are in {}",
            summary::shown(&self.folder)
        ));
    }
}

fn size(path: &Path) -> u64 {
    path.metadata().map_or(0, |metadata| metadata.len())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_nodes_are_asked_for_the_same() {
        let sampling = Sampling {
            rate: Rate::Fixed(250.0),
            budget: Budget::Held(0.005),
            duration: Some(Duration::from_millis(2500)),
            delay: Some(Duration::from_secs(30)),
            stops: StopPolicy::Never,
            children: Children::Ignored,
            native: Some(NativeRate::Fixed(50.0)),
        };
        let extras = Extras {
            environment: vec!["OMP_NUM_THREADS".to_owned()],
            source: false,
            max_size_bytes: Some(20 << 20),
        };
        let bounds = Bounds {
            start_at: Some("Solver.solve".to_owned()),
            stop_at: Some("save".to_owned()),
        };
        let words = words(&sampling, &bounds, &extras);
        insta::assert_snapshot!(words.join(" ".as_ref()).to_string_lossy(), @"attach --rate=250 --max-overhead=0.5 --duration=2.5 --delay=30 --start-at=Solver.solve --stop-at=save --env=OMP_NUM_THREADS --never-stop --native=50 --no-children --max-size=20971520 --no-source");
    }

    #[test]
    fn files_have_the_number_of_the_job() {
        for (job, expected) in [("4242", 4242), ("4242_3", 4242), ("99999999999", 0)] {
            assert_eq!(number(job), Pid(expected));
        }
    }
}
