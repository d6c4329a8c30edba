//! Turns a command that starts a program on many ranks, or a job script, into one that has rsamp before each program.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::launch::batch::{self, Script, Submission};
use crate::launch::scripts::Called;
use crate::launch::{self, Launch, shims};
use crate::process::{Change, Launched};
use crate::run::gather::{self, Gathered, RanksDir};
use crate::run::outputs::{Facts, Plan};
use crate::run::request::{Outputs, Record};
use crate::run::{header, program_name};

const NO_SCRATCH: &str = "make a folder for the recordings of the ranks";

/// What came of a launcher that ran.
#[derive(Debug)]
pub struct RanRanks {
    /// What its ranks recorded.
    pub gathered: Gathered,
    /// Its exit code.
    pub code: u8,
    /// Holds Ctrl-C back as long as it lives.
    pub launched: Launched,
}

/// Runs the launcher with rsamp before the program on every rank.
///
/// # Errors
/// When it is not started.
pub fn run_ranks(request: &Record, launch: &Launch) -> Result<RanRanks> {
    let name = program_name(&request.command);
    let plan = plan(request, &name)?;
    let scratch = scratch(request, &name)?;
    let first = request
        .command
        .get(launch.name_at())
        .map(|word| word.to_string_lossy());
    let launcher = first.as_deref().map(Path::new).and_then(Path::file_name);
    let launcher = launcher.unwrap_or_default().to_string_lossy().into_owned();
    let folder = gather::launch_folder(scratch.path(), &launcher).context(NO_SCRATCH)?;
    let options = header::options_before(&request.command);
    let command = before_ranks(&request.command, launch, &options, &folder)?;
    let launched = Launched::spawn(&command);
    if launched.is_err() {
        let _ = fs::remove_dir_all(scratch.path());
    }
    let mut launched = launched?;
    let pid = launched.pid();
    let header = gather::header(request);
    let code = launched
        .wait(|_| ())
        .context("wait for the launcher")?
        .shell_code();
    let gathered = gather::gather(request, &scratch, plan, header, pid);
    Ok(RanRanks {
        gathered,
        code,
        launched,
    })
}

/// Runs `sbatch` with this script in the place of the one that was named; returns its exit code.
///
/// # Errors
/// When `sbatch` is not started.
pub fn submit(
    outputs: &Outputs,
    submission: &Submission,
    name: &OsStr,
    script: &[u8],
) -> Result<(u8, Launched)> {
    // Slurm calls the job after the file, unless it has a name.
    let folder = RanksDir::create(outputs, "rsamp-submit").context(NO_SCRATCH)?;
    let file = folder.path().join(name);
    let submitted = fs::write(&file, script)
        .context("write the job script")
        .and_then(|()| {
            let mut command = submission.before.clone();
            command.push(file.into_os_string());
            command.extend(submission.arguments.iter().cloned());
            let mut launched = Launched::spawn(&command)?;
            let end = launched.wait(|_| ()).context("wait for sbatch")?;
            Ok((end.shell_code(), launched))
        });
    let _ = fs::remove_dir_all(folder.path());
    submitted
}

/// The plan of the files of all ranks.
///
/// # Errors
/// When one cannot be written.
pub fn plan(request: &Record, name: &str) -> Result<Plan> {
    let name = format!("{name}{}", Facts::own().suffix());
    Ok(Plan::check(&request.outputs, &name, None)?)
}

/// The folder for the recordings of the ranks.
///
/// # Errors
/// When it cannot be made.
pub fn scratch(request: &Record, name: &str) -> Result<RanksDir> {
    RanksDir::create(&request.outputs, name).context(NO_SCRATCH)
}

/// The launcher's command with rsamp before each program. `options` are those of `rsamp record`.
///
/// # Errors
/// When rsamp does not know where it is itself.
pub fn before_ranks(
    command: &[OsString],
    launch: &Launch,
    options: &[OsString],
    folder: &Path,
) -> Result<Vec<OsString>> {
    let rsamp = own_path()?;
    let python = match launch.python(command) {
        Some(python) => python.to_owned(),
        None => python_of(command.get(launch.name_at())),
    };
    let prefix = launch::prefix(&rsamp, options, folder);
    Ok(launch.insert(command, &prefix, &python))
}

/// Where this program is, on every node that has it in the same place.
///
/// # Errors
/// When the kernel does not tell.
pub fn own_path() -> Result<PathBuf> {
    std::env::current_exe().context("find out where rsamp itself is")
}

/// The interpreter with which torchrun runs scripts: that of its own first line.
fn python_of(torchrun: Option<&OsString>) -> OsString {
    let named = std::env::var_os("PYTHON_EXEC");
    let head = || crate::launch::programs::head(&torchrun?.to_string_lossy());
    let of_head = || {
        let head = head()?;
        let line = head
            .strip_prefix(b"#!")?
            .split(|byte| *byte == b'\n')
            .next()?;
        let line = String::from_utf8_lossy(line);
        Some(OsString::from(line.split_whitespace().next()?))
    };
    named.or_else(of_head).unwrap_or_else(|| "python3".into())
}

/// The command, what to change in its environment, and the folder of its own recording.
///
/// # Errors
/// When the links cannot be made, or the script is not found.
pub fn prepare(
    request: &Record,
    scratch: &RanksDir,
    (line, called): (Option<usize>, &Called),
    name: &str,
) -> Result<(Vec<OsString>, Vec<Change>, PathBuf)> {
    let options = header::options_before(&request.command);
    let changes =
        shims::install(scratch.path(), &own_path()?, &options, called).context(NO_SCRATCH)?;
    let own = scratch.own().context(NO_SCRATCH)?;
    let mut command = request.command.clone();
    if let Some(line) = line {
        put_script(&mut command, line, &scratch.path().join(name))?;
    }
    Ok((command, changes, own))
}

/// Makes a file of the job script, and names it in the command.
fn put_script(command: &mut [OsString], line: usize, file: &Path) -> Result<()> {
    // The interpreter and its argument come before it.
    for word in command.iter_mut().skip(1).take(2) {
        let Ok(text) = fs::read(&*word) else { continue };
        let script = batch::old_script(&text, line).with_context(|| {
            format!(
                "find the job script in line {line} of {}",
                word.to_string_lossy()
            )
        })?;
        fs::write(file, script).with_context(|| format!("write the job script to {file:?}"))?;
        *word = file.into();
        return Ok(());
    }
    anyhow::bail!("read the job script: the command names none")
}

/// The script's name, for files named after it: the job's, which is the script's if the user gave no other.
#[must_use]
pub fn job_name() -> String {
    let name = std::env::var_os("SLURM_JOB_NAME").unwrap_or_default();
    program_name(&["sh".into(), name])
}

/// The name that Slurm gives a job with this script, and its text.
///
/// # Errors
/// When it cannot be read.
pub fn read_script(script: &Script) -> Result<(OsString, Vec<u8>)> {
    match script {
        Script::File(path) => {
            let name = Path::new(path).file_name().unwrap_or(OsStr::new("job"));
            let text = fs::read(path).with_context(|| format!("read the job script {path:?}"))?;
            Ok((name.to_owned(), text))
        }
        Script::Stdin => {
            let mut text = Vec::new();
            let read = io::stdin().lock().read_to_end(&mut text);
            read.context("read the job script from standard input")?;
            Ok(("sbatch".into(), text))
        }
        Script::Wrap(command) => Ok(("wrap".into(), batch::wrapped(command))),
    }
}
