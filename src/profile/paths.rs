//! Turns the path of a source file into what it belongs to: the program, a package, the standard
//! library, the import system.

/// What CPython compiles into itself shows as `<frozen NAME>` in place of a path (`Python/frozen.c`,
/// `Tools/build/freeze_modules.py`); all of it is standard library.
const FROZEN: &str = "<frozen ";

/// The name of the code of a module as a whole (`Python/compile.c`).
pub const MODULE: &str = "<module>";

/// The last part of a path: the file's name, or that of the program or library. The whole path where it has no `/`.
#[must_use]
pub fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

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
    ["importlib", "zipimport", "imp"].contains(&standard_module(file))
}

/// Whether the file is of `runpy`, which `python -m` begins with.
#[must_use]
pub fn is_runpy(file: &str) -> bool {
    standard_module(file) == "runpy"
}

/// The outermost module of the standard library that the file is of; empty where it is of none.
fn standard_module(file: &str) -> &str {
    let module = match file.strip_prefix(FROZEN) {
        Some(name) => name.trim_end_matches('>'),
        None if is_standard_library(file) => standard_part(file).unwrap_or_default(),
        None => return "",
    };
    module.split(['.', '/']).next().unwrap_or_default()
}

/// The installed package that the file is of: the first folder, or the module, below `site-packages` or
/// `dist-packages`.
#[must_use]
pub fn package(file: &str) -> Option<&str> {
    let first = package_part(file)?.split('/').next()?;
    Some(first.strip_suffix(".py").unwrap_or(first))
}

/// The name by which a module in this file is imported, `pandas.core.api`. Where it lies neither in a library nor below
/// one of the folders, the last word of that name.
#[must_use]
pub fn module_name(file: &str, folders: &[String]) -> String {
    if let Some(name) = file.strip_prefix(FROZEN) {
        return name.trim_end_matches('>').to_owned();
    }
    let below = |folder: &String| file.strip_prefix(folder.as_str())?.strip_prefix('/');
    let part = library_part(file).or_else(|| folders.iter().find_map(below));
    let stem = |path: &str| {
        let path = path.strip_suffix(".py").unwrap_or(path);
        path.strip_suffix("/__init__").unwrap_or(path).to_owned()
    };
    match part {
        Some(part) => stem(part).replace('/', "."),
        None => file_name(&stem(file)).to_owned(),
    }
}

/// The folder that holds the `lib/python3.x` of the file: `/usr`, or a virtual environment.
#[must_use]
pub fn interpreter_prefix(file: &str) -> Option<&str> {
    let prefix = |folder| file.split_once(folder).map(|(prefix, _)| prefix);
    prefix("/lib/python").or_else(|| prefix("/lib64/python"))
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
    fn modules_are_named_as_they_are_imported() {
        let folders = ["/home/ada/study".to_owned()];
        let table = [
            (
                "/v/lib/python3.11/site-packages/pandas/__init__.py",
                "pandas",
            ),
            (
                "/v/lib/python3.11/site-packages/pandas/core/api.py",
                "pandas.core.api",
            ),
            ("/usr/lib/python3/dist-packages/six.py", "six"),
            ("/usr/lib/python3.11/json/decoder.py", "json.decoder"),
            ("<frozen os>", "os"),
            ("/home/ada/study/fields/grid.py", "fields.grid"),
            ("/home/ada/study/fields/__init__.py", "fields"),
            ("/srv/other/fields/__init__.py", "fields"),
            ("/srv/other/grid.py", "grid"),
            ("grid.py", "grid"),
        ];
        for (file, name) in table {
            assert_eq!(module_name(file, &folders), name, "{file}");
        }
    }

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
