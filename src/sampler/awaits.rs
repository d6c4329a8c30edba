//! Turns the asyncio tasks that wait into how long they do at each await, by looking at all of them again and again.

use std::time::Instant;

use super::intern::{Interner, frame_of};
use crate::cpython::reader::Reader;
use crate::memory::LiveMemory;
use crate::profile::event::{Awaited, Event, Nanos, ProcessId};

/// How often it is looked,
const EVERY: Nanos = Nanos(100_000_000);

/// but so many times as long passes between two looks as one takes, at least: it costs no more than 0.2 % of a core.
const REST: u64 = 500;

/// Looks at the tasks of one process.
#[derive(Debug)]
pub struct AwaitMeter {
    process: ProcessId,
    due: Nanos,
    /// When it was looked last.
    last: Nanos,
    took_ns: Option<u64>,
    /// How long the parts of the look took that goes on.
    parts_ns: u64,
}

impl AwaitMeter {
    /// The process was first seen at `seen`.
    #[must_use]
    pub fn new(process: ProcessId, seen: Nanos) -> AwaitMeter {
        AwaitMeter {
            process,
            due: seen + EVERY,
            last: seen,
            took_ns: None,
            parts_ns: 0,
        }
    }

    /// Looks if it is time, or goes on with that.
    pub fn emit_if_due(
        &mut self,
        at: Nanos,
        reader: &mut Reader,
        memory: &LiveMemory,
        interner: &mut Interner,
        emit: &mut dyn FnMut(Event),
    ) {
        if at < self.due {
            return;
        }
        let began = Instant::now();
        let found = reader.look_at_tasks(memory);
        self.parts_ns += u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX / 2);
        let Some(found) = found else {
            return;
        };
        let began = Instant::now();
        let since = at - self.last;
        for (frames, tasks) in found {
            let codes = reader.codes();
            let frames: Vec<_> = frames
                .iter()
                .rev()
                .filter_map(|raw| frame_of(raw, codes))
                .collect();
            let stack = interner.ready_stack(frames.into_iter(), emit);
            emit(Event::Awaited(Awaited {
                at,
                process: self.process,
                stack,
                tasks,
                since,
            }));
        }
        self.last = at;
        let rest_ns = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let took_ns = std::mem::take(&mut self.parts_ns).saturating_add(rest_ns);
        // One that took long because others had the CPU does not count.
        let usual_ns = self.took_ns.map_or(took_ns, |before| before.min(took_ns));
        self.took_ns = Some(took_ns);
        self.due = at + EVERY.max(Nanos(usual_ns.saturating_mul(REST)));
    }
}
