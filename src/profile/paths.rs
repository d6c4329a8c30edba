//! Turns the path of a source file into what it belongs to: the program, a package, the standard
//! library, the import system.

/// What CPython compiles into itself shows as `<frozen NAME>` in place of a path (`Python/frozen.c`,
/// `Tools/build/freeze_modules.py`); all of it is standard library.
const FROZEN: &str = "<frozen ";

/// What lies behind `site-packages/`, `dist-packages/` or `lib/python3.x/`; `None` for a file of the
/// program itself.
#[must_use]
pub fn library_part(file: &str) -> Option<&str> {
    package_part(file).or_else(|| standard_part(file))
}

/// Whether the file is of Python's standard library: below `lib/python3.x/` and not in a folder of
/// installed packages, in a zipped library (`python311.zip`), or frozen into the interpreter.
#[must_use]
pub fn is_standard_library(file: &str) -> bool {
    file.starts_with(FROZEN) || (package_part(file).is_none() && standard_part(file).is_some())
}

/// Whether the file is of the import system (`importlib`, `zipimport`, the old `imp`), be it frozen
/// or not.
#[must_use]
pub fn is_import_system(file: &str) -> bool {
    let module = match file.strip_prefix(FROZEN) {
        Some(name) => name.trim_end_matches('>'),
        None if is_standard_library(file) => standard_part(file).unwrap_or_default(),
        None => return false,
    };
    let first = module.split(['.', '/']).next().unwrap_or_default();
    ["importlib", "zipimport", "imp"].contains(&first)
}

/// What lies behind the folder of installed packages.
fn package_part(file: &str) -> Option<&str> {
    let behind = |folder| file.rsplit_once(folder).map(|(_, rest)| rest);
    behind("/site-packages/").or_else(|| behind("/dist-packages/"))
}

/// What lies behind `lib/python3.x/`, `lib64/python3.x/` or `python3x.zip/`.
fn standard_part(file: &str) -> Option<&str> {
    let behind_version = |rest: &'_ str| -> Option<usize> {
        let (version, _) = rest.split_once('/')?;
        let is_version = version.starts_with(|c: char| c.is_ascii_digit());
        is_version.then_some(version.len() + 1)
    };
    ["/lib/python", "/lib64/python"].iter().find_map(|folder| {
        let (_, rest) = file.split_once(folder)?;
        let skip = behind_version(rest)?;
        rest.get(skip..)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_apart_by_their_paths() {
        let table = [
            // path, part of a library, standard library, import system
            ("/home/ada/run.py", None, false, false),
            ("run.py", None, false, false),
            ("<string>", None, false, false),
            ("/home/ada/importlib/run.py", None, false, false),
            (
                "/usr/lib/python3.11/json/decoder.py",
                Some("json/decoder.py"),
                true,
                false,
            ),
            (
                "/usr/lib64/python3.9/threading.py",
                Some("threading.py"),
                true,
                false,
            ),
            (
                "/opt/py/lib/python3.13t/importlib/util.py",
                Some("importlib/util.py"),
                true,
                true,
            ),
            (
                "/usr/lib/python311.zip/json.py",
                Some("json.py"),
                true,
                false,
            ),
            (
                "/v/lib/python3.12/site-packages/numpy/linalg.py",
                Some("numpy/linalg.py"),
                false,
                false,
            ),
            (
                "/v/lib/python3.12/site-packages/importlib_metadata/a.py",
                Some("importlib_metadata/a.py"),
                false,
                false,
            ),
            (
                "/usr/lib/python3/dist-packages/apt.py",
                Some("apt.py"),
                false,
                false,
            ),
            ("<frozen importlib._bootstrap>", None, true, true),
            ("<frozen zipimport>", None, true, true),
            ("<frozen runpy>", None, true, false),
            ("/lib/pythonic/a.py", None, false, false),
            ("/lib/python", None, false, false),
        ];
        for (file, part, is_standard, is_import) in table {
            assert_eq!(library_part(file), part, "{file}");
            assert_eq!(is_standard_library(file), is_standard, "{file}");
            assert_eq!(is_import_system(file), is_import, "{file}");
        }
    }
}
