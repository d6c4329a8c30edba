//! Turns what the kernel counts of a process into events, at the start, at the end, and ten times a second between.

use std::io;
use std::time::Instant;

use crate::process::counters::Refused;
use crate::process::{CounterWatch, Counters, Process};
use crate::profile::event::{Event, Missing, Nanos, ProcessId, Usage};

/// How often the counters are read,
const EVERY: Nanos = Nanos(100_000_000);

/// but so many times as long passes between two readings as one takes, at least: with hundreds of threads they
/// are read less often.
const REST: u64 = 1000;

/// Reads the counters of one process.
#[derive(Debug)]
pub struct UsageMeter {
    process: ProcessId,
    watch: CounterWatch,
    due: Nanos,
    /// How long the last reading took.
    took_ns: Option<u64>,
    /// The files of which it was told that they cannot be read.
    missing: Vec<&'static str>,
}

impl UsageMeter {
    /// The first reading is due at once.
    #[must_use]
    pub fn new(process: ProcessId, target: &Process) -> UsageMeter {
        UsageMeter {
            process,
            watch: CounterWatch::new(target),
            due: Nanos(0),
            took_ns: None,
            missing: Vec::new(),
        }
    }

    /// Reads the counters if it is time.
    pub fn emit_if_due(&mut self, at: Nanos, emit: &mut dyn FnMut(Event)) {
        if at >= self.due {
            let began = Instant::now();
            self.emit(at, emit);
            let took_ns = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
            // One that took long because files were opened, or others had the CPU, does not count.
            let usual_ns = self.took_ns.map_or(0, |before| before.min(took_ns));
            self.took_ns = Some(took_ns);
            self.due = at + EVERY.max(Nanos(usual_ns.saturating_mul(REST)));
        }
    }

    /// Reads the counters now. Of a process that is gone there is nothing to tell.
    pub fn emit(&mut self, at: Nanos, emit: &mut dyn FnMut(Event)) {
        let (counters, refused) = self.watch.read();
        // Anyone may read `stat`, even of a process that waits to be waited for.
        if refused.iter().any(|refused| refused.file == "stat") {
            return;
        }
        for Refused { file, error } in refused {
            if !self.missing.contains(&file) {
                self.missing.push(file);
                emit(Event::Missing(Missing {
                    process: self.process,
                    what: file.to_owned(),
                    why: reason(&error),
                }));
            }
        }
        emit(Event::Usage(usage(self.process, at, &counters)));
    }
}

/// What the kernel said, as `permission denied`.
#[must_use]
pub fn reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => nix::errno::Errno::from_raw(number).desc().to_lowercase(),
        None => error.to_string(),
    }
}

fn usage(process: ProcessId, at: Nanos, counters: &Counters) -> Usage {
    Usage {
        process,
        at,
        resident: counters.resident_bytes,
        peak: counters.peak_bytes,
        anonymous: counters.anonymous_bytes,
        cpu: counters.cpu_ns.map(Nanos),
        runnable: counters.runnable,
        read_calls_bytes: counters.read_calls_bytes,
        write_calls_bytes: counters.write_calls_bytes,
        storage_read_bytes: counters.storage_read_bytes,
        storage_written_bytes: counters.storage_written_bytes,
        minor_faults: counters.minor_faults,
        major_faults: counters.major_faults,
        voluntary_switches: counters.voluntary_switches,
        forced_switches: counters.forced_switches,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::process::{Command, Stdio};

    use super::*;
    use crate::process::Pid;

    #[test]
    fn a_process_is_counted_while_it_is_there_and_nothing_is_told_of_one_that_is_gone() {
        let command = &mut Command::new("cat");
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It is loaded when it answers.
        child.stdin.as_mut().unwrap().write_all(b"x").unwrap();
        let answer = child.stdout.as_mut().unwrap().read_exact(&mut [0]);
        answer.unwrap();
        let process = Process::open(Pid(child.id() as i32)).unwrap();
        let mut meter = UsageMeter::new(ProcessId(3), &process);
        let mut told = Vec::new();
        meter.emit_if_due(Nanos(5), &mut |event| told.push(event));
        meter.emit_if_due(Nanos(6), &mut |event| told.push(event));
        let [Event::Usage(usage)] = told.as_slice() else {
            panic!("{told:?}");
        };
        assert_eq!((usage.process, usage.at), (ProcessId(3), Nanos(5)));
        assert!(
            usage.resident > Some(100_000) && usage.peak >= usage.resident,
            "{usage:?}"
        );
        child.kill().unwrap();
        child.wait().unwrap();
        meter.emit(Nanos(7), &mut |event| told.push(event));
        assert_eq!(told.len(), 1, "{told:?}");
    }

    #[test]
    fn reasons_are_the_kernels_words() {
        let error = io::Error::from_raw_os_error(libc::EACCES);
        assert_eq!(reason(&error), "permission denied");
    }
}
