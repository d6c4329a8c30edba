//! Dumps programs that live in other namespaces, where paths and ids mean something else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::stacks::{check, check_program, dump, own_tid};
use crate::support::programs::{Standing, program, run_command};
use crate::support::pythons::{Python, python};

/// The programs that these tests run, and what they import.
const FILES: [&str; 3] = ["frames.py", "threads.py", "oracle.py"];

/// A shell that runs `script` with the arguments to come, in a mount namespace of its own.
fn in_mount_namespace(script: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private"]);
    command.args(["sh", "-c", script, "sh"]);
    command
}

/// A folder with copies of the programs.
fn copies(parent: &Path) -> TempDir {
    let folder = TempDir::new_in(parent).expect("a folder");
    for file in FILES {
        fs::copy(program(file), folder.path().join(file)).expect("a copy");
    }
    folder
}

fn rested(command: &mut Command) -> Standing {
    let program = run_command(command);
    program.wait_until_asleep();
    program
}

#[test]
fn a_program_in_a_chroot_is_read() {
    needs!(root, RSAMP_CHROOT, v3_14);
    let root = std::env::var("RSAMP_CHROOT").expect("a path");
    let folder = copies(&Path::new(&root).join("tmp"));
    let inside = Path::new("/tmp").join(folder.path().file_name().expect("a name"));
    let python = python("v3_14");
    for name in ["frames.py", "threads.py"] {
        // The program looks at its own /proc; the mount is seen by nobody else.
        let script = "mount -t proc proc \"$1/proc\" && exec chroot \"$@\"";
        let mut command = in_mount_namespace(script);
        command.arg(&root).arg("/usr/bin/python3.14");
        let program = rested(command.arg(inside.join(name)));
        check_program(&format!("chroot {name}"), &python, &program);
    }
}

fn a_program_in_a_pid_namespace_has_our_ids(python: &Python) {
    needs!(root);
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]);
    command.args(&python.command).arg(program("threads.py"));
    let mut program = run_command(&mut command);
    program.descend();
    program.wait_until_asleep();
    let place = format!("PID namespace, {}", python.label);
    let ours = tids_inside(program.pid());
    let dump = dump(program.pid(), &place);
    check(&place, &dump, &program.threads, |told| {
        let inside = own_tid(&program, told);
        let found = ours.iter().find(|(_, inner)| *inner == inside);
        found
            .unwrap_or_else(|| panic!("{place}: no thread {inside}"))
            .0
    });
    assert!(program.pid() > 1 && own_tid(&program, &program.threads[0]) == 1);
}

test_on!(a_program_in_a_pid_namespace_has_our_ids: v3_6 v3_10 v3_11 v3_13);

/// The threads of process `pid`: our id, and the one that they have themselves.
fn tids_inside(pid: i32) -> Vec<(i32, i32)> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("a running program");
    let ids = tasks.flatten().map(|task| {
        let status = fs::read(task.path().join("status")).expect("a status");
        let status = String::from_utf8_lossy(&status).into_owned();
        let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        let ids: Vec<i32> = ids
            .expect("NSpid")
            .split_whitespace()
            .map(|id| id.parse().expect("an id"))
            .collect();
        (ids[0], ids[ids.len() - 1])
    });
    ids.collect()
}

fn a_program_whose_path_leads_nowhere_here_is_read(python: &Python) {
    needs!(root);
    let binary = fs::canonicalize(&python.command[0]).expect("an interpreter");
    let (home, name) = (
        binary.parent().and_then(Path::parent).expect("a prefix"),
        binary.file_name().expect("a name"),
    );
    // The interpreter under a mount point that is empty outside.
    let mount = TempDir::new().expect("a folder");
    let inside = mount.path().join("bin").join(name);
    let script = "mount --bind \"$1\" \"$2\" && shift 2 && exec \"$@\"";
    let mut command = in_mount_namespace(script);
    command
        .args([home, mount.path(), &inside])
        .arg(program("frames.py"));
    command.env("LD_LIBRARY_PATH", mount.path().join("lib"));
    let program = rested(&mut command);
    assert!(!inside.exists(), "the mount shows outside");
    let maps = fs::read_to_string(format!("/proc/{}/maps", program.pid())).expect("maps");
    let mut interpreter = maps.lines().filter(|line| line.contains("libpython"));
    let path = mount.path().to_str().expect("UTF-8");
    assert!(interpreter.all(|line| line.contains(path)), "{maps}");
    check_program(
        &format!("mount namespace, {}", python.label),
        python,
        &program,
    );
}

test_on!(a_program_whose_path_leads_nowhere_here_is_read: v3_6 v3_11 v3_12);

/// A Python that runs by its own loader keeps its path.
fn a_program_whose_interpreter_was_deleted_is_read(python: &Python) {
    let folder = TempDir::new().expect("a folder");
    let files = copy_interpreter(Path::new(&python.command[0]), folder.path());
    let mut command = Command::new(&files[0]);
    command.env("LD_LIBRARY_PATH", folder.path());
    if let [_, _, ..] = &files[..] {
        let prefix = Path::new(&python.command[0])
            .parent()
            .and_then(Path::parent);
        command.env("PYTHONHOME", prefix.expect("a prefix"));
    }
    let program = rested(command.arg(program("frames.py")));
    // Other files take their place.
    for file in &files {
        fs::remove_file(file).expect("deleted");
        fs::write(file, "no interpreter").expect("written");
    }
    let maps = fs::read_to_string(format!("/proc/{}/maps", program.pid())).expect("maps");
    let is_gone = |file: &PathBuf| maps.contains(&format!("{} (deleted)", file.display()));
    assert!(files.iter().all(is_gone), "{files:?}");
    check_program(&format!("deleted, {}", python.label), python, &program);
}

test_on_each_local!(a_program_whose_interpreter_was_deleted_is_read);

/// Copies the program `binary` and, if Python is in one, its library; the program comes first.
fn copy_interpreter(binary: &Path, folder: &Path) -> Vec<PathBuf> {
    let library = binary
        .parent()
        .and_then(Path::parent)
        .map(|prefix| prefix.join("lib"));
    let entries = fs::read_dir(library.expect("a prefix")).expect("a folder");
    let entries = entries.flatten().map(|entry| entry.path());
    let libraries = entries.filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("libpython3.") && name.ends_with(".so.1.0")
    });
    let mut files = Vec::new();
    for path in std::iter::once(binary.to_owned()).chain(libraries) {
        let copy = folder.join(path.file_name().expect("a name"));
        fs::copy(&path, &copy).expect("a copy");
        files.push(copy);
    }
    files
}
