//! Turns the words of the command line into [`Args`]: each value by itself is right, not yet all of them together.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Parser, Subcommand};
use clap_complete::Shell;
use glob::Pattern;
use regex::Regex;

use crate::export::diff::DiffFormat;
use crate::launch::{JobName, LauncherChoice};
use crate::native::classes::Classes;
use crate::process::Pid;
use crate::profile::diff::Limit;
use crate::profile::event::Nanos;
use crate::profile::filter::{Name, Ranks, StepName};
use crate::run::outputs::Kind;
use crate::run::request::{ColourChoice, Saying};
use crate::sampler::{NativeRate, Rate};
use values::States;

mod values;

mod texts;

pub use texts::Topic;
pub use values::pid;

/// A sampling profiler for Python that works from outside the process.
///
/// rsamp does not modify the program or inject code into it. It pauses the running thread for some samples, where
/// the stack changes too fast to be copied, for at most 0.5 % of the time.
#[derive(Debug, Parser)]
#[command(
    name = "rsamp",
    version,
    long_version = texts::VERSION,
    arg_required_else_help = true,
    subcommand_required = true,
    disable_help_flag = true,
    disable_help_subcommand = true,
    max_term_width = 80,
    after_help = texts::EXAMPLES,
)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// Print help
    #[arg(long, short, global = true, action = clap::ArgAction::HelpShort, help_heading = "Other")]
    pub help: Option<bool>,
}

/// What rsamp can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a program and profile it
    #[command(override_usage = "rsamp record [OPTIONS] [--] COMMAND [ARG]...", after_help = texts::RECORD, after_long_help = texts::record_notes())]
    Record(RecordArgs),
    /// Profile a running process
    #[command(override_usage = "rsamp attach [OPTIONS] [[--pid] PID | --job JOB]", after_help = texts::ATTACH, after_long_help = texts::attach_notes())]
    Attach(AttachArgs),
    /// Watch a running process, as top does: functions, lines and threads
    #[command(override_usage = "rsamp top [OPTIONS] [[--pid] PID]", after_help = texts::TOP, after_long_help = texts::top_notes())]
    Top(TopArgs),
    /// Show a recording, or convert it to other formats
    #[command(override_usage = "rsamp report [OPTIONS] FILE...", after_help = texts::REPORT, after_long_help = texts::report_notes())]
    Report(ReportArgs),
    /// Compare two recordings: what became slower or faster beyond noise
    #[command(override_usage = "rsamp diff [OPTIONS] BASE NEW", after_help = texts::DIFF, after_long_help = texts::diff_notes())]
    Diff(DiffArgs),
    /// Print the stack of every Python thread of a running process, once
    #[command(override_usage = "rsamp dump [OPTIONS] [[--pid] PID | --job JOB]", after_help = texts::DUMP, after_long_help = texts::dump_notes())]
    Dump(DumpArgs),
    /// What rsamp starts on each node for `--job`; there it tells what it finds to the rsamp that was typed.
    #[command(hide = true)]
    OnNode(OnNodeArgs),
    /// What reads source files for rsamp, with the rights of the programs that name them.
    #[command(hide = true)]
    ReadSources,
    /// What looks into mapped files for rsamp that are on file systems that may stall.
    #[command(hide = true)]
    ReadImages,
    /// What looks into the symbols of mapped files for rsamp.
    #[command(hide = true)]
    ReadSymbols,
    /// What reads the interpreters before 3.6 for rsamp.
    #[command(hide = true)]
    ReadLegacy {
        /// The process.
        pid: i32,
    },
    /// Print a completion script for a shell
    #[command(after_help = texts::COMPLETIONS)]
    Completions(CompletionsArgs),
    /// What writes the man pages that come with rsamp.
    #[command(hide = true)]
    ManPages {
        /// The folder to write them into; it exists.
        folder: PathBuf,
    },
    /// Explain a command with all its options, or a topic
    #[command(after_help = texts::HELP)]
    Help(HelpArgs),
}

/// The word behind `rsamp help`.
#[derive(Debug, ClapArgs)]
pub struct HelpArgs {
    /// A command, or one of: formats, ranks, exit-codes
    #[arg(value_name = "TOPIC", value_enum, hide_possible_values = true)]
    pub topic: Option<Topic>,
}

/// The options of `rsamp record`.
#[derive(Debug, ClapArgs)]
pub struct RecordArgs {
    #[command(flatten)]
    /// How to sample and what to write.
    pub sampling: SamplingArgs,

    /// Show progress even when the program's standard output is the same terminal
    ///
    /// Without this option, progress is drawn only when standard error is a terminal and standard
    /// output is not, because the program owns the terminal.
    #[arg(help_heading = None::<&str>, long, conflicts_with = "quiet")]
    pub progress: bool,

    /// What starts the ranks: auto (by its name), none, srun or mpirun
    ///
    /// rsamp knows the options of srun, mpirun, mpiexec, aprun, jsrun and torchrun, and puts itself before the
    /// program on every rank. Give `srun` or `mpirun` when the first word of the command takes the options of that
    /// launcher, and `none` to run the command as it is.
    #[arg(help_heading = None::<&str>, long, value_name = "LAUNCHER", value_enum, hide_possible_values = true)]
    pub launcher: Option<LauncherName>,

    /// Record only these ranks of a parallel program, as 0,7,100-110; may be given several times
    ///
    /// The other ranks run without rsamp.
    #[arg(
        help_heading = None::<&str>,
        long,
        value_name = "RANKS",
        value_delimiter = ',',
        value_parser = values::ranks,
        allow_hyphen_values = true
    )]
    pub ranks: Vec<Ranks>,

    /// Set by rsamp for the ranks: the folder for the rank's recording.
    #[arg(long, hide = true, value_name = "FOLDER")]
    pub gather: Option<PathBuf>,

    /// Set by rsamp for a batch job: the line where the script begins in the file that the command names.
    #[arg(long, hide = true, value_name = "LINE")]
    pub batch_script: Option<usize>,

    /// Never right here: asks to say that `attach` is meant.
    #[arg(
        long,
        short,
        hide = true,
        value_name = "PID",
        allow_hyphen_values = true
    )]
    pub pid: Option<String>,

    /// The program and its arguments, as you would type them without rsamp
    #[arg(
        help_heading = None::<&str>,
        value_name = "COMMAND",
        trailing_var_arg = true,
        required_unless_present = "pid"
    )]
    pub command: Vec<OsString>,
}

/// What starts the program on its ranks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LauncherName {
    /// The one whose name is the first word
    #[default]
    Auto,
    /// None
    None,
    /// One that reads its options as srun does
    Srun,
    /// One that reads its options as mpirun does
    Mpirun,
}

impl From<LauncherName> for LauncherChoice {
    fn from(name: LauncherName) -> LauncherChoice {
        match name {
            LauncherName::Auto => LauncherChoice::Auto,
            LauncherName::None => LauncherChoice::None,
            LauncherName::Srun => LauncherChoice::Srun,
            LauncherName::Mpirun => LauncherChoice::Mpirun,
        }
    }
}

/// The options of `rsamp attach`.
#[derive(Debug, ClapArgs)]
pub struct AttachArgs {
    /// Which process.
    #[command(flatten)]
    pub target: TargetArgs,

    /// How to sample and what to write.
    #[command(flatten)]
    pub sampling: SamplingArgs,
}

/// The options of `rsamp top`.
#[derive(Debug, ClapArgs)]
pub struct TopArgs {
    /// The process to watch
    #[arg(
        long = "pid",
        short = 'p',
        value_name = "PID",
        value_parser = values::pid,
        allow_hyphen_values = true
    )]
    pub pid: Option<Pid>,

    /// The process to watch, without --pid
    #[arg(value_name = "PID", allow_negative_numbers = true)]
    pub words: Vec<OsString>,

    /// The Python processes of this Slurm job, or of one step of it, that run on this node
    #[arg(long, value_name = "JOB[.STEP]", value_parser = values::job, conflicts_with_all = ["pid", "words"])]
    pub job: Option<JobName>,

    /// Show this many of the last seconds first: 1 to 60, or 0 for the whole time
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u8).range(0..=60), allow_hyphen_values = true)]
    pub window: u8,

    /// Which time to show first: wall (elapsed), cpu (on a CPU or ready to be), or gil (while holding it)
    #[arg(
        long,
        value_name = "MODE",
        value_enum,
        default_value_t,
        hide_possible_values = true
    )]
    pub mode: Mode,

    /// Show idle waits too: those of threads that wait for work
    #[arg(long)]
    pub idle: bool,

    /// Print text instead of a screen, once in each --window
    #[arg(long)]
    pub batch: bool,

    /// With --batch: stop after this many texts [default: when the program ends]
    #[arg(short = 'n', long, value_name = "N", requires = "batch", value_parser = values::count, allow_hyphen_values = true)]
    pub number: Option<usize>,

    /// Samples per second and thread, on average, or `auto` [default: auto]
    #[arg(help_heading = "Sampling", long, short, value_name = "HZ", value_parser = values::rate, allow_hyphen_values = true)]
    pub rate: Option<Rate>,

    /// Percentage of a core that rsamp may use [default: 5 for 10 seconds, then 1; none with --rate]
    #[arg(help_heading = "Sampling", long, value_name = "PERCENT", value_parser = values::overhead, allow_hyphen_values = true)]
    pub max_overhead: Option<f64>,

    /// Never pause a thread of the program, even if its stack changes too fast to be copied
    #[arg(help_heading = "Sampling", long)]
    pub never_stop: bool,

    /// Watch the program alone, without its child processes
    #[arg(help_heading = "Sampling", long)]
    pub no_children: bool,

    /// When to colour the screen: auto, always or never
    #[arg(
        long,
        value_name = "WHEN",
        value_enum,
        default_value_t,
        hide_possible_values = true,
        visible_alias = "colour"
    )]
    pub color: ColorWhen,
}

/// The options of `rsamp report`.
#[derive(Debug, ClapArgs)]
pub struct ReportArgs {
    /// Recordings; several become one report; `-` is standard input
    ///
    /// A pattern such as 'scatter-*.rsamp' that the shell left as it is stands for the files it matches.
    #[arg(value_name = "FILE", required_unless_present_any = ["lines", "memory"], value_hint = clap::ValueHint::FilePath)]
    pub files: Vec<PathBuf>,

    /// Print all that is known of the run
    ///
    /// Without this option, rsamp prints the first screen only.
    #[arg(long)]
    pub full: bool,

    /// When to colour what is printed
    #[arg(
        long,
        value_name = "WHEN",
        value_enum,
        default_value_t,
        visible_alias = "colour"
    )]
    pub color: ColorWhen,

    /// What to print in the place of the summary.
    #[command(flatten, next_help_heading = "Tables")]
    pub tables: TableArgs,

    /// Write this file; may be given several times
    ///
    /// The ending chooses the format, as for `rsamp record`: .rsamp is one recording of what the filters leave of
    /// all. `-` is standard output and needs --format.
    #[arg(help_heading = None::<&str>, long, short, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub output: Vec<PathBuf>,

    /// Write every file in this format
    ///
    /// Without --output, to standard output.
    #[arg(help_heading = None::<&str>, long, short, value_name = "FORMAT", value_parser = values::kind(), hide_possible_values = true)]
    pub format: Option<Kind>,

    /// Write one HTML page and open it in the browser
    ///
    /// Over ssh, rsamp prints the command that copies the page to your machine. Without --output the page is NAME-PID.html.
    #[arg(help_heading = None::<&str>, long, conflicts_with = "format")]
    pub open: bool,

    /// Keep an HTML page below this size [default: 64M]
    ///
    /// Such as 500K, 5M or 1G. The time axis of the page gets coarser, and times stay exact. The page says how long a
    /// step of the axis is.
    #[arg(help_heading = None::<&str>, long, value_name = "SIZE", value_parser = values::size, allow_hyphen_values = true, hide_short_help = true)]
    pub max_size: Option<u64>,

    /// How graphs are drawn.
    #[command(flatten, next_help_heading = "Drawing")]
    pub drawing: DrawingArgs,

    /// Replace write-protected files
    #[arg(help_heading = None::<&str>, long)]
    pub force: bool,

    /// Print errors only, not what was written
    #[arg(help_heading = None::<&str>, long, short)]
    pub quiet: bool,

    /// What to show.
    #[command(flatten, next_help_heading = "Filters")]
    pub filters: FilterArgs,

    /// Which native functions.
    #[command(flatten, next_help_heading = "Filters")]
    pub native_shown: NativeArgs,

    /// Only this class of native work (blas, mpi, io …)
    ///
    /// May be given several times. A class includes its parts: mpi includes mpi-io. docs/native.md has the table.
    #[arg(long, value_name = "CLASS", help_heading = "Filters")]
    pub class: Vec<String>,

    /// Folder of debug files, to name native functions
    ///
    /// rsamp finds a file by build id (.build-id/ab/cdef.debug), or by the path or name of the library.
    #[arg(long, value_name = "FOLDER", help_heading = "Filters", value_hint = clap::ValueHint::DirPath)]
    pub symbols: Option<PathBuf>,
}

/// What to print in the place of the summary.
#[derive(Debug, Default, ClapArgs)]
pub struct TableArgs {
    /// Print a call tree of your own functions; calls into a library are one line
    #[arg(long)]
    pub tree: bool,

    /// Print functions line by line, as line_profiler does: these, or the hottest ones
    ///
    /// NAME is a function (Solver.solve, or solve) or a file (scatter.py: all its functions). A word that
    /// ends in .rsamp is a recording.
    #[arg(long, value_name = "NAME", num_args = 0..)]
    pub lines: Option<Vec<String>>,

    /// Print line by line how memory grew and shrank, as memory_profiler does: in these functions, or in those
    /// that probably retain most
    #[arg(long, value_name = "NAME", num_args = 0..)]
    pub memory: Option<Vec<String>>,

    /// Print the time of each asyncio task
    ///
    /// Under its name, or under the function of its coroutine if only asyncio named it.
    #[arg(long)]
    pub tasks: bool,

    /// How many functions --lines and --memory print if you name none [default: 5]
    #[arg(long, value_name = "N", value_parser = values::count, allow_hyphen_values = true)]
    pub top: Option<usize>,

    /// With --lines: print all lines and all columns
    #[arg(long)]
    pub wide: bool,

    /// Print the 95 % confidence interval of each share
    #[arg(long)]
    pub ci: bool,
}

/// The options of `rsamp diff`.
#[derive(Debug, ClapArgs)]
pub struct DiffArgs {
    /// The recording before
    ///
    /// A pattern such as 'before-*.rsamp' in quotes stands for all the recordings it matches, together.
    #[arg(value_name = "BASE", value_hint = clap::ValueHint::FilePath)]
    pub base: PathBuf,

    /// The recording after
    #[arg(value_name = "NEW", value_hint = clap::ValueHint::FilePath)]
    pub new: PathBuf,

    /// Write this file; may be given several times
    ///
    /// The ending chooses the format: .svg flame graph coloured by what differs, .html page with both recordings, .txt
    /// tables, .csv, .json. `-` is standard output and needs --format. Without this option the tables go to
    /// standard output.
    #[arg(long, short, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub output: Vec<PathBuf>,

    /// Write every file in this format
    ///
    /// Without --output, to standard output.
    #[arg(long, short, value_name = "FORMAT", value_parser = values::diff_format(), hide_possible_values = true)]
    pub format: Option<DiffFormat>,

    /// Compare shares: scale BASE to the time of NEW
    #[arg(long)]
    pub normalize: bool,

    /// Exit with 8 when NEW is slower than BASE by more than this, such as +5%; may be given several times
    ///
    /// +5%: the time of all threads. solve:+5%: the total time of functions named solve (or Solver.solve; * and ? as in a
    /// shell), each compared with its own time in BASE. A growth counts only when it is more than the noise of sampling. The
    /// verdict is printed to standard error, and is in the JSON.
    #[arg(long, value_name = "LIMIT", value_parser = values::limit)]
    pub fail_if: Vec<Limit>,

    /// Replace write-protected files
    #[arg(long)]
    pub force: bool,

    /// Print errors only, not what was written
    #[arg(long, short)]
    pub quiet: bool,

    /// What to compare.
    #[command(flatten, next_help_heading = "Filters")]
    pub filters: FilterArgs,
}

/// What of a recording to show.
#[derive(Debug, Default, ClapArgs)]
pub struct FilterArgs {
    /// Which time of which threads.
    #[command(flatten, next_help_heading = "Filters")]
    pub shown: ShownArgs,

    /// Only this process; may be given several times
    ///
    /// By process id, number, the file name of a word of its command line, or the whole of that (* and
    /// ? as in a shell).
    #[arg(long, value_name = "PROCESS", value_parser = values::name)]
    pub process: Vec<Name>,

    /// Only time in this state, such as gil, disk, native; may be given several times
    ///
    /// python (running it, with the GIL), collecting (garbage), native (running without the GIL), gil
    /// (waiting for it), ready (waiting for a CPU), lock, sleep, disk, network, pipe, child (waiting for
    /// one), waiting (for something else), unknown; blocked: any wait but those for the GIL and a CPU.
    #[arg(
        long,
        value_name = "STATE",
        value_delimiter = ',',
        value_parser = values::states(),
        hide_possible_values = true
    )]
    pub state: Vec<States>,

    /// Only these ranks of a parallel program, as 3 or 0-3,7; may be given several times
    #[arg(
        long,
        value_name = "RANKS",
        value_delimiter = ',',
        value_parser = values::ranks,
        allow_hyphen_values = true
    )]
    pub rank: Vec<Ranks>,

    /// Only these steps of a job, or launches, as 42.3, 3 or 'mpirun-*'; may be given several times
    ///
    /// Ranks are compared within one step: one `srun` or `mpirun`. The summary names the steps there are.
    #[arg(long, value_name = "STEP", value_parser = values::step)]
    pub step: Vec<StepName>,

    /// Only while this asyncio task ran
    ///
    /// May be given several times. By name (* and ? as in a shell), or by the function of its coroutine if the program gave
    /// it no name.
    #[arg(long, value_name = "NAME", value_parser = values::name_pattern)]
    pub task: Vec<Pattern>,

    /// Skip everything before this time since the start
    #[arg(long, value_name = "SECONDS", value_parser = values::moment, allow_hyphen_values = true)]
    pub from: Option<Nanos>,

    /// Skip everything after this time since the start
    #[arg(long, value_name = "SECONDS", value_parser = values::moment, allow_hyphen_values = true)]
    pub to: Option<Nanos>,

    /// Only stacks with a function whose name matches
    #[arg(long, value_name = "REGEX", value_parser = values::regex)]
    pub function: Option<Regex>,

    /// Only the outermost function whose name matches, and what it calls
    #[arg(long, value_name = "REGEX", value_parser = values::regex)]
    pub focus: Option<Regex>,

    /// Hide the frames of Python's standard library; their callers get their time
    #[arg(long)]
    pub no_stdlib: bool,

    /// Hide the frames of files whose path matches ('*/numpy/*'); may be given several times
    #[arg(long, value_name = "PATTERN", value_parser = values::path_pattern)]
    pub hide: Vec<Pattern>,
}

/// Which time to show of which threads.
#[derive(Debug, Default, ClapArgs)]
pub struct ShownArgs {
    /// Which time to show: wall (elapsed), cpu (on a CPU or ready to be), or gil (while holding it)
    #[arg(
        long,
        value_name = "MODE",
        value_enum,
        default_value_t,
        hide_possible_values = true
    )]
    pub mode: Mode,

    /// Show idle waits too: those of threads that wait for work
    ///
    /// Without this option rsamp shows all time of the main thread of each process. Of other threads it leaves out the
    /// waits for a lock, a time, the network, a pipe or a child. It leaves out the main thread's waits too if that
    /// thread waits for requests, for tasks of a pool, or waits 99 % of the time. One line says how much is left
    /// out. A recording and files with a time axis hold everything.
    #[arg(long)]
    pub idle: bool,

    /// Only this thread; may be given several times
    ///
    /// By name (* and ? as in a shell), thread id, or number in order of appearance, from 0.
    #[arg(long, value_name = "THREAD", value_parser = values::name)]
    pub thread: Vec<Name>,

    /// Show the frames of the import system, instead of one frame for each imported module
    #[arg(long)]
    pub imports: bool,

    /// What older command lines say: it is the default now.
    #[arg(long, hide = true)]
    pub no_importlib: bool,
}

/// How native functions are shown.
#[derive(Debug, Default, ClapArgs)]
pub struct NativeArgs {
    /// Native functions: libraries (default), all or none
    ///
    /// libraries: hide the functions of the interpreter and of the program's start. The recording always has all of them.
    #[arg(
        long,
        value_name = "SET",
        value_enum,
        default_value_t,
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub native_frames: NativeFramesArg,

    /// Your own table of classes of native work, before rsamp's (docs/native.md)
    #[arg(long, value_name = "FILE", value_parser = values::classes, value_hint = clap::ValueHint::FilePath, hide = true)]
    pub classes: Option<Classes>,
}

/// Which time to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Mode {
    /// Elapsed time, whether a thread ran or waited
    #[default]
    Wall,
    /// Time on a CPU, or waiting for one
    Cpu,
    /// Time with the GIL
    Gil,
}

/// The options of `rsamp dump`.
#[derive(Debug, ClapArgs)]
pub struct DumpArgs {
    /// Which process.
    #[command(flatten)]
    pub target: TargetArgs,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    /// Show asyncio tasks and what each waits for, instead of threads
    #[arg(long, conflicts_with = "native")]
    pub tasks: bool,

    /// Show native functions (C, C++, Fortran …) of waiting threads, and threads that run no Python
    ///
    /// rsamp stops no thread for this. Of a running thread you see the Python functions only.
    #[arg(long)]
    pub native: bool,

    /// Which native functions to show
    #[arg(
        long,
        value_name = "WHICH",
        value_enum,
        default_value_t,
        requires = "native"
    )]
    pub native_frames: NativeFramesArg,
}

/// What is behind `--native-frames`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum NativeFramesArg {
    /// Those of libraries and extension modules, without the interpreter's own
    #[default]
    Libraries,
    /// All
    All,
    /// None
    None,
}

/// What `rsamp on-node` is told by another rsamp.
#[derive(Debug, ClapArgs)]
pub struct OnNodeArgs {
    /// The step of the job that this runs in; all when there is none.
    #[arg(long, value_name = "STEP")]
    pub step: Option<String>,

    /// `dump`, or `attach` and its options.
    #[arg(
        value_name = "COMMAND",
        trailing_var_arg = true,
        allow_hyphen_values = true,
        required = true
    )]
    pub words: Vec<OsString>,
}

/// The options of `rsamp completions`.
#[derive(Debug, ClapArgs)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// A running process, named with or without `--pid`.
#[derive(Debug, ClapArgs)]
pub struct TargetArgs {
    /// The process to read
    #[arg(
        long = "pid",
        short = 'p',
        value_name = "PID",
        value_parser = values::pid,
        allow_hyphen_values = true
    )]
    pub pid: Option<Pid>,

    /// The process to read, without --pid
    #[arg(value_name = "PID", allow_negative_numbers = true)]
    pub words: Vec<OsString>,

    /// All Python processes of this running Slurm job, or of one step of it, on all its nodes
    #[arg(long, value_name = "JOB[.STEP]", value_parser = values::job, conflicts_with_all = ["pid", "words"])]
    pub job: Option<JobName>,
}

/// How to sample and what to write.
#[derive(Debug, Default, ClapArgs)]
pub struct SamplingArgs {
    /// Write this file; may be given several times
    ///
    /// The ending chooses the format: .rsamp the recording, .svg flame graph, .pstats, .json and others: see rsamp
    /// help formats. `-` is standard output and needs --format. Without this option NAME-PID.rsamp, NAME-PID.svg and
    /// NAME-PID.pstats are written into the current folder.
    #[arg(long, short, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub output: Vec<PathBuf>,

    /// Write every file in this format
    ///
    /// Without --output, NAME-PID with the ending of this format is the one file written.
    #[arg(long, short, value_name = "FORMAT", value_parser = values::kind(), hide_possible_values = true)]
    pub format: Option<Kind>,

    /// Write into $TMPDIR first, and copy at the end
    ///
    /// For folders on a network file system. The recording that grows while the program runs is
    /// $TMPDIR/rsamp-PID-NAME until then; when rsamp is killed it is left there.
    #[arg(long)]
    pub scratch: bool,

    /// How graphs are drawn.
    #[command(flatten, next_help_heading = "Drawing")]
    pub drawing: DrawingArgs,

    /// What the files and the summary show.
    #[command(flatten, next_help_heading = "Filters")]
    pub shown: ShownArgs,

    /// Which native functions.
    #[command(flatten)]
    pub native_shown: NativeArgs,

    /// Samples per second and thread, on average, or `auto` [default: auto]
    ///
    /// `auto` starts at 1000 and goes down as the run gets longer: 500 after a minute, 250 after 5, 100 after 20,
    /// 50 after 2 hours. It also goes down to keep --max-overhead, but not below 50. Times stay right at any rate:
    /// each sample stands for the time that rsamp measured. If the machine can't reach a rate that you give, the
    /// summary says which rate it reached. Up to 10000 rsamp sleeps between samples; above, it takes a whole core.
    #[arg(help_heading = "Sampling", long, short, value_name = "HZ", value_parser = values::rate, allow_hyphen_values = true)]
    pub rate: Option<Rate>,

    /// Percentage of a core that rsamp may use [default: 5 for 10 seconds, then 1; none with --rate]
    ///
    /// rsamp samples less often when it uses more. With a number as --rate there is no limit unless you give one.
    ///
    /// The limit counts over the whole recording, the start included. The rate goes down to 50 samples a second at the
    /// lowest (with several processes: 50 of all together, and 5 of each), and goes up again when there is room. If
    /// rsamp used more, the summary says for what: a short run can't make up for the start.
    #[arg(help_heading = "Sampling", long, value_name = "PERCENT", value_parser = values::overhead, allow_hyphen_values = true)]
    pub max_overhead: Option<f64>,

    /// Stop sampling after this many seconds (such as 2.5); the program runs on
    #[arg(help_heading = "Sampling", long, short, value_name = "SECONDS", value_parser = values::seconds, allow_hyphen_values = true)]
    pub duration: Option<Duration>,

    /// Start sampling after this many seconds of the program's run; --duration counts from then
    #[arg(help_heading = "Sampling", long, value_name = "SECONDS", value_parser = values::seconds, allow_hyphen_values = true)]
    pub delay: Option<Duration>,

    /// Start recording when a thread is in this function (Solver.solve, or solve)
    ///
    /// rsamp discards the samples before that. Times still count from the start of the run.
    #[arg(help_heading = "Sampling", long, value_name = "FUNCTION", value_parser = values::function)]
    pub start_at: Option<String>,

    /// Stop sampling when a thread is in this function (after --start-at); the program runs on
    #[arg(help_heading = "Sampling", long, value_name = "FUNCTION", value_parser = values::function)]
    pub stop_at: Option<String>,

    /// Never pause a thread of the program
    ///
    /// Some stacks change too fast to be copied. If that is so for more than 1 % of the samples of a thread, rsamp pauses the
    /// thread for some samples, for at most 0.5 % of the time. With this option it completes those samples as well as
    /// possible, and counts them as undetermined. rsamp pauses Python 2.7 and 3.3 to 3.5 for every sample: with this
    /// option many of their stacks are wrong.
    #[arg(help_heading = "Sampling", long, conflicts_with = "always_stop")]
    pub never_stop: bool,

    /// Show native functions too [default rate: 100]
    ///
    /// Functions of C, C++, Fortran and others, and threads that run no Python. rsamp pauses a running thread for 20 to
    /// 100 microseconds; all threads of a process together for at most 0.5 % of the time, unless you give a number. With
    /// --never-stop only waiting threads have native frames.
    #[arg(help_heading = "Sampling", long, value_name = "HZ", num_args = 0..=1, require_equals = true, default_missing_value = "auto", value_parser = values::native_rate)]
    pub native: Option<NativeRate>,

    /// Profile the program alone, without its child processes
    ///
    /// Without this option rsamp samples all descendants of the program as soon as they run Python, in one profile and at
    /// the same rate. --max-overhead counts all of them together. rsamp misses processes that live less than about
    /// 15 ms, and only counts those that run no Python.
    #[arg(help_heading = "Sampling", long)]
    pub no_children: bool,

    /// Pause the running thread for every sample: slow, to check the default
    ///
    /// rsamp does not pause waiting threads: a paused wait (epoll_wait, semop, …) could return early, with EINTR. A thread that
    /// starts to wait at that very moment may still see it. If another program traces the process (strace, gdb), rsamp can't
    /// pause it; the summary says so.
    #[arg(help_heading = "Sampling", long)]
    pub always_stop: bool,

    /// Keep this variable of the program's environment in the recording; may be given several times
    ///
    /// rsamp always keeps the job and the rank that Slurm and MPI set, and no other variable.
    #[arg(help_heading = "Sampling", long, value_name = "NAME", value_parser = values::variable)]
    pub env: Vec<String>,

    /// Keep a recording or HTML page below this size, such as 500K, 20M or 1G
    ///
    /// When a recording is full, rsamp merges equal samples that are close in time and halves the rate, as often as
    /// needed. Times stay exact, the time axis gets coarser. With several ranks the limit holds for each one's recording.
    #[arg(help_heading = "Sampling", long, value_name = "SIZE", value_parser = values::size, allow_hyphen_values = true)]
    pub max_size: Option<u64>,

    /// Keep no source text in the recording
    #[arg(help_heading = "Sampling", long)]
    pub no_source: bool,

    /// Overwrite existing files
    ///
    /// A file that is named with --output is overwritten without this option, unless it is
    /// write-protected.
    #[arg(help_heading = None::<&str>, long)]
    pub force: bool,

    /// Print no summary and no progress, only errors
    #[arg(help_heading = None::<&str>, long, short)]
    pub quiet: bool,

    /// Print all that is known of the run
    ///
    /// Threads, processes, rates, what was lost.
    #[arg(help_heading = None::<&str>, long, short, conflicts_with = "quiet")]
    pub verbose: bool,

    /// Print the time of each asyncio task too
    #[arg(help_heading = None::<&str>, long, conflicts_with = "quiet")]
    pub tasks: bool,

    /// When to colour the summary: auto, always or never
    #[arg(
        help_heading = None::<&str>,
        long,
        value_name = "WHEN",
        value_enum,
        default_value_t,
        hide_possible_values = true,
        visible_alias = "colour"
    )]
    pub color: ColorWhen,
}

impl SamplingArgs {
    /// What is said when the run is over.
    #[must_use]
    pub fn saying(&self) -> Saying {
        Saying {
            quiet: self.quiet,
            verbose: self.verbose,
            tasks: self.tasks,
            colour: self.color.into(),
        }
    }
}

/// When to colour text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ColorWhen {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl From<ColorWhen> for ColourChoice {
    fn from(when: ColorWhen) -> ColourChoice {
        match when {
            ColorWhen::Auto => ColourChoice::Auto,
            ColorWhen::Always => ColourChoice::Always,
            ColorWhen::Never => ColourChoice::Never,
        }
    }
}

/// How graphs are drawn.
#[derive(Debug, Default, ClapArgs)]
pub struct DrawingArgs {
    /// Flame graphs: grow up, as flames do, instead of down
    #[arg(long)]
    pub flames: bool,

    /// Flame graphs: grow down, as is the default
    #[arg(long, hide = true, overrides_with = "flames")]
    pub icicle: bool,

    /// Flame graphs: begin with the innermost functions
    ///
    /// Their callers come next.
    #[arg(long)]
    pub reversed: bool,

    /// Give each line of a function a frame of its own
    ///
    /// For all formats that draw stacks. By default flame graphs do so for your own code, and other formats for none.
    #[arg(long, overrides_with = "merge_lines")]
    pub by_line: bool,

    /// Give each function one frame, whatever its lines
    #[arg(long, overrides_with = "by_line")]
    pub merge_lines: bool,

    /// Flame graphs: keep threads apart (the threads of one pool stay together)
    #[arg(long)]
    pub by_thread: bool,

    /// Flame graphs: keep processes and ranks apart
    #[arg(long, overrides_with = "merge_processes")]
    pub by_process: bool,

    /// Flame graphs: add a level for each asyncio task
    ///
    /// The name of the task replaces the frames of the event loop.
    #[arg(long)]
    pub by_task: bool,

    /// Collapsed stacks: merge equal stacks of several processes, as flame graphs do
    #[arg(long)]
    pub merge_processes: bool,

    /// Call graphs: hide functions below this share of the time [default: 0.5]
    #[arg(long, value_name = "PERCENT", value_parser = values::percent, allow_hyphen_values = true)]
    pub node_thres: Option<f64>,

    /// Call graphs: hide calls below this share of the time [default: 0.1]
    #[arg(long, value_name = "PERCENT", value_parser = values::percent, allow_hyphen_values = true)]
    pub edge_thres: Option<f64>,
}
