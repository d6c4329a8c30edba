//! Turns addresses of a live process into bytes, with `process_vm_readv(2)`.

use std::cell::{Cell, RefCell};
use std::io::IoSliceMut;

use nix::errno::Errno;
use nix::sys::uio::{RemoteIoVec, process_vm_readv};

use super::{Address, Piece, ReadError, ReadMemory};
use crate::process::{Pid, with_memory};

/// How many ranges one call may name: `IOV_MAX` of Linux (`UIO_MAXIOV` in `linux/uio.h`).
const MAX_RANGES: usize = 1024;

/// The memory of a running process. Reading neither stops nor changes it.
#[derive(Debug)]
pub struct LiveMemory {
    pid: Pid,
    /// The thread by which it is read: the main thread, or another one when that has ended.
    owner: Cell<Pid>,
    /// Kept between calls so that a sample allocates nothing.
    ranges: RefCell<Vec<RemoteIoVec>>,
    /// Whether there is none any more: every range of a window would be asked for in vain.
    is_gone: Cell<bool>,
    /// What a read was refused by since it was asked for last.
    refusal: Cell<Option<Errno>>,
}

impl LiveMemory {
    /// The memory of process `pid`. Whether it may be read shows at the first read.
    #[must_use]
    pub fn new(pid: Pid) -> Self {
        LiveMemory {
            pid,
            owner: Cell::new(pid),
            ranges: RefCell::new(Vec::with_capacity(MAX_RANGES)),
            is_gone: Cell::new(false),
            refusal: Cell::new(None),
        }
    }

    /// Why a read was refused since this was asked last: for lack of permission (`EPERM`, `EACCES`), or because the call
    /// itself is forbidden (`ENOSYS`, as seccomp filters say it). Who asks for several things may have lost sight of it.
    pub fn take_refusal(&self) -> Option<ReadError> {
        let errno = self.refusal.take()?;
        Some(ReadError {
            at: Address::NULL,
            length: 0,
            source: errno.into(),
        })
    }

    fn call(&self, into: &mut [u8], ranges: &[RemoteIoVec]) -> Result<usize, Errno> {
        if self.is_gone.get() {
            return Err(Errno::ESRCH);
        }
        let mut read = self.call_by(self.owner.get(), into, ranges);
        if read == Err(Errno::ESRCH) {
            let other = with_memory(self.pid);
            if other != self.owner.replace(other) {
                read = self.call_by(other, into, ranges);
            }
            self.is_gone.set(read == Err(Errno::ESRCH));
        }
        read
    }

    fn call_by(&self, id: Pid, into: &mut [u8], ranges: &[RemoteIoVec]) -> Result<usize, Errno> {
        let id = nix::unistd::Pid::from_raw(id.0);
        let read = process_vm_readv(id, &mut [IoSliceMut::new(into)], ranges);
        if let Err(errno @ (Errno::EPERM | Errno::EACCES | Errno::ENOSYS)) = read {
            self.refusal.set(Some(errno));
        }
        read
    }
}

impl ReadMemory for LiveMemory {
    fn read(&self, at: Address, into: &mut [u8]) -> Result<(), ReadError> {
        let length = into.len();
        if length == 0 {
            return Ok(());
        }
        let range = RemoteIoVec {
            base: at.0 as usize,
            len: length,
        };
        let error = match self.call(into, &[range]) {
            Ok(read) if read == length => return Ok(()),
            Ok(_) => Errno::EFAULT,
            Err(error) => error,
        };
        Err(ReadError {
            at,
            length,
            source: error.into(),
        })
    }

    fn read_pieces(&self, pieces: &[Piece], into: &mut [u8]) -> usize {
        let mut done = 0;
        for group in pieces.chunks(MAX_RANGES) {
            let mut ranges = self.ranges.borrow_mut();
            ranges.clear();
            ranges.extend(group.iter().map(|piece| RemoteIoVec {
                base: piece.at.0 as usize,
                len: piece.length,
            }));
            let wanted: usize = group.iter().map(|piece| piece.length).sum();
            let Some(target) = into.get_mut(done..done + wanted) else {
                return done;
            };
            let read = self.call(target, &ranges).unwrap_or(0);
            done += read;
            if read < wanted {
                return done;
            }
        }
        done
    }
}
