//! What profiles of made-up runs begin with.

use rsamp::profile::{
    Event, Frame, FrameId, Process, ProcessId, Profile, StackId, Thread, ThreadId,
};

/// Defines a process, its threads, of which the first is the main one, and stacks of one frame each.
pub fn define(profile: &mut Profile, threads: u32, stacks: u32) {
    profile.apply(Event::Process(ProcessId(0), Process::default()));
    for id in 0..threads {
        let thread = Thread {
            process: ProcessId(0),
            tid: None,
            name: None,
            is_main: id == 0,
        };
        profile.apply(Event::Thread(ThreadId(id), thread));
    }
    for id in 0..stacks {
        let name = format!("function_{id}");
        profile.apply(Event::Frame(FrameId(id), Frame::mark(&name)));
        profile.apply(Event::Stack {
            id: StackId(id),
            parent: None,
            frame: FrameId(id),
        });
    }
}
