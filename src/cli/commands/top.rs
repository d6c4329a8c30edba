//! Turns a running process into a screen that shows what it does, until the user ends it.

use std::io::{self, IsTerminal};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cli::errors::exit_code;
use crate::cli::interrupt::Interrupts;
use crate::cli::request::{RequestError, Top, TopForm, TopTarget};
use crate::cli::terminal::live_view::{self, LiveView};
use crate::cli::terminal::{processes, screen, streams};
use crate::export::Colour;
use crate::export::words::labels;
use crate::launch::JobName;
use crate::launch::job::members_of;
use crate::process::{Pid, Process};
use crate::profile;
use crate::profile::snapshot::Span;
use crate::run::header::Asked;
use crate::run::live::{Live, Subject};
use crate::run::{caller, program_name, python_processes, python_processes_among};
use crate::sampler::{EndRequest, Rate, SamplerError};
use crate::tui::state::State;
use crate::tui::view::Palette;
use crate::tui::{batch, terminal};

/// How often is looked whether the sampling has begun.
const PATIENCE: Duration = Duration::from_millis(10);

/// Shows the process, or the one that the user chooses.
///
/// # Errors
/// When it cannot be sampled, or there is no terminal to show it on.
pub fn run(request: &Top) -> Result<u8> {
    let has_terminal = io::stdout().is_terminal() && io::stdin().is_terminal();
    if request.form == TopForm::Screen && !has_terminal {
        return Err(RequestError::NoTerminal.into());
    }
    let interrupts = Interrupts::hold_back().context("hold back Ctrl-C")?;
    let stop = EndRequest::default();
    interrupts
        .turn_into(stop.clone())
        .context("watch for Ctrl-C")?;
    let is_coloured = screen::of_stdout(request.colour).colour == Colour::Terminal;
    let palette = Palette { is_coloured };
    let chosen = match &request.target {
        TopTarget::Process(pid) => Some(vec![*pid]),
        TopTarget::Job(job) => Some(of_job(job)?),
        TopTarget::Choice => choose(palette, &stop)?.map(|pid| vec![pid]),
    };
    let Some((pid, beside)) = chosen.as_deref().and_then(<[Pid]>::split_first) else {
        return Ok(exit_code::OK);
    };
    let process = Process::open(*pid)?;
    let mut subject = subject(&process, request.sampling.rate)?;
    subject.beside = beside.to_vec();
    let title = match &request.target {
        TopTarget::Job(job) => {
            subject.name = format!("job-{job}");
            format!("job {job} on this node")
        }
        _ => labels::of_process(&profile::event::Process {
            pid: pid.0,
            command: subject.asked.command.clone(),
            ..profile::event::Process::default()
        }),
    };
    let mut live = Live::start(subject, &request.sampling, stop).context("start to sample")?;
    if !has_begun(&mut live) {
        live.stop().0?;
        return Ok(exit_code::OK);
    }
    let mut view = LiveView::new(live, title);
    show(request, &mut view, palette)?;
    let (ended, recorded) = view.into_live().stop();
    if let Some(outcome) = recorded {
        streams::say(format_args!("rsamp: {}", live_view::written(&outcome)));
    }
    match ended {
        // It was seen until its end.
        Ok(_) | Err(SamplerError::EndedEarly(_)) => Ok(exit_code::OK),
        Err(error) => Err(error.into()),
    }
}

/// Until the user, or the program, ends it.
fn show(request: &Top, view: &mut LiveView, palette: Palette) -> Result<()> {
    let state = State::new(request.span, request.mode, request.has_idle);
    let TopForm::Text(pages) = request.form else {
        return terminal::run(view, state, palette).context("show it on the terminal");
    };
    let mut out = io::stdout().lock();
    match batch::run(view, &state, pages, &mut out) {
        // A reader that went away has what it wanted.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("write standard output"),
    }
}

/// The Python processes of a job on this node.
fn of_job(job: &JobName) -> Result<Vec<Pid>> {
    let members = members_of(job).context("list the processes of this node")?;
    let looked_at = members.len();
    let found = python_processes_among(members.iter().map(|member| member.pid).collect());
    let readable = found.readable.into_iter().map(|found| found.pid);
    let pids: Vec<Pid> = readable.collect();
    match pids.is_empty() {
        false => Ok(pids),
        true => Err(RequestError::NoPythonOfJob {
            job: job.clone(),
            looked_at,
        }
        .into()),
    }
}

/// Has the user choose a process; `None`: none.
fn choose(palette: Palette, stop: &EndRequest) -> Result<Option<Pid>> {
    let found = python_processes();
    let rows: Vec<String> = found.readable.iter().map(processes::line).collect();
    if rows.is_empty() {
        streams::say(processes::list(&found, "top"));
        return Err(RequestError::NoPid { subcommand: "top" }.into());
    }
    let is_over = || stop.is_requested();
    let chosen = terminal::choose(processes::TITLE, &rows, palette, &is_over);
    let chosen = chosen.context("show a list on the terminal")?;
    Ok(chosen.and_then(|row| Some(found.readable.get(row)?.pid)))
}

/// What is recorded, if the user asks for it.
fn subject(process: &Process, rate: Rate) -> Result<Subject> {
    let command = process.command_line();
    let words: Vec<_> = command.iter().map(Into::into).collect();
    let owner = process.credentials()?;
    Ok(Subject {
        pid: process.pid(),
        beside: Vec::new(),
        name: program_name(&words),
        is_foreign: owner.is_none_or(|its| its.uid() != caller::uid()),
        asked: Asked {
            command,
            rate,
            environment: Vec::new(),
        },
    })
}

/// Waits for the first that is sampled; whether there is anything.
fn has_begun(live: &mut Live) -> bool {
    live.request(Span::Seconds(1));
    loop {
        if live.ended().is_some_and(Result::is_err) || live.is_stopping() {
            return false;
        }
        if live.take().is_some() {
            return live.ended().is_none_or(Result::is_ok);
        }
        sleep(PATIENCE);
    }
}
