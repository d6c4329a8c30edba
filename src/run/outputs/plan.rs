//! Turns a profile into the files that were asked for, whatever goes wrong with some of them.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use crate::export::words::time_axis;
use crate::export::{self, ExportError, Format, ReportInput};
use crate::process::Pid;
use crate::profile::Profile;
use crate::profile::limits::MAX_ROWS;
use crate::recording::{Replace, Spare};
use crate::run::outputs::destination::{self, Destination, Readers};
use crate::run::outputs::growing::Growing;
use crate::run::outputs::kind::Kind;
use crate::run::outputs::naming::{Facts, Pattern, own_variable};
use crate::run::outputs::outcome::{Outcome, Saved};
use crate::run::outputs::temporary::TempOutput;
use crate::run::request::{Files, Outputs};
use crate::run::warning::warn;

pub use crate::run::outputs::destination::OutputError;
pub use crate::run::outputs::destination::WriteError;

/// Names tried for a default file that must not replace one: `NAME-PID.svg`, `NAME-PID.1.svg`, …
const MAX_NUMBERED_NAMES: u32 = 10_000;

/// What is to be written, checked as far as it can be before anything is recorded.
#[derive(Debug)]
pub struct Plan {
    files: PlannedFiles,
    /// NAME of `NAME-PID.svg`.
    name: String,
    readers: Readers,
    /// Whether files are written into `$TMPDIR` first.
    has_scratch: bool,
}

#[derive(Debug)]
enum PlannedFiles {
    Named(Vec<Named>),
    Default {
        folder: PathBuf,
        kinds: Vec<Kind>,
        is_forced: bool,
        /// The number that the files of this run share, once the process is known.
        number: u32,
    },
}

/// A file that the user named.
#[derive(Debug)]
struct Named {
    place: Destination,
    kind: Kind,
    /// Its name, when the PID is in it; and whether a write-protected file may be replaced.
    late: Option<(Pattern, bool)>,
}

impl Plan {
    /// Finds out whether everything asked for can be written. `pid` is `None` before the program runs.
    ///
    /// # Errors
    /// When something cannot.
    pub fn check(outputs: &Outputs, name: &str, pid: Option<Pid>) -> Result<Plan, OutputError> {
        Plan::check_in(Path::new(""), outputs, name, pid)
    }

    fn check_in(
        folder: &Path,
        outputs: &Outputs,
        name: &str,
        pid: Option<Pid>,
    ) -> Result<Plan, OutputError> {
        check_formats(outputs, io::stdout().is_terminal())?;
        let files = match &outputs.files {
            Files::Named(named) => {
                let facts = Facts::own();
                let files = named.iter().map(|output| {
                    let Some(pattern) = &output.pattern else {
                        return Ok(Named {
                            place: Destination::named(&output.path, outputs.force)?,
                            kind: output.kind,
                            late: None,
                        });
                    };
                    let path = pattern.path(&facts, pid.unwrap_or(Pid(0)), own_variable)?;
                    let is_late = pid.is_none() && pattern.has_pid();
                    Ok(Named {
                        place: Destination::named(&path, outputs.force)?,
                        kind: output.kind,
                        late: is_late.then(|| (pattern.clone(), outputs.force)),
                    })
                });
                PlannedFiles::Named(files.collect::<Result<_, OutputError>>()?)
            }
            Files::Default(kinds) => {
                destination::check_folder(if folder == Path::new("") {
                    Path::new(".")
                } else {
                    folder
                })?;
                PlannedFiles::Default {
                    folder: folder.to_owned(),
                    kinds: kinds.clone(),
                    is_forced: outputs.force,
                    number: 0,
                }
            }
        };
        Ok(Plan {
            files,
            name: name.to_owned(),
            readers: Readers::Usual,
            has_scratch: outputs.scratch,
        })
    }

    /// The same, for files that only their owner may read where `is_private`: when root reads the process of another
    /// user, what comes of it is for root.
    #[must_use]
    pub fn private(mut self, is_private: bool) -> Plan {
        if is_private {
            self.keep_private();
        }
        self
    }

    /// As [`Plan::private`], while it is being recorded: it shows that a process is another user's.
    pub fn keep_private(&mut self) {
        self.readers = Readers::Owner;
    }

    /// Who may read a recording while it grows. Of what root records, any process may turn out to be another user's: and
    /// who has opened the file before may read what is written later.
    fn readers_meanwhile(&self) -> Readers {
        match geteuid().is_root() {
            true => Readers::Owner,
            false => self.readers,
        }
    }

    /// A profile to fold events into: it keeps what was seen when if a file is to show it.
    #[must_use]
    pub fn empty_profile(&self) -> Profile {
        let profile = match self.has_time_axis() {
            true => Profile::with_timeline(),
            false => Profile::default(),
        };
        profile.with_max_rows(MAX_ROWS)
    }

    fn has_time_axis(&self) -> bool {
        match &self.files {
            PlannedFiles::Named(files) => files.iter().any(|file| file.kind.has_time_axis()),
            PlannedFiles::Default { kinds, .. } => kinds.iter().any(|kind| kind.has_time_axis()),
        }
    }

    /// Whether a file shows source text as it was while the program ran.
    #[must_use]
    pub fn shows_source(&self) -> bool {
        let page = Kind::Export(Format::Html);
        match &self.files {
            PlannedFiles::Named(files) => files.iter().any(|file| file.kind == page),
            PlannedFiles::Default { kinds, .. } => kinds.contains(&page),
        }
    }

    /// Chooses the names for process `pid`, and tells where its recordings go, in the order of the plan.
    pub fn choose_names(&mut self, pid: Pid) -> Vec<Destination> {
        let name = &self.name;
        match &mut self.files {
            PlannedFiles::Named(files) => {
                files.iter_mut().for_each(|file| file.choose_name(pid));
                let recordings = files.iter().filter(|file| file.kind == Kind::Recording);
                recordings.map(|file| file.place.clone()).collect()
            }
            PlannedFiles::Default {
                folder,
                kinds,
                is_forced,
                number,
            } => {
                if !*is_forced {
                    *number = free_number(name, folder, kinds, pid);
                }
                let recordings = kinds.iter().filter(|kind| **kind == Kind::Recording);
                let places = recordings.map(|kind| {
                    let path = folder.join(default_name(name, pid, *number, *kind));
                    match Destination::named(&path, true) {
                        Ok(place) if *is_forced => place,
                        _ => Destination::new(&path),
                    }
                });
                places.collect()
            }
        }
    }

    /// Opens a place that [`Plan::choose_names`] told; or its scratch file, from which
    /// [`Plan::deliver`] brings it there.
    pub fn opener(&self, growing: &Growing) -> impl FnOnce() -> io::Result<File> + Send + 'static {
        let scratch = TempOutput::for_path(&growing.destination.path);
        let open = growing.opener(self.readers_meanwhile());
        let has_scratch = self.has_scratch;
        move || if has_scratch { scratch.open() } else { open() }
    }

    /// Where the recording of a place goes on when its disk takes no more.
    #[must_use]
    pub fn spare(&self, place: &Destination) -> Spare {
        let scratch = TempOutput::for_path(&place.path);
        Box::new(move || Ok((scratch.open()?, scratch.path)))
    }

    /// Puts other bytes into the place of a recording that [`Plan::opener`] has opened, in one go, and opens it to write
    /// behind them.
    #[must_use]
    pub fn replacer(&self, growing: &Growing) -> Replace {
        let scratch = TempOutput::for_path(&growing.destination.path);
        if self.has_scratch {
            return Box::new(move |bytes| scratch.replace(bytes));
        }
        growing.replacer(self.readers_meanwhile())
    }

    /// Brings a recording that was written, or what there is of it, to its place.
    #[must_use]
    pub fn deliver(&self, growing: Growing, outcome: Outcome) -> Outcome {
        let place = &growing.destination;
        let saved = outcome.saved.as_ref();
        // One that went on elsewhere stays there.
        if saved.is_none_or(|saved| saved.path != place.path) {
            return outcome;
        }
        if !self.has_scratch {
            if self.readers == Readers::Usual {
                growing.open_up();
            }
            return growing.end(outcome, &std::env::temp_dir());
        }
        let scratch = TempOutput::for_path(&place.path);
        match scratch.move_to(place, self.readers) {
            Ok(size_bytes) => Outcome {
                saved: Some(Saved {
                    path: place.path.clone(),
                    size_bytes,
                }),
                ..outcome
            },
            Err(error) => Outcome {
                saved: outcome.saved.map(|saved| Saved {
                    path: scratch.path,
                    ..saved
                }),
                error: Some(error),
                ..outcome
            },
        }
    }

    /// Writes every file of a report on process `pid`. One that fails does not keep the others from
    /// being written, and is tried again in the folder for temporary files. What became of the
    /// recordings, which is asked for when all else is written, takes its place among the others.
    #[must_use]
    pub fn write(
        &self,
        input: &ReportInput<'_>,
        pid: Pid,
        recordings: impl FnOnce() -> Vec<Outcome>,
    ) -> Vec<Outcome> {
        if let Some(words) = time_axis::in_words(input.profile).filter(|_| self.has_time_axis()) {
            warn(format!(
                "{words} (too much happened to keep all of it); for a finer one, choose a part with rsamp report --from \
                 and --to"
            ));
        }
        let render: Render<'_> = &mut |format, out| {
            export::write(format, input, out).map_err(|ExportError::Write { source, .. }| source)
        };
        self.write_with(pid, &std::env::temp_dir(), recordings, render)
    }

    fn write_with(
        &self,
        pid: Pid,
        spare: &Path,
        recordings: impl FnOnce() -> Vec<Outcome>,
        render: Render<'_>,
    ) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        let mut add = |kind, write: &mut dyn FnMut(Format) -> Outcome| {
            outcomes.push(match kind {
                Kind::Recording => None,
                Kind::Export(format) => Some(write(format)),
            });
        };
        match &self.files {
            PlannedFiles::Named(files) => {
                for Named { place, kind, .. } in files {
                    add(*kind, &mut |format| {
                        let result = self.write_one(place, format, render);
                        self.outcome(result, format, pid, spare, render)
                    });
                }
            }
            PlannedFiles::Default {
                folder,
                kinds,
                is_forced,
                number,
            } => {
                for kind in kinds {
                    add(*kind, &mut |format| {
                        let path = folder.join(default_name(&self.name, pid, *number, *kind));
                        let result = match Destination::named(&path, true) {
                            Ok(place) if *is_forced => self.write_one(&place, format, render),
                            _ => self.write_new(folder, *number, format, pid, render),
                        };
                        self.outcome(result, format, pid, spare, render)
                    });
                }
            }
        }
        let mut recordings = recordings().into_iter();
        let outcomes = outcomes.into_iter();
        outcomes
            .filter_map(|outcome| outcome.or_else(|| recordings.next()))
            .collect()
    }

    fn outcome(
        &self,
        result: Result<Saved, WriteError>,
        format: Format,
        pid: Pid,
        spare: &Path,
        render: Render<'_>,
    ) -> Outcome {
        match result {
            Ok(saved) => Outcome {
                kind: Kind::Export(format),
                saved: Some(saved),
                error: None,
            },
            Err(error) => {
                let saved = self.write_new(spare, 0, format, pid, render).ok();
                Outcome {
                    kind: Kind::Export(format),
                    saved,
                    error: Some(error),
                }
            }
        }
    }

    fn write_one(
        &self,
        place: &Destination,
        format: Format,
        render: Render<'_>,
    ) -> Result<Saved, WriteError> {
        let size_bytes = if self.has_scratch {
            self.write_by_scratch(place, format, render)?
        } else {
            place.write(self.readers, &mut |out| render(format, out))?
        };
        Ok(Saved {
            path: place.path.clone(),
            size_bytes,
        })
    }

    fn write_by_scratch(
        &self,
        place: &Destination,
        format: Format,
        render: Render<'_>,
    ) -> Result<u64, WriteError> {
        let scratch = TempOutput::for_path(&place.path);
        let rendered = scratch.open().and_then(|file| {
            let mut out = BufWriter::new(file);
            render(format, &mut out)?;
            out.flush()
        });
        let settled = rendered
            .map_err(|source| WriteError {
                path: scratch.path.clone(),
                written_bytes: 0,
                source,
            })
            .and_then(|()| scratch.move_to(place, self.readers));
        // One that did not arrive is rendered again in the folder for temporary files.
        scratch.remove();
        settled
    }

    /// Writes the first of `NAME-PID.svg`, `NAME-PID.1.svg`, … from `number` on that does not exist.
    fn write_new(
        &self,
        folder: &Path,
        number: u32,
        format: Format,
        pid: Pid,
        render: Render<'_>,
    ) -> Result<Saved, WriteError> {
        let mut number = number;
        loop {
            let kind = Kind::Export(format);
            let path = folder.join(default_name(&self.name, pid, number, kind));
            let is_last = number >= MAX_NUMBERED_NAMES;
            if is_last || !is_taken(&path) {
                match self.write_one(&Destination::new(&path), format, render) {
                    Err(error)
                        if !is_last && error.source.kind() == io::ErrorKind::AlreadyExists => {}
                    result => return result,
                }
            }
            number += 1;
        }
    }
}

impl Named {
    /// Chooses the name for process `pid`.
    fn choose_name(&mut self, pid: Pid) {
        let Some((pattern, is_forced)) = self.late.take() else {
            return;
        };
        // All but the PID was there a moment ago.
        if let Ok(path) = pattern.path(&Facts::own(), pid, own_variable) {
            self.place =
                Destination::named(&path, is_forced).unwrap_or_else(|_| Destination::new(&path));
        }
    }
}

/// The number under which none of the files exists, so that files of one run share it.
fn free_number(name: &str, folder: &Path, kinds: &[Kind], pid: Pid) -> u32 {
    let is_free = |number: &u32| {
        let mut paths = kinds
            .iter()
            .map(|kind| folder.join(default_name(name, pid, *number, *kind)));
        !paths.any(|path| is_taken(&path))
    };
    (0..MAX_NUMBERED_NAMES).find(is_free).unwrap_or(0)
}

/// Finds out whether every program that draws a format is there, before there is anything to lose.
fn check_formats(outputs: &Outputs, is_terminal: bool) -> Result<(), OutputError> {
    let kinds: Vec<Kind> = match &outputs.files {
        Files::Named(named) => {
            let to_stdout = named.iter().filter(|output| output.path == Path::new("-"));
            let mut kinds = to_stdout.map(|output| output.kind);
            if let Some(kind) = kinds.find(|kind| is_terminal && kind.is_binary()) {
                return Err(OutputError::Terminal(kind));
            }
            named.iter().map(|output| output.kind).collect()
        }
        Files::Default(kinds) => kinds.clone(),
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |program: &str| {
        std::env::split_paths(&path).any(|folder| destination::is_program(&folder.join(program)))
    };
    for kind in kinds {
        let Kind::Export(format) = kind else { continue };
        match format.program() {
            Some(program) if !is_there(program) => {
                return Err(OutputError::NoProgram { format, program });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Writes a format; injected, so that tests need no profile.
type Render<'a> = &'a mut dyn FnMut(Format, &mut dyn Write) -> io::Result<()>;

fn default_name(name: &str, pid: Pid, number: u32, kind: Kind) -> String {
    match number {
        0 => format!("{name}-{pid}.{}", kind.ending()),
        _ => format!("{name}-{pid}.{number}.{}", kind.ending()),
    }
}

/// Whether anything is there, a dangling link included.
fn is_taken(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::export::Drawing;
    use crate::run::request::{Output, Shown};

    const PID: Pid = Pid(42);

    fn default_outputs(force: bool) -> Outputs {
        Outputs {
            files: Files::Default(vec![
                Kind::Export(Format::FlameGraph),
                Kind::Export(Format::Pstats),
            ]),
            drawing: Drawing::default(),
            shown: Shown::default(),
            force,
            scratch: false,
        }
    }

    fn named(paths: &[PathBuf]) -> Outputs {
        let output = |path: &PathBuf| Output {
            path: path.clone(),
            kind: Kind::Export(Format::Folded),
            pattern: None,
        };
        Outputs {
            files: Files::Named(paths.iter().map(output).collect()),
            drawing: Drawing::default(),
            shown: Shown::default(),
            force: false,
            scratch: false,
        }
    }

    /// Writes each format's name, into `spare` where the planned place fails.
    fn write(plan: &mut Plan, spare: &Path) -> Vec<String> {
        plan.choose_names(PID);
        let outcomes = plan.write_with(PID, spare, Vec::new, &mut |format, out| {
            write!(out, "{format}")
        });
        let told = outcomes.iter().map(|outcome| {
            let file = |saved: &Saved| {
                saved
                    .path
                    .file_name()
                    .expect("a name")
                    .to_string_lossy()
                    .into_owned()
            };
            let saved = outcome
                .saved
                .as_ref()
                .map_or_else(|| "nowhere".to_owned(), file);
            let error = outcome
                .error
                .as_ref()
                .map(|error| format!(" ({})", error.source));
            saved + &error.unwrap_or_default()
        });
        told.collect()
    }

    #[test]
    fn files_are_named_after_program_and_process() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut plan = Plan::check_in(folder.path(), &default_outputs(false), "scatter", None)
            .expect("a plan");
        assert_eq!(
            write(&mut plan, folder.path()),
            ["scatter-42.svg", "scatter-42.pstats"]
        );
        assert_eq!(
            fs::read_to_string(folder.path().join("scatter-42.svg")).expect("read"),
            "flamegraph"
        );
    }

    #[test]
    fn an_existing_default_file_is_never_lost() {
        let folder = tempfile::tempdir().expect("a folder");
        let old = folder.path().join("scatter-42.pstats");
        fs::write(&old, "old").expect("written");
        // Both files get the next number, whether or not the process is known before.
        let mut plan = Plan::check_in(folder.path(), &default_outputs(false), "scatter", Some(PID))
            .expect("a plan");
        assert_eq!(
            write(&mut plan, folder.path()),
            ["scatter-42.1.svg", "scatter-42.1.pstats"]
        );
        let mut plan = Plan::check_in(folder.path(), &default_outputs(false), "scatter", None)
            .expect("a plan");
        assert_eq!(
            write(&mut plan, folder.path()),
            ["scatter-42.2.svg", "scatter-42.2.pstats"]
        );
        assert_eq!(fs::read_to_string(&old).expect("read"), "old");
        // Forced.
        let mut plan = Plan::check_in(folder.path(), &default_outputs(true), "scatter", Some(PID))
            .expect("a plan");
        assert_eq!(
            write(&mut plan, folder.path()),
            ["scatter-42.svg", "scatter-42.pstats"]
        );
        assert_eq!(fs::read_to_string(&old).expect("read"), "pstats");
    }

    #[test]
    fn bytes_do_not_go_to_a_terminal() {
        let outputs = |kind| Outputs {
            files: Files::Named(vec![Output {
                path: PathBuf::from("-"),
                kind,
                pattern: None,
            }]),
            ..default_outputs(false)
        };
        for (kind, is_binary) in [
            (Kind::Recording, true),
            (Kind::Export(Format::Pstats), true),
            (Kind::Export(Format::Pprof), true),
            (Kind::Export(Format::Lprof), true),
            (Kind::Export(Format::FlameGraph), false),
            (Kind::Export(Format::FunctionsCsv), false),
        ] {
            let refused = check_formats(&outputs(kind), true);
            assert_eq!(
                matches!(refused, Err(OutputError::Terminal(_))),
                is_binary,
                "{kind}"
            );
            assert!(check_formats(&outputs(kind), false).is_ok(), "{kind}");
        }
    }

    #[test]
    fn the_order_of_time_is_kept_only_for_a_file_that_shows_it() {
        let has_timeline = |formats: &[Format]| {
            let mut outputs = default_outputs(false);
            let kinds = formats.iter().copied().map(Kind::Export);
            outputs.files = Files::Default(kinds.chain([Kind::Recording]).collect());
            let plan = Plan::check(&outputs, "x", None).expect("a plan");
            plan.empty_profile().timeline().is_some()
        };
        assert!(!has_timeline(&[Format::FlameGraph, Format::Pstats]));
        assert!(has_timeline(&[Format::FlameGraph, Format::ChromeTrace]));
        let folder = tempfile::tempdir().expect("a folder");
        let mut outputs = named(&[folder.path().join("a")]);
        for (format, expected) in [(Format::Speedscope, true), (Format::Folded, false)] {
            if let Files::Named(files) = &mut outputs.files {
                files[0].kind = Kind::Export(format);
            }
            let plan = Plan::check(&outputs, "x", None).expect("a plan");
            assert_eq!(plan.empty_profile().timeline().is_some(), expected);
        }
    }

    #[test]
    fn a_name_with_the_pid_is_settled_when_the_process_runs() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a-%p.folded");
        let mut outputs = named(std::slice::from_ref(&path));
        if let Files::Named(files) = &mut outputs.files {
            files[0].pattern = Some(Pattern::read(&path).expect("a pattern"));
        }
        let mut plan = Plan::check(&outputs, "x", None).expect("a plan");
        assert_eq!(write(&mut plan, folder.path()), ["a-42.folded"]);
    }

    #[test]
    fn a_named_file_is_overwritten() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.folded");
        fs::write(&path, "old").expect("written");
        let mut plan =
            Plan::check(&named(std::slice::from_ref(&path)), "x", Some(PID)).expect("a plan");
        assert_eq!(write(&mut plan, folder.path()), ["a.folded"]);
        assert_eq!(fs::read_to_string(&path).expect("read"), "folded");
    }

    #[test]
    fn files_by_way_of_scratch_are_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut outputs = default_outputs(false);
        outputs.scratch = true;
        let mut plan = Plan::check_in(folder.path(), &outputs, "by-scratch", None).expect("a plan");
        assert_eq!(
            write(&mut plan, folder.path()),
            ["by-scratch-42.svg", "by-scratch-42.pstats"]
        );
        // The next run finds the names taken, as without scratch.
        assert_eq!(
            write(&mut plan, folder.path()),
            ["by-scratch-42.1.svg", "by-scratch-42.1.pstats"]
        );
        let read = |name| fs::read_to_string(folder.path().join(name)).expect("read");
        assert_eq!(read("by-scratch-42.svg"), "flamegraph");
        assert_eq!(read("by-scratch-42.1.pstats"), "pstats");
        let path = folder.path().join("x.rsamp");
        let growing = Growing::at(Destination::new(&path));
        plan.opener(&growing)()
            .expect("opened")
            .write_all(b"recorded")
            .expect("written");
        assert!(!path.exists());
        let written = Outcome {
            kind: Kind::Recording,
            saved: Some(Saved {
                path: path.clone(),
                size_bytes: 8,
            }),
            error: None,
        };
        assert!(plan.deliver(growing, written).error.is_none());
        assert_eq!(read("x.rsamp"), "recorded");
    }

    #[test]
    fn a_full_disk_loses_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let spare = tempfile::tempdir().expect("a folder");
        let other = folder.path().join("a.folded");
        let mut plan =
            Plan::check(&named(&["/dev/full".into(), other]), "x", None).expect("a plan");
        assert_eq!(
            write(&mut plan, spare.path()),
            [
                "x-42.folded (No space left on device (os error 28))",
                "a.folded"
            ]
        );
        assert_eq!(
            fs::read_to_string(spare.path().join("x-42.folded")).expect("read"),
            "folded"
        );
        assert_eq!(
            write(&mut plan, Path::new("/no/such"))[0],
            "nowhere (No space left on device (os error 28))"
        );
    }

    #[test]
    fn a_folder_that_went_away_loses_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let spare = tempfile::tempdir().expect("a folder");
        for force in [false, true] {
            let gone = folder.path().join("gone");
            fs::create_dir(&gone).expect("made");
            let mut plan =
                Plan::check_in(&gone, &default_outputs(force), "x", None).expect("a plan");
            fs::remove_dir_all(&gone).expect("removed");
            let told = write(&mut plan, spare.path());
            assert!(
                told[0].contains("x-42") && told[0].contains("No such file"),
                "{told:?}"
            );
        }
        assert!(spare.path().join("x-42.1.pstats").exists());
    }
}
