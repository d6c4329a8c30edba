//! Reads which functions of glibc the program needs: a wheel is linked against 2.17, where a newer one is missing.

use std::collections::BTreeSet;

use assert_cmd::cargo::cargo_bin;
use goblin::elf::Elf;
use goblin::elf::sym::STB_WEAK;

/// Of glibc 2.17 too, where they have another version or are part of every program: glibc moved them, or changed what they do in
/// cases that are no concern here.
const ALSO_OLDER: &[&str] = &[
    "__libc_start_main", // 2.34
    "dl_iterate_phdr",   // 2.35
    "dladdr",            // 2.34
    "dlsym",             // 2.34
    "exp",               // 2.29
    "fcntl64",           // 2.28
    "fstat",             // 2.33, as all of stat
    "fstat64",
    "fstatat64",
    "log",  // 2.29
    "log2", // 2.29
    "lstat64",
    "pow", // 2.29
    "stat",
    "stat64",
    "sem_post", // 2.34
    "sem_wait", // 2.34
];

/// All of it was in libpthread before 2.32 and 2.34.
const ALSO_OLDER_BEGINNING: &str = "pthread_";

/// A system call for which glibc has a function since lately is made by its number, in `src/sys.rs`.
#[test]
fn the_program_can_be_linked_against_glibc_2_17() {
    let bytes = std::fs::read(cargo_bin!("rsamp")).expect("the program");
    let elf = Elf::parse(&bytes).expect("ELF");
    let (symbols, needed) = (
        elf.versym.expect("versions"),
        elf.verneed.expect("versions"),
    );
    let mut newer = BTreeSet::new();
    for file in needed.iter() {
        for version in file.iter() {
            let name = &elf.dynstrtab[version.vna_name];
            let Some(number) = name.strip_prefix("GLIBC_2.") else {
                continue;
            };
            let minor: u32 = number
                .split('.')
                .next()
                .and_then(|m| m.parse().ok())
                .expect("a number");
            if minor <= 17 {
                continue;
            }
            let of_version = symbols
                .iter()
                .zip(elf.dynsyms.iter())
                .filter(|(symbol, _)| symbol.version() == version.vna_other);
            // The standard library does without weak ones that are missing.
            let strong = of_version.filter(|(_, symbol)| symbol.st_bind() != STB_WEAK);
            newer.extend(strong.map(|(_, symbol)| &elf.dynstrtab[symbol.st_name]));
        }
    }
    newer.retain(|name| !ALSO_OLDER.contains(name) && !name.starts_with(ALSO_OLDER_BEGINNING));
    assert!(newer.is_empty(), "glibc 2.17 has no {newer:?}");
}
