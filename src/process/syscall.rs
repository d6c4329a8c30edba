//! Turns `/proc/PID/task/TID/syscall` into what a thread waits for, by the kernel's own word.

use std::io;

use super::kept_file::KeptFile;
use super::{Pid, Tid};

/// Enough for a number, six arguments and two addresses.
const LONGEST: usize = 192;

/// A thread's `syscall`. Reading it takes the permission to trace the thread.
#[derive(Debug)]
pub struct SyscallWatch {
    file: KeptFile,
    buffer: [u8; LONGEST],
    length: usize,
}

/// What a thread was doing when its `syscall` was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThreadActivity {
    /// It is on a CPU, or waits for one.
    Running,
    /// It waits in a system call.
    In(Syscall),
    /// It waits outside of any: for a page that must be read, or it is stopped.
    Halted,
}

/// A system call: its number and first arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Syscall {
    /// As `SYS_…` of the target's architecture.
    pub number: i64,
    /// The first four arguments.
    pub arguments: [u64; 4],
}

/// The registers that a `syscall` file tells of a thread that is not running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitRegisters {
    /// The stack pointer.
    pub stack_pointer: u64,
    /// The address of the instruction that comes next: the one behind the system call.
    pub instruction: u64,
}

/// What a system call waits for, as far as its number and arguments tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// The futex at this address of the target.
    Futex(u64),
    /// Another kind of lock: System V semaphores, locks of files.
    Lock,
    /// Only for time to pass.
    Sleep,
    /// A file system.
    FileSystem,
    /// What this descriptor of the target stands for.
    Descriptor(i32),
    /// One of several descriptors: `pollfd`s in the target's memory, and how many.
    Poll(u64, u64),
    /// One of the descriptors below a number: in up to three `fd_set`s in the target's memory.
    Select(u64, [u64; 3]),
    /// A socket.
    Network,
    /// A child process.
    Child,
    /// Something else.
    Other,
}

impl SyscallWatch {
    /// Opens a thread's `syscall`.
    ///
    /// # Errors
    /// What the kernel says: there is no such thread, or no such file in this kernel.
    pub fn open(pid: Pid, tid: Tid) -> io::Result<SyscallWatch> {
        Ok(SyscallWatch {
            file: KeptFile::open(format!("/proc/{pid}/task/{tid}/syscall"))?,
            buffer: [0; LONGEST],
            length: 0,
        })
    }

    /// Closes the file until it is read again, where many are open.
    pub fn close(&mut self) {
        self.file.close();
    }

    /// Reads it again. Returns what it says, and whether that is word for word what it said last time:
    /// then the thread most likely waits in the same call still.
    ///
    /// # Errors
    /// `EPERM` without the permission to trace; `ESRCH` when the thread ended.
    pub fn read(&mut self) -> io::Result<(ThreadActivity, bool)> {
        let mut buffer = [0; LONGEST];
        let length = self.file.read(&mut buffer)?;
        let text = &buffer[..length];
        let is_same = text == &self.buffer[..self.length];
        let doing = parse_syscall(text).ok_or(io::ErrorKind::InvalidData)?;
        (self.buffer, self.length) = (buffer, length);
        Ok((doing, is_same))
    }

    /// The registers that it told when it was read last; `None`: the thread ran.
    #[must_use]
    pub fn wait_registers(&self) -> Option<WaitRegisters> {
        parse_wait_registers(&self.buffer[..self.length])
    }
}

/// The last two words of a `syscall` file; `None` for a thread that runs.
#[must_use]
pub fn parse_wait_registers(text: &[u8]) -> Option<WaitRegisters> {
    let text = std::str::from_utf8(text).ok()?;
    let mut words = text.split_ascii_whitespace().rev();
    let mut address = || u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok();
    let instruction = address()?;
    let stack_pointer = address()?;
    Some(WaitRegisters {
        stack_pointer,
        instruction,
    })
}

/// Parses a `syscall` file (proc_pid_syscall(5)): `running`, or `-1` and two addresses, or a decimal
/// number and nine hexadecimal ones.
#[must_use]
pub fn parse_syscall(text: &[u8]) -> Option<ThreadActivity> {
    let text = std::str::from_utf8(text).ok()?;
    let mut words = text.split_ascii_whitespace();
    let number = match words.next()? {
        "running" => return Some(ThreadActivity::Running),
        "-1" => return Some(ThreadActivity::Halted),
        number => number.parse().ok()?,
    };
    let mut arguments = [0; 4];
    for argument in &mut arguments {
        let digits = words.next()?.strip_prefix("0x")?;
        *argument = u64::from_str_radix(digits, 16).ok()?;
    }
    Some(ThreadActivity::In(Syscall { number, arguments }))
}

/// What a call waits for.
///
/// CPython takes its locks and the GIL with futexes (glibc's condition variables and semaphores); its
/// `time.sleep` is clock_nanosleep(2) from 3.11 on, and before that select(2) without any descriptor.
#[must_use]
pub fn wait_of(call: Syscall) -> Wait {
    let [first, second, third, fourth] = call.arguments;
    let descriptor = |argument: u64| Wait::Descriptor(argument as i32);
    match call.number {
        libc::SYS_futex => Wait::Futex(first),
        SYS_FUTEX_WAIT | SYS_FUTEX_WAITV => Wait::Futex(first),
        libc::SYS_nanosleep | libc::SYS_clock_nanosleep => Wait::Sleep,
        libc::SYS_ppoll if second == 0 => Wait::Sleep,
        libc::SYS_ppoll => Wait::Poll(first, second),
        libc::SYS_pselect6 => select(first, [second, third, fourth]),
        libc::SYS_wait4 | libc::SYS_waitid | libc::SYS_clone | libc::SYS_clone3 => Wait::Child,
        libc::SYS_splice | libc::SYS_tee | libc::SYS_vmsplice => descriptor(first),
        // Of the two descriptors, the one that is read from.
        libc::SYS_sendfile => descriptor(second),
        number if READS_AND_WRITES.contains(&number) => descriptor(first),
        number if OF_SOCKETS.contains(&number) => Wait::Network,
        number if OF_FILE_SYSTEMS.contains(&number) => Wait::FileSystem,
        number if OF_LOCKS.contains(&number) => Wait::Lock,
        number => old_wait_of(number, call.arguments),
    }
}

/// The calls that only the older architectures have.
#[cfg(target_arch = "x86_64")]
fn old_wait_of(number: i64, [first, second, third, fourth]: [u64; 4]) -> Wait {
    match number {
        libc::SYS_poll if second == 0 => Wait::Sleep,
        libc::SYS_poll => Wait::Poll(first, second),
        libc::SYS_select => select(first, [second, third, fourth]),
        libc::SYS_vfork | libc::SYS_fork => Wait::Child,
        number if OLD_OF_FILE_SYSTEMS.contains(&number) => Wait::FileSystem,
        _ => Wait::Other,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn old_wait_of(_: i64, _: [u64; 4]) -> Wait {
    Wait::Other
}

fn select(below: u64, sets: [u64; 3]) -> Wait {
    if below == 0 || sets == [0; 3] {
        Wait::Sleep
    } else {
        Wait::Select(below, sets)
    }
}

/// The same on every architecture; not yet in the libc crate.
const SYS_FUTEX_WAITV: i64 = 449;
const SYS_FUTEX_WAIT: i64 = 455;

/// Their first argument is the descriptor that is read or written.
const READS_AND_WRITES: [i64; 16] = [
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_preadv,
    libc::SYS_pwritev,
    libc::SYS_preadv2,
    libc::SYS_pwritev2,
    libc::SYS_copy_file_range,
    libc::SYS_ioctl,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_getdents64,
    libc::SYS_sync_file_range,
];

const OF_SOCKETS: [i64; 10] = [
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_connect,
    libc::SYS_shutdown,
];

const OF_FILE_SYSTEMS: [i64; 25] = [
    libc::SYS_sync,
    libc::SYS_syncfs,
    libc::SYS_msync,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_statx,
    libc::SYS_newfstatat,
    libc::SYS_fstat,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_unlinkat,
    libc::SYS_mkdirat,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_truncate,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_utimensat,
    libc::SYS_execve,
    libc::SYS_chdir,
    libc::SYS_io_getevents,
];

#[cfg(target_arch = "x86_64")]
const OLD_OF_FILE_SYSTEMS: [i64; 13] = [
    libc::SYS_open,
    libc::SYS_creat,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_getdents,
    libc::SYS_unlink,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_rename,
    libc::SYS_link,
    libc::SYS_renameat,
];

const OF_LOCKS: [i64; 4] = [
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_flock,
    libc::SYS_fcntl,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(text: &str) -> Wait {
        match parse_syscall(text.as_bytes()) {
            Some(ThreadActivity::In(call)) => wait_of(call),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_file_says_what_a_thread_does() {
        assert_eq!(parse_syscall(b"running\n"), Some(ThreadActivity::Running));
        let halted = b"-1 0x7ffe0b8 0x7f2f98\n";
        assert_eq!(parse_syscall(halted), Some(ThreadActivity::Halted));
        let registers = |stack_pointer, instruction| {
            Some(WaitRegisters {
                stack_pointer,
                instruction,
            })
        };
        assert_eq!(parse_wait_registers(halted), registers(0x7ffe0b8, 0x7f2f98));
        assert_eq!(parse_wait_registers(b"running\n"), None);
        let read = b"0 0x3 0x7f0010 0x1000 0x0 0xffffffffffffffff 0x0 0x7ffe08 0x7f21\n";
        let (number, arguments) = (0, [3, 0x7f_0010, 0x1000, 0]);
        let call = Syscall { number, arguments };
        assert_eq!(parse_syscall(read), Some(ThreadActivity::In(call)));
        assert_eq!(parse_wait_registers(read), registers(0x7ffe08, 0x7f21));
        for length in 0..read.len() - 1 {
            let _ = parse_syscall(&read[..length]);
            let _ = parse_wait_registers(&read[..length]);
        }
        for strange in [&b""[..], b"0", b"x 0x1 0x2 0x3 0x4", b"1 2 3 4 5", b"\xff"] {
            assert_eq!(parse_syscall(strange), None);
        }
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn calls_say_what_they_wait_for() {
        for (text, expected) in [
            ("202 0x55d0 0x189 0x0 0x0 0 0 0 0", Wait::Futex(0x55d0)),
            ("449 0x55d0 0x2 0x0 0x0 0 0 0 0", Wait::Futex(0x55d0)),
            ("230 0x1 0x1 0x7ffc 0x0 0 0 0 0", Wait::Sleep),
            ("23 0x0 0x0 0x0 0x0 0x7ffc 0 0 0", Wait::Sleep),
            ("7 0x7ffc 0x0 0x3e8 0x0 0 0 0 0", Wait::Sleep),
            ("7 0x7ffc 0x2 0x3e8 0x0 0 0 0 0", Wait::Poll(0x7ffc, 2)),
            (
                "270 0x5 0x7ff0 0x0 0x7ff8 0 0 0 0",
                Wait::Select(5, [0x7ff0, 0, 0x7ff8]),
            ),
            ("0 0x5 0x7ff0 0x1 0x0 0 0 0 0", Wait::Descriptor(5)),
            ("40 0x5 0x6 0x0 0x10 0 0 0 0", Wait::Descriptor(6)),
            ("45 0x5 0x7ff0 0x1 0x0 0 0 0 0", Wait::Network),
            ("61 0xffffffff 0x0 0x0 0x0 0 0 0 0", Wait::Child),
            ("58 0x0 0x0 0x0 0x0 0 0 0 0", Wait::Child),
            ("257 0x0 0x0 0x0 0x0 0 0 0 0", Wait::FileSystem),
            ("73 0x3 0x2 0x0 0x0 0 0 0 0", Wait::Lock),
            ("232 0x3 0x2 0x0 0x0 0 0 0 0", Wait::Other),
        ] {
            assert_eq!(wait(text), expected, "{text}");
        }
    }
}
