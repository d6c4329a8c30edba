//! Turns a function into whose code it is: the user's own, a package's, the standard library's, or native code.
//!
//! Own code lies below the working folder of a process or beside its script, and neither in a folder of installed
//! packages nor in the standard library. What is typed (`python -c`, a notebook's cell) is own code too.

use std::collections::BTreeSet;

use super::event::Frame;
use super::functions::{Function, FunctionKind};
use super::{Profile, paths};

/// Whose code a function is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin<'f> {
    /// The user's own.
    Own,
    /// An installed package's, or any other's that is neither the user's nor Python's; by its name.
    Package(&'f str),
    /// Python's standard library, frozen modules included.
    StandardLibrary,
    /// Native code.
    Native,
    /// It is not a function: a mark, or Python code of an unknown file.
    Mark,
}

/// What tells the own code of one profile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    /// The folders of own code, without a slash at the end. None: all is own that is neither a package nor a library.
    folders: BTreeSet<String>,
    /// Folders that hold an interpreter's `lib/python3.x`: a script in their `bin` belongs to a package.
    prefixes: BTreeSet<String>,
    /// Whether a program was typed behind `-c`: else `<string>` is what a library made (`namedtuple`, `exec`).
    has_typed_program: bool,
}

impl Origins {
    /// Learns where the processes of a profile ran and where their scripts lie.
    #[must_use]
    pub fn of(profile: &Profile) -> Origins {
        let files = || profile.frames().iter().filter_map(|f| f.file.as_deref());
        let prefixes = files().filter_map(paths::interpreter_prefix);
        let mut origins = Origins {
            folders: BTreeSet::new(),
            prefixes: prefixes.map(str::to_owned).collect(),
            has_typed_program: profile
                .processes()
                .iter()
                .any(|p| p.command.iter().any(|word| word == "-c")),
        };
        let processes = profile.processes().iter();
        for folder in processes.filter_map(|process| process.working_folder.as_deref()) {
            origins.add(folder);
        }
        for script in scripts(profile) {
            if !origins.is_console_script(script) {
                origins.add(folder_of(script));
            }
        }
        origins
    }

    /// Whose code a frame is.
    #[must_use]
    pub fn of_frame<'f>(&self, frame: &'f Frame) -> Origin<'f> {
        self.of_function(&Function::from(frame))
    }

    /// Whose code a function is.
    #[must_use]
    pub fn of_function<'f>(&self, function: &Function<'f>) -> Origin<'f> {
        match (function.kind, function.file) {
            (FunctionKind::Native(_), _) => Origin::Native,
            (FunctionKind::Mark, _) | (FunctionKind::Python, None) => Origin::Mark,
            (FunctionKind::Python, Some(file)) => self.of_file(file),
        }
    }

    /// Whether a frame is of the user's own code.
    #[must_use]
    pub fn is_own(&self, frame: &Frame) -> bool {
        self.of_frame(frame) == Origin::Own
    }

    fn of_file<'f>(&self, file: &'f str) -> Origin<'f> {
        if paths::is_standard_library(file) {
            return Origin::StandardLibrary;
        }
        if let Some(package) = paths::package(file) {
            return Origin::Package(package);
        }
        if file == TYPED_PROGRAM && !self.has_typed_program {
            return Origin::StandardLibrary;
        }
        if is_typed(file) {
            return Origin::Own;
        }
        if let Some(inner) = file.strip_prefix('<') {
            return Origin::Package(inner.trim_end_matches('>'));
        }
        if self.is_console_script(file) {
            return Origin::Package(paths::file_name(file));
        }
        let is_own = self.folders.is_empty()
            || !file.starts_with('/')
            || self.folders.iter().any(|folder| is_below(folder, file));
        if is_own {
            Origin::Own
        } else {
            Origin::Package(paths::file_name(folder_of(file)))
        }
    }

    /// Adds a folder of own code. All files lie below `/`: it tells nothing.
    fn add(&mut self, folder: &str) {
        let folder = folder.trim_end_matches('/');
        if folder.starts_with('/') {
            self.folders.insert(folder.to_owned());
        }
    }

    /// Whether a file is a command that was installed with a package, as `venv/bin/pytest`.
    fn is_console_script(&self, file: &str) -> bool {
        let prefix = folder_of(file).strip_suffix("/bin");
        prefix.is_some_and(|prefix| self.prefixes.contains(prefix))
    }
}

/// The files of the modules that threads began with, also where `python -m` (the module runpy) ran them.
fn scripts(profile: &Profile) -> BTreeSet<&str> {
    let mut scripts = BTreeSet::new();
    // By stack: whether all of it is runpy.
    let mut is_runpy: Vec<bool> = Vec::with_capacity(profile.stacks().len());
    for stack in profile.stacks() {
        let is_root = match stack.parent {
            None => true,
            Some(parent) => is_runpy.get(parent.0 as usize) == Some(&true),
        };
        let frame = profile.frame(stack.frame).filter(|_| is_root);
        let file = frame.and_then(|frame| frame.file.as_deref());
        is_runpy.push(file.is_some_and(paths::is_runpy));
        if let (Some(frame), Some(file)) = (frame, file)
            && frame.name == paths::MODULE
            && file.starts_with('/')
        {
            scripts.insert(file);
        }
    }
    scripts
}

/// Whether the code was typed, or handed over as text: it has no file, or a notebook's kernel made one for its cell.
/// The name of the file of a program behind `-c`.
const TYPED_PROGRAM: &str = "<string>";

fn is_typed(file: &str) -> bool {
    const WHOLE: [&str; 4] = [TYPED_PROGRAM, "<stdin>", "<console>", "<input>"];
    const BEGINNINGS: [&str; 3] = ["<ipython-input-", "<python-input-", "<doctest "];
    WHOLE.contains(&file)
        || BEGINNINGS.iter().any(|begin| file.starts_with(begin))
        || paths::file_name(folder_of(file)).starts_with("ipykernel_")
}

fn folder_of(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn is_below(folder: &str, file: &str) -> bool {
    file.strip_prefix(folder)
        .is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::super::event::{Event, FrameId, FrameKind, NativeCode, Process, ProcessId, StackId};
    use super::*;

    fn frame(name: &str, file: &str) -> Frame {
        Frame {
            kind: FrameKind::Python,
            name: name.to_owned(),
            file: Some(file.to_owned()),
            first_line: Some(1),
            line: Some(2),
        }
    }

    /// The origins of a profile of one process, whose outermost frames are these.
    fn origins(working_folder: Option<&str>, roots: &[Frame]) -> Origins {
        let mut profile = Profile::default();
        let process = Process {
            working_folder: working_folder.map(str::to_owned),
            ..Process::default()
        };
        profile.apply(Event::Process(ProcessId(0), process));
        for (id, root) in (0..).zip(roots) {
            profile.apply(Event::Frame(FrameId(id), root.clone()));
            profile.apply(Event::Stack {
                id: StackId(id),
                parent: None,
                frame: FrameId(id),
            });
        }
        assert_eq!(profile.rejected(), 0);
        Origins::of(&profile)
    }

    fn check(origins: &Origins, table: &[(&str, Origin<'_>)]) {
        for (file, expected) in table {
            assert_eq!(origins.of_frame(&frame("f", file)), *expected, "{file}");
        }
    }

    #[test]
    fn own_code_lies_below_the_working_folder_or_beside_the_script() {
        let script = frame("<module>", "/opt/tools/run.py");
        check(
            &origins(Some("/home/ada/study"), &[script]),
            &[
                ("/home/ada/study/model.py", Origin::Own),
                ("/home/ada/study/pkg/a.py", Origin::Own),
                ("/opt/tools/run.py", Origin::Own),
                ("/opt/tools/helpers/io.py", Origin::Own),
                ("run.py", Origin::Own),
                ("/home/ada/study2/model.py", Origin::Package("study2")),
                ("/srv/shared/fields/grid.py", Origin::Package("fields")),
                (
                    "/home/ada/study/venv/lib/python3.11/site-packages/numpy/a.py",
                    Origin::Package("numpy"),
                ),
                (
                    "/home/ada/study/py/lib/python3.11/json/decoder.py",
                    Origin::StandardLibrary,
                ),
                (
                    "/usr/lib/python3/dist-packages/six.py",
                    Origin::Package("six"),
                ),
                ("<frozen runpy>", Origin::StandardLibrary),
                ("<string>", Origin::StandardLibrary),
                ("<stdin>", Origin::Own),
                ("<ipython-input-3-0a1b>", Origin::Own),
                ("/tmp/ipykernel_4242/12.py", Origin::Own),
                (
                    "<__array_function__ internals>",
                    Origin::Package("__array_function__ internals"),
                ),
            ],
        );
    }

    #[test]
    fn a_string_is_own_code_where_a_program_was_typed() {
        let mut typed = origins(None, &[]);
        typed.has_typed_program = true;
        check(&typed, &[("<string>", Origin::Own)]);
    }

    #[test]
    fn all_is_own_but_packages_and_libraries_where_no_folder_is_known() {
        for folder in [None, Some("/")] {
            check(
                &origins(folder, &[]),
                &[
                    ("/srv/app/model.py", Origin::Own),
                    (
                        "/usr/lib/python3.11/json/decoder.py",
                        Origin::StandardLibrary,
                    ),
                    ("/v/site-packages/numpy/a.py", Origin::Package("numpy")),
                ],
            );
        }
    }

    #[test]
    fn the_module_that_python_m_runs_is_the_script() {
        let mut profile = Profile::default();
        let frames = [
            frame("_run_module_as_main", "<frozen runpy>"),
            frame("_run_code", "<frozen runpy>"),
            frame("<module>", "/srv/app/tool/__main__.py"),
            frame("<module>", "/srv/other/plugin.py"),
        ];
        for (id, frame) in (0..).zip(frames) {
            profile.apply(Event::Frame(FrameId(id), frame));
            profile.apply(Event::Stack {
                id: StackId(id),
                parent: id.checked_sub(1).map(StackId),
                frame: FrameId(id),
            });
        }
        check(
            &Origins::of(&profile),
            &[
                ("/srv/app/tool/a.py", Origin::Own),
                ("/srv/other/plugin.py", Origin::Package("other")),
            ],
        );
    }

    #[test]
    fn an_installed_command_belongs_to_its_package() {
        let roots = [
            frame("<module>", "/home/ada/v/bin/pytest"),
            frame("f", "/home/ada/v/lib/python3.11/site-packages/_pytest/a.py"),
        ];
        check(
            &origins(Some("/home/ada"), &roots),
            &[
                ("/home/ada/v/bin/pytest", Origin::Package("pytest")),
                ("/home/ada/bin/simulate", Origin::Own),
            ],
        );
    }

    #[test]
    fn native_code_and_marks_are_told_by_their_kind() {
        let origins = origins(Some("/home/ada"), &[]);
        let native = Frame {
            kind: FrameKind::Native(NativeCode {
                module: "/home/ada/libx.so".to_owned(),
                build_id: None,
                offset: None,
                is_inlined: false,
            }),
            ..frame("dgemm", "/home/ada/x.c")
        };
        assert_eq!(origins.of_frame(&native), Origin::Native);
        assert_eq!(origins.of_frame(&Frame::mark("[x]")), Origin::Mark);
    }
}
