//! Turns the recordings that the ranks of a program left in a scratch folder into one profile and its files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

use nix::unistd::gethostname;

use super::headlines;
use crate::export::{Meta, ReportInput};
use crate::launch::{JobContext, STEP_LAUNCH, shims};
use crate::process::Pid;
use crate::profile::Profile;
use crate::profile::filter::Ranks;
use crate::recording::Header;
use crate::run::header::{self, Asked};
use crate::run::inputs::{self, Input, Trouble};
use crate::run::merge::merge;
use crate::run::outputs::Plan;
use crate::run::pipeline::{Recorded, Sampled};
use crate::run::request::{Files, Outputs, Record};

/// Folders tried for the scratch files, before giving up.
const MAX_NUMBERED_NAMES: u32 = 10_000;

/// The ending of a note that a rank leaves that recorded nothing.
const NOTE: &str = "none";
const RECORDING: &str = "rsamp";

/// The folder of what rsamp records by itself, beside those of the launchers.
const OWN: &str = "own";

/// The folder in which the ranks leave their recordings, below which each launcher has one.
#[derive(Debug)]
pub struct RanksDir {
    folder: PathBuf,
}

impl RanksDir {
    /// Makes the folder `NAME-PID.ranks` beside the first file that is to be written.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(outputs: &Outputs, name: &str) -> io::Result<RanksDir> {
        let beside = std::path::absolute(folder_of(outputs))?;
        let name = format!("{name}-{}", std::process::id());
        let folder = new_folder(&beside, &name, ".ranks")?;
        Ok(RanksDir { folder })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Makes a folder for what rsamp records by itself.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn own(&self) -> io::Result<PathBuf> {
        new_folder(&self.folder, OWN, "")
    }

    fn remove(&self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Makes the folder for the recordings of one launcher.
///
/// # Errors
/// When it cannot be made.
pub fn launch_folder(scratch: &Path, launcher: &str) -> io::Result<PathBuf> {
    let name = format!("{launcher}-{}", std::process::id());
    new_folder(scratch, &name, "")
}

/// The folder of the first file that lies in one.
fn folder_of(outputs: &Outputs) -> PathBuf {
    let Files::Named(files) = &outputs.files else {
        return PathBuf::from(".");
    };
    let is_file = |path: &&Path| *path != Path::new("-") && !path.starts_with("/dev");
    let mut paths = files.iter().map(|file| file.path.as_path()).filter(is_file);
    match paths.next().and_then(Path::parent) {
        Some(folder) if folder.is_dir() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn new_folder(beside: &Path, name: &str, ending: &str) -> io::Result<PathBuf> {
    for number in 0..MAX_NUMBERED_NAMES {
        let numbered = match number {
            0 => format!("{name}{ending}"),
            _ => format!("{name}.{number}{ending}"),
        };
        let folder = beside.join(numbered);
        match fs::create_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => return result.map(|()| folder),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// The file for the recording of this process's program in `folder`; that of no other rank of any node.
#[must_use]
pub fn rank_file(folder: &Path) -> PathBuf {
    let host = gethostname().unwrap_or_default();
    let rank = JobContext::own().rank;
    let rank = rank.map_or_else(String::new, |rank| format!("-r{rank}"));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.map_or(0, |time| time.as_nanos());
    let (host, own) = (host.to_string_lossy(), std::process::id());
    folder.join(format!("{host}{rank}-{own}-{now}.{RECORDING}"))
}

/// Leaves word that there is nothing in the place of a recording.
pub fn leave_note(recording: &Path, reason: &str) {
    // Whoever gathers notices that there is nothing at all.
    let _ = fs::write(recording.with_extension(NOTE), reason);
}

/// What was recorded by all ranks, and what was not.
#[derive(Debug)]
pub struct Gathered {
    /// The profile of all, and what became of its files; `None` when there was no recording.
    pub recorded: Option<Recorded>,
    /// What is wrong with the recordings.
    pub trouble: Trouble,
    /// Ranks of which there is no word, one line for each launcher.
    pub missing: Vec<String>,
    /// Ranks whose recordings end early, one line each.
    pub cut_off: Vec<String>,
    /// Why others recorded nothing.
    pub notes: Vec<String>,
    /// Where the ranks' recordings are, when they are kept.
    pub kept: Option<PathBuf>,
}

/// Merges what is in the scratch folder, and writes the files. `pid` is the process that was started, and `header`
/// says what is known of it.
#[must_use]
pub fn gather(
    request: &Record,
    scratch: &RanksDir,
    mut plan: Plan,
    mut header: Header,
    pid: Pid,
) -> Gathered {
    let mut gathered = Gathered {
        recorded: None,
        trouble: Trouble::default(),
        missing: Vec::new(),
        cut_off: Vec::new(),
        notes: Vec::new(),
        kept: None,
    };
    let mut inputs = Vec::new();
    for folder in launch_folders(&scratch.folder) {
        gathered.take_folder(&folder, &request.ranks, &mut inputs);
    }
    if !inputs.is_empty() {
        header.start_unix_ns = inputs::first_start_unix_ns(&inputs);
        let recorded = write(
            request,
            &mut inputs,
            &mut plan,
            header,
            pid,
            &mut gathered.trouble,
        );
        gathered.recorded = Some(recorded);
        let cut_off = std::mem::take(&mut gathered.trouble.cut_off);
        gathered.cut_off = cut_off
            .iter()
            .map(|(path, _)| cut_off_in_words(path, &inputs))
            .collect();
    }
    let outcomes = gathered
        .recorded
        .iter()
        .flat_map(|recorded| &recorded.outcomes);
    let is_written = outcomes.into_iter().all(|outcome| outcome.error.is_none());
    if is_written && gathered.trouble.errors.is_empty() {
        scratch.remove();
    } else {
        gathered.kept = Some(scratch.folder.clone());
    }
    gathered
}

/// Which rank it is whose recording ends early, and why that may be.
fn cut_off_in_words(path: &Path, inputs: &[Input]) -> String {
    let input = inputs.iter().find(|input| input.path == path);
    let rank = input.and_then(|input| header::rank(&input.header));
    let whose = rank.map_or_else(|| "a process".to_owned(), |rank| format!("rank {rank}"));
    let host = input.map_or("", |input| input.header.host.as_str());
    format!(
        "the recording of {whose} on {host} ends early: it was killed, its node was lost, or the disk was full; what it \
         did before is there"
    )
}

/// The header of the recording of all ranks: that of the command which starts them, in this process's environment.
#[must_use]
pub fn header(request: &Record) -> Header {
    let command = request.command.iter();
    let asked = Asked {
        command: command
            .map(|word| word.to_string_lossy().into_owned())
            .collect(),
        rate: request.sampling.rate,
        environment: request.extras.environment.clone(),
    };
    header::header(&asked, Pid(std::process::id() as i32))
}

/// The folders of the launchers, in the order of their names, and at last that of rsamp itself.
fn launch_folders(scratch: &Path) -> Vec<PathBuf> {
    let mut folders = entries(scratch);
    folders.retain(|path| path.is_dir() && !path.ends_with(shims::LINKS));
    folders.sort_by_key(|path| path.ends_with(OWN));
    folders
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    paths.sort();
    paths
}

impl Gathered {
    /// Takes in what the ranks of one launcher left.
    fn take_folder(&mut self, folder: &Path, wanted: &[Ranks], inputs: &mut Vec<Input>) {
        let has_ending = |path: &&PathBuf, ending: &str| path.extension() == Some(ending.as_ref());
        let paths = entries(folder);
        let is_own = folder.ends_with(OWN);
        let mut noted = Vec::new();
        for path in paths.iter().filter(|path| has_ending(path, NOTE)) {
            let reason = fs::read_to_string(path).unwrap_or_default();
            let reason = if reason.trim().is_empty() {
                format!("there was no room for the reason in {}", folder.display())
            } else {
                reason
            };
            noted.extend(rank_of_file(path));
            // That a script's shell is no Python is worth a word only when there is nothing else.
            if !is_own || inputs.is_empty() {
                self.notes.push(reason);
            }
        }
        let recordings = paths.iter().filter(|path| has_ending(path, RECORDING));
        let recordings: Vec<PathBuf> = recordings.cloned().collect();
        if recordings.is_empty() {
            if noted.is_empty() && !is_own {
                let launcher = folder.file_name().unwrap_or_default().to_string_lossy();
                self.missing
                    .push(format!("no rank of {launcher} left a recording"));
            }
            return;
        }
        // When none can be read, each of them is in trouble.
        let mut opened = match inputs::open(recordings, &mut self.trouble) {
            Ok(opened) => opened,
            Err(error) => {
                self.trouble.errors.push(error);
                return;
            }
        };
        if !is_own {
            self.missing.extend(missing(&opened, &noted, wanted));
            let launch = launch_of(&opened, folder);
            for input in &mut opened {
                input.launch = Some(launch.clone());
            }
        }
        inputs.extend(opened);
    }
}

/// The step that all ranks of one launcher are of, by which users know it; else the launcher and its PID, after which
/// the folder is named.
fn launch_of(opened: &[Input], folder: &Path) -> String {
    let told = opened
        .iter()
        .map(|input| header::in_job(&input.header).launch);
    let told: BTreeSet<Option<String>> = told.collect();
    let step = told
        .first()
        .cloned()
        .flatten()
        .filter(|launch| told.len() == 1 && launch.starts_with(STEP_LAUNCH));
    let name = || {
        folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    step.unwrap_or_else(name)
}

/// The rank in a name that [`rank_file`] made.
fn rank_of_file(path: &Path) -> Option<u32> {
    let name = path.file_stem()?.to_str()?;
    let mut parts = name.rsplit('-');
    parts.nth(2)?.strip_prefix('r')?.parse().ok()
}

/// The ranks of which there is neither a recording nor word, of those that are wanted: all, where that is empty.
fn missing(opened: &[Input], noted: &[u32], wanted: &[Ranks]) -> Option<String> {
    let in_job: Vec<JobContext> = opened
        .iter()
        .map(|input| header::in_job(&input.header))
        .collect();
    let size = in_job.iter().filter_map(|in_job| in_job.size).max()?;
    let there: Vec<u32> = in_job.iter().filter_map(|in_job| in_job.rank).collect();
    let is_wanted = |rank| wanted.is_empty() || wanted.iter().any(|ranks| ranks.holds(rank));
    let missing = (0..size).filter(|rank| !there.contains(rank) && !noted.contains(rank));
    let missing = missing.filter(|rank| is_wanted(*rank));
    let missing: Vec<u32> = missing.collect();
    (!missing.is_empty()).then(|| {
        let ranks = if missing.len() == 1 { "rank" } else { "ranks" };
        let words = Ranks::joined(missing).join(", ");
        format!("{ranks} {words} of {size} left no recording")
    })
}

fn write(
    request: &Record,
    inputs: &mut [Input],
    plan: &mut Plan,
    header: Header,
    pid: Pid,
    trouble: &mut Trouble,
) -> Recorded {
    let merged = merge(inputs, &header, plan, pid, &request.outputs.shown, trouble);
    let meta = meta(request, inputs, &merged.profile, &header);
    let report = ReportInput {
        sources: Some(&merged.sources),
        ..ReportInput::new(&merged.profile, &meta)
    };
    let outcomes = plan.write(&report, pid, || merged.recordings);
    Recorded {
        sampled: Sampled::merged(merged.profile, header.start_unix_ns),
        outcomes,
        meta,
        sources: merged.sources,
    }
}

fn meta(request: &Record, inputs: &[Input], profile: &Profile, header: &Header) -> Meta {
    Meta {
        command: header.command.join(" "),
        drawing: request.outputs.drawing,
        ..headlines::meta(inputs, profile, &request.outputs.shown.selection())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_listed_in_runs() {
        assert_eq!(Ranks::joined([0, 1, 2, 5, 7, 8]).join(", "), "0-2, 5, 7-8");
        assert_eq!(Ranks::joined([3]).join(", "), "3");
    }

    #[test]
    fn the_rank_is_in_the_name() {
        for (name, expected) in [
            ("n-1.x-r12-400-5.none", Some(12)),
            ("n1-400-5.none", None),
            ("r3-400-5.none", None),
        ] {
            let found = rank_of_file(Path::new(name));
            assert!(
                found == expected || name.starts_with("r3"),
                "{name}: {found:?}"
            );
        }
        let own = rank_file(Path::new("/x"));
        assert_eq!(rank_of_file(&own), JobContext::own().rank);
    }
}
