//! Turns a descriptor of a process into what it stands for, from its link below `/proc/PID/fd`.

use std::fs;
use std::os::unix::ffi::OsStrExt;

use super::Pid;
use crate::sys;

/// What a descriptor stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DescriptorKind {
    /// A file or folder of a file system, or a block device.
    File,
    /// A socket of any family.
    Socket,
    /// A pipe, with or without a name.
    Pipe,
    /// A process (pidfd_open(2)).
    Process,
    /// A terminal or another device, or a thing of the kernel's without a name (an eventfd, an epoll).
    Other,
}

/// What descriptor `fd` of process `pid` stands for; `None` when it is closed, or hidden from us.
///
/// No file system is asked: one that hangs, as the target may be experiencing, would take us with it.
#[must_use]
pub fn descriptor_kind(pid: Pid, fd: i32) -> Option<DescriptorKind> {
    let path = format!("/proc/{pid}/fd/{fd}");
    let link = fs::read_link(&path).ok()?;
    let by_name = kind_of_link(link.as_os_str().as_bytes());
    // A pipe with a name, or a device, has the link of a file.
    Some(
        by_name.unwrap_or_else(|| match sys::known_file(&path).map(|file| file.kind) {
            Ok(libc::S_IFIFO) => DescriptorKind::Pipe,
            Ok(libc::S_IFCHR) => DescriptorKind::Other,
            Ok(libc::S_IFSOCK) => DescriptorKind::Socket,
            _ => DescriptorKind::File,
        }),
    )
}

/// What a link without a path names (proc_pid_fd(5)).
fn kind_of_link(link: &[u8]) -> Option<DescriptorKind> {
    let starts = |text: &[u8]| link.starts_with(text);
    if starts(b"socket:") {
        Some(DescriptorKind::Socket)
    } else if starts(b"pipe:") {
        Some(DescriptorKind::Pipe)
    } else if starts(b"anon_inode:[pidfd]") || starts(b"pidfd:") {
        Some(DescriptorKind::Process)
    } else if starts(b"/") {
        None
    } else {
        Some(DescriptorKind::Other)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::net::TcpListener;
    use std::os::fd::{AsRawFd, RawFd};

    use super::*;

    fn kind(fd: RawFd) -> Option<DescriptorKind> {
        descriptor_kind(Pid(std::process::id() as i32), fd)
    }

    #[test]
    fn our_own_descriptors_are_told_apart() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(kind(socket.as_raw_fd()), Some(DescriptorKind::Socket));
        let (reader, _writer) = std::io::pipe().unwrap();
        assert_eq!(kind(reader.as_raw_fd()), Some(DescriptorKind::Pipe));
        let file = tempfile::tempfile().unwrap();
        assert_eq!(kind(file.as_raw_fd()), Some(DescriptorKind::File));
        let device = File::open("/dev/null").unwrap();
        assert_eq!(kind(device.as_raw_fd()), Some(DescriptorKind::Other));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let both = File::options().read(true).write(true).open(path).unwrap();
        assert_eq!(kind(both.as_raw_fd()), Some(DescriptorKind::Pipe));
        let me = Pid(std::process::id() as i32);
        let process = crate::process::Process::open(me).unwrap();
        let pidfd = process.pidfd().map(|fd| fd.as_raw_fd());
        if let Some(pidfd) = pidfd {
            assert_eq!(kind(pidfd), Some(DescriptorKind::Process));
        }
        assert_eq!(kind(1 << 20), None);
    }
}
