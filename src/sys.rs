//! Turns the system calls that have no safe binding into safe functions: every `unsafe` block of the crate.
#![allow(unsafe_code)]

use std::os::fd::{FromRawFd, OwnedFd};

use nix::errno::Errno;

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
