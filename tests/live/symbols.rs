//! Turns addresses in the libraries that a real program has mapped into names, and compares them with nm's.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::process::Command;

use rsamp::native::{Detail, NameSource, NamedFrame, look_up_mapped, readable_name};
use rsamp::process::{ElfFile, MappedFile, Pid, Process};

use crate::support::commands::stdout;
use crate::support::programs::run_command;

/// Looked up in each library, evenly spaced over its code.
const ADDRESSES: u64 = 200;

/// In a hundred addresses of a library that was not stripped, so many at least are in a function: the rest is padding.
const NAMED_PERCENT: usize = 94;

/// Wheels of numpy and scipy keep their symbols, and an interpreter made by pyenv has DWARF.
#[test]
fn functions_of_mapped_libraries_have_names() {
    needs!(RSAMP_SCIENCE);
    let science = std::env::var("RSAMP_SCIENCE").expect("a path");
    let program = "import scipy.linalg, scipy.fft; print('READY', flush=True); input()";
    let mut command = Command::new(format!("{science}/bin/python"));
    let standing = run_command(command.args(["-c", program]));
    let process = Process::open(Pid(standing.pid())).expect("a process");
    let mut sources = BTreeMap::new();
    for mapped in process.images().expect("images") {
        let wanted = [
            "libpython",
            "_multiarray_umath.",
            "pypocketfft.",
            "_flapack.",
            "scipy_openblas64",
        ];
        let name = mapped.path.file_name().expect("a name").to_string_lossy();
        let Some(wanted) = wanted.iter().find(|wanted| name.contains(**wanted)) else {
            continue;
        };
        sources.insert(wanted.trim_matches(['_', '.']), check(&process, &mapped));
    }
    assert_eq!(sources.len(), 5, "{sources:?}");
    assert_eq!(sources["libpython"], NameSource::DebugInfo);
}

/// Where most names of a library are from, after a comparison of all.
fn check(process: &Process, mapped: &MappedFile) -> NameSource {
    let file = File::open(&mapped.path).expect("opened");
    let elf = ElfFile::new(file, &mapped.path).expect("an ELF file");
    let sections = elf.sections().expect("sections");
    let text = elf.section(&sections, ".text").expect("readable");
    let (start, size) = text.expect("code");
    let addresses: Vec<u64> = (0..ADDRESSES)
        .map(|number| start + size * number / ADDRESSES)
        .collect();
    let found = look_up_mapped(process, mapped, &addresses, Detail::Lines).expect("opened");
    let symbols = symbols(&mapped.path);
    let mut sources = BTreeMap::new();
    for (address, frames) in addresses.iter().zip(&found) {
        let outermost = frames.last().expect("a frame");
        *sources.entry(outermost.source as u8).or_insert(0) += 1;
        compare(*address, outermost, &symbols);
    }
    let of = |source: NameSource| sources.get(&(source as u8)).copied().unwrap_or(0);
    let named = of(NameSource::DebugInfo) + of(NameSource::Symbol);
    let all = found.len();
    assert!(
        named * 100 >= all * NAMED_PERCENT,
        "{:?}: {named} of {all}",
        mapped.path
    );
    match of(NameSource::DebugInfo) > of(NameSource::Symbol) {
        true => NameSource::DebugInfo,
        false => NameSource::Symbol,
    }
}

/// The name is that of a symbol at the address, where nm lists one.
fn compare(address: u64, frame: &NamedFrame, symbols: &[(u64, u64, String)]) {
    let holds = |(start, size, _): &&(u64, u64, String)| (*start..start + size).contains(&address);
    let holders = symbols.iter().filter(holds);
    let names: Vec<&str> = holders.map(|(_, _, name)| name.as_str()).collect();
    // DWARF of C and C++ has the plain name where the symbol has what the linker made of it.
    let is_listed = names.is_empty() || names.contains(&frame.name.as_str());
    assert!(is_listed, "{address:#x}: {frame:?}, by nm {names:?}");
}

/// First address, size and readable name of each function of a file, by nm.
fn symbols(path: &Path) -> Vec<(u64, u64, String)> {
    let listed = stdout(Command::new("nm").args(["-S", "--defined-only"]).arg(path));
    let number = |text: &str| u64::from_str_radix(text, 16).expect("a number");
    let rows = listed.lines().filter_map(|line| {
        let [at, size, kind, name] = line.split(' ').collect::<Vec<_>>()[..] else {
            return None;
        };
        let row = || (number(at), number(size), readable_name(name));
        "tTwWi".contains(kind).then(row)
    });
    rows.collect()
}
