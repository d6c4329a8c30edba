//! Turns the paths of source files into the short ones that a table has room for.

use std::path::{Component, Path, PathBuf};

use crate::profile::paths::library_part;

/// How paths of one profile are shortened.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shortener {
    /// The folder that all files of the program itself lie in.
    home: PathBuf,
}

impl Shortener {
    /// Learns from all files of a profile.
    pub(crate) fn of<'p>(files: impl Iterator<Item = &'p str>) -> Shortener {
        let own = files.filter(|file| file.starts_with('/') && library_part(file).is_none());
        let folders = own.filter_map(|file| Path::new(file).parent());
        let home = folders.map(Path::to_path_buf).reduce(|a, b| common(&a, &b));
        Shortener {
            home: home.unwrap_or_default(),
        }
    }

    /// `numpy/core/numeric.py` for a file in site-packages, `json/decoder.py` for one of the
    /// standard library, the rest behind the program's own folder for one of the program's.
    pub(crate) fn shorten<'p>(&self, file: &'p str) -> &'p str {
        if let Some(part) = library_part(file) {
            return part;
        }
        // `/` in common is nothing in common.
        if self.home.components().count() < 2 {
            return file;
        }
        let rest = Path::new(file).strip_prefix(&self.home).ok();
        rest.and_then(Path::to_str).unwrap_or(file)
    }
}

fn common(a: &Path, b: &Path) -> PathBuf {
    let pairs = a.components().zip(b.components());
    let same: Vec<Component<'_>> = pairs.take_while(|(a, b)| a == b).map(|(a, _)| a).collect();
    same.iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[&str], expected: &[&str]) {
        let shortener = Shortener::of(files.iter().copied());
        let short = files.iter().map(|file| shortener.shorten(file));
        assert_eq!(short.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn files_of_the_program_are_told_by_what_differs() {
        check(&["/home/ada/run.py"], &["run.py"]);
        check(
            &["/home/ada/run.py", "/home/ada/lib/a.py"],
            &["run.py", "lib/a.py"],
        );
        check(&["/home/a/x.py", "/home/ab/x.py"], &["a/x.py", "ab/x.py"]);
        check(&["/srv/x.py", "/home/x.py"], &["/srv/x.py", "/home/x.py"]);
        check(&["/x.py"], &["/x.py"]);
    }

    #[test]
    fn files_of_libraries_are_told_by_their_module() {
        check(
            &[
                "/home/ada/run.py",
                "/usr/lib/python3.11/json/decoder.py",
                "/opt/py/lib/python3.13t/threading.py",
                "/opt/py/lib/python3.12/site-packages/numpy/linalg.py",
                "/usr/lib/python3/dist-packages/apt.py",
            ],
            &[
                "run.py",
                "json/decoder.py",
                "threading.py",
                "numpy/linalg.py",
                "apt.py",
            ],
        );
    }

    #[test]
    fn a_relative_path_stays() {
        let files = ["<frozen runpy>", "", "run.py", "/", "/lib/pythonic/a.py"];
        check(&files, &["<frozen runpy>", "", "run.py", "/", "a.py"]);
        check(&["/lib/python"], &["python"]);
    }
}
