//! Turns [`Args`](super::args::Args) as typed into requests that can be carried out; touches nothing outside.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use super::args::{
    AttachArgs, DiffArgs, DrawingArgs, DumpArgs, OnNodeArgs, RecordArgs, ReportArgs, SamplingArgs,
    TableArgs, TargetArgs,
};
use super::filters::{self, FilterError};
use super::kind::{Kind, UnknownKind};
use super::naming::{Pattern, PatternError};
use crate::export::diff::{DiffFormat, UnknownDiffFormat};
use crate::export::{Direction, Drawing, Format};
use crate::launch::{JobName, NoJobName, Wish};
use crate::process::Pid;
use crate::profile::diff::Scale;
use crate::profile::filter::{Ranks, Selection};
use crate::recording::size_limit::MIN_BYTES;
use crate::sampler::{Bounds, Children, Rate, Stops};

/// The clock's resolution: a tick each nanosecond. No machine holds a thousandth of it.
pub const MAX_RATE_HZ: f64 = 1e9;
/// Less than one sample in 1000 seconds profiles nothing.
pub const MIN_RATE_HZ: f64 = 0.001;
/// The part of one core that rsamp may use when neither that nor a rate is asked for.
pub const DEFAULT_MAX_OVERHEAD: f64 = 0.01;
/// About 31 years: far above any run, far below where time arithmetic overflows.
pub const MAX_DURATION_SECONDS: f64 = 1e9;

/// How many functions are shown line by line when none is named.
const DEFAULT_TOP: usize = 5;

/// What is written when no file is named.
const DEFAULT_KINDS: &[Kind] = &[
    Kind::Recording,
    Kind::Export(Format::FlameGraph),
    Kind::Export(Format::Pstats),
];

/// `rsamp record`, ready to be carried out.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The program and its arguments; never empty.
    pub command: Vec<OsString>,
    /// Where it runs.
    pub placement: Placement,
    /// The ranks to record; empty: all.
    pub ranks: Vec<Ranks>,
    /// How to sample.
    pub sampling: Sampling,
    /// Which part of the run to record.
    pub bounds: Bounds,
    /// What to write.
    pub outputs: Outputs,
    /// What a recording holds beside the samples.
    pub extras: Extras,
    /// When to draw progress.
    pub progress: ProgressWish,
    /// Whether to print the summary.
    pub quiet: bool,
}

/// Where a program runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    /// Here, or where the launcher in the command starts it.
    AsTyped(Wish),
    /// Here; rsamp was started by a launcher that another rsamp started, and leaves its recording in this folder.
    Rank(PathBuf),
    /// Here; it is a job script, which begins in this line of the file that the command names.
    BatchScript(usize),
}

/// `rsamp attach`, ready to be carried out.
#[derive(Debug, Clone, PartialEq)]
pub struct Attach {
    /// The process.
    pub pid: Pid,
    /// How to sample.
    pub sampling: Sampling,
    /// Which part of the run to record.
    pub bounds: Bounds,
    /// What to write.
    pub outputs: Outputs,
    /// What a recording holds beside the samples.
    pub extras: Extras,
    /// When to draw progress.
    pub progress: ProgressWish,
    /// Whether to print the summary.
    pub quiet: bool,
}

/// `rsamp attach --job`, ready to be carried out.
#[derive(Debug, Clone, PartialEq)]
pub struct AttachJob {
    /// The job.
    pub job: JobName,
    /// How to sample.
    pub sampling: Sampling,
    /// Which part of each process's run to record.
    pub bounds: Bounds,
    /// What to write.
    pub outputs: Outputs,
    /// What a recording holds beside the samples.
    pub extras: Extras,
    /// Whether to print the summary.
    pub quiet: bool,
}

/// `rsamp dump --job`, ready to be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DumpJob {
    /// The job.
    pub job: JobName,
    /// What to print.
    pub form: DumpForm,
}

/// `rsamp on-node`, ready to be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnNode {
    /// The step of the job that rsamp runs in; `None`: all.
    pub step: Option<String>,
    /// What to do with each process.
    pub work: OnNodeWork,
}

/// What to do with the processes of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnNodeWork {
    /// Read their stacks once.
    Dump,
    /// Attach to each with these options.
    Attach(Vec<OsString>),
}

/// `rsamp report`, ready to be carried out.
#[derive(Debug, Clone)]
pub struct Report {
    /// The recordings, as typed: paths, or patterns that the shell did not expand.
    pub inputs: Vec<PathBuf>,
    /// What to write; `None`: a summary or tables, to standard output.
    pub outputs: Option<Outputs>,
    /// What to print in the place of the summary.
    pub tables: Tables,
    /// What to show.
    pub selection: Selection,
    /// Whether to say what was written.
    pub quiet: bool,
}

/// Which tables to print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables {
    /// Functions line by line: those of these names, or the hottest.
    pub lines: Option<Vec<String>>,
    /// Their memory: that of functions of these names, or of those where it changed most.
    pub memory: Option<Vec<String>>,
    /// How many functions, when none is named.
    pub top: usize,
    /// Whether shares come with their confidence interval.
    pub with_confidence: bool,
}

impl Tables {
    /// Whether one is asked for.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.lines.is_some() || self.memory.is_some()
    }
}

/// `rsamp diff`, ready to be carried out.
#[derive(Debug, Clone)]
pub struct Diff {
    /// The recording before, as typed: a path, or a pattern that the shell did not expand.
    pub base: PathBuf,
    /// The recording after.
    pub new: PathBuf,
    /// What to write; nothing: tables, to standard output.
    pub outputs: Vec<(PathBuf, DiffFormat)>,
    /// Whether a write-protected file may be replaced.
    pub force: bool,
    /// How to compare.
    pub scale: Scale,
    /// What to compare.
    pub selection: Selection,
    /// Whether to say what was written.
    pub quiet: bool,
}

/// `rsamp dump`, ready to be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dump {
    /// The process.
    pub pid: Pid,
    /// What to print.
    pub form: DumpForm,
}

/// The form of a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DumpForm {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// How to sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// How often; within [`MIN_RATE_HZ`] and [`MAX_RATE_HZ`].
    pub rate: Rate,
    /// The part of one core that rsamp may use, above 0 and up to 1; `None`: as much as the rate takes.
    pub max_overhead: Option<f64>,
    /// When to stop sampling; `None`: when the target ends.
    pub duration: Option<Duration>,
    /// How long the target runs before the sampling begins.
    pub delay: Option<Duration>,
    /// When a thread of the target may be stopped.
    pub stops: Stops,
    /// Whether the processes that descend from the target are sampled too, and how orphans are found.
    pub children: Children,
}

/// What a recording holds beside the samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extras {
    /// The variables of the program's environment that were asked for.
    pub environment: Vec<String>,
    /// Whether the source text of the functions seen.
    pub source: bool,
    /// How large it may become, in bytes; `None`: as large as it gets.
    pub max_size_bytes: Option<u64>,
}

/// When to draw a line of progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgressWish {
    /// Never.
    Never,
    /// When standard error is a terminal that the profiled program does not write to.
    OwnTerminal,
    /// Whenever standard error is a terminal.
    AnyTerminal,
}

/// What to write.
#[derive(Debug, Clone, PartialEq)]
pub struct Outputs {
    /// Which files.
    pub files: Files,
    /// How graphs are drawn.
    pub drawing: Drawing,
    /// Whether an existing file may be overwritten although the user did not name it.
    pub force: bool,
    /// Whether to write into `$TMPDIR` first.
    pub scratch: bool,
}

impl Outputs {
    /// Whether the user chose neither files nor a format.
    #[must_use]
    pub fn is_default(&self) -> bool {
        matches!(&self.files, Files::Default(kinds) if kinds == DEFAULT_KINDS)
    }
}

/// Which files to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Files {
    /// `NAME-PID` with the ending of each kind, in the current folder.
    Default(Vec<Kind>),
    /// The files that were named.
    Named(Vec<Output>),
}

/// A file that the user named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Where; `-` is standard output.
    pub path: PathBuf,
    /// What.
    pub kind: Kind,
    /// The marks in the path, where they stand for something.
    pub pattern: Option<Pattern>,
}

/// Why a command line cannot be carried out.
#[derive(Debug, Error)]
pub enum RequestError {
    /// `rsamp record --pid 4242 …`.
    #[error("`record` starts a program and takes no --pid")]
    RecordWithPid {
        /// What was typed behind `--pid`.
        pid: String,
    },
    /// `rsamp attach --pid 4242 python x.py`.
    #[error("`{subcommand}` reads a running process and takes no command: {words}")]
    PidAndCommand {
        /// `attach` or `dump`.
        subcommand: &'static str,
        /// The words too many.
        words: String,
    },
    /// The PID is no number, or none that a process can have.
    #[error("{0:?} is no process id: a whole number above 0")]
    NoPid(String),
    /// What is behind `--job` names no job.
    #[error(transparent)]
    NoJob(#[from] NoJobName),
    /// `rsamp on-node` was typed by hand.
    #[error("on-node is what rsamp starts by itself for --job")]
    OnNode,
    /// The rate is no number, or none that can be kept.
    #[error("{0:?} is no rate: samples per second, from {MIN_RATE_HZ} to {MAX_RATE_HZ}, or auto")]
    BadRate(String),
    /// The overhead is no number, or no part of a core.
    #[error("{0:?} is no overhead: per cent of one core, above 0 and up to 100, such as 1 or 0.5")]
    BadOverhead(String),
    /// The duration is no number, or not positive.
    #[error("{0:?} is no duration: seconds above 0, such as 30 or 2.5")]
    BadDuration(String),
    /// The delay is no number, or not positive.
    #[error(
        "invalid --delay {0:?}: give seconds above 0 and up to {MAX_DURATION_SECONDS}, such as 30 or 2.5"
    )]
    BadDelay(String),
    /// No function has such a name.
    #[error(
        "invalid --{option} {text:?}: give the name of one function, such as solve or Solver.solve"
    )]
    BadFunction {
        /// The option.
        option: &'static str,
        /// What was typed.
        text: String,
    },
    /// The size is none, or too small for any recording.
    #[error("invalid --max-size {0:?}: give a size of at least {min}K, such as 500K, 20M or 1G", min = MIN_BYTES >> 10)]
    BadSize(String),
    /// The number of functions is none.
    #[error("--top: {0:?} is no number of functions: 1 or more")]
    BadTop(String),
    /// There are only names, and no recording.
    #[error("no recording to report on: name one before --lines or --memory")]
    NoRecording,
    /// A threshold is no number, or none from 0 to 100.
    #[error("{0:?} is no threshold: percent, from 0 to 100")]
    BadPercent(String),
    /// The ending of a file stands for no format.
    #[error("choose a format for {path:?}")]
    Ending {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: UnknownKind,
    },
    /// `-f` names nothing known.
    #[error("read --format")]
    Format(#[source] UnknownKind),
    /// `rsamp diff` with a file or format that it does not make.
    #[error("choose a format for the diff")]
    DiffFormat(#[source] UnknownDiffFormat),
    /// A filter that cannot be.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// A name that no variable of an environment can have.
    #[error("{0:?} is no name of a variable")]
    NoVariable(String),
    /// A mark in the name of a file that stands for nothing.
    #[error(transparent)]
    Name(#[from] PatternError),
    /// `--batch-script` is for scripts that rsamp made.
    #[error("{0:?} is no line of a job script")]
    NoLine(String),
    /// The same file twice.
    #[error("{0:?} is named twice with --output")]
    SameFileTwice(PathBuf),
    /// There is no command at all, or an empty word for one.
    #[error("no command to run")]
    NoCommand,
}

/// Builds what `rsamp record` asks for.
///
/// # Errors
/// When it cannot be carried out.
pub fn record(args: &RecordArgs) -> Result<Record, RequestError> {
    if let Some(pid) = &args.pid {
        return Err(RequestError::RecordWithPid { pid: pid.clone() });
    }
    if args.command.is_empty() {
        return Err(RequestError::NoCommand);
    }
    Ok(Record {
        command: args.command.clone(),
        placement: placement(args)?,
        sampling: sampling(&args.sampling, Children::Adopted)?,
        bounds: bounds(&args.sampling)?,
        ranks: filters::ranks("ranks", &args.ranks)?,
        outputs: outputs(&args.sampling)?,
        extras: extras(&args.sampling)?,
        progress: match (args.sampling.quiet, args.progress) {
            (true, _) => ProgressWish::Never,
            (false, true) => ProgressWish::AnyTerminal,
            (false, false) => ProgressWish::OwnTerminal,
        },
        quiet: args.sampling.quiet,
    })
}

fn placement(args: &RecordArgs) -> Result<Placement, RequestError> {
    if let Some(folder) = &args.gather {
        return Ok(Placement::Rank(folder.clone()));
    }
    let Some(line) = &args.batch_script else {
        return Ok(Placement::AsTyped(args.launcher.unwrap_or_default().into()));
    };
    let line = line
        .parse()
        .map_err(|_| RequestError::NoLine(line.clone()))?;
    Ok(Placement::BatchScript(line))
}

/// Builds what `rsamp attach` asks for.
///
/// # Errors
/// When it cannot be carried out.
pub fn attach(args: &AttachArgs) -> Result<Attach, RequestError> {
    Ok(Attach {
        pid: target("attach", &args.target)?,
        sampling: sampling(&args.sampling, Children::Followed)?,
        bounds: bounds(&args.sampling)?,
        outputs: outputs(&args.sampling)?,
        extras: extras(&args.sampling)?,
        progress: if args.sampling.quiet {
            ProgressWish::Never
        } else {
            ProgressWish::AnyTerminal
        },
        quiet: args.sampling.quiet,
    })
}

/// Builds what `rsamp dump` asks for.
///
/// # Errors
/// When it cannot be carried out.
pub fn dump(args: &DumpArgs) -> Result<Dump, RequestError> {
    Ok(Dump {
        pid: target("dump", &args.target)?,
        form: form(args),
    })
}

/// Builds what `rsamp attach --job` asks for; `None` without `--job`.
///
/// # Errors
/// When it cannot be carried out.
pub fn attach_job(args: &AttachArgs) -> Result<Option<AttachJob>, RequestError> {
    let Some(job) = &args.target.job else {
        return Ok(None);
    };
    Ok(Some(AttachJob {
        job: job.parse()?,
        // Each process of the job is attached to by itself.
        sampling: sampling(&args.sampling, Children::Followed)?,
        bounds: bounds(&args.sampling)?,
        outputs: outputs(&args.sampling)?,
        extras: extras(&args.sampling)?,
        quiet: args.sampling.quiet,
    }))
}

/// Builds what `rsamp dump --job` asks for; `None` without `--job`.
///
/// # Errors
/// When it cannot be carried out.
pub fn dump_job(args: &DumpArgs) -> Result<Option<DumpJob>, RequestError> {
    let Some(job) = &args.target.job else {
        return Ok(None);
    };
    Ok(Some(DumpJob {
        job: job.parse()?,
        form: form(args),
    }))
}

/// Builds what another rsamp asks of this one.
///
/// # Errors
/// When no rsamp would ask that.
pub fn on_node(args: &OnNodeArgs) -> Result<OnNode, RequestError> {
    let work = match args.words.split_first() {
        Some((word, [])) if word == "dump" => OnNodeWork::Dump,
        Some((word, options)) if word == "attach" => OnNodeWork::Attach(options.to_vec()),
        _ => return Err(RequestError::OnNode),
    };
    Ok(OnNode {
        step: args.step.clone(),
        work,
    })
}

fn form(args: &DumpArgs) -> DumpForm {
    if args.json {
        DumpForm::Json
    } else {
        DumpForm::Text
    }
}

fn target(subcommand: &'static str, args: &TargetArgs) -> Result<Pid, RequestError> {
    let (pid, surplus) = match (&args.pid, args.words.as_slice()) {
        (Some(pid), words) => (pid.clone(), words),
        (None, [pid, words @ ..]) => (pid.to_string_lossy().into_owned(), words),
        (None, []) => return Err(RequestError::NoPid(String::new())),
    };
    if !surplus.is_empty() {
        let words: Vec<_> = surplus.iter().map(|word| word.to_string_lossy()).collect();
        return Err(RequestError::PidAndCommand {
            subcommand,
            words: words.join(" "),
        });
    }
    match pid.parse::<i32>() {
        Ok(number) if number > 0 => Ok(Pid(number)),
        _ => Err(RequestError::NoPid(pid)),
    }
}

/// `children` is how they are followed, if they are.
fn sampling(args: &SamplingArgs, children: Children) -> Result<Sampling, RequestError> {
    let rate = args.rate.as_deref().map_or(Ok(Rate::Auto), rate)?;
    let asked = args.max_overhead.as_deref().map(max_overhead).transpose()?;
    Ok(Sampling {
        rate,
        max_overhead: asked.or((rate == Rate::Auto).then_some(DEFAULT_MAX_OVERHEAD)),
        duration: args.duration.as_deref().map(duration).transpose()?,
        delay: args.delay.as_deref().map(delay).transpose()?,
        stops: match (args.never_stop, args.always_stop) {
            (true, _) => Stops::Never,
            (false, true) => Stops::Always,
            (false, false) => Stops::WhereNeeded,
        },
        children: if args.no_children {
            Children::Ignored
        } else {
            children
        },
    })
}

fn rate(text: &str) -> Result<Rate, RequestError> {
    if text == "auto" {
        return Ok(Rate::Auto);
    }
    match text.parse::<f64>() {
        Ok(hz) if (MIN_RATE_HZ..=MAX_RATE_HZ).contains(&hz) => Ok(Rate::Fixed(hz)),
        _ => Err(RequestError::BadRate(text.to_owned())),
    }
}

/// A part of one core, from per cent.
fn max_overhead(text: &str) -> Result<f64, RequestError> {
    match text.strip_suffix('%').unwrap_or(text).parse::<f64>() {
        Ok(percent) if percent > 0.0 && percent <= 100.0 => Ok(percent / 100.0),
        _ => Err(RequestError::BadOverhead(text.to_owned())),
    }
}

fn duration(text: &str) -> Result<Duration, RequestError> {
    seconds(text).ok_or_else(|| RequestError::BadDuration(text.to_owned()))
}

fn delay(text: &str) -> Result<Duration, RequestError> {
    seconds(text).ok_or_else(|| RequestError::BadDelay(text.to_owned()))
}

/// Seconds above 0.
fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.parse().ok()?;
    if !(seconds > 0.0 && seconds <= MAX_DURATION_SECONDS) {
        return None;
    }
    let duration = Duration::try_from_secs_f64(seconds).ok()?;
    (!duration.is_zero()).then_some(duration)
}

/// Between which functions to record.
fn bounds(args: &SamplingArgs) -> Result<Bounds, RequestError> {
    let function = |option, name: &Option<String>| match name.as_deref().map(str::trim) {
        Some(name) if name.is_empty() || name.contains(char::is_whitespace) => {
            Err(RequestError::BadFunction {
                option,
                text: name.to_owned(),
            })
        }
        name => Ok(name.map(str::to_owned)),
    };
    Ok(Bounds {
        start_at: function("start-at", &args.start_at)?,
        stop_at: function("stop-at", &args.stop_at)?,
    })
}

/// `500K`, `20M`, `1G`, in powers of 1024.
fn size_bytes(text: &str) -> Result<u64, RequestError> {
    let units = [("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30)];
    let upper = text.trim().to_ascii_uppercase();
    let upper = upper
        .strip_suffix("IB")
        .or(upper.strip_suffix('B'))
        .unwrap_or(&upper);
    let unit = units
        .into_iter()
        .find_map(|(unit, bytes)| Some((upper.strip_suffix(unit)?, bytes)));
    let (number, unit) = unit.unwrap_or((upper, 1_u64));
    let bytes = number
        .parse::<f64>()
        .ok()
        .map(|number| number * unit as f64);
    match bytes {
        Some(bytes) if (MIN_BYTES as f64..1e18).contains(&bytes) => Ok(bytes as u64),
        _ => Err(RequestError::BadSize(text.to_owned())),
    }
}

fn extras(args: &SamplingArgs) -> Result<Extras, RequestError> {
    let is_bad = |name: &&String| name.is_empty() || name.contains('=');
    match args.env.iter().find(is_bad) {
        Some(name) => Err(RequestError::NoVariable(name.clone())),
        None => Ok(Extras {
            environment: args.env.clone(),
            source: !args.no_source,
            max_size_bytes: args.max_size.as_deref().map(size_bytes).transpose()?,
        }),
    }
}

/// Builds what `rsamp report` asks for.
///
/// # Errors
/// When it cannot be carried out.
pub fn report(args: &ReportArgs) -> Result<Report, RequestError> {
    let named = args.format.as_deref().map(Kind::from_name).transpose();
    let kind = named.map_err(RequestError::Format)?;
    let files = match (args.output.as_slice(), kind) {
        ([], None) => None,
        ([], Some(kind)) => Some(vec![Output {
            path: PathBuf::from("-"),
            kind,
            pattern: None,
        }]),
        (paths, kind) => Some(named_outputs(paths, kind)?),
    };
    let drawing = drawing(&args.drawing)?;
    let (inputs, tables) = tables(&args.files, &args.tables)?;
    Ok(Report {
        inputs,
        tables,
        outputs: files.map(|files| Outputs {
            files: Files::Named(files),
            drawing,
            force: args.force,
            scratch: false,
        }),
        selection: filters::selection(&args.filters)?,
        quiet: args.quiet,
    })
}

/// Sorts the words behind `--lines` and `--memory` into names and recordings.
fn tables(files: &[PathBuf], args: &TableArgs) -> Result<(Vec<PathBuf>, Tables), RequestError> {
    let mut inputs = files.to_vec();
    let mut names = |words: &Option<Vec<String>>| {
        let words = words.as_ref()?.iter();
        let is_recording = |word: &&String| {
            let kind = Kind::from_path(Path::new(word));
            matches!(kind, Ok(Kind::Recording))
        };
        let (recordings, names): (Vec<_>, Vec<_>) = words.partition(is_recording);
        inputs.extend(recordings.into_iter().map(PathBuf::from));
        Some(names.into_iter().cloned().collect())
    };
    let tables = Tables {
        lines: names(&args.lines),
        memory: names(&args.memory),
        top: args.top.as_deref().map_or(Ok(DEFAULT_TOP), top)?,
        with_confidence: args.ci,
    };
    if inputs.is_empty() {
        return Err(RequestError::NoRecording);
    }
    Ok((inputs, tables))
}

fn top(text: &str) -> Result<usize, RequestError> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(RequestError::BadTop(text.to_owned())),
    }
}

/// Builds what `rsamp diff` asks for.
///
/// # Errors
/// When it cannot be carried out.
pub fn diff(args: &DiffArgs) -> Result<Diff, RequestError> {
    let named = args.format.as_deref().map(DiffFormat::from_name);
    let named = named.transpose().map_err(RequestError::DiffFormat)?;
    let mut outputs: Vec<(PathBuf, DiffFormat)> = Vec::new();
    for path in &args.output {
        if outputs.iter().any(|(other, _)| other == path) {
            return Err(RequestError::SameFileTwice(path.clone()));
        }
        let format = match named {
            Some(format) => format,
            None => DiffFormat::from_path(path).map_err(RequestError::DiffFormat)?,
        };
        outputs.push((path.clone(), format));
    }
    if let (Some(format), true) = (named, outputs.is_empty()) {
        outputs.push((PathBuf::from("-"), format));
    }
    Ok(Diff {
        base: args.base.clone(),
        new: args.new.clone(),
        outputs,
        force: args.force,
        scale: if args.normalize {
            Scale::Normalized
        } else {
            Scale::Seconds
        },
        selection: filters::selection(&args.filters)?,
        quiet: args.quiet,
    })
}

fn outputs(args: &SamplingArgs) -> Result<Outputs, RequestError> {
    let named = args.format.as_deref().map(Kind::from_name).transpose();
    let kind = named.map_err(RequestError::Format)?;
    let files = if args.output.is_empty() {
        Files::Default(kind.map_or_else(|| DEFAULT_KINDS.to_vec(), |kind| vec![kind]))
    } else {
        let mut files = named_outputs(&args.output, kind)?;
        for file in &mut files {
            file.pattern = Pattern::with_marks(&file.path)?;
        }
        Files::Named(files)
    };
    Ok(Outputs {
        files,
        drawing: drawing(&args.drawing)?,
        force: args.force,
        scratch: args.scratch,
    })
}

fn drawing(args: &DrawingArgs) -> Result<Drawing, RequestError> {
    let default = Drawing::default();
    let percent = |text: &Option<String>, default| text.as_deref().map_or(Ok(default), percent);
    Ok(Drawing {
        direction: if args.icicle {
            Direction::Down
        } else {
            Direction::Up
        },
        is_reversed: args.reversed,
        by_line: args.by_line,
        merges_processes: args.merge_processes,
        node_threshold_percent: percent(&args.node_thres, default.node_threshold_percent)?,
        edge_threshold_percent: percent(&args.edge_thres, default.edge_threshold_percent)?,
    })
}

fn percent(text: &str) -> Result<f64, RequestError> {
    match text.trim_end_matches('%').parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        _ => Err(RequestError::BadPercent(text.to_owned())),
    }
}

fn named_outputs(paths: &[PathBuf], kind: Option<Kind>) -> Result<Vec<Output>, RequestError> {
    let mut named: Vec<Output> = Vec::new();
    for path in paths {
        if named.iter().any(|output| &output.path == path) {
            return Err(RequestError::SameFileTwice(path.clone()));
        }
        named.push(output(path, kind)?);
    }
    Ok(named)
}

fn output(path: &Path, kind: Option<Kind>) -> Result<Output, RequestError> {
    let kind = match kind {
        Some(kind) => kind,
        None => Kind::from_path(path).map_err(|source| RequestError::Ending {
            path: path.to_owned(),
            source,
        })?,
    };
    Ok(Output {
        path: path.to_owned(),
        kind,
        pattern: None,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args::{Args, Command};

    /// What the words `rsamp …` ask for, or the error's text.
    fn build(line: &str) -> Result<String, String> {
        let args = Args::try_parse_from(line.split_whitespace())
            .map_err(|error| error.kind().to_string())?;
        let built = match args.command {
            Command::Record(args) => record(&args).map(|request| format!("{request:?}")),
            Command::Attach(args) => attach(&args).map(|request| format!("{request:?}")),
            Command::Dump(args) => dump(&args).map(|request| format!("{request:?}")),
            Command::Report(args) => report(&args).map(|request| format!("{request:?}")),
            Command::Diff(args) => diff(&args).map(|request| format!("{request:?}")),
            Command::OnNode(args) => on_node(&args).map(|request| format!("{request:?}")),
            Command::ReadSources
            | Command::ReadImages
            | Command::ReadLegacy { .. }
            | Command::Completions(_) => Ok(String::new()),
        };
        built.map_err(|error| format!("{:#}", anyhow::Error::new(error)))
    }

    #[test]
    fn a_right_line_becomes_a_request() {
        let table: &[(&str, &[&str])] = &[
            (
                "rsamp record -- python x.py -o y",
                &[r#"["python", "x.py", "-o", "y"]"#, "rate: Auto"],
            ),
            (
                "rsamp record python x.py -r 5",
                &[r#"["python", "x.py", "-r", "5"]"#, "rate: Auto"],
            ),
            (
                "rsamp record -r 0.5 -d 2.5 x",
                &[
                    "rate: Fixed(0.5), max_overhead: None",
                    "duration: Some(2.5s)",
                    r#"["x"]"#,
                ],
            ),
            ("rsamp record -- -odd-name", &[r#"["-odd-name"]"#]),
            (
                "rsamp record x",
                &[
                    "Default([Recording, Export(FlameGraph), Export(Pstats)])",
                    "force: false",
                    "OwnTerminal",
                    "quiet: false",
                ],
            ),
            ("rsamp record -f folded x", &["Default([Export(Folded)])"]),
            (
                "rsamp record --force --quiet x",
                &["force: true", "Never", "quiet: true"],
            ),
            ("rsamp record --progress x", &["AnyTerminal"]),
            (
                "rsamp record -o a.svg -o b.pstats x",
                &[
                    r#"Named([Output { path: "a.svg", kind: Export(FlameGraph), pattern: None }, Output { path: "b.pstats", kind: Export(Pstats), pattern: None }])"#,
                ],
            ),
            (
                "rsamp record -o a.svg -o b -f folded x",
                &[
                    r#""a.svg", kind: Export(Folded)"#,
                    r#""b", kind: Export(Folded)"#,
                ],
            ),
            (
                "rsamp record --icicle --reversed --by-line --node-thres 2.5% --edge-thres 0 x",
                &[
                    "direction: Down, is_reversed: true, by_line: true",
                    "node_threshold_percent: 2.5, edge_threshold_percent: 0.0",
                ],
            ),
            (
                "rsamp record --by-line --merge-lines x",
                &["direction: Up, is_reversed: false, by_line: false"],
            ),
            (
                "rsamp record -f SVG -o - x",
                &[r#""-", kind: Export(FlameGraph)"#],
            ),
            ("rsamp attach 42", &["pid: Pid(42)", "AnyTerminal"]),
            (
                "rsamp attach --pid 42 -d 3 -o a.txt",
                &["pid: Pid(42)", "duration: Some(3s)", "kind: Export(Text)"],
            ),
            ("rsamp attach -p 42 -q", &["pid: Pid(42)", "Never"]),
            (
                "rsamp attach 42 -d 3",
                &["pid: Pid(42)", "duration: Some(3s)"],
            ),
            ("rsamp attach -r 1000000 42", &["Fixed(1000000.0)"]),
            ("rsamp attach -r 1e9 42", &["Fixed(1000000000.0)"]),
            (
                "rsamp attach -r auto 42",
                &["rate: Auto, max_overhead: Some(0.01)"],
            ),
            (
                "rsamp attach --max-overhead 0.5 42",
                &["rate: Auto, max_overhead: Some(0.005)"],
            ),
            (
                "rsamp attach -r 100 --max-overhead 100% 42",
                &["rate: Fixed(100.0), max_overhead: Some(1.0)"],
            ),
            (
                "rsamp record -o a.rsamp --env A --env B --no-source x",
                &[
                    "kind: Recording",
                    r#"environment: ["A", "B"], source: false"#,
                ],
            ),
            (
                "rsamp record -f rsamp x",
                &["Default([Recording])", "source: true"],
            ),
            (
                "rsamp report a.rsamp b",
                &[r#"inputs: ["a.rsamp", "b"]"#, "outputs: None"],
            ),
            (
                "rsamp report a -f folded",
                &[r#"path: "-", kind: Export(Folded)"#],
            ),
            (
                "rsamp report a --mode gil --from 1.5 --to 2",
                &["view: Gil", "Nanos(1500000000)", "Nanos(2000000000)"],
            ),
            (
                "rsamp report a --thread 7 --thread io-* --process run.py --no-stdlib --hide */np/*",
                &[
                    "threads: [Number(7), Pattern(",
                    "processes: [Pattern(",
                    "hidden: [StandardLibrary, Files(",
                ],
            ),
            (
                "rsamp report a --function ^f --focus g$ --no-importlib",
                &[
                    "function: Some(Regex(\"^f\")), focus: Some(Regex(\"g$\"))",
                    "hidden: [ImportSystem]",
                ],
            ),
            (
                "rsamp diff a b",
                &["outputs: []", "scale: Seconds", "view: Wall"],
            ),
            (
                "rsamp diff a b -o c.svg -o d.CSV --normalize --mode cpu",
                &[
                    r#"("c.svg", FlameGraph), ("d.CSV", Csv)"#,
                    "scale: Normalized",
                    "view: Cpu",
                ],
            ),
            (
                "rsamp report a.rsamp --lines field greens --top 3",
                &[
                    r#"inputs: ["a.rsamp"]"#,
                    r#"lines: Some(["field", "greens"]), memory: None, top: 3"#,
                ],
            ),
            (
                "rsamp report --lines --memory f a.rsamp b.RSAMP",
                &[
                    r#"inputs: ["a.rsamp", "b.RSAMP"]"#,
                    r#"lines: Some([]), memory: Some(["f"]), top: 5, with_confidence: false"#,
                ],
            ),
            ("rsamp report a --ci", &["with_confidence: true"]),
            ("rsamp diff a b -f json", &[r#"("-", Json)"#]),
            ("rsamp dump --json 42", &["Pid(42)", "Json"]),
            ("rsamp dump --pid=42", &["Pid(42)", "Text"]),
        ];
        for (line, expected) in table {
            let built = build(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            for part in *expected {
                assert!(built.contains(part), "{line}: no {part} in {built}");
            }
        }
    }

    #[test]
    fn a_wrong_line_says_why() {
        let table = [
            ("rsamp record --pid 42 -- python x.py", "takes no --pid"),
            ("rsamp record --pid 42", "takes no --pid"),
            (
                "rsamp attach --pid 42 -- python x.py",
                "takes no command: python x.py",
            ),
            (
                "rsamp attach 42 python x.py",
                "takes no command: python x.py",
            ),
            (
                "rsamp dump 42 43",
                "`dump` reads a running process and takes no command: 43",
            ),
            ("rsamp attach 0", "\"0\" is no process id"),
            ("rsamp attach -- -42", "\"-42\" is no process id"),
            ("rsamp attach --pid -42", "\"-42\" is no process id"),
            ("rsamp attach scatter.py", "\"scatter.py\" is no process id"),
            (
                "rsamp attach 99999999999",
                "\"99999999999\" is no process id",
            ),
            (
                "rsamp record -r 0 x",
                "\"0\" is no rate: samples per second, from 0.001 to 1000000000, or auto",
            ),
            ("rsamp record -r -5 x", "\"-5\" is no rate"),
            ("rsamp record -r NaN x", "\"NaN\" is no rate"),
            ("rsamp record -r inf x", "\"inf\" is no rate"),
            ("rsamp record -r 1000000001 x", "\"1000000001\" is no rate"),
            ("rsamp record --rate= x", "\"\" is no rate"),
            ("rsamp record -r 1e-300 x", "\"1e-300\" is no rate"),
            ("rsamp record -r fast x", "\"fast\" is no rate"),
            (
                "rsamp record --max-overhead 0 x",
                "\"0\" is no overhead: per cent of one core, above 0 and up to 100",
            ),
            ("rsamp record --max-overhead -1 x", "\"-1\" is no overhead"),
            (
                "rsamp record --max-overhead 101 x",
                "\"101\" is no overhead",
            ),
            (
                "rsamp record --max-overhead NaN x",
                "\"NaN\" is no overhead",
            ),
            (
                "rsamp record --max-overhead inf x",
                "\"inf\" is no overhead",
            ),
            (
                "rsamp record --max-overhead low x",
                "\"low\" is no overhead",
            ),
            ("rsamp record -d 0 x", "\"0\" is no duration"),
            ("rsamp record -d -1 x", "\"-1\" is no duration"),
            ("rsamp record -d NaN x", "\"NaN\" is no duration"),
            ("rsamp record -d 1e300 x", "\"1e300\" is no duration"),
            ("rsamp record -d 1e-300 x", "\"1e-300\" is no duration"),
            (
                "rsamp record -o a.gif x",
                "choose a format for \"a.gif\": unknown ending .gif: known are .rsamp, .svg (flamegraph), .pstats",
            ),
            (
                "rsamp record -o a x",
                "\"a\": no ending that names a format",
            ),
            (
                "rsamp record -f gif x",
                "--format: unknown format gif: known are .rsamp, .svg (flamegraph)",
            ),
            (
                "rsamp record -o a.svg -o a.svg x",
                "\"a.svg\" is named twice",
            ),
            ("rsamp record --output= -f svg x", "isn't valid"),
            (
                "rsamp report a -o b.svg -o -",
                "no ending that names a format",
            ),
            ("rsamp report a -f gif", "unknown format gif: known are"),
            ("rsamp report", "required"),
            ("rsamp report --lines f", "no recording to report on"),
            ("rsamp report a --top 0", "--top: \"0\" is no number"),
            ("rsamp report a --top -1", "--top: \"-1\" is no number"),
            ("rsamp report a --mode user", "isn't valid"),
            (
                "rsamp report a --from -1",
                "--from: \"-1\" is no time: seconds since the start, from 0 to 1000000000",
            ),
            ("rsamp report a --to NaN", "--to: \"NaN\" is no time"),
            (
                "rsamp report a --from 2 --to 2",
                "nothing lies between --from 2 and --to 2",
            ),
            (
                "rsamp report a --function (",
                "--function: \"(\" is no regular expression: regex parse error",
            ),
            ("rsamp report a --hide [x", "--hide: \"[x\" is no pattern"),
            ("rsamp diff a", "required"),
            (
                "rsamp diff a b -o c.pstats",
                "choose a format for the diff: a diff cannot be written as \"c.pstats\"",
            ),
            ("rsamp diff a b -o c.svg -o c.svg", "is named twice"),
            ("rsamp record --env A=1 x", "\"A=1\" is no name"),
            (
                "rsamp record --node-thres 101 x",
                "\"101\" is no threshold: percent, from 0 to 100",
            ),
            ("rsamp record --edge-thres -1 x", "\"-1\" is no threshold"),
            ("rsamp report a --edge-thres -1", "\"-1\" is no threshold"),
            ("rsamp record --edge-thres NaN x", "\"NaN\" is no threshold"),
            ("rsamp record", "required"),
            ("rsamp attach", "required"),
            ("rsamp record --progress --quiet x", "cannot be used with"),
        ];
        for (line, expected) in table {
            let error = build(line).expect_err(line);
            assert!(
                error.contains(expected),
                "{line}: no {expected:?} in {error:?}"
            );
        }
    }
}
