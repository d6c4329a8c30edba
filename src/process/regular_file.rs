//! Turns a path that others chose into an opened file, after a look at what is there.
//!
//! To open a device may do something (rewind a tape, start a watchdog), and to open a pipe may wait for ever. What is
//! looked at is the file itself, by a descriptor that opens nothing (`O_PATH`), and it is that file which is
//! opened then.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::Mode;
use nix::sys::statfs::{FsType, fstatfs};

/// File systems whose files are not stored: the kernel makes up what is in them, some of it for root only. The numbers
/// that libc has no name for are from linux/magic.h and fs/efivarfs.
#[allow(clippy::unnecessary_cast, reason = "the type differs between targets")]
const KERNEL_FILE_SYSTEMS: [i64; 15] = [
    libc::PROC_SUPER_MAGIC as i64,
    libc::SYSFS_MAGIC as i64,
    libc::DEBUGFS_MAGIC as i64,
    libc::TRACEFS_MAGIC as i64,
    libc::SECURITYFS_MAGIC as i64,
    libc::CGROUP_SUPER_MAGIC as i64,
    libc::CGROUP2_SUPER_MAGIC as i64,
    libc::SELINUX_MAGIC as i64,
    libc::SMACK_MAGIC as i64,
    libc::BPF_FS_MAGIC as i64,
    libc::NSFS_MAGIC as i64,
    BINFMTFS_MAGIC,
    PSTOREFS_MAGIC,
    EFIVARFS_MAGIC,
    CONFIGFS_MAGIC,
];
const BINFMTFS_MAGIC: i64 = 0x4249_4e4d;
const PSTOREFS_MAGIC: i64 = 0x6165_676c;
const EFIVARFS_MAGIC: i64 = 0xde5e_81e4;
const CONFIGFS_MAGIC: i64 = 0x6265_6570;

/// Opens a file for reading, if it is a regular one that is stored somewhere.
///
/// # Errors
/// What the kernel says; [`io::ErrorKind::InvalidInput`] when it is something else than such a file.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let looked_at = nix::fcntl::open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
    open_looked_at(&looked_at)
}

/// As [`open_regular`], below a folder; `resolve` says where links may lead.
///
/// # Errors
/// As [`open_regular`]; `ENOSYS` before Linux 5.6.
pub fn open_regular_below(folder: &OwnedFd, path: &Path, resolve: ResolveFlag) -> io::Result<File> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(resolve | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    open_looked_at(&openat2(folder, path, how)?)
}

/// Opens a file that was looked at (opened with `O_PATH`), under the same conditions.
///
/// # Errors
/// As [`open_regular`].
#[allow(clippy::unnecessary_cast, reason = "the type differs between targets")]
pub(super) fn open_looked_at(looked_at: &OwnedFd) -> io::Result<File> {
    let by_number = format!("/proc/self/fd/{}", looked_at.as_raw_fd());
    // Of an `O_PATH` descriptor both are told.
    let metadata = nix::sys::stat::fstat(looked_at)?;
    // The kernel's own always tell; another file system need not.
    let is_made_up = |looked_at| {
        fstatfs(looked_at).is_ok_and(|found| {
            let FsType(file_system) = found.filesystem_type();
            KERNEL_FILE_SYSTEMS.contains(&(file_system as i64))
        })
    };
    if metadata.st_mode & libc::S_IFMT != libc::S_IFREG || is_made_up(looked_at) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not a regular file",
        ));
    }
    OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
        .open(by_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_stored_regular_files_are_opened() {
        let folder = tempfile::tempdir().expect("a folder");
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, Mode::S_IRWXU).expect("a pipe");
        for path in [
            &pipe,
            folder.path(),
            Path::new("/dev/null"),
            Path::new("/proc/kallsyms"),
        ] {
            let error = open_regular(path).expect_err("refused");
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{path:?}");
        }
        let file = folder.path().join("a.py");
        std::fs::write(&file, "x = 1\n").expect("written");
        let text = io::read_to_string(open_regular(&file).expect("opened"));
        assert_eq!(text.expect("read"), "x = 1\n");
    }
}
