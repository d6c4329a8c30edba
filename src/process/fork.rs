//! Turns this process, if it has a single thread, into two.

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::wait::waitpid;
use nix::unistd::Pid as RawPid;

use crate::sys;

/// Which of the two this is.
#[derive(Debug)]
pub enum Forked {
    /// The process that was there, and its child.
    Parent(Child),
    /// The child.
    Child,
}

/// A child that [`fork`] made.
#[derive(Debug)]
pub struct Child(RawPid);

impl Child {
    /// Waits until it has ended.
    pub fn wait(self) {
        // Fails where the kernel has taken its end already, as when SIGCHLD is ignored.
        let _ = waitpid(self.0, None);
    }
}

/// Makes a child, a copy of this process.
///
/// # Errors
/// `EDEADLK`: this process has other threads; `EAGAIN`, `ENOMEM`.
pub fn fork() -> nix::Result<Forked> {
    let child = sys::fork_single_threaded()?;
    Ok(child.map_or(Forked::Child, |pid| {
        Forked::Parent(Child(RawPid::from_raw(pid)))
    }))
}

/// Has the kernel kill this process when its parent ends. A change of its credentials undoes that.
///
/// # Errors
/// None that is known.
pub fn end_with_parent() -> nix::Result<()> {
    set_pdeathsig(Signal::SIGKILL)
}
