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
        all ranks in one profile; also with mpirun, torchrun and others
  rsamp record python scatter.py
        without --, which you need only if the command begins with -

rsamp exits with the program's exit code. rsamp help record explains each option, rsamp help formats the files, and \
rsamp help ranks launchers and job scripts.";

/// What `rsamp help record` says behind the options.
pub(super) fn record_notes() -> String {
    format!("{RECORD}\n\n{RECORD_NOTES}")
}

const RECORD_NOTES: &str = "\
The program gets rsamp's standard streams, terminal, working folder and environment, and every signal that rsamp gets. \
rsamp exits with the program's exit code: 128+N when signal N killed it, 127 when the command was not found, 126 when \
it could not be executed. rsamp exits with 74 only if the program's code is 0 and a file could not be written. A program \
that is not Python runs as usual, and a note on standard error says that nothing was recorded.

If NAME-PID.svg exists, rsamp writes NAME-PID.1.svg, unless you give --force. If rsamp can't write a file, it says so \
before the program starts (code 73). If the disk is full at the end, rsamp writes to $TMPDIR instead, and says so.

rsamp profiles child processes too; see --no-children. It adopts orphans among them until it ends \
(PR_SET_CHILD_SUBREAPER), so that it sees them. rsamp ends with the program, even if child processes run on; the summary \
says how many do.

rsamp writes the .rsamp file while the program runs, at most half a second late (2 seconds where writing takes more \
than 0.1 % of a core). However rsamp ends, you can read what is there. If the .rsamp file can't be written any more, rsamp \
still writes the other files.";

const RANKS: &str = "\
Parallel programs:
  rsamp record -- srun -n 64 python scatter.py
        all ranks in one profile
  srun -n 64 rsamp record -- python scatter.py
        a recording for each rank; rsamp report 'scatter-*.rsamp' merges them
  rsamp record --ranks 0,7 -- mpirun -n 64 python scatter.py
        two of the ranks; the others run without rsamp
  rsamp record -- sbatch job.sl
        a whole job script, unchanged, with every srun and mpirun in it
  rsamp record -- bash job.sl
        the same script, on this machine
  rsamp attach --job 4242 -d 30
        half a minute of all ranks of a running Slurm job

rsamp knows these launchers: srun, mpirun, mpiexec, mpiexec.hydra, aprun, jsrun and torchrun, also behind time, env A=B, \
nohup, timeout and the like. It puts itself, with its absolute path and the same options, before the program on every \
rank. The ranks write their recordings into a folder NAME-PID.ranks beside the first output file; all nodes must share \
that folder. When the launcher has ended, rsamp merges the recordings, writes the files and removes the folder. If rsamp \
is killed, rsamp report 'NAME-PID.ranks/*/*.rsamp' shows what is there.

If a node has no rsamp, the program runs without it there, and a warning says so. If a node does not share the folder, \
the recording of its rank stays in $TMPDIR of that node. rsamp names the ranks whose recording is missing or damaged, \
and exits with 65 if the launcher's code is 0. If a launcher has an option that rsamp does not know, write -- before \
the program, or see --launcher in rsamp help record.

In a job script (bash job.sl, ./job.sl, sbatch job.sl) rsamp puts links to itself, named like the launchers, first in \
PATH. They stay first when a command at the top level of a bash script changes PATH (module load). rsamp misses \
launchers that the script calls by an absolute path, with env -i, or from a function that changes PATH itself; those of \
programs other than shells that set PATH; and jobs that the script submits. The programs of the launchers get the \
environment that they would have without rsamp. With sbatch, the job writes the recording, in its working folder (or \
where -o says), and sbatch prints what it always prints.";

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
rsamp record -o FILE and rsamp report X -o FILE write them; you can give -o several times. -f FORMAT overrides the \
ending. -o - writes to standard output and needs -f.

Without -o, record and attach write NAME-PID.rsamp, NAME-PID.svg and NAME-PID.pstats into the current folder; NAME is \
the script's. In a job of a batch system the host comes before PID. With several ranks (MPI, srun) each rank writes its \
recording alone, with the rank in the name: scatter-r3-n1-1234.rsamp. rsamp does not overwrite a file: it writes \
NAME-PID.1.svg, unless you give --force. It does overwrite a file that you name with -o, unless it is write-protected.

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
        the youngest process with scatter.py in its command line; without sudo
        if kernel.yama.ptrace_scope is 0 and the process is yours
  rsamp attach --job 4242 -d 30
        half a minute of all ranks of your Slurm job

The process always runs on. rsamp help attach explains each option, rsamp help formats the files.";

/// What `rsamp help attach` says behind the options.
pub(super) fn attach_notes() -> String {
    format!("{ATTACH}\n\n{ATTACH_NOTES}")
}

const ATTACH_NOTES: &str = "\
Ctrl-C, SIGTERM and SIGHUP stop the sampling, and rsamp writes the files; a second one ends rsamp at once. rsamp \
profiles child processes too, those that run and those that start later; see --no-children. The exit code is 0 when \
rsamp wrote the files, however the sampling ended; see rsamp help exit-codes for the others.

With --job, rsamp starts itself on each node of the job (srun --jobid --overlap, with the path that it has here) and \
gets the samples through srun: the nodes need no shared folder. It does not profile steps that start later. Until the \
end, it keeps what it got in a folder of $TMPDIR.";

pub(super) const TOP: &str = "\
Examples:
  sudo rsamp top 1234
        until you press q; the program runs on
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
self% and total% are shares of the time of all threads on the screen, without and with what a function calls. cpu% is a share \
of one core, gil% of the elapsed time. Rows change places only if their shares differ by more than their 95 % confidence \
intervals, and the selected row stays selected. The screen is renewed twice a second; it shows whole seconds.

When the program ends, its last screen stays until q. Ctrl-Z gives the terminal back to the shell, and pauses the sampling.";

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

rsamp shows a damaged recording up to the damage, and exits with 65; with 66 if it can't read one. rsamp help report \
explains each option; rsamp help formats the files.";

/// What `rsamp help report` says behind the options.
pub(super) fn report_notes() -> String {
    format!("{REPORT}\n\n{REPORT_NOTES}")
}

const REPORT_NOTES: &str = "\
In a report of several recordings each process has the name of its host and rank if they differ, else of its file. \
Functions that are equal are merged. Times count from the start of each recording.

rsamp shows an incomplete recording (rsamp was killed, the disk was full) as far as it goes, with a warning. It shows a \
damaged one up to the damage, and exits with 65. Of several recordings, it leaves out those that it can't read, names \
them, and exits with 65 or 66.";

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
A function is the same in both recordings if its file and name are the same, even if it has moved within the file. A line is \
the same if it is as many lines below the start of its function. If the folder differs, rsamp matches a file by its place in it.

Noise: rsamp cuts each recording into 64 to 128 parts of equal length. How much neighbouring parts differ tells how far off \
the sum may be; ± is the 95 % interval. A * marks a change that stands out among all rows of its table: on average at \
most 5 % of the marked changes are noise (Benjamini and Hochberg's procedure on two-sided normal p-values). A ? instead of ± \
means that the function ran too seldom, for too long each time, to tell. This is the noise within a run. To see how much two \
runs differ because the machine was busier, record BASE a second time.

The flame graph has two parts. In the first, widths are the times of NEW; red frames have more time of their own than \
before, blue ones less. The second, \"only before\", shows what stacks have lost since BASE, and stacks that are gone.";

pub(super) const DUMP: &str = "\
Examples:
  rsamp dump
        lists the Python processes that you may read
  sudo rsamp dump --pid 1234
  sudo rsamp dump 1234 --json | jq -r '.threads[].frames[0].name'
  sudo rsamp dump 1234 --tasks
        the asyncio tasks: what each waits for, and which task waits for it
  sudo rsamp dump 1234 --native
        also the library functions in which its threads wait
  rsamp dump --job 4242
        a job that hangs: where each rank is; equal stacks are merged

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
Frames go from the innermost to the outermost. `activity` is \"running\" or \"waiting\". null means not known. \
`incomplete` says why a stack is not whole.

With --tasks, \"tasks\" is there too, the asyncio tasks that are not done (CPython 3.8 on, not free-threaded):
   \"tasks\": [
     {\"id\": 0, \"name\": \"Task-1\", \"interpreter\": 0,
      \"state\": \"waiting\", \"waits_for\": \"sleep\", \"parents\": [3],
      \"frames\": [as above]}]
The frames are those of the task's coroutine and of what it awaits. `state` is \"running\", \"ready\", \"created\" or \
\"waiting\", and `waits_for` is \"sleep\", \"network\", \"lock\", \"queue\", \"thread\", \"process\", \"task\" or \"future\": a \
future of which rsamp can't tell who sets it. `parents` are the ids of the tasks that wait for it (await, gather, wait, \
TaskGroup). rsamp does not see tasks of classes that are written in Python.

With --native a frame of native code has {\"native\": {\"module\": \"/usr/lib/libc.so.6\", \"offset\": 849221, \
\"is_inlined\": false}}: the file, and the address in it of a function without a name, which is null for one that has a name. \
Its `file`, `first_line` and `line` may be null. `interpreter_module` is the file that holds the interpreter.

With --job it is
  {\"schema\": 1, \"job\": \"4242\", \"processes\": [
     {\"node\": \"n1\", \"step\": \"0\", \"rank\": 0, \"dump\": {as above}}]}
and the exit code is 69 if a node or a process is missing.";

pub(super) const COMPLETIONS: &str = "\
Examples:
  rsamp completions bash > ~/.local/share/bash-completion/completions/rsamp
  rsamp completions zsh > ~/.zfunc/_rsamp
  rsamp completions fish > ~/.config/fish/completions/rsamp.fish";
