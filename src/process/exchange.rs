//! Turns two names of files into each other, at once: each then has what the other had.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::sys;

/// Exchanges two files of one file system.
///
/// # Errors
/// What the kernel says; `EINVAL` on file systems that cannot, `ENOSYS` before Linux 3.15.
pub fn exchange_files(one: &Path, other: &Path) -> io::Result<()> {
    let one = CString::new(one.as_os_str().as_bytes())?;
    let other = CString::new(other.as_os_str().as_bytes())?;
    Ok(sys::exchange_files(&one, &other)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_files_get_each_others_names() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = ["one", "other"].map(|name| folder.path().join(name));
        std::fs::write(&one, "1").unwrap();
        std::fs::write(&other, "2").unwrap();
        exchange_files(&one, &other).unwrap();
        assert_eq!(std::fs::read(&one).unwrap(), b"2");
        assert_eq!(std::fs::read(&other).unwrap(), b"1");
        let error = exchange_files(&one, &folder.path().join("none")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
