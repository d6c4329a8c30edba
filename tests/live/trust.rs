//! Has root record programs that name files which they may not read, or which nobody can. Needs root.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;

use crate::support::programs::{Standing, command, run_command};
use crate::support::pythons::{self, Python};
use crate::support::recordings::read;

/// Until then what is waited for is there, or the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long rsamp may take longer than `-d` says: its patience with source files, and what a busy machine needs.
const MOST_LATE: Duration = Duration::from_secs(8);

/// That of the system: another user's folders may be closed to the user that the programs become.
fn python() -> Python {
    pythons::python("system")
}

/// A folder that everybody may look into.
fn open_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("permissions");
    folder
}

/// A file with the function that `named.py` runs, and its text.
fn source_file(folder: &Path, name: &str, mode: u32) -> PathBuf {
    let path = folder.join(name);
    fs::write(
        &path,
        format!("# {name}\n\ndef run(end):\n    return {name:?}\n"),
    )
    .expect("written");
    fs::set_permissions(&path, Permissions::from_mode(mode)).expect("permissions");
    path
}

/// The files of which there is text in a recording.
fn sources(path: &Path) -> Vec<String> {
    let read = read(path).expect("a recording");
    let names = read.profile.frames().iter();
    let names: Vec<_> = names.filter_map(|frame| frame.file.clone()).collect();
    let files = read.sources.iter().map(|source| source.file.to_string());
    let mut files: Vec<String> = files.filter(|file| !file.ends_with("named.py")).collect();
    assert!(files.iter().all(|file| names.contains(file)));
    files.sort();
    files.dedup();
    files
}

fn attach(program: &Standing, recording: &Path, options: &[&str]) -> Command {
    let mut command = Command::new(cargo_bin!("rsamp"));
    command.args(["attach", "-q"]).args(options);
    command
        .arg("-o")
        .arg(recording)
        .arg(program.pid().to_string());
    command
}

fn wait_until_recorded(recording: &Path) {
    let start = Instant::now();
    while !recording.exists() {
        assert!(start.elapsed() < PATIENCE, "nothing is recorded");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Has `named.py` go on once it is being recorded, and returns the files of which there is text.
fn recorded(uid: u32, files: &[&Path], folder: &Path) -> Vec<String> {
    let mut named = command(&python(), "named.py");
    named.arg(uid.to_string()).args(files);
    let mut program = run_command(&mut named);
    let recording = folder.join("a.rsamp");
    let mut rsamp = attach(&program, &recording, &[])
        .spawn()
        .expect("rsamp runs");
    wait_until_recorded(&recording);
    program.send("go\n");
    assert!(rsamp.wait().expect("waited").success());
    sources(&recording)
}

#[test]
fn a_file_that_the_program_may_not_read_is_not_read_for_it() {
    needs!(root, system);
    let (folder, out) = (open_folder(), tempfile::tempdir().expect("a folder"));
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).expect("made");
    let public = source_file(folder.path(), "public.py", 0o644);
    let of_root = source_file(folder.path(), "of_root.py", 0o600);
    let below_closed = source_file(&closed, "public.py", 0o644);
    fs::set_permissions(&closed, Permissions::from_mode(0o700)).expect("permissions");
    let shadow = Path::new("/etc/shadow");
    let files = [
        &of_root,
        &below_closed,
        shadow,
        Path::new("/proc/kallsyms"),
        &public,
    ];
    let text = |path: &Path| path.to_string_lossy().into_owned();
    assert_eq!(recorded(12345, &files, out.path()), [text(&public)]);
    // Nor is it when root looks at the recording.
    let mut report = Command::new(cargo_bin!("rsamp"));
    let recording = out.path().join("a.rsamp");
    report
        .arg("report")
        .arg(recording)
        .args(["--lines", "--top=9"]);
    let report = report.output().expect("rsamp runs").stdout;
    let report = String::from_utf8_lossy(&report);
    assert!(report.contains("return \"public.py\""), "{report}");
    assert!(!report.contains("return \"of_root.py\""), "{report}");
    // Root may: so it is the rights that decide.
    let mut expected = [&of_root, &below_closed, &public].map(|path| text(path));
    expected.sort();
    assert_eq!(
        recorded(0, &[&of_root, &below_closed, &public], out.path()),
        expected
    );
}

#[test]
fn what_root_read_of_another_users_process_is_for_root() {
    needs!(root, system);
    let folder = open_folder();
    let mut named = Command::new("setpriv");
    named.args(["--reuid=12345", "--regid=12345", "--clear-groups"]);
    let python = python();
    let script = folder.path().join("named.py");
    fs::copy(crate::support::programs::program("named.py"), &script).expect("copied");
    named.args(&python.command).arg(script).args(["0", "/x.py"]);
    let program = run_command(&mut named);
    for file in ["a.rsamp", "a.svg"] {
        let path = folder.path().join(file);
        let status = attach(&program, &path, &["-d", "0.3"]).status();
        assert!(status.expect("rsamp runs").success());
        assert_eq!(
            fs::metadata(&path).expect("written").mode() & 0o777,
            0o600,
            "{file}"
        );
    }
}

/// The permissions of a file, as chmod(1) takes them.
fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("written").mode() & 0o777
}

/// Whether the files about a program are for root alone, while they are written and afterwards. `begin` is called once it
/// is being recorded.
fn check_private(program: &mut Standing, is_private: bool, begin: impl FnOnce(&mut Standing)) {
    let folder = open_folder();
    let (recording, graph) = (folder.path().join("a.rsamp"), folder.path().join("a.svg"));
    let graph_option = graph.to_str().expect("UTF-8");
    let mut rsamp = attach(program, &recording, &["-d", "1", "-o", graph_option])
        .spawn()
        .expect("rsamp runs");
    wait_until_recorded(&recording);
    let meanwhile = mode(&recording);
    begin(program);
    assert!(rsamp.wait().expect("waited").success());
    assert_eq!(meanwhile, 0o600, "who opens it now may read all of it");
    let usual = 0o666 & !umask();
    for file in [&recording, &graph] {
        let expected = if is_private { 0o600 } else { usual };
        assert_eq!(mode(file), expected, "{file:?}");
    }
}

fn umask() -> u32 {
    let status = fs::read_to_string("/proc/self/status").expect("read");
    let mut lines = status.lines();
    let umask = lines.find_map(|line| line.strip_prefix("Umask:"));
    u32::from_str_radix(umask.expect("a mask").trim(), 8).expect("octal")
}

#[test]
fn files_about_a_program_that_becomes_another_users_are_for_root() {
    needs!(root, system);
    for (uid, is_private) in [("0", false), ("12345", true)] {
        let mut named = command(&python(), "named.py");
        let mut program = run_command(named.args([uid, "/x.py"]));
        check_private(&mut program, is_private, |program| program.send("go\n"));
    }
}

#[test]
fn files_about_a_program_with_a_child_of_another_user_are_for_root() {
    needs!(root, system);
    for (uid, is_private) in [("0", false), ("12345", true)] {
        let mut program = run_command(command(&python(), "other_user.py").arg(uid));
        check_private(&mut program, is_private, |_| {});
    }
}

/// Unmounts when dropped.
struct Mounted<'f> {
    folder: &'f Path,
    file_system: Standing,
}

impl Mounted<'_> {
    /// A file system with these files: paths, and names there.
    fn new<'f>(folder: &'f Path, files: &[&str]) -> Mounted<'f> {
        let mut command = command(&python(), "hangfs.py");
        Mounted {
            folder,
            file_system: run_command(command.arg(folder).args(files)),
        }
    }

    /// From now on it answers nothing.
    fn stall(&mut self) {
        self.file_system.send("stall\n");
        assert_eq!(self.file_system.line(), "STALLED\n");
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.folder).status();
    }
}

#[test]
fn a_file_system_that_stalls_holds_up_neither_rsamp_nor_its_other_files() {
    needs!(root, system);
    let python = python();
    let (folder, mount) = (open_folder(), open_folder());
    let mounted = Mounted::new(mount.path(), &[]);
    let mut named = command(&python, "named.py");
    let names = vec![mount.path().join("hang.py"); 20];
    let mut program = run_command(named.arg("0").args(names));
    program.send("go\n");
    let (recording, graph) = (folder.path().join("a.rsamp"), folder.path().join("a.svg"));
    let start = Instant::now();
    let mut rsamp = attach(
        &program,
        &recording,
        &["-d", "1", "-o", graph.to_str().expect("UTF-8")],
    );
    let output = rsamp.stderr(Stdio::piped()).output().expect("rsamp runs");
    assert!(output.status.success());
    let seconds = start.elapsed();
    assert!(seconds < Duration::from_secs(1) + MOST_LATE, "{seconds:?}");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("hang.py\": there was no answer"), "{error}");
    assert_eq!(sources(&recording), Vec::<String>::new());
    let modified = |path: &Path| {
        fs::metadata(path)
            .expect("written")
            .modified()
            .expect("a time")
    };
    let waited = modified(&recording).duration_since(modified(&graph));
    assert!(
        waited.expect("later") > Duration::from_secs(1),
        "the graph came last"
    );
    drop(mounted);
}

/// What rsamp prints about a process whose files are on a file system that stalls. It has to end in time.
fn printed_in_time(command: &mut Command) -> (String, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let (out, error) = (folder.path().join("out"), folder.path().join("error"));
    let file = |path: &Path| File::create(path).expect("created");
    let mut rsamp = command.stdout(file(&out)).stderr(file(&error)).spawn();
    let rsamp = rsamp.as_mut().expect("rsamp runs");
    let start = Instant::now();
    let status = loop {
        if let Some(status) = rsamp.try_wait().expect("waited") {
            break status;
        }
        assert!(start.elapsed() < MOST_LATE, "rsamp hangs");
        thread::sleep(Duration::from_millis(10));
    };
    let text = |path: &Path| fs::read_to_string(path).expect("UTF-8");
    assert!(status.success(), "{status}: {}", text(&error));
    (text(&out), text(&error))
}

/// Dumps and records a process, which is in `run_on`.
fn check_that_it_is_read(program: &Standing) {
    let mut dump = Command::new(cargo_bin!("rsamp"));
    let (text, _) = printed_in_time(dump.arg("dump").arg(program.pid().to_string()));
    assert!(text.contains("run_on"), "{text}");
    let folder = tempfile::tempdir().expect("a folder");
    let table = folder.path().join("a.txt");
    printed_in_time(&mut attach(program, &table, &["-d", "0.5"]));
    let table = fs::read_to_string(&table).expect("written");
    assert!(table.contains("run_on"), "{table}");
}

#[test]
fn a_library_on_a_file_system_that_stalls_is_not_waited_for() {
    needs!(root, system);
    let (folder, mount) = (open_folder(), open_folder());
    let library = folder.path().join("library");
    // As large as an interpreter, and named like one: it is the first that is looked into.
    fs::write(&library, vec![0; 4 << 20]).expect("written");
    let files = [library.to_str().expect("UTF-8"), "libpython_x.so"];
    let mut mounted = Mounted::new(mount.path(), &files);
    let mut mapping = command(&python(), "mapping.py");
    let program = run_command(mapping.arg(mount.path().join(files[1])));
    mounted.stall();
    check_that_it_is_read(&program);
    drop(mounted);
}

#[test]
fn an_interpreter_on_a_file_system_that_stalls_is_found_in_memory() {
    needs!(root, system);
    let mount = open_folder();
    let python = python();
    let mut mounted = Mounted::new(mount.path(), &[&python.command[0], "python3.11"]);
    let mut mapping = Command::new(mount.path().join("python3.11"));
    mapping.env("PYTHONHOME", "/usr");
    mapping.arg(crate::support::programs::program("mapping.py"));
    let program = run_command(&mut mapping);
    check_that_it_is_read(&program);
    mounted.stall();
    check_that_it_is_read(&program);
    drop(mounted);
}
