//! What a run is asked for: which program or process, how to sample it, and which files to write.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::outputs::{Kind, Pattern};
use crate::export::{Drawing, Format};
use crate::launch::{JobName, LauncherChoice};
use crate::process::Pid;
use crate::profile::Mode;
use crate::profile::filter::{Name, Ranks, Selection};
use crate::run::work::NativeShown;
use crate::sampler::{Bounds, Budget, Children, NativeRate, Rate, Settings, StopPolicy};

/// The clock's resolution: a tick each nanosecond. No machine holds a thousandth of it.
pub const MAX_RATE_HZ: f64 = 1e9;

/// Native frames are read no more often than this, in hertz: a stop takes a twentieth of the time between two.
pub const MAX_NATIVE_HZ: f64 = 1000.0;
/// Less than one sample in 1000 seconds profiles nothing.
pub const MIN_RATE_HZ: f64 = 0.001;
/// About 31 years: far above any run, far below where time arithmetic overflows.
pub const MAX_DURATION_SECONDS: f64 = 1e9;

/// What is written when no file is named.
pub const DEFAULT_KINDS: &[Kind] = &[
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
    pub progress: ShowProgress,
    /// What is said of it.
    pub saying: Saying,
}

/// Where a program runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    /// Here, or where the launcher in the command starts it.
    AsTyped(LauncherChoice),
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
    pub progress: ShowProgress,
    /// What is said of it.
    pub saying: Saying,
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
    /// What is said of it.
    pub saying: Saying,
}

/// How to sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// How often; within [`MIN_RATE_HZ`] and [`MAX_RATE_HZ`].
    pub rate: Rate,
    /// What part of one core rsamp may use, above 0 and up to 1.
    pub budget: Budget,
    /// When to stop sampling; `None`: when the target ends.
    pub duration: Option<Duration>,
    /// How long the target runs before the sampling begins.
    pub delay: Option<Duration>,
    /// When a thread of the target may be stopped.
    pub stops: StopPolicy,
    /// Whether the processes that descend from the target are sampled too, and how orphans are found.
    pub children: Children,
    /// How often native frames are read; `None`: never.
    pub native: Option<NativeRate>,
}

impl Sampling {
    /// The same for the sampler; `start_timeout` is how long the process may take to start its interpreter, `None`: as long
    /// as it lives.
    #[must_use]
    pub fn settings(&self, start_timeout: Option<Duration>) -> Settings {
        Settings {
            rate: self.rate,
            budget: self.budget,
            duration: self.duration,
            delay: self.delay,
            start_timeout,
            stops: self.stops,
            children: self.children,
            beside: Vec::new(),
            native: self.native,
        }
    }
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

/// When text for a terminal is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColourChoice {
    /// Where the terminal and the environment allow it.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What is said when a run is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Saying {
    /// Whether nothing is.
    pub quiet: bool,
    /// Whether all that is known of the run is.
    pub verbose: bool,
    /// Whether the time of each asyncio task is, too.
    pub tasks: bool,
    /// When it is coloured.
    pub colour: ColourChoice,
}

/// When to draw a line of progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShowProgress {
    /// Never.
    Never,
    /// When standard error is a terminal that the profiled program does not write to.
    OwnTerminal,
    /// Whenever standard error is a terminal.
    AnyTerminal,
}

/// Which part of a run its outputs show. A recording holds all of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shown {
    /// Which time.
    pub mode: Mode,
    /// Whether idle waits are shown.
    pub idle_waits: bool,
    /// Which threads; empty: all.
    pub threads: Vec<Name>,
    /// Whether the frames of the import system are shown, instead of one frame for each imported module.
    pub imports: bool,
    /// How native frames are shown.
    pub native: NativeShown,
}

impl Shown {
    /// The same for a report.
    #[must_use]
    pub fn selection(&self) -> Selection {
        Selection {
            mode: self.mode,
            shows_idle_waits: self.idle_waits,
            threads: self.threads.clone(),
            folds_imports: !self.imports,
            ..Selection::default()
        }
    }
}

/// What to write.
#[derive(Debug, Clone, PartialEq)]
pub struct Outputs {
    /// Which files.
    pub files: Files,
    /// How graphs are drawn.
    pub drawing: Drawing,
    /// What is shown of a run; a report has filters of its own.
    pub shown: Shown,
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
