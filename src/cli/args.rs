//! Turns the words of the command line into [`Args`]: what was typed, not yet judged.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};
use clap_complete::Shell;

use super::exit_code;

/// A sampling profiler for Python that works from outside the process.
///
/// The program is not modified, not imported into, not injected into and, but for a last resort, not stopped.
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
    #[command(override_usage = "rsamp attach [OPTIONS] [--pid] PID", after_help = ATTACH_EXAMPLES, after_long_help = format!("{ATTACH_EXAMPLES}\n\n{ATTACH_NOTES}"))]
    Attach(AttachArgs),
    /// Print the stack of every Python thread of a running process, once
    #[command(override_usage = "rsamp dump [OPTIONS] [--pid] PID", after_help = DUMP_EXAMPLES, after_long_help = format!("{DUMP_EXAMPLES}\n\n{DUMP_NOTES}"))]
    Dump(DumpArgs),
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
        required_unless_present = "pid",
        allow_negative_numbers = true
    )]
    pub words: Vec<OsString>,
}

/// How to sample and what to write.
#[derive(Debug, Default, ClapArgs)]
pub struct SamplingArgs {
    /// Write this file; may be given several times
    ///
    /// The ending chooses the format: .svg flame graph, .pstats for pstats, gprof2dot, snakeviz and
    /// tuna, .folded for flamegraph.pl and speedscope, .txt summary. `-` is standard output and
    /// needs --format. Without this option NAME-PID.svg and NAME-PID.pstats are written into the
    /// current folder.
    #[arg(long, short, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub output: Vec<PathBuf>,

    /// Write every file in this format, whatever its ending
    ///
    /// Without --output, NAME-PID with the ending of this format is the one file written.
    #[arg(long, short, value_name = "FORMAT")]
    pub format: Option<String>,

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
    /// The rate comes down step by step, not below 50 samples a second, and goes up again when there
    /// is room.
    #[arg(long, value_name = "PERCENT", allow_hyphen_values = true)]
    pub max_overhead: Option<String>,

    /// End the sampling after so many seconds (2.5 is fine); the program runs on
    #[arg(long, short, value_name = "SECONDS", allow_hyphen_values = true)]
    pub duration: Option<String>,

    /// Never stop a thread of the program, not even for the rare stack that changes at every try
    ///
    /// Such samples are lost then, and counted. Without this option a thread is stopped with ptrace
    /// for that one reading, some 0.1 ms, as a last resort.
    #[arg(long, conflicts_with = "always_stop")]
    pub never_stop: bool,

    /// Stop each thread for each reading, to check the other ways against; slow
    #[arg(long)]
    pub always_stop: bool,

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

const EXAMPLES: &str = "\
Examples:
  rsamp record -- python scatter.py -nx 200     run a program, get a flame graph and a .pstats file
  sudo rsamp attach --pid 1234                  profile a running process until Ctrl-C
  sudo rsamp dump --pid 1234                    what is every thread doing now?

`rsamp COMMAND --help` tells more.";

const RECORD_EXAMPLES: &str = "\
Examples:
  rsamp record -- python scatter.py -nx 200
        writes scatter-PID.svg and scatter-PID.pstats
  rsamp record -o before.svg -o before.pstats -- python -m mypackage.tool
        the ending chooses the format
  rsamp record -d 60 -r 200 -- python train.py
        the first minute at 200 Hz; the program runs to its end
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
at the end, rsamp writes to $TMPDIR instead, and says so.";

const ATTACH_EXAMPLES: &str = "\
Examples:
  sudo rsamp attach --pid 1234
        until the process ends or Ctrl-C
  sudo rsamp attach 1234 -d 30 -o hot.svg
        half a minute, one flame graph
  rsamp attach $(pgrep -n -f scatter.py)
        the youngest process whose command line holds scatter.py; needs no sudo when
        kernel.yama.ptrace_scope is 0 and the process is yours";

const ATTACH_NOTES: &str = "\
Ctrl-C, SIGTERM and SIGHUP end the sampling, and the files are written; a second one ends rsamp at
once. The process runs on in any case. The exit code is 0 when the files were written, however the
sampling ended; see `rsamp --help` for the others.";

const DUMP_EXAMPLES: &str = "\
Examples:
  sudo rsamp dump --pid 1234
  sudo rsamp dump 1234 --json | jq -r '.threads[].frames[0].name'";

const DUMP_NOTES: &str = "\
JSON (schema 1; fields may be added, none is removed or renamed without a new number):
  {\"schema\": 1, \"pid\": 1234, \"python\": \"3.11.7\", \"command\": [\"python\", \"scatter.py\"],
   \"threads\": [
     {\"tid\": 1234, \"name\": \"MainThread\", \"is_main\": true, \"holds_gil\": true,
      \"activity\": \"running\", \"interpreter\": 0, \"incomplete\": null,
      \"frames\": [{\"name\": \"Field.add\", \"file\": \"scatter.py\", \"first_line\": 12, \"line\": 17}]}]}
Frames go from the innermost to the outermost. `activity` is \"running\" or \"waiting\". What is not
known is null. `incomplete` says why a stack is not whole.";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  rsamp completions bash > ~/.local/share/bash-completion/completions/rsamp
  rsamp completions zsh > ~/.zfunc/_rsamp
  rsamp completions fish > ~/.config/fish/completions/rsamp.fish";
