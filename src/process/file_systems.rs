//! Turns the mounts that processes see into whether reading a mapped file may wait without end.
//!
//! A file system behind a network or a program (NFS, Lustre, FUSE) may stop answering. A process that then opens or
//! reads one of its files, or asks for its size, waits in the kernel and cannot be killed. So the mounts are asked, which
//! the kernel answers itself: by the device number that `/proc/PID/maps` shows for a mapping.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};

use super::status::status_field;
use super::{Pid, with_memory};

/// The most bytes of a list of mounts that are looked at: some ten thousand mounts.
const MAX_BYTES: usize = 4 << 20;

/// File systems whose files are on this machine's own disks or in its memory, as they are named in `/proc/filesystems`.
/// (`fuseblk` is on a disk too, but a program reads it.)
const LOCAL: &[&str] = &[
    "bcachefs",
    "btrfs",
    "cramfs",
    "devtmpfs",
    "erofs",
    "exfat",
    "ext2",
    "ext3",
    "ext4",
    "f2fs",
    "hfsplus",
    "hugetlbfs",
    "iso9660",
    "jffs2",
    "jfs",
    "msdos",
    "nilfs2",
    "ntfs3",
    "ramfs",
    "reiserfs",
    "romfs",
    "rootfs",
    "squashfs",
    "tmpfs",
    "ubifs",
    "udf",
    "vfat",
    "xfs",
    "zfs",
    "zonefs",
];

/// Joins folders of other file systems.
const OVERLAY: &str = "overlay";

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Its number, which no other mount on this machine has.
    pub id: u64,
    /// Major and minor number of its device, as in `/proc/PID/maps`.
    pub device: (u32, u32),
    /// Its kind: `ext4`, `nfs4`, `fuse.sshfs`.
    pub kind: String,
}

/// The file systems that a process sees, and those that this process sees.
#[derive(Debug, Default)]
pub struct FileSystems {
    own: Vec<Mount>,
    its: Vec<Mount>,
}

impl FileSystems {
    /// Those of process `pid`. What cannot be read is not known, and unknown file systems may stall.
    #[must_use]
    pub fn of(pid: Pid) -> FileSystems {
        let mounts = |process: &str| {
            let text = fs::read(format!("/proc/{process}/mountinfo"));
            text.map(|text| parse_mounts(&text)).unwrap_or_default()
        };
        FileSystems {
            own: mounts("self"),
            its: mounts(&with_memory(pid).to_string()),
        }
    }

    /// The kind of the file system with this device number; `None`: neither process sees it.
    #[must_use]
    pub fn kind(&self, device: (u32, u32)) -> Option<&str> {
        let mut mounts = self.own.iter().chain(&self.its);
        let mount = mounts.find(|mount| mount.device == device)?;
        Some(&mount.kind)
    }

    /// Whether what is read from it may never come.
    ///
    /// An overlay counts as local where this process sees it too. Another one may join folders of any file system: every
    /// user may mount one in a namespace of his own.
    #[must_use]
    pub fn may_stall(&self, device: (u32, u32)) -> bool {
        let kind = self.kind(device).unwrap_or_default();
        let mut own = self.own.iter();
        let is_local = match kind {
            OVERLAY => own.any(|mount| mount.device == device),
            kind => LOCAL.contains(&kind),
        };
        !is_local
    }

    /// Whether a file, opened with `O_PATH`, is on one of the mounts that do not stall. The device number of its
    /// metadata would not tell: btrfs and overlay have others there.
    pub(super) fn is_local(&self, looked_at: &OwnedFd) -> bool {
        let number = looked_at.as_raw_fd();
        let info = fs::read(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
        let id = status_field(&info, "mnt_id:").and_then(|id| id.parse().ok());
        let mut mounts = self.own.iter().chain(&self.its);
        let mount = mounts.find(|mount| Some(mount.id) == id);
        mount.is_some_and(|mount| !self.may_stall(mount.device))
    }
}

/// Parses the text of `/proc/PID/mountinfo` (proc_pid_mountinfo(5)). Lines that have another form are left out.
#[must_use]
pub fn parse_mounts(text: &[u8]) -> Vec<Mount> {
    let text = &text[..text.len().min(MAX_BYTES)];
    let lines = text.split(|byte| *byte == b'\n');
    lines.filter_map(parse_mount).collect()
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw`
fn parse_mount(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let text = |field| std::str::from_utf8(field).ok();
    let id = text(fields.next()?)?.parse().ok()?;
    let (major, minor) = text(fields.nth(1)?)?.split_once(':')?;
    // Spaces in paths are escaped, and the number of fields before the hyphen varies.
    fields.find(|field| *field == b"-")?;
    Some(Mount {
        id,
        device: (major.parse().ok()?, minor.parse().ok()?),
        kind: String::from_utf8_lossy(fields.next()?).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_stands_behind_the_hyphen() {
        let text = b"36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 propagate_from:2 - ext3 /dev/root rw\n\
                     40 36 0:300 / /my\\040home rw - fuse.sshfs host:/ rw\nnot a mount\n41 36 0:1 / /x rw\n";
        let mount = |id, device, kind: &str| Mount {
            id,
            device,
            kind: kind.to_owned(),
        };
        let expected = [
            mount(36, (98, 0), "ext3"),
            mount(40, (0, 300), "fuse.sshfs"),
        ];
        assert_eq!(parse_mounts(text), expected);
    }

    #[test]
    fn only_file_systems_that_are_known_to_be_local_do_not_stall() {
        let mounts = |kinds: &[&str], minor: u32| -> Vec<Mount> {
            let text = (minor..).zip(kinds).map(|(minor, kind)| {
                format!("1 1 0:{minor} / / rw - {kind} none rw\n").into_bytes()
            });
            parse_mounts(&text.flatten().collect::<Vec<u8>>())
        };
        let seen = FileSystems {
            own: mounts(&["ext4", "overlay", "nfs4"], 1),
            its: mounts(&["xfs", "overlay", "fuseblk", "lustre", "tmpfs"], 4),
        };
        let stalling: Vec<u32> = (1..=9)
            .filter(|minor| seen.may_stall((0, *minor)))
            .collect();
        // 9 is seen by nobody.
        assert_eq!(stalling, [3, 5, 6, 7, 9]);
        assert_eq!(seen.kind((0, 7)), Some("lustre"));
    }

    #[test]
    fn files_of_this_machine_are_looked_up_by_the_device_of_their_mappings() {
        let process = crate::process::Process::open(Pid(std::process::id() as i32)).unwrap();
        let seen = FileSystems::of(process.pid());
        for file in process.images().unwrap() {
            assert!(seen.kind(file.device).is_some(), "{:?}", file.path);
        }
        let folder = nix::fcntl::open(
            "/proc",
            nix::fcntl::OFlag::O_PATH,
            nix::sys::stat::Mode::empty(),
        );
        assert!(!seen.is_local(&folder.unwrap()), "proc is not in the list");
    }
}
