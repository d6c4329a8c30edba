//! Turns the words of the command line into [`Args`]: what was typed, not yet judged.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};
use clap_complete::Shell;

use crate::cli::errors::exit_code;
use crate::launch::LauncherChoice;

/// A sampling profiler for Python that works from outside the process.
///
/// rsamp does not modify the program or inject code into it. It pauses the running thread for some samples, where
/// the stack changes too fast to be copied, for at most 0.5 % of the time.
#[derive(Debug, Parser)]
#[command(
    name = "rsamp",
    version,
    arg_required_else_help = true,
    subcommand_required = true,
    max_term_width = 100,
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{}", exit_code::help()),
)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What rsamp can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a program and profile it
    #[command(override_usage = "rsamp record [OPTIONS] [--] COMMAND [ARG]...", after_help = RECORD_EXAMPLES, after_long_help = format!("{RECORD_EXAMPLES}\n\n{RECORD_NOTES}"))]
    Record(RecordArgs),
    /// Profile a running process
    #[command(override_usage = "rsamp attach [OPTIONS] <[--pid] PID | --job JOB>", after_help = ATTACH_EXAMPLES, after_long_help = format!("{ATTACH_EXAMPLES}\n\n{ATTACH_NOTES}"))]
    Attach(AttachArgs),
    /// Make reports of recordings
    #[command(override_usage = "rsamp report [OPTIONS] FILE...", after_help = REPORT_EXAMPLES, after_long_help = format!("{REPORT_EXAMPLES}\n\n{REPORT_NOTES}"))]
    Report(ReportArgs),
    /// Compare two recordings: what takes more or less time, and whether that is more than noise
    #[command(override_usage = "rsamp diff [OPTIONS] BASE NEW", after_help = DIFF_EXAMPLES, after_long_help = format!("{DIFF_EXAMPLES}\n\n{DIFF_NOTES}"))]
    Diff(DiffArgs),
    /// Print the stack of every Python thread of a running process, once
    #[command(override_usage = "rsamp dump [OPTIONS] <[--pid] PID | --job JOB>", after_help = DUMP_EXAMPLES, after_long_help = format!("{DUMP_EXAMPLES}\n\n{DUMP_NOTES}"))]
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
    /// What reads the interpreters before 3.6 for rsamp.
    #[command(hide = true)]
    ReadLegacy {
        /// The process.
        pid: i32,
    },
    /// Print a script that completes rsamp's commands and options in a shell
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions(CompletionsArgs),
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
    #[arg(long, conflicts_with = "quiet")]
    pub progress: bool,

    /// What starts the program on its ranks [default: known by its name]
    ///
    /// Of srun, mpirun, mpiexec, aprun, jsrun and torchrun rsamp knows the options, and puts itself before the
    /// program on every rank. `srun` and `mpirun`: the first word of the command reads its options as that one does.
    /// `none`: the command is run as it is.
    #[arg(long, value_name = "LAUNCHER", value_enum)]
    pub launcher: Option<LauncherName>,

    /// Record only these ranks of a parallel program, as 0,7,100-110; may be given several times
    ///
    /// On the other ranks the program runs alone: nothing is left of rsamp there.
    #[arg(
        long,
        value_name = "RANKS",
        value_delimiter = ',',
        allow_hyphen_values = true
    )]
    pub ranks: Vec<String>,

    /// Set by rsamp for the ranks: the folder for the rank's recording.
    #[arg(long, hide = true, value_name = "FOLDER")]
    pub gather: Option<PathBuf>,

    /// Set by rsamp for a batch job: the line where the script begins in the file that the command names.
    #[arg(long, hide = true, value_name = "LINE")]
    pub batch_script: Option<String>,

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
        value_name = "COMMAND",
        trailing_var_arg = true,
        allow_hyphen_values = true,
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

/// The options of `rsamp report`.
#[derive(Debug, ClapArgs)]
pub struct ReportArgs {
    /// Recordings; several become one report; `-` is standard input
    ///
    /// A pattern such as 'scatter-*.rsamp' that the shell left as it is stands for the files it matches.
    #[arg(value_name = "FILE", required_unless_present_any = ["lines", "memory"], value_hint = clap::ValueHint::FilePath)]
    pub files: Vec<PathBuf>,

    /// What to print in the place of the summary.
    #[command(flatten)]
    pub tables: TableArgs,

    /// Write this file; may be given several times
    ///
    /// The ending chooses the format, as for `rsamp record`: .rsamp is one recording of what the filters leave of
    /// all. `-` is standard output and needs --format.
    #[arg(long, short, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub output: Vec<PathBuf>,

    /// Write every file in this format, whatever its ending
    ///
    /// Without --output, to standard output.
    #[arg(long, short, value_name = "FORMAT")]
    pub format: Option<String>,

    /// How graphs are drawn.
    #[command(flatten)]
    pub drawing: DrawingArgs,

    /// Replace write-protected files
    #[arg(long)]
    pub force: bool,

    /// Do not say what was written; errors are still printed
    #[arg(long, short)]
    pub quiet: bool,

    /// What to show.
    #[command(flatten)]
    pub filters: FilterArgs,
}

/// What to print in the place of the summary.
#[derive(Debug, Default, ClapArgs)]
#[command(next_help_heading = "Tables")]
pub struct TableArgs {
    /// Print functions line by line, as line_profiler does: these, or the hottest
    ///
    /// NAME is a function (Solver.solve, or solve) or a file (scatter.py: all its functions). A word that
    /// ends in .rsamp is a recording.
    #[arg(long, value_name = "NAME", num_args = 0..)]
    pub lines: Option<Vec<String>>,

    /// Print how resident memory grew and shrank line by line, as memory_profiler does: in these
    /// functions, or where it changed most
    #[arg(long, value_name = "NAME", num_args = 0..)]
    pub memory: Option<Vec<String>>,

    /// How many functions --lines and --memory print when none is named [default: 5]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub top: Option<String>,

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
    /// The ending chooses the format: .svg flame graph coloured by what differs, .txt tables, .csv,
    /// .json. `-` is standard output and needs --format. Without this option the tables go to
    /// standard output.
    #[arg(long, short, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub output: Vec<PathBuf>,

    /// Write every file in this format, whatever its ending
    ///
    /// Without --output, to standard output.
    #[arg(long, short, value_name = "FORMAT")]
    pub format: Option<String>,

    /// Compare shares: scale BASE to the time of NEW
    #[arg(long)]
    pub normalize: bool,

    /// Replace write-protected files
    #[arg(long)]
    pub force: bool,

    /// Do not say what was written; errors are still printed
    #[arg(long, short)]
    pub quiet: bool,

    /// What to compare.
    #[command(flatten)]
    pub filters: FilterArgs,
}

/// What of a recording to show.
#[derive(Debug, Default, ClapArgs)]
#[command(next_help_heading = "Filters")]
pub struct FilterArgs {
    /// Which time of which threads.
    #[command(flatten)]
    pub shown: ShownArgs,

    /// Only this process; may be given several times
    ///
    /// By process id, number, the file name of a word of its command line, or the whole of that (* and
    /// ? as in a shell).
    #[arg(long, value_name = "PROCESS")]
    pub process: Vec<String>,

    /// Only while a thread did this, such as gil, disk, native; may be given several times
    ///
    /// python (running it, with the GIL), collecting (garbage), native (running without the GIL), gil
    /// (waiting for it), ready (waiting for a CPU), lock, sleep, disk, network, pipe, child (waiting for
    /// one), waiting (for something else), unknown; blocked: any wait but those for the GIL and a CPU.
    #[arg(long, value_name = "STATE", value_delimiter = ',')]
    pub state: Vec<String>,

    /// Only these ranks of a parallel program, as 3 or 0-3,7; may be given several times
    #[arg(
        long,
        value_name = "RANKS",
        value_delimiter = ',',
        allow_hyphen_values = true
    )]
    pub rank: Vec<String>,

    /// Only these steps of a job, or launches, as 42.3, 3 or 'mpirun-*'; may be given several times
    ///
    /// Ranks are compared within one step: one `srun` or `mpirun`. The summary names the steps there are.
    #[arg(long, value_name = "STEP")]
    pub step: Vec<String>,

    /// Skip everything before this time since the start
    #[arg(long, value_name = "SECONDS", allow_hyphen_values = true)]
    pub from: Option<String>,

    /// Only what lies before this time since the start
    #[arg(long, value_name = "SECONDS", allow_hyphen_values = true)]
    pub to: Option<String>,

    /// Only stacks with a function whose name matches
    #[arg(long, value_name = "REGEX")]
    pub function: Option<String>,

    /// Only the outermost function whose name matches and what it calls: its callers are cut off
    #[arg(long, value_name = "REGEX")]
    pub focus: Option<String>,

    /// Hide the frames of Python's standard library; their time is their callers'
    #[arg(long)]
    pub no_stdlib: bool,

    /// Hide the frames of files with such a path ('*/numpy/*'); may be given several times
    #[arg(long, value_name = "PATTERN")]
    pub hide: Vec<String>,
}

/// Which time to show of which threads.
#[derive(Debug, Default, ClapArgs)]
#[command(next_help_heading = "Filters")]
pub struct ShownArgs {
    /// Which time to show: elapsed, on a CPU or ready to be, or while holding the GIL
    #[arg(long, value_name = "MODE", value_enum, default_value_t)]
    pub mode: Mode,

    /// Show idle waits too: of threads that wait for work
    ///
    /// Without this option the elapsed time is that of the main thread of each process, and of other threads all but
    /// their waits for a lock, a time, the network, a pipe or a child. Where the main thread waits for requests, for
    /// tasks of a pool, or for 99 % of its time for others, its waits are left out too. One line says how much it is.
    /// A recording and files with a time axis hold everything.
    #[arg(long)]
    pub idle: bool,

    /// Only this thread; may be given several times
    ///
    /// By name (* and ? as in a shell), thread id, or number in order of appearance, from 0.
    #[arg(long, value_name = "THREAD")]
    pub thread: Vec<String>,

    /// Show the frames of the import system, instead of one frame for each imported module
    #[arg(long, overrides_with = "no_importlib")]
    pub imports: bool,

    /// What older command lines say: it is the default now.
    #[arg(long, hide = true)]
    pub no_importlib: bool,
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

    /// Print JSON, for programs
    #[arg(long)]
    pub json: bool,
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
        allow_hyphen_values = true
    )]
    pub pid: Option<String>,

    /// The process to read, without --pid
    #[arg(
        value_name = "PID",
        required_unless_present_any = ["pid", "job"],
        allow_negative_numbers = true
    )]
    pub words: Vec<OsString>,

    /// All Python processes of this running Slurm job, or of one step of it, on all its nodes
    #[arg(long, value_name = "JOB[.STEP]", conflicts_with_all = ["pid", "words"])]
    pub job: Option<String>,
}

/// How to sample and what to write.
#[derive(Debug, Default, ClapArgs)]
pub struct SamplingArgs {
    /// Write this file; may be given several times
    ///
    /// The ending chooses the format: .rsamp the recording, of which `rsamp report` makes all others
    /// later; .svg flame graph; .pstats for pstats, gprof2dot, snakeviz and tuna; .dot, .png or
    /// .dot.svg call graph; .speedscope.json, .firefox.json, .trace.json (Perfetto), .pb.gz (pprof),
    /// .callgrind, .folded for the viewers of that name; .lprof (line_profiler) and .dat (mprof) for the
    /// programs of that name; .json, .csv, .lines.csv and .usage.csv for scripts; .txt summary. `-` is
    /// standard output and needs --format. Without this option NAME-PID.rsamp, NAME-PID.svg and
    /// NAME-PID.pstats are written into the current folder; in a job of a batch system
    /// the host comes before PID. Of several ranks (MPI, srun) each writes the recording alone, with its rank in the name:
    /// scatter-r3-n1-1234.rsamp.
    /// In FILE, %p is the PID, %h the host, %r the rank, %j the job, %q{NAME} a variable of the
    /// environment, and %% is %.
    #[arg(long, short, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub output: Vec<PathBuf>,

    /// Write every file in this format, whatever its ending
    ///
    /// Without --output, NAME-PID with the ending of this format is the one file written.
    #[arg(long, short, value_name = "FORMAT")]
    pub format: Option<String>,

    /// Write into $TMPDIR first, and to where the files belong at the end, each in one go
    ///
    /// For folders on a network file system. The recording that grows while the program runs is
    /// $TMPDIR/rsamp-PID-NAME until then; when rsamp is killed it is left there.
    #[arg(long)]
    pub scratch: bool,

    /// How graphs are drawn.
    #[command(flatten)]
    pub drawing: DrawingArgs,

    /// What the files and the summary show.
    #[command(flatten)]
    pub shown: ShownArgs,

    /// Samples per second and thread, on average, or `auto` [default: auto]
    ///
    /// `auto` begins with 1000 and comes down as the run gets long: 500 after a minute, 250 after 5,
    /// 100 after 20, 50 after 2 hours; and as far as it takes to keep --max-overhead, but not below
    /// 50. Times stay right, because each sample stands for the time that was measured.
    /// A number is held as far as the machine can; the summary says what was reached.
    /// Up to 10000 rsamp sleeps between samples. Above, it waits busily: it takes a whole core.
    #[arg(long, short, value_name = "HZ", allow_hyphen_values = true)]
    pub rate: Option<String>,

    /// Sample less often when rsamp itself uses more CPU than this part of one core [default: 1, or
    /// no limit with a --rate in numbers]
    ///
    /// Counted over the whole recording, the start included. The rate comes down, not below 50 samples a second
    /// (of all processes together, and 5 of each, where several are sampled), and goes up again when there is
    /// room. The summary says where rsamp used more, and for what: short runs can't pay back the start.
    #[arg(long, value_name = "PERCENT", allow_hyphen_values = true)]
    pub max_overhead: Option<String>,

    /// End the sampling after so many seconds (2.5 is fine); the program runs on
    #[arg(long, short, value_name = "SECONDS", allow_hyphen_values = true)]
    pub duration: Option<String>,

    /// Begin the sampling after so many seconds of the program's run; --duration counts from then
    #[arg(long, value_name = "SECONDS", allow_hyphen_values = true)]
    pub delay: Option<String>,

    /// Record from the first moment at which a thread is in this function (Solver.solve, or solve)
    ///
    /// Until then rsamp samples and keeps nothing. Times are those since the start of the run.
    #[arg(long, value_name = "FUNCTION")]
    pub start_at: Option<String>,

    /// End the sampling when a thread is in this function, after that of --start-at; the program runs on
    #[arg(long, value_name = "FUNCTION")]
    pub stop_at: Option<String>,

    /// Never pause a thread of the program, even if its stack changes too fast to be copied
    ///
    /// Without this option rsamp pauses the running thread for some samples, at most 0.5 % of the time, while more than
    /// 1 % of its samples cannot be told from a copy. With it they are completed as well as possible and counted as
    /// undetermined. Of Python 2.7 and 3.3 to 3.5 the running threads are paused for every sample: with this option
    /// many of their stacks are wrong.
    #[arg(long, conflicts_with = "always_stop")]
    pub never_stop: bool,

    /// Profile the program alone, not the processes that it starts
    ///
    /// Without this option all processes that descend from the program are sampled as soon as they run
    /// Python, in one profile, at the same rate: --max-overhead is for all of them together. Those that
    /// live shorter than some 15 ms are missed, those that run no Python are counted.
    #[arg(long)]
    pub no_children: bool,

    /// Pause the running thread for every sample, to check the default against; slow above some 200 Hz
    ///
    /// Threads that wait are not paused: a paused wait (epoll_wait, semop, …) could return early, with EINTR. A thread that begins
    /// to wait in the very moment may see that. Where another program traces the process (strace, gdb), nothing can be paused; the
    /// summary says so.
    #[arg(long)]
    pub always_stop: bool,

    /// Keep this variable of the program's environment in the recording; may be given several times
    ///
    /// The job and the rank that Slurm and MPI give the program are kept without asking, no other.
    #[arg(long, value_name = "NAME")]
    pub env: Vec<String>,

    /// Keep the recording below this size, such as 500K, 20M or 1G
    ///
    /// When it is full, equal samples of a span of time become one and the rate is halved, again and again: times stay
    /// exact, only when they were is kept less finely. Of several ranks, each one's recording is kept below it.
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    pub max_size: Option<String>,

    /// Keep no source text of the functions seen in the recording
    #[arg(long)]
    pub no_source: bool,

    /// Overwrite existing files
    ///
    /// A file that is named with --output is overwritten without this option, unless it is
    /// write-protected.
    #[arg(long)]
    pub force: bool,

    /// Print no summary and no progress; errors are still printed
    #[arg(long, short)]
    pub quiet: bool,
}

/// How graphs are drawn.
#[derive(Debug, Default, ClapArgs)]
pub struct DrawingArgs {
    /// Flame graphs: grow down, as icicles do
    #[arg(long)]
    pub icicle: bool,

    /// Flame graphs: begin with the innermost functions, and show who called them
    #[arg(long)]
    pub reversed: bool,

    /// Graphs of stacks: make every line of a function a frame of its own
    #[arg(long, overrides_with = "merge_lines")]
    pub by_line: bool,

    /// Graphs of stacks: make all lines of a function one frame, as is the default
    #[arg(long)]
    pub merge_lines: bool,

    /// Graphs of stacks: make equal stacks of several processes one, instead of a root for each process
    #[arg(long)]
    pub merge_processes: bool,

    /// Call graphs: leave out functions with less than so many percent of the time [default: 0.5]
    #[arg(long, value_name = "PERCENT", allow_hyphen_values = true)]
    pub node_thres: Option<String>,

    /// Call graphs: leave out calls with less than so many percent of the time [default: 0.1]
    #[arg(long, value_name = "PERCENT", allow_hyphen_values = true)]
    pub edge_thres: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  rsamp record -- python scatter.py -nx 200     run a program, get a recording and a flame graph
  rsamp report scatter-1234.rsamp               look at the recording
  sudo rsamp attach --pid 1234                  profile a running process until Ctrl-C
  sudo rsamp dump --pid 1234                    what is every thread doing now?

`rsamp COMMAND --help` tells more.";

const RECORD_EXAMPLES: &str = "\
Examples:
  rsamp record -- python scatter.py -nx 200
        writes scatter-PID.rsamp, scatter-PID.svg and scatter-PID.pstats
  rsamp record -o before.svg -o before.pstats -- python -m mypackage.tool
        the ending chooses the format
  rsamp record -d 60 -r 200 -- python train.py
        the first minute at 200 Hz; the program runs to its end
  rsamp record -- srun -n 64 python scatter.py
        all ranks in one profile; mpirun, mpiexec, aprun, jsrun and torchrun as well
  srun -n 64 rsamp record -- python scatter.py
        a recording for each rank; rsamp report 'scatter-*.rsamp' merges them
  rsamp record -- sbatch job.sl
        a whole job script with every srun and mpirun in it, as it is; bash job.sl as well
  rsamp record python scatter.py
        `--` can be left out when the command begins with no `-`";

const RECORD_NOTES: &str = "\
The program has rsamp's standard streams, terminal, working folder and environment, and gets the
signals that rsamp gets. rsamp's exit code is the program's: 128+N when signal N killed it, 127 when
the command was not found, 126 when it could not be executed. Only if the program's code is 0 and a
file could not be written, the code is 74. A program that is no Python program runs as usual, and a
note on standard error says that nothing was recorded.

When NAME-PID.svg exists and --force is not given, NAME-PID.1.svg is written: no recording is lost.
A file that cannot be written is reported before the program starts (code 73). When the disk is full
at the end, rsamp writes to $TMPDIR instead, and says so.

Processes that descend from the program are profiled with it; see --no-children. Orphans among them are
rsamp's children until rsamp ends (PR_SET_CHILD_SUBREAPER), so that they are not lost from sight. rsamp ends
when the program does, even if others run on; the summary says how many.

The .rsamp file is written while the program runs: what is older than half a second is in it, or up to 2 seconds
where writing takes more than 0.1 % of a core. However rsamp ends, what it holds can be read. When it cannot be written any more, the other files are written all the same.

Before a launcher (srun, mpirun, mpiexec, mpiexec.hydra, aprun, jsrun, torchrun, also behind time, env A=B, nohup,
timeout and the like) rsamp puts itself, by its absolute path, before the program on every rank, with the same
options. The ranks leave their recordings in a folder NAME-PID.ranks beside the first output file, which all
nodes must share; when the launcher has ended, rsamp merges them, writes the files and removes the folder. If
rsamp is killed, rsamp report 'NAME-PID.ranks/*/*.rsamp' shows what is there. Where rsamp is not on a node, a
warning says so and the program runs without it; where the folder is not shared, the rank's recording is left in
$TMPDIR of its node. Ranks without a recording, or with a damaged one, are named, and the exit code is 65 if the
launcher's is 0. Options that rsamp does not know: write -- before the program, or see --launcher.

In a job script (bash job.sl, ./job.sl, sbatch job.sl) the launchers are links to rsamp that come first in
PATH, and come first again after a command of a bash script's top level has changed it (module load). Not
seen are launchers that are called by an absolute path, from a function that has changed PATH itself, with
env -i, or from other programs than shells that set their own PATH; and jobs that the script submits. The
programs under the launchers have the environment that they would have without rsamp. Behind sbatch, the
recording is written by the job, in its working folder (or where -o says); sbatch prints what it always does.";

const ATTACH_EXAMPLES: &str = "\
Examples:
  sudo rsamp attach --pid 1234
        until the process ends or Ctrl-C
  sudo rsamp attach 1234 -d 30 -o hot.svg
        half a minute, one flame graph
  rsamp attach $(pgrep -n -f scatter.py)
        the youngest process whose command line holds scatter.py; needs no sudo when
        kernel.yama.ptrace_scope is 0 and the process is yours
  rsamp attach --job 4242 -d 30
        half a minute of all ranks of your Slurm job; writes job-4242.rsamp, .svg and .pstats";

const ATTACH_NOTES: &str = "\
Ctrl-C, SIGTERM and SIGHUP end the sampling, and the files are written; a second one ends rsamp at
once. Processes that descend from it are profiled with it, those that it has started before and those to
come; see --no-children. The process runs on in any case. The exit code is 0 when the files were written,
however the sampling ended; see `rsamp --help` for the others.

With --job, rsamp starts itself on each node of the job (srun --jobid --overlap, by the path that it has
here) and gathers what comes back through srun: no folder need be shared. Steps that begin later are not
among what is profiled. Until the end, what was gathered is kept in a folder of $TMPDIR.";

const REPORT_EXAMPLES: &str = "\
Examples:
  rsamp report scatter-1234.rsamp
        functions, lines, threads and processes, and what was lost
  rsamp report scatter-1234.rsamp -o hot.svg -o hot.folded
        the ending chooses the format
  rsamp report -f folded scatter-1234.rsamp | flamegraph.pl > hot.svg
        to standard output
  rsamp report 'scatter-*.rsamp' -o all.rsamp -o all.svg
        the ranks of a job, or several runs, in one
  rsamp report all.rsamp --from 60 --to 90 --rank 0-3 -o part.rsamp
        half a minute of four ranks
  rsamp report scatter-1234.rsamp --lines field_at_point greens
        where in these functions the time goes, line by line
  rsamp report scatter-1234.rsamp --memory
        which lines made memory grow
  rsamp report scatter-1234.rsamp --mode gil --from 10
        who held the GIL after the first ten seconds";

const REPORT_NOTES: &str = "\
In a report of several recordings each process is named after its host and rank, if they differ, or else
after its file. Equal functions are one. Times are those since the start of each recording.

A recording that was cut off (rsamp was killed, the disk was full) is shown as far as it goes, with a
warning. One that is damaged is shown up to the damage; the exit code is 65 then. Of several, those that
cannot be read are left out and named; the exit code is 65 or 66.";

const DIFF_EXAMPLES: &str = "\
Examples:
  rsamp diff before.rsamp after.rsamp
        what takes more or less time, the largest change first
  rsamp diff before.rsamp after.rsamp -o diff.svg -o diff.csv
        a flame graph coloured by what differs, and a table for a spreadsheet
  rsamp diff monday.rsamp tuesday.rsamp --normalize --mode cpu
        shares of the CPU time of runs of different lengths";

const DIFF_NOTES: &str = "\
A function is the same in both when file and name are, wherever in the file it stands; a line, when it
is as far from the first line of its function. Files of another folder are matched by their place in it.

Whether a change is more than noise: each recording is cut into 64 to 128 parts of equal length; how much
the times of neighbouring parts differ tells how much the sum is off by (± holds it with 95 %). A change
is marked with * when it stands out among all rows of its table: of the marked ones at most 5 % are noise
on average (Benjamini and Hochberg's procedure on two-sided normal p-values). A ? in place of the ±
says that a function was visited too few times, for too long each, to tell. That is the noise of
sampling and of what a program does by turns within a run. How much two runs differ because the machine was
busier, a second recording of BASE shows.

The flame graph has two parts. In the first, widths are the times of NEW: red has more time of its own
than before, blue less. The second shows what stacks have lost since BASE, gone ones among them.";

const DUMP_EXAMPLES: &str = "\
Examples:
  sudo rsamp dump --pid 1234
  sudo rsamp dump 1234 --json | jq -r '.threads[].frames[0].name'
  rsamp dump --job 4242
        a job that hangs: which ranks stand where; equal stacks are one";

const DUMP_NOTES: &str = "\
JSON (schema 1; fields may be added, none is removed or renamed without a new number):
  {\"schema\": 1, \"pid\": 1234, \"python\": \"3.11.7\", \"command\": [\"python\", \"scatter.py\"],
   \"threads\": [
     {\"tid\": 1234, \"name\": \"MainThread\", \"is_main\": true, \"holds_gil\": true,
      \"activity\": \"running\", \"interpreter\": 0, \"incomplete\": null,
      \"frames\": [{\"name\": \"Field.add\", \"file\": \"scatter.py\", \"first_line\": 12, \"line\": 17}]}]}
Frames go from the innermost to the outermost. `activity` is \"running\" or \"waiting\". What is not
known is null. `incomplete` says why a stack is not whole.

With --job it is
  {\"schema\": 1, \"job\": \"4242\", \"processes\": [
     {\"node\": \"n1\", \"step\": \"0\", \"rank\": 0, \"dump\": {as above}}]}
and the exit code is 69 when a node or a process is missing in it.";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  rsamp completions bash > ~/.local/share/bash-completion/completions/rsamp
  rsamp completions zsh > ~/.zfunc/_rsamp
  rsamp completions fish > ~/.config/fish/completions/rsamp.fish";
