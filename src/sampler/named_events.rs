//! Turns the events of a recording into the same with the names of native frames, as they are found.
//!
//! Which process has a native frame is told by the first native sample that has it.

use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use super::name_finder::NameFinder;
use crate::process::{Pid, Process};
use crate::profile::event::{Event, Frame, FrameId, FrameKind, ProcessId, StackId, ThreadId};

/// How often it is looked for what was found.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What stands between the sampler and those who take its events.
#[derive(Debug, Default)]
pub struct NamedEvents {
    finder: NameFinder,
    /// The native frames that no native sample had yet.
    frames: FxHashMap<FrameId, Frame>,
    /// The stacks on native frames that no native sample had yet.
    stacks: FxHashMap<StackId, (Option<StackId>, FrameId)>,
    pids: FxHashMap<ProcessId, Pid>,
    threads: FxHashMap<ThreadId, ProcessId>,
    /// The processes with native frames; `None`: it had ended when it was opened.
    processes: FxHashMap<ProcessId, Option<Process>>,
    looked: Option<Instant>,
}

impl NamedEvents {
    /// Hands on an event, and what was found meanwhile. Before the end it waits for what is missing.
    pub fn apply(&mut self, event: Event, emit: &mut dyn FnMut(Event)) {
        match &event {
            Event::Process(id, process) => {
                // One that runs another program has a number of its own.
                let parent = process
                    .parent
                    .and_then(|parent| self.processes.get(&parent));
                if let Some(Some(before)) = parent.filter(|_| !self.pids.contains_key(id))
                    && before.pid() == Pid(process.pid)
                {
                    self.finder.ended(before);
                }
                self.pids.insert(*id, Pid(process.pid));
            }
            Event::Thread(id, thread) => {
                self.threads.insert(*id, thread.process);
            }
            Event::Frame(id, frame) if matches!(frame.kind, FrameKind::Native(_)) => {
                self.frames.insert(*id, frame.clone());
            }
            Event::Stack { id, parent, frame } => self.stack(*id, *parent, *frame),
            Event::End(_) => std::mem::take(&mut self.finder).finish(emit),
            _ => {}
        }
        let is_sample = matches!(event, Event::Native(_) | Event::Usage(_));
        if let Event::Native(sample) = &event {
            let (thread, merged) = (sample.thread, sample.merged);
            emit(event);
            self.sampled(thread, merged);
        } else {
            emit(event);
        }
        if is_sample {
            self.look(emit);
        }
    }

    fn stack(&mut self, id: StackId, parent: Option<StackId>, frame: FrameId) {
        let is_above = parent.is_some_and(|parent| self.stacks.contains_key(&parent));
        if is_above || self.frames.contains_key(&frame) {
            self.stacks.insert(id, (parent, frame));
        }
    }

    /// A thread has a stack: its frames are of the thread's process.
    fn sampled(&mut self, thread: ThreadId, stack: StackId) {
        let Some(id) = self.threads.get(&thread).copied() else {
            return;
        };
        let pid = self.pids.get(&id).copied();
        let open = || pid.and_then(|pid| Process::open(pid).ok());
        let process = self.processes.entry(id).or_insert_with(open);
        let mut next = Some(stack);
        // What is below a stack that was seen before was seen with it.
        while let Some((parent, frame)) = next.and_then(|id| self.stacks.remove(&id)) {
            if let (Some(found), Some(process)) = (self.frames.remove(&frame), &process) {
                self.finder.defined(process, frame, &found);
            }
            next = parent;
        }
    }

    fn look(&mut self, emit: &mut dyn FnMut(Event)) {
        let now = Instant::now();
        if self.looked.is_none_or(|looked| now >= looked + LOOK_EVERY) {
            self.looked = Some(now);
            self.finder.poll(now, emit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::event::{Nanos, NativeCode, NativeSample, State};

    fn native(id: u32) -> Event {
        let frame = Frame {
            kind: FrameKind::Native(NativeCode {
                module: "/lib/libm.so.6".to_owned(),
                build_id: None,
                offset: Some(u64::from(id)),
                is_inlined: false,
            }),
            name: "libm.so.6".to_owned(),
            file: None,
            first_line: None,
            line: None,
        };
        Event::Frame(FrameId(id), frame)
    }

    fn stack(id: u32, parent: Option<u32>, frame: u32) -> Event {
        Event::Stack {
            id: StackId(id),
            parent: parent.map(StackId),
            frame: FrameId(frame),
        }
    }

    fn sample(merged: u32) -> Event {
        Event::Native(NativeSample {
            at: Nanos(1),
            thread: ThreadId(0),
            stack: None,
            state: State::Native,
            merged: StackId(merged),
            wall: Nanos(1),
            cpu: Nanos(0),
        })
    }

    #[test]
    fn each_native_frame_is_looked_up_once_for_the_process_that_had_it_first() {
        let mut named = NamedEvents::default();
        let process = crate::profile::event::Process {
            pid: std::process::id() as i32,
            ..crate::profile::event::Process::default()
        };
        let thread = crate::profile::event::Thread {
            process: ProcessId(0),
            tid: None,
            name: None,
            is_main: true,
        };
        let events = [
            Event::Process(ProcessId(0), process),
            Event::Thread(ThreadId(0), thread),
            native(0),
            Event::Frame(FrameId(1), Frame::mark("[more stacks]")),
            native(2),
            stack(0, None, 0),
            stack(1, Some(0), 1),
            stack(2, Some(1), 2),
            sample(2),
            sample(2),
            native(3),
            stack(3, Some(2), 3),
        ];
        let mut count = 0;
        for event in events {
            named.apply(event, &mut |_| count += 1);
        }
        assert_eq!(count, 12, "every event is handed on");
        assert_eq!(named.finder.waiting_frames(), 2);
        named.apply(sample(3), &mut |_| ());
        assert_eq!(named.finder.waiting_frames(), 3);
        assert!(named.frames.is_empty() && named.stacks.is_empty());
    }
}
