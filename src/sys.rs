//! Turns the system calls that have no safe binding into safe functions: every `unsafe` block of the crate.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::sys::signal::SigSet;

/// Opens a pidfd (pidfd_open(2), Linux 5.3), closed on exec.
///
/// # Errors
/// `ESRCH`: no such process; `ENOSYS`: an older kernel.
pub fn pidfd_open(pid: i32) -> nix::Result<OwnedFd> {
    // SAFETY: the call takes two integers and touches no memory of ours.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = Errno::result(result)? as i32;
    // SAFETY: the kernel has just returned this descriptor, so nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Makes a file without a name that lies in memory only (memfd_create(2), Linux 3.17), closed on exec. The call itself: glibc
/// has a function for it from 2.27 on.
///
/// # Errors
/// `ENOSYS`: an older kernel; `EMFILE`, `ENFILE`: too many open files; `ENOMEM`.
pub fn memory_file(name: &std::ffi::CStr) -> nix::Result<OwnedFd> {
    // SAFETY: the name ends with a zero byte, and lives until the call returns.
    let result = unsafe { libc::syscall(libc::SYS_memfd_create, name.as_ptr(), libc::MFD_CLOEXEC) };
    let fd = Errno::result(result)? as i32;
    // SAFETY: the kernel has just returned this descriptor, so nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// What sched_getattr(2) and sched_setattr(2) take: `struct sched_attr` of `include/uapi/linux/sched/types.h`, as long as
/// its first version, which every kernel takes (`SCHED_ATTR_SIZE_VER0`).
#[repr(C)]
#[derive(Default)]
struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// Asks the kernel for time slices of `slice_ns` for the calling thread, which is then let onto a CPU soon after it wakes
/// up, however many others want it (from Linux 6.12 on; older kernels ignore it). Who it starts does not inherit them.
///
/// # Errors
/// `EPERM` where a filter of system calls forbids it; `EINVAL` where the thread has a real-time policy.
pub fn ask_for_short_slices(slice_ns: u64) -> nix::Result<()> {
    const RESET_ON_FORK: u64 = 1;
    let size = size_of::<SchedAttr>() as u32;
    let mut attr = SchedAttr::default();
    // SAFETY: the kernel writes at most `size` bytes to `attr`, which is as long.
    let got = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attr, size, 0) };
    Errno::result(got)?;
    if ![libc::SCHED_OTHER as u32, libc::SCHED_BATCH as u32].contains(&attr.policy) {
        return Err(Errno::EINVAL);
    }
    attr = SchedAttr {
        size,
        flags: RESET_ON_FORK,
        runtime: slice_ns,
        ..attr
    };
    // SAFETY: the kernel reads `attr.size` bytes of `attr`, which is as long.
    let set = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) };
    Errno::result(set).map(drop)
}

/// What the kernel knows of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownFile {
    /// `S_IFMT` of its mode.
    pub kind: u32,
    /// `st_dev` of stat(2).
    pub device: u64,
    /// `st_ino`.
    pub inode: u64,
}

/// What the kernel knows of a file already: a network file system's server is not asked (`AT_STATX_DONT_SYNC` in
/// statx(2)). The call itself: glibc has a function for it from 2.28 on, and rsamp runs with 2.17.
///
/// # Errors
/// `ENOENT`, `EACCES`; `ENOSYS` before Linux 4.11.
pub fn known_file(path: &str) -> nix::Result<KnownFile> {
    let path = std::ffi::CString::new(path).map_err(|_| Errno::EINVAL)?;
    let mut found = std::mem::MaybeUninit::<libc::statx>::zeroed();
    let flags = libc::AT_STATX_DONT_SYNC | libc::AT_NO_AUTOMOUNT;
    // SAFETY: `path` ends with a zero byte, and `found` is a valid place for the statx that the call writes.
    let result = unsafe {
        libc::syscall(
            libc::SYS_statx,
            libc::AT_FDCWD,
            path.as_ptr(),
            flags,
            libc::STATX_TYPE | libc::STATX_INO,
            found.as_mut_ptr(),
        )
    };
    Errno::result(result)?;
    // SAFETY: a statx is integers, for which the zeroes from above are valid too.
    let found = unsafe { found.assume_init() };
    Ok(KnownFile {
        kind: u32::from(found.stx_mode) & libc::S_IFMT,
        device: libc::makedev(found.stx_dev_major, found.stx_dev_minor),
        inode: found.stx_ino,
    })
}

/// Gives each of two files the name of the other. The call itself: glibc has a function for it from 2.28 on.
///
/// # Errors
/// `EINVAL`: the file system cannot; `ENOSYS` before Linux 3.15; `ENOENT`, `EACCES`.
pub fn exchange_files(one: &std::ffi::CStr, other: &std::ffi::CStr) -> nix::Result<()> {
    // SAFETY: both paths end with a zero byte, and live until the call returns.
    let result = unsafe {
        libc::syscall(
            libc::SYS_renameat2,
            libc::AT_FDCWD,
            one.as_ptr(),
            libc::AT_FDCWD,
            other.as_ptr(),
            libc::RENAME_EXCHANGE,
        )
    };
    Errno::result(result).map(drop)
}

/// Makes a child process, a copy of this one. `None`: this is the child.
///
/// # Errors
/// `EDEADLK`: this process has other threads, whose locks the child would wait for; `EAGAIN`, `ENOMEM`.
pub fn fork_single_threaded() -> nix::Result<Option<i32>> {
    let threads = std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    if threads != 1 {
        return Err(Errno::EDEADLK);
    }
    // SAFETY: there is no other thread, so no lock is held that the child would miss the owner of.
    let child = Errno::result(unsafe { libc::fork() })?;
    Ok((child != 0).then_some(child))
}

/// Gives the calling thread other ids for good, and of its capabilities leaves those in `capabilities` (a bit each).
/// The calls of libc would change all threads of the process.
///
/// # Errors
/// `EPERM`: it may not; `EINVAL`: an id that its user namespace does not know. Some may be changed then.
pub fn change_credentials(
    uid: u32,
    gid: u32,
    groups: &[u32],
    capabilities: u64,
) -> nix::Result<()> {
    set_groups(groups)?;
    // SAFETY: the call takes integers and touches no memory of ours.
    Errno::result(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) })?;
    // SAFETY: the call takes integers and touches no memory of ours.
    Errno::result(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) })?;
    keep_capabilities(capabilities)
}

/// Gives the calling thread other ids where it comes to files. Root's capabilities for files go and come with its id.
/// The calls of libc would change all threads of the process.
///
/// # Errors
/// `EPERM`: it may not. Some may be changed then.
pub fn set_file_ids(uid: u32, gid: u32, groups: &[u32]) -> nix::Result<()> {
    set_groups(groups)?;
    for (call, id) in [(libc::SYS_setfsgid, gid), (libc::SYS_setfsuid, uid)] {
        // SAFETY: the call takes an integer and touches no memory of ours.
        let set = |id: u32| unsafe { libc::syscall(call, id) };
        set(id);
        // It tells no errors, but what the id was before; that of nobody changes nothing.
        if set(u32::MAX) != i64::from(id) {
            return Err(Errno::EPERM);
        }
    }
    Ok(())
}

/// Gives up all capabilities of the calling thread but those in `kept`, a bit each, that it has.
///
/// # Errors
/// None that is known.
pub fn keep_capabilities(kept: u64) -> nix::Result<()> {
    /// `_LINUX_CAPABILITY_VERSION_3` (linux/capability.h).
    const VERSION: u32 = 0x2008_0522;
    let header = [VERSION, 0];
    // The effective, permitted and inheritable ones: the lower halves, then the upper ones.
    let mut sets = [[0_u32; 3]; 2];
    // SAFETY: the header is version and pid, the sets are as large as the version says; both live through the call.
    let got = unsafe { libc::syscall(libc::SYS_capget, header.as_ptr(), sets.as_mut_ptr()) };
    Errno::result(got)?;
    for (half, kept) in sets.iter_mut().zip([kept as u32, (kept >> 32) as u32]) {
        half[0] &= kept;
        half[1] = half[0];
        half[2] = 0;
    }
    // SAFETY: as above; the call only reads.
    let set = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) };
    Errno::result(set).map(drop)
}

fn set_groups(groups: &[u32]) -> nix::Result<()> {
    // SAFETY: the kernel reads so many ids from where the slice has them.
    let result = unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) };
    Errno::result(result).map(drop)
}

/// Closes all descriptors of this process but one, whoever owns them: for a copy of a process that goes on in a loop of its own.
///
/// # Errors
/// When `/proc` is not there, on kernels without close_range(2) (before 5.9).
pub fn close_all_but(kept: i32) -> io::Result<()> {
    let close_range = |first: u32, last: u32| {
        // SAFETY: the call takes integers and touches no memory of ours; the callers use no descriptor but `kept` afterwards.
        Errno::result(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) })
    };
    let kept = kept as u32;
    let below = kept.checked_sub(1).map(|last| close_range(0, last));
    if below.is_none_or(|below| below.is_ok()) && close_range(kept + 1, u32::MAX).is_ok() {
        return Ok(());
    }
    let names = std::fs::read_dir("/proc/self/fd")?.filter_map(|entry| {
        let name = entry.ok()?.file_name();
        name.to_str()?.parse::<u32>().ok()
    });
    let all: Vec<u32> = names.filter(|fd| *fd != kept).collect();
    for fd in all {
        // SAFETY: as above; one that the listing itself used is closed already, which close(2) says.
        unsafe { libc::close(fd as i32) };
    }
    Ok(())
}

/// Has this process end by `signal`, as a shell sees it, without a core file. Returns where the signal does not end it:
/// the first process of a PID namespace, and signals that end nobody.
pub fn end_by_signal(signal: i32) {
    // The core file of the command is the one that counts.
    let _ = nix::sys::prctl::set_dumpable(false);
    // SAFETY: the default action runs no code of ours.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
    let _ = signal_set(&[signal]).thread_unblock();
    let _ = raise(signal);
}

/// Whether two processes have their memory in common: `KCMP_VM` of kcmp(2).
///
/// # Errors
/// `ESRCH`, `EPERM`; `ENOSYS` where the kernel was built without it.
pub fn share_memory(pid: i32, other: i32) -> nix::Result<bool> {
    const KCMP_VM: i32 = 1;
    // SAFETY: the call takes integers and touches no memory of ours.
    let order = unsafe { libc::syscall(libc::SYS_kcmp, pid, other, KCMP_VM, 0, 0) };
    Errno::result(order).map(|order| order == 0)
}

/// What waitid(2) reported of a child or tracee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waited {
    /// `CLD_EXITED`, `CLD_KILLED`, `CLD_DUMPED`, `CLD_STOPPED`, `CLD_TRAPPED` or `CLD_CONTINUED`.
    pub code: i32,
    /// The exit code or the signal; for tracees the signal and, above its 8 bits, the ptrace event.
    pub status: i32,
}

/// Takes the ptrace stop of a thread that the calling thread traces, if it has stopped. Never takes its end.
///
/// # Errors
/// `ECHILD`: the calling thread does not trace it.
pub fn wait_for_trace_stop(tid: i32) -> nix::Result<Option<Waited>> {
    waitid(
        tid,
        libc::WSTOPPED | libc::WNOHANG | libc::__WALL | libc::__WNOTHREAD,
    )
}

/// Takes the end of a thread that the calling thread traces, if it has ended.
///
/// # Errors
/// As [`wait_for_trace_stop`].
pub fn reap_traced(tid: i32) -> nix::Result<Option<Waited>> {
    waitid(
        tid,
        libc::WEXITED | libc::WNOHANG | libc::__WALL | libc::__WNOTHREAD,
    )
}

/// Tells what a child of the calling thread did last, without taking it. The stop of a child that another thread
/// of this process traces shows as `CLD_TRAPPED`: it is for the tracer to take.
///
/// # Errors
/// `ECHILD`: no such child.
pub fn peek_child(pid: i32) -> nix::Result<Option<Waited>> {
    waitid(pid, CHILD_EVENTS | libc::WNOWAIT)
}

/// As [`peek_child`], and takes it: a child that ended is gone then.
///
/// # Errors
/// As [`peek_child`].
pub fn take_child(pid: i32) -> nix::Result<Option<Waited>> {
    waitid(pid, CHILD_EVENTS)
}

/// The id of a child of the calling thread that has ended, without taking its end.
///
/// # Errors
/// `ECHILD`: there are no children.
pub fn peek_ended_child() -> nix::Result<Option<i32>> {
    let options = libc::WEXITED | libc::WNOWAIT | libc::WNOHANG | libc::__WNOTHREAD;
    let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: `info` is a valid place for the siginfo_t that the call writes.
    let result = unsafe { libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), options) };
    Errno::result(result)?;
    // SAFETY: a siginfo_t is integers and pointers, for which the zeroes from above are valid too.
    let info = unsafe { info.assume_init() };
    // SAFETY: the call fills the fields of SIGCHLD, or leaves the zeroes from above.
    let pid = unsafe { info.si_pid() };
    Ok((pid != 0).then_some(pid))
}

const CHILD_EVENTS: i32 =
    libc::WEXITED | libc::WSTOPPED | libc::WCONTINUED | libc::WNOHANG | libc::__WNOTHREAD;

fn waitid(pid: i32, options: i32) -> nix::Result<Option<Waited>> {
    let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: `info` is a valid place for the siginfo_t that the call writes.
    let result =
        unsafe { libc::waitid(libc::P_PID, pid as libc::id_t, info.as_mut_ptr(), options) };
    Errno::result(result)?;
    // SAFETY: a siginfo_t is integers and pointers, for which the zeroes from above are valid too.
    let info = unsafe { info.assume_init() };
    // SAFETY: the call fills the fields of SIGCHLD, or leaves the zeroes from above.
    let (child, status) = unsafe { (info.si_pid(), info.si_status()) };
    Ok((child != 0).then_some(Waited {
        code: info.si_code,
        status,
    }))
}

/// Lets a traced, stopped thread run on, untraced, after it has received `signal` (0: none).
/// Takes any signal number, which the binding of nix does not.
///
/// # Errors
/// `ESRCH`: the thread is gone, not stopped, or not traced by the calling thread.
pub fn ptrace_detach(tid: i32, signal: i32) -> nix::Result<()> {
    let address = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: PTRACE_DETACH takes numbers only and ignores the address.
    let result = unsafe { libc::ptrace(libc::PTRACE_DETACH, tid, address, i64::from(signal)) };
    Errno::result(result).map(drop)
}

/// What of the state that this process was started in Rust's runtime changes before `main`, or rsamp itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartState {
    /// Whether SIGPIPE was ignored; the runtime ignores it always.
    pub pipe_ignored: bool,
    /// Whether SIGXFSZ was.
    pub file_size_ignored: bool,
    /// Which of the descriptors 0, 1 and 2 were closed; the runtime opens `/dev/null` in their place.
    pub closed: [bool; 3],
}

static PIPE_IGNORED: AtomicBool = AtomicBool::new(false);
static FILE_SIZE_IGNORED: AtomicBool = AtomicBool::new(false);
static CLOSED: [AtomicBool; 3] = [const { AtomicBool::new(false) }; 3];

// SAFETY: entries of .init_array are called by libc once, before main, with the C calling convention;
// the function behind this one is such a function and needs nothing of Rust's runtime.
#[used]
#[unsafe(link_section = ".init_array")]
static REMEMBER_START_STATE: extern "C" fn() = remember_start_state;

extern "C" fn remember_start_state() {
    PIPE_IGNORED.store(is_ignored(libc::SIGPIPE), Ordering::Relaxed);
    FILE_SIZE_IGNORED.store(is_ignored(libc::SIGXFSZ), Ordering::Relaxed);
    for (fd, closed) in (0..).zip(&CLOSED) {
        // SAFETY: F_GETFD takes a number and touches no memory of ours.
        let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
        closed.store(flags == -1, Ordering::Relaxed);
    }
}

/// Tells what the runtime changed.
#[must_use]
pub fn start_state() -> StartState {
    StartState {
        pipe_ignored: PIPE_IGNORED.load(Ordering::Relaxed),
        file_size_ignored: FILE_SIZE_IGNORED.load(Ordering::Relaxed),
        closed: [0, 1, 2].map(|fd: usize| CLOSED[fd].load(Ordering::Relaxed)),
    }
}

/// Ignores SIGXFSZ: a file that grows beyond `ulimit -f` is an error of its write (`EFBIG`), not the end of this process.
/// [`restore_before_exec`] undoes it.
pub fn ignore_file_size_signal() {
    // SAFETY: ignoring a signal runs no code of ours.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// Whether this process ignores a signal.
fn is_ignored(signal: i32) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the new action is absent, and `action` is a valid place for the old one.
    let result = unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) };
    // SAFETY: a sigaction is integers and an optional function, for which the zeroes from above are valid too.
    let action = unsafe { action.assume_init() };
    result == 0 && action.sa_sigaction == libc::SIG_IGN
}

/// Sees to it that ends and stops of children are reported: gives SIGCHLD its default action.
/// Returns the signal if it was ignored before.
#[must_use]
pub fn take_over_sigchld() -> Vec<i32> {
    let was_ignored = is_ignored(libc::SIGCHLD);
    // SAFETY: the default action runs no code of ours.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    if was_ignored {
        vec![libc::SIGCHLD]
    } else {
        Vec::new()
    }
}

/// Makes a set of signals of their numbers, real-time signals included.
#[must_use]
pub fn signal_set(signals: &[i32]) -> SigSet {
    let mut set = *SigSet::empty().as_ref();
    for &signal in signals {
        // SAFETY: `set` is a valid set; the call changes it, or refuses a number that is no signal.
        unsafe { libc::sigaddset(&mut set, signal) };
    }
    // SAFETY: `set` was made by sigemptyset and sigaddset.
    unsafe { SigSet::from_sigset_t_unchecked(set) }
}

/// Sends a signal, by number, to a process.
///
/// # Errors
/// `ESRCH`, `EPERM`.
pub fn send_signal(pid: i32, signal: i32) -> nix::Result<()> {
    // SAFETY: the call takes two integers and touches no memory of ours.
    Errno::result(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// Sends a signal, by number, to the calling thread.
///
/// # Errors
/// `EINVAL`: no such signal.
pub fn raise(signal: i32) -> nix::Result<()> {
    // SAFETY: the call takes an integer; handlers are none of rsamp's.
    Errno::result(unsafe { libc::raise(signal) }).map(drop)
}

/// Has a command start with the signal mask `mask`, with the signals `ignored` ignored, and with those standard
/// descriptors closed that were closed for us. (Rust itself resets SIGPIPE to its default action in children.)
pub fn restore_before_exec(command: &mut Command, mask: SigSet, ignored: Vec<i32>) {
    let StartState {
        closed,
        file_size_ignored,
        ..
    } = start_state();
    let restore = move || -> io::Result<()> {
        if !file_size_ignored {
            // SAFETY: the default action runs no code of ours.
            unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_DFL) };
        }
        for &signal in &ignored {
            // SAFETY: ignoring a signal runs no code of ours.
            unsafe { libc::signal(signal, libc::SIG_IGN) };
        }
        for (fd, _) in (0..).zip(closed).filter(|&(_, closed)| closed) {
            // SAFETY: closes the `/dev/null` that Rust's runtime opened; nothing in the child uses it before exec.
            unsafe { libc::close(fd) };
        }
        Ok(mask.thread_set_mask()?)
    };
    // SAFETY: between fork and exec only async-signal-safe calls are made: signal, close and sigprocmask;
    // nothing is allocated, and no lock is taken.
    unsafe { command.pre_exec(restore) };
}

/// The signal by which [`forbid_memory_reads`] reaches a thread. rsamp does not pass it on to commands.
const FORBID_READS: i32 = libc::SIGTRAP;

/// Has process_vm_readv(2) fail with `EPERM` in a thread of this process from now on: whatever reads there comes to an end.
/// Where the kernel has no seccomp filters, nothing changes.
///
/// # Errors
/// `ESRCH`: there is no such thread.
pub fn forbid_memory_reads(tid: i32) -> nix::Result<()> {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a sigaction is integers and an optional function, for which zeroes are valid: no flags, an empty mask.
    let action = unsafe { action.assume_init_mut() };
    action.sa_sigaction = forbid_reads_here as *const () as usize;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: the handler is a function of the right signature, and makes async-signal-safe calls only.
    Errno::result(unsafe { libc::sigaction(FORBID_READS, action, std::ptr::null_mut()) })?;
    let pid = std::process::id() as i32;
    // SAFETY: the call takes integers and touches no memory of ours.
    Errno::result(unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, FORBID_READS) }).map(drop)
}

/// Puts a filter of system calls on the calling thread, and on it alone.
extern "C" fn forbid_reads_here(_signal: i32) {
    const fn step(code: u32, if_not: u8, value: u32) -> libc::sock_filter {
        libc::sock_filter {
            code: code as u16,
            jt: 0,
            jf: if_not,
            k: value,
        }
    }
    // The number of the call is the first word of what a filter is given (`struct seccomp_data`).
    let mut steps = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        step(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            1,
            libc::SYS_process_vm_readv as u32,
        ),
        step(
            libc::BPF_RET | libc::BPF_K,
            0,
            libc::SECCOMP_RET_ERRNO | libc::EPERM as u32,
        ),
        step(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: steps.len() as u16,
        filter: steps.as_mut_ptr(),
    };
    let errno = Errno::last_raw();
    // SAFETY: the call takes integers and touches no memory of ours.
    unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: the kernel copies the filter, which lives until the call returns.
    unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const program,
        )
    };
    Errno::set_raw(errno);
}
