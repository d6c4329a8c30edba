//! Turns programs made with gcc, g++, gfortran and binutils into names and lines, whole, stripped and damaged.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use assert_cmd::cargo::cargo_bin;
use proptest::prelude::*;
use rsamp::native::{DebugFiles, Detail, Hurry, NameSource, NamedFrame, look_up};
use rsamp::process::{MappedFile, Pid, Process, ReadBudget, ReadingProcess, open_regular};
use tempfile::TempDir;

use crate::support::programs::run_command;

/// A function with two inlined into each other, one only of assembly, and one of another file's.
const C: &str = r#"
static int scale(int x) { return x * 3 + 1; }
static int shift(int x) { return scale(x) ^ 0x55; }
__attribute__((noinline)) static int hidden(int x) { return shift(x) / 7; }
__attribute__((noinline)) int visible(int x) { return hidden(x) + shift(x + 1); }
__asm__(".text\n.globl bare\nbare:\n nop\n nop\n nop\n ret\n.size bare, 0\n");
int main(int argc, char **argv) { (void)argv; return visible(argc); }
"#;

const CPP: &str = r#"
namespace heat {
template <typename T> struct Grid {
    T cell;
    __attribute__((noinline)) T step(T by) { return cell += by * 2; }
};
}
int main(int argc, char **) { heat::Grid<double> g{1.5}; return (int)g.step(argc); }
"#;

const FORTRAN: &str = "
module heat
contains
  subroutine step(cells, n)
    integer, intent(in) :: n
    real(8), intent(inout) :: cells(n)
    cells = cells * 1.5d0
  end subroutine
end module
program main
  use heat
  real(8) :: cells(8)
  cells = 1
  call step(cells, 8)
  print *, cells(1)
end program
";

/// A folder with a program made of some source.
struct Program {
    folder: TempDir,
}

impl Program {
    /// Compiles `source`, a file of this ending, with `options`.
    fn new(compiler: &str, ending: &str, source: &str, options: &[&str]) -> Program {
        let folder = tempfile::tempdir().expect("a folder");
        let program = Program { folder };
        let file = format!("program.{ending}");
        fs::write(program.path(&file), source).expect("written");
        let mut arguments = vec![file.as_str(), "-o", "program"];
        arguments.extend(options);
        program.run(compiler, &arguments);
        program
    }

    fn c(options: &[&str]) -> Program {
        Program::new("gcc", "c", C, options)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What a command prints, in the folder.
    fn run(&self, command: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(command);
        command.args(arguments).current_dir(self.folder.path());
        let output = command.output().expect("started");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {said}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// First address and size of each function of the unstripped program, by nm.
    fn functions(&self) -> BTreeMap<String, (u64, u64)> {
        let number = |text: &str| u64::from_str_radix(text, 16).expect("a number");
        let listed = self.run("nm", &["-S", "--defined-only", "program"]);
        let rows = listed.lines().filter_map(|line| {
            let [at, size, kind, name] = line.split(' ').collect::<Vec<_>>()[..] else {
                return None;
            };
            let is_code = "tTwW".contains(kind);
            is_code.then(|| (name.to_owned(), (number(at), number(size))))
        });
        rows.collect()
    }

    /// The address of a symbol without a size, by nm.
    fn unsized_symbol(&self, name: &str) -> u64 {
        let listed = self.run("nm", &["program"]);
        let row = listed
            .lines()
            .find(|line| line.ends_with(&format!(" {name}")));
        u64::from_str_radix(&row.expect("listed")[..16], 16).expect("a number")
    }

    fn frames(&self, addresses: &[u64]) -> Vec<Vec<NamedFrame>> {
        self.frames_with(addresses, &Anywhere::default())
    }

    fn frames_with(&self, addresses: &[u64], files: &Anywhere) -> Vec<Vec<NamedFrame>> {
        let path = self.path("program");
        let file = File::open(&path).expect("opened");
        look_up(file, &path, addresses, Detail::Lines, files, &mut budget())
    }

    /// The name of the outermost function at an address, and where it is from.
    fn name(&self, address: u64) -> (String, NameSource) {
        let frames = self.frames(&[address]).remove(0);
        let frame = frames.last().expect("a frame");
        (frame.name.clone(), frame.source)
    }

    /// The middle of a function.
    fn inside(&self, function: &str) -> u64 {
        let (start, size) = self.functions()[function];
        start + size / 2
    }
}

fn budget() -> ReadBudget {
    ReadBudget::of(256 << 20, Duration::from_secs(60))
}

/// Debug files with the rights of the test.
#[derive(Default)]
struct Anywhere {
    folder: Option<PathBuf>,
}

impl DebugFiles for Anywhere {
    fn open(&self, path: &Path) -> io::Result<File> {
        open_regular(path)
    }

    fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }
}

/// `name file:line` of each frame, innermost first, as `addr2line -fi` prints them.
fn shown(frames: &[NamedFrame]) -> Vec<String> {
    let line = |frame: &NamedFrame| {
        let file = frame.file.as_deref().map_or("??", file_name);
        let line = frame.line.map_or("?".to_owned(), |line| line.to_string());
        format!("{} {file}:{line}", frame.name)
    };
    frames.iter().map(line).collect()
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// What `addr2line` says of each address.
fn by_addr2line(program: &Program, addresses: &[u64]) -> Vec<Vec<String>> {
    let texts: Vec<String> = addresses.iter().map(|at| format!("{at:#x}")).collect();
    let mut arguments = vec!["-a", "-f", "-i", "-e", "program"];
    arguments.extend(texts.iter().map(String::as_str));
    let printed = program.run("addr2line", &arguments);
    let mut found: Vec<Vec<String>> = Vec::new();
    let mut lines = printed.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("0x") {
            found.push(Vec::new());
            continue;
        }
        let place = lines.next().expect("a place");
        let place = place.split(" (discriminator").next().expect("a place");
        let frames = found.last_mut().expect("an address");
        frames.push(format!("{line} {}", file_name(place)));
    }
    found
}

#[test]
fn functions_lines_and_inlined_functions_are_those_of_addr2line() {
    for options in [
        &["-g", "-O2"][..],
        &["-g", "-O0"],
        &["-gdwarf-4", "-O2"],
        &["-g", "-O2", "-gz"],
    ] {
        let program = Program::c(options);
        let functions = program.functions();
        let names = ["main", "visible", "hidden"];
        let addresses = names.map(|name| functions[name]);
        let addresses: Vec<u64> = addresses
            .into_iter()
            .flat_map(|(start, size)| start..start + size)
            .collect();
        let frames = program.frames(&addresses);
        let expected = by_addr2line(&program, &addresses);
        for ((address, frames), expected) in addresses.iter().zip(&frames).zip(&expected) {
            assert_eq!(&shown(frames), expected, "{options:?} {address:#x}");
        }
        let is_inlined = |frames: &Vec<NamedFrame>| {
            let names: Vec<&str> = frames.iter().map(|frame| frame.name.as_str()).collect();
            let marks: Vec<bool> = frames.iter().map(|frame| frame.is_inlined).collect();
            names == ["scale", "shift", "hidden"] && marks == [true, true, false]
        };
        assert_eq!(frames.iter().any(is_inlined), options.contains(&"-O2"));
    }
}

#[test]
fn cpp_and_fortran_functions_have_the_names_of_their_source() {
    let table = [
        (
            "g++",
            "cpp",
            CPP,
            "_ZN4heat4GridIdE4stepEd",
            "heat::Grid<double>::step",
            5,
        ),
        (
            "gfortran",
            "f90",
            FORTRAN,
            "__heat_MOD_step",
            "heat::step",
            7,
        ),
    ];
    for (compiler, ending, source, symbol, name, line) in table {
        let program = Program::new(compiler, ending, source, &["-g", "-O0"]);
        let frames = program.frames(&[program.inside(symbol)]).remove(0);
        assert_eq!(shown(&frames), [format!("{name} program.{ending}:{line}")]);
        program.run("strip", &["-g", "program"]);
        let inside = program.inside(symbol);
        assert_eq!(program.name(inside), (name.to_owned(), NameSource::Symbol));
    }
}

#[test]
fn without_debug_information_symbols_name_functions() {
    let program = Program::c(&["-O2"]);
    for name in ["visible", "hidden"] {
        let (start, size) = program.functions()[name];
        for address in [start, start + size - 1] {
            assert_eq!(program.name(address), (name.to_owned(), NameSource::Symbol));
        }
    }
    // Assembly: a symbol without a size reaches to the next one.
    let bare = program.unsized_symbol("bare");
    assert_eq!(
        program.name(bare + 2),
        ("bare".to_owned(), NameSource::Symbol)
    );
}

#[test]
fn stripped_functions_are_named_by_file_and_start() {
    let program = Program::c(&["-O2", "-rdynamic"]);
    let functions = program.functions();
    let hidden = functions["hidden"];
    let visible = functions["visible"];
    program.run("strip", &["--strip-all", "program"]);
    let offset = format!("program+{:#x}", hidden.0);
    assert_eq!(
        program.name(hidden.0 + hidden.1 - 1),
        (offset, NameSource::Offset)
    );
    let exported = ("visible".to_owned(), NameSource::Symbol);
    assert_eq!(program.name(visible.0 + 1), exported);
    assert_eq!(program.name(u64::MAX).0, format!("program+{:#x}", u64::MAX));
}

/// A stripped program and its debug information in `program.debug`; frames in the middle of its hidden function.
fn split(link: bool) -> (Program, u64) {
    let program = Program::c(&["-g", "-O2", "-Wl,--build-id=sha1"]);
    let inside = program.inside("hidden");
    program.run(
        "objcopy",
        &["--only-keep-debug", "program", "program.debug"],
    );
    program.run("strip", &["--strip-all", "program"]);
    if link {
        program.run("objcopy", &["--add-gnu-debuglink=program.debug", "program"]);
    }
    (program, inside)
}

#[test]
fn debug_files_are_found_by_build_id() {
    let (program, inside) = split(false);
    assert_eq!(program.name(inside).1, NameSource::Offset);
    let notes = program.run("readelf", &["-n", "program"]);
    let id = notes.split("Build ID: ").nth(1).expect("a build id");
    let id = id.lines().next().expect("a line");
    let folder = program.path("debug/.build-id").join(&id[..2]);
    fs::create_dir_all(&folder).expect("made");
    let debug_file = folder.join(format!("{}.debug", &id[2..]));
    fs::rename(program.path("program.debug"), &debug_file).expect("moved");
    let files = Anywhere {
        folder: Some(program.path("debug")),
    };
    let frames = program.frames_with(&[inside], &files).remove(0);
    assert_eq!(frames.last().expect("a frame").name, "hidden");
    assert!(
        frames.iter().all(|frame| frame.line.is_some()),
        "{frames:?}"
    );
    // One of another build is not believed, whatever its name.
    let other = Program::c(&["-g", "-O1", "-Wl,--build-id=sha1"]);
    fs::copy(other.path("program"), &debug_file).expect("copied");
    let frames = program.frames_with(&[inside], &files).remove(0);
    assert_eq!(frames[0].source, NameSource::Offset);
}

#[test]
fn debug_files_are_found_by_debuglink() {
    let (program, inside) = split(true);
    let named = ("hidden".to_owned(), NameSource::DebugInfo);
    assert_eq!(program.name(inside), named);
    fs::create_dir(program.path(".debug")).expect("made");
    let moved = program.path(".debug/program.debug");
    fs::rename(program.path("program.debug"), &moved).expect("moved");
    assert_eq!(program.name(inside), named);
    let mut bytes = fs::read(&moved).expect("read");
    // Its build id, which is now another.
    let note = bytes
        .windows(8)
        .position(|bytes| bytes == b"\x03\0\0\0GNU\0")
        .expect("a note");
    bytes[note + 8] ^= 1;
    fs::write(&moved, bytes).expect("written");
    assert_eq!(program.name(inside).1, NameSource::Offset);
}

#[test]
fn without_build_id_the_checksum_of_the_debuglink_decides() {
    let program = Program::c(&["-g", "-O2", "-Wl,--build-id=none"]);
    let inside = program.inside("hidden");
    program.run(
        "objcopy",
        &["--only-keep-debug", "program", "program.debug"],
    );
    program.run("strip", &["--strip-all", "program"]);
    program.run("objcopy", &["--add-gnu-debuglink=program.debug", "program"]);
    assert_eq!(program.name(inside).0, "hidden");
    let mut bytes = fs::read(program.path("program.debug")).expect("read");
    bytes.push(0);
    fs::write(program.path("program.debug"), bytes).expect("written");
    assert_eq!(program.name(inside).1, NameSource::Offset);
}

#[test]
fn symbols_embedded_with_xz_name_functions() {
    let program = Program::c(&["-O2"]);
    let inside = program.inside("hidden");
    fs::copy(program.path("program"), program.path("symbols")).expect("copied");
    program.run("strip", &["--strip-all", "program"]);
    program.run("xz", &["symbols"]);
    let add = ["--add-section", ".gnu_debugdata=symbols.xz", "program"];
    program.run("objcopy", &add);
    assert_eq!(
        program.name(inside),
        ("hidden".to_owned(), NameSource::Symbol)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Bytes of the headers, of DWARF and of the tables, one after another or in blocks.
    #[test]
    fn damaged_files_cost_their_names_only(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 1usize..64), 1..12),
        length in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let program = damaged_program();
        let mut bytes = program.bytes.clone();
        for (at, value, count) in damage {
            let at = at.index(bytes.len());
            let end = bytes.len().min(at + count);
            bytes[at..end].fill(value);
        }
        if is_cut {
            bytes.truncate(length.index(bytes.len()));
        }
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("program");
        fs::write(&path, bytes).expect("written");
        let file = File::open(&path).expect("opened");
        let budget = &mut ReadBudget::of(64 << 20, Duration::from_secs(10));
        let found = look_up(file, &path, &program.addresses, Detail::Lines, &Anywhere::default(), budget);
        prop_assert!(found.iter().all(|frames| !frames.is_empty()));
    }
}

/// The bytes of a program without the code and data between its headers and DWARF, and addresses in it.
struct Damaged {
    bytes: Vec<u8>,
    addresses: Vec<u64>,
}

fn damaged_program() -> &'static Damaged {
    static PROGRAM: std::sync::OnceLock<Damaged> = std::sync::OnceLock::new();
    PROGRAM.get_or_init(|| {
        let program = Program::c(&["-g", "-O2", "-nostartfiles", "-Wl,-z,noseparate-code"]);
        let starts = program.functions().into_values();
        Damaged {
            addresses: starts
                .flat_map(|(start, size)| [start, start + size / 2])
                .collect(),
            bytes: fs::read(program.path("program")).expect("read"),
        }
    })
}

/// What the other process is asked is what `native::symbols::reader` sends.
#[test]
fn another_process_names_functions_of_a_running_program() {
    let source = "#include <stdio.h>\nint main(void) { puts(\"READY\"); fflush(stdout); return getchar(); }\n";
    let program = Program::new("gcc", "c", source, &["-g", "-O0"]);
    let mut command = Command::new(program.path("program"));
    let standing = run_command(&mut command);
    let process = Process::open(Pid(standing.pid())).expect("a process");
    let is_program = |file: &MappedFile| file.path.ends_with("program");
    let images = process.images().expect("images");
    let file = images.into_iter().find(is_program).expect("mapped");
    let mut command = Command::new(cargo_bin!("rsamp"));
    command.arg("read-symbols");
    let mut reader = ReadingProcess::of(command).expect("started");
    let mut ask = |start_ticks: u64, detail: Detail, hurry: Hurry, addresses: &[u64]| {
        let request = serde_json::json!({
            "file": {
                "pid": process.pid().0,
                "start_ticks": start_ticks,
                "device": file.device,
                "inode": file.inode,
            },
            "addresses": addresses,
            "detail": detail,
            "hurry": hurry,
        });
        reader.say(&request).expect("asked");
        let heard: Option<Vec<Vec<NamedFrame>>> =
            reader.hear(Duration::from_secs(60)).expect("an answer");
        heard
    };
    let (started, main) = (process.start_ticks(), [program.inside("main")]);
    let lines = ask(started, Detail::Lines, Hurry::Now, &main).expect("found");
    assert_eq!(shown(&lines[0]), ["main program.c:2"]);
    let names = ask(started, Detail::Names, Hurry::WhenIdle, &main).expect("found");
    assert_eq!(
        (names[0][0].name.as_str(), names[0][0].line),
        ("main", None)
    );
    // Another process with this PID is not looked into.
    let other = ask(started + 1, Detail::Names, Hurry::Now, &main);
    assert_eq!(other, None);
    // A file that was opened while the program ran is read when it has ended.
    drop(standing);
    assert!(!process.is_alive());
    let lines = ask(started, Detail::Lines, Hurry::Now, &main).expect("found");
    assert_eq!(shown(&lines[0]), ["main program.c:2"]);
}
