//! Turns the errors of each room into what the user can do about them.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::Path;

use crate::cli::request::RequestError;
use crate::export::words::escape::quoted;
use crate::launch::{LaunchError, SlurmError};
use crate::process::permission::Confinement;
use crate::process::{Denied, Pid, ProcessError, SpawnError};
use crate::recording::ReadError;
use crate::run::inputs::InputError;
use crate::run::job::JobError;
use crate::run::outputs::OutputError;
use crate::sampler::SamplerError;

/// Folders that `sudo` searches with the `secure_path` of Debian, Fedora and Arch.
const SUDO_PATH: &[&str] = &[
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

const NO_SUCH_PROCESS: &str = "rsamp attach without a PID lists the Python processes; a process in a container has \
                               another PID outside of it";

/// What was being done when the error came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Reading the command line of this subcommand.
    Reading(&'static str),
    /// `rsamp record` of this command.
    Record(Vec<OsString>),
    /// `rsamp attach` to this process.
    Attach(Pid),
    /// `rsamp dump` of this process.
    Dump(Pid),
    /// `rsamp top`.
    Top,
    /// `rsamp attach` to a job, or `rsamp dump` of one.
    Job,
    /// `rsamp report` or `rsamp diff`.
    Report,
}

/// How `sudo` finds the program at `exe`: by name in the folders it searches, else by its whole path.
#[must_use]
pub fn sudo_name(exe: Option<&Path>) -> String {
    let outside = exe.filter(|exe| {
        let folder = exe.parent().and_then(Path::to_str);
        !folder.is_some_and(|folder| SUDO_PATH.contains(&folder))
    });
    outside.map_or_else(|| "rsamp".to_owned(), |exe| exe.display().to_string())
}

/// What to do about `EMFILE`.
const MORE_FILES: &str = "let rsamp open more files: ulimit -n 4096";

fn is_out_of_files(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(nix::libc::EMFILE)
}

pub(super) fn of_sampler(error: &SamplerError, doing: &Action, rsamp: &str) -> Option<String> {
    if let Action::Record(command) = doing
        && let Some(submitter) = submitter(command)
    {
        return Some(format!(
            "{submitter} runs the job on machines without rsamp: put rsamp record -- before python, or before the \
             launcher, inside the job script"
        ));
    }
    match error {
        SamplerError::NoSuchProcess(_) => Some(NO_SUCH_PROCESS.to_owned()),
        SamplerError::NotPython { pid, .. } | SamplerError::NeverPython { pid, .. } => {
            Some(not_python_hint(*pid, doing))
        }
        SamplerError::PermissionDenied { pid, why } => {
            Some(permission_hint(*pid, why, doing, rsamp))
        }
        SamplerError::UnknownVersion { .. } => {
            Some("a newer rsamp may know this version".to_owned())
        }
        SamplerError::Process {
            source: ProcessError::Read { source, .. },
            ..
        } if is_out_of_files(source) => Some(MORE_FILES.to_owned()),
        SamplerError::Io { source, .. } if is_out_of_files(source) => Some(MORE_FILES.to_owned()),
        SamplerError::PermissionLost { pid, why, .. } => {
            Some(permission_hint(*pid, why, doing, rsamp))
        }
        SamplerError::NeverStarted { .. } => Some(
            "give the name as a report shows it: Solver.solve, or solve for every class".to_owned(),
        ),
        SamplerError::NoAnswer { .. } => Some("try again when the file system answers".to_owned()),
        SamplerError::EndedInDelay { .. } => Some("give a shorter --delay".to_owned()),
        SamplerError::EndedEarly(_)
        | SamplerError::Process { .. }
        | SamplerError::Io { .. }
        | SamplerError::Unstoppable { .. } => None,
    }
}

pub(super) fn of_process(error: &ProcessError, doing: &Action) -> Option<String> {
    match (error, doing) {
        (ProcessError::NoSuchProcess(_), _) => Some(NO_SUCH_PROCESS.to_owned()),
        (ProcessError::NotAProcess(_, pid), Action::Dump(_)) => {
            Some(format!("rsamp dump --pid {pid} shows all its threads"))
        }
        (ProcessError::NotAProcess(_, pid), _) => {
            Some(format!("rsamp attach --pid {pid} profiles all its threads"))
        }
        _ => None,
    }
}

fn not_python_hint(pid: Pid, doing: &Action) -> String {
    let verb = match doing {
        Action::Dump(_) => "dump",
        Action::Top => "top",
        _ => "attach",
    };
    match doing {
        Action::Record(_) => {
            "when a script or launcher starts Python, put rsamp record -- in front of \
                             python inside it"
                .to_owned()
        }
        _ => format!(
            "if it started a Python program, name that one: rsamp {verb} --pid $(pgrep -n -P {pid} python)"
        ),
    }
}

/// Commands that hand a job, or a program, to a batch system and are no launchers that rsamp knows.
const SUBMITTERS: &[&str] = &[
    "qsub",
    "bsub",
    "msub",
    "flux",
    "condor_submit",
    "oarsub",
    "ccc_msub",
    "pjsub",
    "llsubmit",
];

fn submitter(command: &[std::ffi::OsString]) -> Option<String> {
    let name = Path::new(command.first()?).file_name()?.to_string_lossy();
    SUBMITTERS
        .contains(&name.as_ref())
        .then(|| name.into_owned())
}

fn permission_hint(pid: Pid, why: &Denied, doing: &Action, rsamp: &str) -> String {
    let again = match doing {
        Action::Dump(_) => format!("sudo {rsamp} dump --pid {pid}"),
        Action::Top => format!("sudo {rsamp} top --pid {pid}"),
        // The process has ended.
        Action::Record(command) => format!("sudo {rsamp} record -- {}", without_sudo(command)),
        _ => format!("sudo {rsamp} attach --pid {pid}"),
    };
    let container = "start the container with docker run --cap-add=SYS_PTRACE, and with --pid=host to \
                     profile processes of the host";
    match why {
        Denied::OtherUser { .. } | Denied::NotDumpable => format!("run as root ({again})"),
        Denied::PtraceScope(0 | 1) => format!(
            "run as root ({again}), or set kernel.yama.ptrace_scope to 0 \
             (sudo sysctl kernel.yama.ptrace_scope=0), or start the program with rsamp record"
        ),
        Denied::PtraceScope(2) => format!(
            "run as root ({again}), or set kernel.yama.ptrace_scope to 0 \
             (sudo sysctl kernel.yama.ptrace_scope=0)"
        ),
        Denied::PtraceScope(_) => {
            "scope 3 forbids it to every user, root too, until the next boot; \
                                   change kernel.yama.ptrace_scope in /etc/sysctl.d, and reboot"
                .to_owned()
        }
        Denied::Container(Confinement::NoCapability | Confinement::Seccomp) => container.to_owned(),
        Denied::Container(Confinement::UserNamespace) => {
            format!("run rsamp inside that container, or as root of the host ({again})")
        }
        Denied::Unknown => format!("run as root ({again}); in a container, {container}"),
    }
}

/// The words of a command, without a sudo(8) in front that has no options.
fn without_sudo(command: &[std::ffi::OsString]) -> String {
    let words: Vec<_> = command.iter().map(|word| word.to_string_lossy()).collect();
    let words = match words.split_first() {
        Some((first, rest))
            if first == "sudo" && rest.first().is_some_and(|word| !word.starts_with('-')) =>
        {
            rest
        }
        _ => &words,
    };
    words.join(" ")
}

pub(super) fn of_spawn(error: &SpawnError, doing: &Action) -> Option<String> {
    let Action::Record(command) = doing else {
        return None;
    };
    let first = command.first()?.to_string_lossy();
    if first.contains(' ') {
        return Some(format!("leave out the quotes: rsamp record -- {first}"));
    }
    if first.parse::<u32>().is_ok() {
        return Some(format!(
            "to profile the running process {first}: rsamp attach --pid {first}"
        ));
    }
    let is_of_slurm = ["srun", "sbatch", "salloc"].contains(&first.as_ref());
    if is_of_slurm && error.exit_code() == crate::cli::errors::exit_code::NOT_FOUND {
        return Some(format!(
            "Slurm is not installed here, or not in PATH; without Slurm: rsamp record -- {}",
            if first == "sbatch" {
                "bash JOB"
            } else {
                "PROGRAM"
            }
        ));
    }
    if first.ends_with(".py") {
        return Some(format!(
            "name the interpreter: rsamp record -- python {first}"
        ));
    }
    let is_missing = error.exit_code() == crate::cli::errors::exit_code::NOT_FOUND;
    is_missing.then(|| match first.as_ref() {
        "python" => "on many systems it is called python3".to_owned(),
        path if path.contains('/') => format!("check the path: ls -l {path}"),
        name => format!("check the spelling, or give the path: {name} is not in PATH"),
    })
}

pub(super) fn of_launch(error: &LaunchError) -> String {
    let LaunchError::UnknownOption { launcher, .. } = error else {
        return "put rsamp record -- before the programs in the file, and run the launcher with --launcher none".to_owned();
    };
    if launcher == "sbatch" {
        return "write the option and its value as one word, with = between".to_owned();
    }
    format!(
        "put -- before the program: rsamp record -- {launcher} OPTIONS -- PROGRAM; or run the launcher without rsamp on \
         the ranks: rsamp record --launcher none -- …; --launcher srun or mpirun says whose options these are"
    )
}

pub(super) fn of_request(error: &RequestError, doing: &Action) -> String {
    match error {
        RequestError::RecordWithPid { pid } => {
            format!(
                "to profile the running process: rsamp attach --pid {pid}; to start a program, leave out --pid"
            )
        }
        RequestError::PidAndCommand { words, .. } => {
            format!("to start a program and profile it: rsamp record -- {words}")
        }
        RequestError::NoPythonOfJob { job, .. } => format!(
            "start it on a node of the job: srun --jobid {} --overlap --pty rsamp top --job {job}",
            job.job
        ),
        RequestError::NoTerminal => {
            "rsamp top --batch prints text, for scripts and pipes".to_owned()
        }
        RequestError::Name(_) => "write %% for the character %".to_owned(),
        RequestError::SameFileTwice(_) => "give each format its own file".to_owned(),
        _ => match doing {
            Action::Reading(subcommand) => format!("see rsamp {subcommand} --help"),
            _ => "see rsamp --help".to_owned(),
        },
    }
}

pub(super) fn of_slurm(error: &SlurmError, rsamp: &str) -> Option<String> {
    match error {
        SlurmError::NoSlurm { .. } => Some(
            "run rsamp where srun and scontrol are in PATH: on a login node of the cluster, or in the job; \
             for one process of this machine, rsamp attach --pid or rsamp dump --pid"
                .to_owned(),
        ),
        SlurmError::NoAnswer { .. } => Some("check whether squeue works here".to_owned()),
        SlurmError::NoSuchJob(_) | SlurmError::NotRunning { .. } => {
            Some("squeue --me --states=running lists your jobs that run".to_owned())
        }
        SlurmError::NotYet { .. } => Some(
            "wait until it runs; to profile it from its start, put rsamp record -- in front of python in its \
             script"
                .to_owned(),
        ),
        SlurmError::Array { job, .. } => {
            Some(format!("name one task of it, such as {}_1; squeue --me lists them", job.job))
        }
        SlurmError::OtherUser { owner, .. } => Some(format!(
            "Slurm lets only the owner into a job: sudo -u {owner} {rsamp} …"
        )),
        SlurmError::NoSuchStep { job, .. } => {
            Some(format!("for all steps: --job {}", job.job))
        }
    }
}

pub(super) fn of_job(error: &JobError, rsamp: &str) -> Option<String> {
    match error {
        JobError::Missing { said, .. } if said.contains("execve") => Some(format!(
            "rsamp must have the same path on all nodes: copy it to a folder that they share, such as your home, \
             and run it from there (now it is {rsamp})"
        )),
        JobError::NoPython { .. } => Some(
            "its program may not have started yet, or has ended; rsamp finds CPython whatever the name of its file".to_owned(),
        ),
        JobError::Run { .. } | JobError::Missing { .. } | JobError::Process { .. } => None,
    }
}

pub(super) fn of_output(error: &OutputError) -> Option<String> {
    match error {
        OutputError::Protected(_) => Some("--force replaces it, -o FILE names another".to_owned()),
        OutputError::Refused { path, source } if source.kind() == ErrorKind::NotFound => {
            let folder = path.parent()?.to_string_lossy();
            Some(format!(
                "make the folder first: mkdir -p {}",
                quoted(&folder)
            ))
        }
        OutputError::Terminal(kind) => Some(format!(
            "name a file with -o FILE.{ending}, or send it on: … | cat > FILE.{ending}",
            ending = kind.ending()
        )),
        OutputError::Refused { .. } | OutputError::Foreign(_) => {
            Some("name a file in another folder with -o FILE".to_owned())
        }
        OutputError::IsFolder(_) | OutputError::Name(_) => None,
        OutputError::NoProgram { .. } => Some(
            "install Graphviz (apt install graphviz), or write a .dot file and draw it elsewhere"
                .to_owned(),
        ),
    }
}

pub(super) fn of_input(error: &InputError) -> Option<String> {
    match error {
        InputError::NoMatch(_) => Some("rsamp record writes NAME-PID.rsamp".to_owned()),
        InputError::SameTwice { .. } => Some("name each recording once".to_owned()),
        InputError::Unreadable { source, .. } => match source {
            ReadError::NewerFormat { rsamp, .. } => Some(format!("rsamp {rsamp} reads it")),
            ReadError::NotARecording => {
                Some("report reads the .rsamp files of rsamp record and rsamp attach".to_owned())
            }
            ReadError::Empty | ReadError::NoHeader(_) => Some(
                "rsamp was killed, or the disk was full, before anything was recorded".to_owned(),
            ),
            ReadError::Io(_) => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::errors::advice::hint;

    const PID: Pid = Pid(4242);

    fn hint_of(error: impl Into<anyhow::Error>, doing: &Action) -> String {
        let error = error.into().context("profile it");
        format!(
            "{error:#}\n{}",
            hint(&error, doing, "rsamp").unwrap_or_else(|| "no hint".to_owned())
        )
    }

    #[test]
    fn a_refusal_says_what_helps() {
        let root = || Denied::OtherUser {
            owner: 0,
            name: Some("root".to_owned()),
        };
        let table = [
            (
                root(),
                "belongs to user root",
                "sudo rsamp attach --pid 4242",
            ),
            (
                Denied::PtraceScope(1),
                "ptrace_scope is 1",
                "or set kernel.yama.ptrace_scope to 0 (sudo sysctl kernel.yama.ptrace_scope=0)",
            ),
            (
                Denied::PtraceScope(2),
                "ptrace_scope is 2",
                "sudo rsamp attach --pid 4242",
            ),
            (
                Denied::PtraceScope(3),
                "ptrace_scope is 3",
                "until the next boot",
            ),
            (
                Denied::NotDumpable,
                "protects itself",
                "sudo rsamp attach --pid 4242",
            ),
            (
                Denied::Container(Confinement::NoCapability),
                "capability SYS_PTRACE",
                "docker run --cap-add=SYS_PTRACE",
            ),
            (
                Denied::Container(Confinement::Seccomp),
                "seccomp filter",
                "--pid=host",
            ),
            (
                Denied::Container(Confinement::UserNamespace),
                "another user namespace",
                "inside that container",
            ),
            (
                Denied::Unknown,
                "gives no reason",
                "docker run --cap-add=SYS_PTRACE",
            ),
        ];
        for (why, reason, help) in table {
            let named = format!("{why:?}");
            let text = hint_of(
                SamplerError::PermissionDenied { pid: PID, why },
                &Action::Attach(PID),
            );
            assert!(text.contains(reason), "{named}: no {reason} in {text}");
            assert!(text.contains(help), "{named}: no {help} in {text}");
        }
        let dump = hint_of(
            SamplerError::PermissionDenied {
                pid: PID,
                why: root(),
            },
            &Action::Dump(PID),
        );
        assert!(dump.contains("sudo rsamp dump --pid 4242"), "{dump}");
    }

    #[test]
    fn a_program_that_is_not_python_is_named() {
        let error = || SamplerError::NotPython {
            pid: PID,
            what: "bash (/usr/bin/bash)".to_owned(),
        };
        insta::assert_snapshot!(hint_of(error(), &Action::Attach(PID)), @r"
        profile it: process 4242 is bash (/usr/bin/bash), not a Python program
        if it started a Python program, name that one: rsamp attach --pid $(pgrep -n -P 4242 python)
        ");
        insta::assert_snapshot!(hint_of(error(), &Action::Record(vec!["bash".into()])), @r"
        profile it: process 4242 is bash (/usr/bin/bash), not a Python program
        when a script or launcher starts Python, put rsamp record -- in front of python inside it
        ");
    }

    #[test]
    fn what_submits_a_job_is_told_where_rsamp_belongs() {
        for command in [
            &["qsub", "job.sl"][..],
            &["/opt/lsf/bin/bsub", "x"],
            &["flux", "run"],
        ] {
            let command = command.iter().map(Into::into).collect();
            let text = hint_of(SamplerError::EndedEarly(PID), &Action::Record(command));
            assert!(text.contains("inside the job script"), "{text}");
        }
    }

    #[test]
    fn an_unknown_version_names_the_known() {
        let error = SamplerError::UnknownVersion {
            pid: PID,
            found: "3.16.0".to_owned(),
            known: "2.7 and 3.3 to 3.15".to_owned(),
        };
        insta::assert_snapshot!(hint_of(error, &Action::Attach(PID)), @r"
        profile it: process 4242 runs Python 3.16.0; rsamp knows 2.7 and 3.3 to 3.15
        a newer rsamp may know this version
        ");
    }

    #[test]
    fn a_command_that_cannot_start_is_corrected() {
        let table: &[(&[&str], &str)] = &[
            (
                &["no such program x.py"],
                "leave out the quotes: rsamp record -- no such program x.py",
            ),
            (&["4242"], "rsamp attach --pid 4242"),
            (&["/no/such/x.py"], "rsamp record -- python /no/such/x.py"),
            (&["/no/such/program"], "ls -l /no/such/program"),
            (&["no-such-program"], "no-such-program is not in PATH"),
        ];
        for (command, expected) in table {
            let command: Vec<OsString> = command.iter().map(OsString::from).collect();
            let Err(error) = crate::process::Launched::spawn(&command) else {
                panic!("{command:?} started")
            };
            let text = hint_of(error, &Action::Record(command));
            assert!(text.contains(expected), "no {expected} in {text}");
        }
    }

    #[test]
    fn a_wrong_line_is_corrected() {
        let reading = Action::Reading("record");
        let table = [
            (
                RequestError::RecordWithPid {
                    pid: "42".to_owned(),
                },
                "rsamp attach --pid 42",
            ),
            (
                RequestError::PidAndCommand {
                    subcommand: "attach",
                    words: "python x.py".to_owned(),
                },
                "rsamp record -- python x.py",
            ),
            (RequestError::NoCommand, "see rsamp record --help"),
            (RequestError::SameFileTwice("a".into()), "its own file"),
        ];
        for (error, expected) in table {
            let text = hint_of(error, &reading);
            assert!(text.contains(expected), "no {expected} in {text}");
        }
    }

    #[test]
    fn sudo_finds_the_program() {
        for (exe, expected) in [
            ("/usr/local/bin/rsamp", "rsamp"),
            ("/usr/bin/rsamp", "rsamp"),
            ("/home/me/.cargo/bin/rsamp", "/home/me/.cargo/bin/rsamp"),
        ] {
            assert_eq!(sudo_name(Some(Path::new(exe))), expected);
        }
        assert_eq!(sudo_name(None), "rsamp");
    }
}
