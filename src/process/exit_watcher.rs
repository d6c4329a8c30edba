//! Turns the ends of many processes, and the wake-up of another thread, into one thing to wait for.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;

use std::os::fd::AsFd;

use super::{Pid, Process};

/// The epoll data of the eventfd; a process has its PID there.
const WAKE: u64 = u64::MAX;

/// The most ends that are taken at once; the others come next time.
const MAX_EVENTS: usize = 64;

/// Processes whose ends are waited for, and an eventfd that ends the wait.
#[derive(Debug)]
pub struct ExitWatcher {
    epoll: Epoll,
    eventfd: Arc<EventFd>,
    watched: HashMap<Pid, Arc<Process>>,
    /// Those without a pidfd, which have to be looked at.
    unpolled: Vec<Pid>,
}

/// Lets another thread end the wait.
#[derive(Debug, Clone)]
pub struct Waker(Arc<EventFd>);

impl Waker {
    /// Ends the wait that is under way, or the next one.
    pub fn wake(&self) {
        // Fails when 2^64 - 1 wake-ups were not read; one is enough.
        let _ = self.0.write(1);
    }
}

/// What woke the waiting one.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Processes that have ended. They are not watched any more.
    pub ended: Vec<Pid>,
    /// Whether a [`Waker`] was used.
    pub woken: bool,
}

impl ExitWatcher {
    /// Nothing is watched yet.
    ///
    /// # Errors
    /// When the kernel gives no epoll instance or no eventfd.
    pub fn new() -> io::Result<ExitWatcher> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let eventfd =
            EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        epoll.add(&eventfd, EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        Ok(ExitWatcher {
            epoll,
            eventfd: Arc::new(eventfd),
            watched: HashMap::new(),
            unpolled: Vec::new(),
        })
    }

    /// Ends the wait from another thread.
    #[must_use]
    pub fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.eventfd))
    }

    /// Watches a process until it ends.
    pub fn watch(&mut self, process: &Arc<Process>) {
        let pid = process.pid();
        let event = EpollEvent::new(EpollFlags::EPOLLIN, pid.0 as u64);
        let is_polled = process
            .pidfd()
            .is_some_and(|pidfd| self.epoll.add(pidfd, event).is_ok());
        if !is_polled {
            self.unpolled.push(pid);
        }
        self.watched.insert(pid, Arc::clone(process));
    }

    /// Waits until there is news, at most for `time`. Whether there may be.
    pub fn wait(&self, time: Duration) -> bool {
        let mut fds = [PollFd::new(self.epoll.0.as_fd(), PollFlags::POLLIN)];
        let ready = ppoll(&mut fds, Some(TimeSpec::from_duration(time)), None);
        matches!(ready, Ok(ready) if ready > 0) || !self.unpolled.is_empty()
    }

    /// Takes the news.
    pub fn take(&mut self) -> News {
        let mut news = News::default();
        let mut events = [EpollEvent::empty(); MAX_EVENTS];
        let count = self.epoll.wait(&mut events, EpollTimeout::ZERO);
        for event in &events[..count.unwrap_or(0)] {
            if event.data() == WAKE {
                news.woken = true;
                let _ = self.eventfd.read();
            } else {
                news.ended.push(Pid(event.data() as i32));
            }
        }
        let watched = &self.watched;
        let is_over = |pid: &Pid| watched.get(pid).is_none_or(|process| !process.is_alive());
        let over = self.unpolled.iter().copied().filter(is_over);
        news.ended.extend(over);
        for pid in &news.ended {
            self.forget(*pid);
        }
        news
    }

    fn forget(&mut self, pid: Pid) {
        self.unpolled.retain(|unpolled| *unpolled != pid);
        if let Some(process) = self.watched.remove(&pid)
            && let Some(pidfd) = process.pidfd()
        {
            // It is closed when the last owner drops the process, which may be later.
            let _ = self.epoll.delete(pidfd);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    fn cat() -> (Child, Arc<Process>) {
        let command = &mut Command::new("cat");
        let child = command.stdin(Stdio::piped()).spawn().unwrap();
        let process = Process::open(Pid(child.id() as i32)).unwrap();
        (child, Arc::new(process))
    }

    #[test]
    fn exits_and_the_waker_end_the_wait() {
        let mut watcher = ExitWatcher::new().unwrap();
        let mut cats = [cat(), cat()];
        for (_, process) in &cats {
            watcher.watch(process);
        }
        assert!(!watcher.wait(Duration::ZERO));
        assert_eq!(watcher.take(), News::default());
        for (child, process) in &mut cats {
            child.kill().unwrap();
            assert!(watcher.wait(Duration::from_secs(30)));
            assert_eq!(watcher.take().ended, [process.pid()]);
            assert!(!watcher.wait(Duration::ZERO), "told once");
            child.wait().unwrap();
        }
        let waker = watcher.waker();
        let waking = std::thread::spawn(move || waker.wake());
        assert!(watcher.wait(Duration::from_secs(30)));
        assert!(watcher.take().woken);
        assert!(!watcher.wait(Duration::ZERO), "heard once");
        waking.join().unwrap();
    }
}
