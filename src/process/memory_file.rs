//! Turns a name into an empty file that lies in memory only, for what wants to read a file and is given bytes.

use std::ffi::CStr;
use std::fs::File;
use std::io;

use crate::sys;

/// Makes the file; its name shows only in `/proc`, as `/memfd:NAME`.
///
/// # Errors
/// When the kernel is older than 3.17, or there are too many open files.
pub fn memory_file(name: &CStr) -> io::Result<File> {
    Ok(File::from(sys::memory_file(name)?))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, Write};

    use super::*;

    #[test]
    fn what_was_written_can_be_read() {
        let mut file = memory_file(c"bytes").expect("a file");
        file.write_all(b"written").expect("room");
        file.rewind().expect("a beginning");
        let mut text = String::new();
        file.read_to_string(&mut text).expect("read");
        assert_eq!(text, "written");
    }
}
