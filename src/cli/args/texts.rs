//! The texts of the help that are not about one option: examples, notes and topics.
//!
//! A paragraph is one line here; clap breaks it where the terminal ends. Examples fit 80 columns.

use crate::cli::errors::exit_code;
use crate::export::Format;

/// What `rsamp help` explains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Topic {
    /// The files that rsamp writes, and where
    Formats,
    /// Programs with ranks, launchers and job scripts
    Ranks,
    /// What each exit code means
    ExitCodes,
    /// `rsamp record`
    Record,
    /// `rsamp attach`
    Attach,
    /// `rsamp top`
    Top,
    /// `rsamp report`
    Report,
    /// `rsamp diff`
    Diff,
    /// `rsamp dump`
    Dump,
    /// `rsamp completions`
    Completions,
}

impl Topic {
    /// The text of a topic; for a command, its name.
    ///
    /// # Errors
    /// The name of the command that this is about.
    pub fn text(self) -> Result<String, &'static str> {
        match self {
            Topic::Formats => Ok(formats()),
            Topic::Ranks => Ok(RANKS.to_owned()),
            Topic::ExitCodes => Ok(exit_codes()),
            Topic::Record => Err("record"),
            Topic::Attach => Err("attach"),
            Topic::Top => Err("top"),
            Topic::Report => Err("report"),
            Topic::Diff => Err("diff"),
            Topic::Dump => Err("dump"),
            Topic::Completions => Err("completions"),
        }
    }
}

/// The exit codes and what they mean.
fn exit_codes() -> String {
    let mut text = String::from("Exit codes:\n");
    for (code, meaning) in exit_code::TABLE {
        text.push_str(&format!("  {code:<6} {meaning}\n"));
    }
    text.push_str(
        "  128+N  as a shell sees it: record: signal N killed the program, and then rsamp; attach: a second \
         signal N ended rsamp\n",
    );
    text.push_str(
        "\n`record` returns the program's own exit code. The codes below 125 are rsamp's only when the program was \
         not started (73), or ended with 0 and its files were not written (74), nothing could be recorded (1, 5, \
         6), or recordings of ranks are missing or damaged (65).",
    );
    text
}

/// The features of Cargo.toml that this rsamp was built with.
#[cfg(feature = "legacy")]
macro_rules! features {
    () => {
        "legacy (reads Python 2.7 and 3.3 to 3.5)"
    };
}
#[cfg(not(feature = "legacy"))]
macro_rules! features {
    () => {
        "none (does not read Python 2.7 and 3.3 to 3.5)"
    };
}

/// What `rsamp --version` prints behind the name. A recording holds the number alone.
pub(super) const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\ncommit: ",
    env!("RSAMP_COMMIT"),
    "\ntarget: ",
    env!("RSAMP_TARGET"),
    "\nfeatures: ",
    features!()
);

pub(super) const EXAMPLES: &str = "\
Examples:
  rsamp record -- python scatter.py -nx 200     run a program and profile it
  rsamp report scatter-1234.rsamp               look at the recording
  sudo rsamp attach --pid 1234                  profile a process until Ctrl-C
  sudo rsamp dump --pid 1234                    what is every thread doing now?
  sudo rsamp top 1234                           watch what it does

rsamp COMMAND --help lists the options. rsamp help COMMAND explains each.
rsamp help formats, ranks, exit-codes: files, parallel programs, exit codes.";

pub(super) const HELP: &str = "\
Examples:
  rsamp help record      the options of record, each explained
  rsamp help formats     the files that rsamp writes, and where
  rsamp help ranks       srun, mpirun, torchrun and job scripts
  rsamp help exit-codes  what each exit code means";

pub(super) const RECORD: &str = "\
Examples:
  rsamp record -- python scatter.py -nx 200
        writes scatter-PID.rsamp, scatter-PID.svg and scatter-PID.pstats
  rsamp record -o before.svg -o before.pstats -- python -m mypackage.tool
        the ending chooses the format
  rsamp record -d 60 -r 200 -- python train.py
        the first minute at 200 Hz; the program runs to its end
  rsamp record -- srun -n 64 python scatter.py
        all ranks in one profile; mpirun and the like as well
  rsamp record python scatter.py
        `--` can be left out when the command begins with no `-`

The exit code is the program's. rsamp help record explains each option; rsamp help formats, ranks: the files; \
launchers and job scripts.";

/// What `rsamp help record` says behind the options.
pub(super) fn record_notes() -> String {
    format!("{RECORD}\n\n{RECORD_NOTES}")
}

const RECORD_NOTES: &str = "\
The program has rsamp's standard streams, terminal, working folder and environment, and gets the signals that rsamp \
gets. rsamp's exit code is the program's: 128+N when signal N killed it, 127 when the command was not found, 126 when \
it could not be executed. Only if the program's code is 0 and a file could not be written, the code is 74. Another \
program than Python runs as usual, and a note on standard error says that nothing was recorded.

When NAME-PID.svg exists and --force is not given, NAME-PID.1.svg is written: no recording is lost. A file that cannot \
be written is reported before the program starts (code 73). When the disk is full at the end, rsamp writes to $TMPDIR \
instead, and says so.

Child processes are profiled too; see --no-children. Orphans among them are rsamp's children until rsamp ends \
(PR_SET_CHILD_SUBREAPER), so that rsamp sees them. rsamp ends when the program does, even if others run on; the \
summary says how many.

The .rsamp file is written while the program runs: what is older than half a second is in it, or up to 2 seconds where \
writing takes more than 0.1 % of a core. However rsamp ends, what it holds can be read. When it cannot be written any \
more, the other files are written all the same.";

const RANKS: &str = "\
Parallel programs:
  rsamp record -- srun -n 64 python scatter.py
        all ranks in one profile
  srun -n 64 rsamp record -- python scatter.py
        a recording for each rank; rsamp report 'scatter-*.rsamp' merges them
  rsamp record --ranks 0,7 -- mpirun -n 64 python scatter.py
        two of the ranks; the others run without rsamp
  rsamp record -- sbatch job.sl
        a whole job script as it is, with every srun and mpirun in it
  rsamp record -- bash job.sl
        the same here
  rsamp attach --job 4242 -d 30
        half a minute of all ranks of a running Slurm job

Before a launcher (srun, mpirun, mpiexec, mpiexec.hydra, aprun, jsrun, torchrun, also behind time, env A=B, nohup, \
timeout and the like) rsamp puts itself, by its absolute path, before the program on every rank, with the same \
options. The ranks leave their recordings in a folder NAME-PID.ranks beside the first output file, which all nodes \
must share. When the launcher has ended, rsamp merges them, writes the files and removes the folder. If rsamp is \
killed, rsamp report 'NAME-PID.ranks/*/*.rsamp' shows what is there.

Where rsamp is not on a node, a warning says so and the program runs without it. Where the folder is not shared, the \
rank's recording is left in $TMPDIR of its node. Ranks without a recording, or with a damaged one, are named, and the \
exit code is 65 if the launcher's is 0. If the launcher has an option that rsamp does not know, write -- before the \
program, or see --launcher in rsamp help record.

In a job script (bash job.sl, ./job.sl, sbatch job.sl) the launchers are links to rsamp that come first in PATH, and \
come first again after a command of a bash script's top level has changed it (module load). rsamp does not see \
launchers that are called by an absolute path, from a function that has changed PATH itself, with env -i, or from \
other programs than shells that set their own PATH; nor jobs that the script submits. The programs under the \
launchers have the environment that they would have without rsamp. Behind sbatch, the recording is written by the \
job, in its working folder (or where -o says); sbatch prints what it always does.";

/// Where a list of formats says what they are for, in columns.
const USE_COLUMN: usize = 18;

/// The formats by their endings, and where files are written.
fn formats() -> String {
    let mut text = String::from(
        "Formats, by the ending of a file:\n  .rsamp            the recording; rsamp report makes all others of it\n",
    );
    for format in Format::ALL {
        let usage = format.open_with("FILE");
        let usage = usage.replace("; ", &format!(";\n{:1$}", "", USE_COLUMN + 2));
        let dotted = format!(".{}", format.ending());
        text.push_str(&format!("  {dotted:<USE_COLUMN$}{usage}\n"));
    }
    format!("{text}\n{FORMATS}")
}

const FORMATS: &str = "\
rsamp record -o FILE and rsamp report X -o FILE write them; -o may be given several times. -f FORMAT overrides the \
ending. -o - is standard output and needs -f.

Without -o, record and attach write NAME-PID.rsamp, NAME-PID.svg and NAME-PID.pstats into the current folder; NAME is \
the script's. In a job of a batch system the host comes before PID. Of several ranks (MPI, srun) each writes the \
recording alone, with its rank in the name: scatter-r3-n1-1234.rsamp. What exists is not overwritten: NAME-PID.1.svg \
is written, or with --force NAME-PID.svg. A file that -o names is overwritten, unless it is write-protected.

In FILE, %p is the PID, %h the host, %r the rank, %j the job, %q{NAME} a variable of the environment, and %% is %.";

pub(super) const ATTACH: &str = "\
Examples:
  rsamp attach
        lists the Python processes that you may profile
  sudo rsamp attach --pid 1234
        until the process ends or Ctrl-C
  sudo rsamp attach 1234 -d 30 -o hot.svg
        half a minute, one flame graph
  rsamp attach $(pgrep -n -f scatter.py)
        the youngest process whose command line holds scatter.py; needs no sudo
        when kernel.yama.ptrace_scope is 0 and the process is yours
  rsamp attach --job 4242 -d 30
        half a minute of all ranks of your Slurm job

The process runs on in any case. rsamp help attach explains each option; rsamp help formats: the files.";

/// What `rsamp help attach` says behind the options.
pub(super) fn attach_notes() -> String {
    format!("{ATTACH}\n\n{ATTACH_NOTES}")
}

const ATTACH_NOTES: &str = "\
Ctrl-C, SIGTERM and SIGHUP end the sampling, and the files are written; a second one ends rsamp at once. Child \
processes are profiled too, those that run already and those to come; see --no-children. The exit code is 0 when the \
files were written, however the sampling ended; see rsamp help exit-codes for the others.

With --job, rsamp starts itself on each node of the job (srun --jobid --overlap, by the path that it has here) and \
gathers what comes back through srun: no folder need be shared. Steps that begin later are not among what is profiled. \
Until the end, what was gathered is kept in a folder of $TMPDIR.";

pub(super) const TOP: &str = "\
Examples:
  sudo rsamp top 1234
        until q; the program runs on
  rsamp top $(pgrep -n -f scatter.py) --window 60
        the last minute instead of the last 10 seconds
  rsamp top 1234 --batch -n 3
        three screens as text, each of 10 seconds
  srun --jobid 4242 --overlap --pty rsamp top --job 4242
        the Python processes of a Slurm job on its first node

? shows the keys. rsamp help top explains each option.";

/// What `rsamp help top` says behind the options.
pub(super) fn top_notes() -> String {
    format!("{TOP}\n\n{TOP_NOTES}")
}

const TOP_NOTES: &str = "\
self% and total% are of the time of all threads that are shown, without and with what a function calls; cpu% is of one core, \
gil% of the time that passed. Rows change places only where their shares differ by more than their 95 % confidence intervals, \
and the selected row stays selected. The screen is renewed twice a second from whole seconds.

When the program ends, its last screen stays until q. Ctrl-Z leaves the terminal to the shell, and pauses the sampling.";

pub(super) const REPORT: &str = "\
Examples:
  rsamp report scatter-1234.rsamp
        functions, lines, threads and processes, and what was lost
  rsamp report scatter-1234.rsamp -o hot.svg -o hot.folded
        the ending chooses the format
  rsamp report 'scatter-*.rsamp' -o all.rsamp -o all.svg
        the ranks of a job, or several runs, in one
  rsamp report all.rsamp --from 60 --to 90 --rank 0-3 -o part.rsamp
        half a minute of four ranks
  rsamp report scatter-1234.rsamp --lines field_at_point greens
        where in these functions the time goes, line by line
  rsamp report scatter-1234.rsamp --memory
        which lines made memory grow

A damaged recording is shown up to the damage; the exit code is 65 then, or 66 where one cannot be read. rsamp help \
report explains each option; rsamp help formats: the files.";

/// What `rsamp help report` says behind the options.
pub(super) fn report_notes() -> String {
    format!("{REPORT}\n\n{REPORT_NOTES}")
}

const REPORT_NOTES: &str = "\
In a report of several recordings each process is named after its host and rank, if they differ, or else after its \
file. Equal functions are one. Times are those since the start of each recording.

An incomplete recording (rsamp was killed, the disk was full) is shown as far as it goes, with a warning. One that is \
damaged is shown up to the damage; the exit code is 65 then. Of several, those that cannot be read are left out and \
named; the exit code is 65 or 66.";

pub(super) const DIFF: &str = "\
Examples:
  rsamp diff before.rsamp after.rsamp
        what takes more or less time, the largest change first
  rsamp diff before.rsamp after.rsamp -o diff.svg -o diff.csv
        a flame graph coloured by what differs, and a table for a spreadsheet
  rsamp diff monday.rsamp tuesday.rsamp --normalize --mode cpu
        shares of the CPU time of runs of different lengths
  rsamp diff base.rsamp new.rsamp --mode cpu --fail-if +5%
        for continuous integration: exits with 8 when the new one is slower

A change marked with * stands out from the noise of sampling. rsamp help diff explains how, and each option.";

/// What `rsamp help diff` says behind the options.
pub(super) fn diff_notes() -> String {
    format!("{DIFF}\n\n{DIFF_NOTES}")
}

const DIFF_NOTES: &str = "\
A function is the same in both when file and name are, wherever in the file it stands; a line, when it is as far from \
the first line of its function. Files of another folder are matched by their place in it.

Whether a change is more than noise: each recording is cut into 64 to 128 parts of equal length; how much the times of \
neighbouring parts differ tells how much the sum is off by (± holds it with 95 %). A change is marked with * when it \
stands out among all rows of its table: of the marked ones at most 5 % are noise on average (Benjamini and Hochberg's \
procedure on two-sided normal p-values). A ? in place of the ± says that a function was visited too few times, for too \
long each, to tell. That is the noise of sampling and of what a program does by turns within a run. How much two runs \
differ because the machine was busier, a second recording of BASE shows.

The flame graph has two parts. In the first, widths are the times of NEW: red has more time of its own than before, \
blue less. The second, \"only before\", shows what stacks have lost since BASE, gone ones among them.";

pub(super) const DUMP: &str = "\
Examples:
  rsamp dump
        lists the Python processes that you may read
  sudo rsamp dump --pid 1234
  sudo rsamp dump 1234 --json | jq -r '.threads[].frames[0].name'
  sudo rsamp dump 1234 --tasks
        the asyncio tasks: what each waits for, and which task waits for it
  sudo rsamp dump 1234 --native
        in which functions of libraries its threads wait, too
  rsamp dump --job 4242
        a job that hangs: which ranks stand where; equal stacks are one

rsamp help dump has the schema of the JSON.";

/// What `rsamp help dump` says behind the options.
pub(super) fn dump_notes() -> String {
    format!("{DUMP}\n\n{DUMP_NOTES}")
}

const DUMP_NOTES: &str = "\
JSON (schema 1; fields may be added, none is removed or renamed without a new number):
  {\"schema\": 1, \"pid\": 1234, \"python\": \"3.11.7\",
   \"command\": [\"python\", \"scatter.py\"],
   \"threads\": [
     {\"tid\": 1234, \"name\": \"MainThread\", \"is_main\": true,
      \"holds_gil\": true, \"activity\": \"running\", \"interpreter\": 0,
      \"incomplete\": null,
      \"frames\": [{\"name\": \"Field.add\", \"file\": \"scatter.py\",
                  \"first_line\": 12, \"line\": 17}]}]}
Frames go from the innermost to the outermost. `activity` is \"running\" or \"waiting\". What is not known is null. \
`incomplete` says why a stack is not whole.

With --tasks, \"tasks\" is there too, the asyncio tasks that are not done (CPython 3.8 on, not free-threaded):
   \"tasks\": [
     {\"id\": 0, \"name\": \"Task-1\", \"interpreter\": 0,
      \"state\": \"waiting\", \"waits_for\": \"sleep\", \"parents\": [3],
      \"frames\": [as above]}]
The frames are those of its coroutine and of what that awaits. `state` is \"running\", \"ready\", \"created\" or \
\"waiting\", and `waits_for` is \"sleep\", \"network\", \"lock\", \"queue\", \"thread\", \"process\", \"task\" or \"future\": a \
future of which rsamp can't tell who sets it. `parents` are the ids of the tasks that wait for it (await, gather, wait, \
TaskGroup). Tasks written in Python are not seen.

With --native a frame of native code has {\"native\": {\"module\": \"/usr/lib/libc.so.6\", \"offset\": 849221, \
\"is_inlined\": false}}: the file, and the address in it of a function without a name, which is null for one that has a name. \
Its `file`, `first_line` and `line` may be null. `interpreter_module` is the file that holds the interpreter.

With --job it is
  {\"schema\": 1, \"job\": \"4242\", \"processes\": [
     {\"node\": \"n1\", \"step\": \"0\", \"rank\": 0, \"dump\": {as above}}]}
and the exit code is 69 when a node or a process is missing in it.";

pub(super) const COMPLETIONS: &str = "\
Examples:
  rsamp completions bash > ~/.local/share/bash-completion/completions/rsamp
  rsamp completions zsh > ~/.zfunc/_rsamp
  rsamp completions fish > ~/.config/fish/completions/rsamp.fish";
