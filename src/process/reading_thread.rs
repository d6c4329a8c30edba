//! Turns a request into an answer by another thread of this process, whose reading of memory is ended when no answer comes in
//! time.
//!
//! For what only this process may read: Yama's `ptrace_scope` of 1 lets a process read those that descend from it, and no
//! others, so that a [`super::ReadingProcess`] may not. A thread can't be killed, but it can lose the right to read: then the
//! loops that read what has no end see an error.

use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use nix::unistd::gettid;

use crate::sys;

/// How long a thread that may not read any more is waited for.
const END_PATIENCE: Duration = Duration::from_secs(1);

/// The other thread, which takes requests and gives an answer to each.
#[derive(Debug)]
pub struct ReadingThread<Q, A> {
    tid: i32,
    requests: Option<SyncSender<Q>>,
    answers: Receiver<A>,
    thread: Option<JoinHandle<()>>,
}

impl<Q: Send + 'static, A: Send + 'static> ReadingThread<Q, A> {
    /// Starts it. `answer` is called for every request, until it returns `None`.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(
        mut answer: impl FnMut(Q) -> Option<A> + Send + 'static,
    ) -> io::Result<ReadingThread<Q, A>> {
        let (requests, to_answer) = mpsc::sync_channel::<Q>(1);
        let (given, answers) = mpsc::sync_channel(1);
        let (tell_tid, tid) = mpsc::sync_channel(1);
        let thread = Builder::new().name("reader".to_owned()).spawn(move || {
            let _ = tell_tid.send(gettid().as_raw());
            while let Ok(request) = to_answer.recv() {
                let answer = answer(request);
                if answer.and_then(|answer| given.send(answer).ok()).is_none() {
                    return;
                }
            }
        })?;
        Ok(ReadingThread {
            tid: tid.recv().map_err(io::Error::other)?,
            requests: Some(requests),
            answers,
            thread: Some(thread),
        })
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] when it did not come in time: then there are no more answers. When there are none.
    pub fn ask(&mut self, request: Q, patience: Duration) -> io::Result<A> {
        let requests = self.requests.as_ref().ok_or(io::ErrorKind::BrokenPipe)?;
        let sent = requests.send(request);
        sent.map_err(|_| io::ErrorKind::BrokenPipe)?;
        match self.answers.recv_timeout(patience) {
            Ok(answer) => Ok(answer),
            Err(RecvTimeoutError::Disconnected) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(RecvTimeoutError::Timeout) => {
                self.end();
                Err(io::ErrorKind::TimedOut.into())
            }
        }
    }

    /// Ends it. One that does not end soon, since it waits for a file, is left behind.
    fn end(&mut self) {
        self.requests = None;
        let Some(thread) = self.thread.take().filter(|thread| !thread.is_finished()) else {
            return;
        };
        // It has not answered yet, so it is there, and its id is no other's.
        let is_forbidden = sys::forbid_memory_reads(self.tid).is_ok();
        // What it says now was read too late.
        if is_forbidden
            && !matches!(
                self.answers.recv_timeout(END_PATIENCE),
                Err(RecvTimeoutError::Timeout)
            )
        {
            let _ = thread.join();
        }
    }
}

impl<Q, A> Drop for ReadingThread<Q, A> {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSliceMut;

    use nix::sys::uio::{RemoteIoVec, process_vm_readv};
    use nix::unistd::getpid;

    use super::*;

    /// Reads a byte of this process.
    fn read(byte: &u8) -> nix::Result<usize> {
        let range = RemoteIoVec {
            base: std::ptr::from_ref(byte) as usize,
            len: 1,
        };
        process_vm_readv(getpid(), &mut [IoSliceMut::new(&mut [0])], &[range])
    }

    fn asked(thread: &mut ReadingThread<u8, u8>, request: u8) -> Result<u8, io::ErrorKind> {
        let answer = thread.ask(request, Duration::from_millis(100));
        answer.map_err(|error| error.kind())
    }

    #[test]
    fn a_reading_without_end_is_ended_and_others_go_on() {
        let (ended, has_ended) = mpsc::sync_channel(1);
        let mut thread = ReadingThread::start(move |request: u8| {
            if request != 0 {
                return read(&request).ok().map(|_| request);
            }
            let errno = loop {
                if let Err(errno) = read(&request) {
                    break errno;
                }
            };
            ended.send(errno).expect("heard");
            None
        })
        .expect("started");
        // Longer than any answer takes on a busy machine.
        let answer = thread.ask(7, Duration::from_secs(60)).expect("an answer");
        assert_eq!(answer, 7);
        assert_eq!(asked(&mut thread, 0), Err(io::ErrorKind::TimedOut));
        assert_eq!(has_ended.recv(), Ok(nix::errno::Errno::EPERM));
        assert_eq!(asked(&mut thread, 7), Err(io::ErrorKind::BrokenPipe));
        assert_eq!(read(&0), Ok(1), "this thread may read");
    }
}
