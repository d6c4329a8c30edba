//! Turns Ctrl-C, SIGTERM and SIGHUP into a request to stop sampling, and a second one into the end of rsamp.

use std::fs;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal, raise};

use crate::sampler::EndRequest;

/// What ends the sampling.
const ENDING: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// timeout(1) sends its signal to the command and then to the group: twice within microseconds. Nobody
/// presses a key twice so fast and means two things.
const SAME_GESTURE: Duration = Duration::from_millis(300);

/// The signals that end the sampling, held back from their usual effect.
#[derive(Debug)]
pub struct Interrupts(SigSet);

impl Interrupts {
    /// Holds them back, in this thread and those it starts from now on: call it before there are others.
    ///
    /// A signal that is ignored stays so: `nohup` means SIGHUP, and `&` in a script means SIGINT.
    ///
    /// # Errors
    /// When the kernel refuses, which it has no reason to.
    pub fn hold_back() -> io::Result<Interrupts> {
        let ignored = ignored_signals(&fs::read_to_string("/proc/self/status").unwrap_or_default());
        let mut set = SigSet::empty();
        for signal in ENDING
            .into_iter()
            .filter(|signal| !ignored.contains(signal))
        {
            set.add(signal);
        }
        set.thread_block()?;
        Ok(Interrupts(set))
    }

    /// From now on the first of them requests `stop`, and the second ends this process at once.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn turn_into(self, stop: EndRequest) -> io::Result<()> {
        thread::Builder::new()
            .name("interrupts".to_owned())
            .spawn(move || {
                if self.0.wait().is_err() {
                    return;
                }
                stop.request();
                let first = Instant::now();
                while let Ok(second) = self.0.wait() {
                    if first.elapsed() < SAME_GESTURE {
                        continue;
                    }
                    // Nothing handles it, so that its usual effect ends the whole process, as the shell expects.
                    let _ = self.0.thread_unblock();
                    let _ = raise(second);
                }
            })?;
        Ok(())
    }
}

/// The signals of [`ENDING`] that `/proc/self/status` shows as ignored (proc(5), `SigIgn`).
fn ignored_signals(status: &str) -> Vec<Signal> {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or(0);
    let is_ignored = |signal: &Signal| mask & (1 << (*signal as i32 - 1)) != 0;
    ENDING.into_iter().filter(is_ignored).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_left_alone() {
        let table: [(&str, &[Signal]); 4] = [
            ("Name:\tx\nSigIgn:\t0000000000000001\n", &[Signal::SIGHUP]),
            ("SigIgn:\t0000000000001006\n", &[Signal::SIGINT]),
            ("SigIgn:\t0000000000000000\n", &[]),
            ("", &[]),
        ];
        for (status, expected) in table {
            assert_eq!(ignored_signals(status), expected, "{status}");
        }
    }
}
