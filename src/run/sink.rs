//! Turns the events of a run into what becomes of them: each sink of a run takes all of them.

use crate::profile::Profile;
use crate::profile::event::Event;
use crate::recording::Recorder;
use crate::run::shown::ShownProfile;

/// What takes the events of a run, in their order.
///
/// It does so on the thread that samples, between two ticks: whatever takes longer belongs on a thread of its own.
pub trait Sink {
    /// Takes the next event.
    fn event(&mut self, event: &Event);
}

impl Sink for Recorder {
    fn event(&mut self, event: &Event) {
        self.record(event);
    }
}

impl Sink for Profile {
    fn event(&mut self, event: &Event) {
        // What is cloned is what the profile keeps: a definition, once. A sample is copied, not allocated.
        self.apply(event.clone());
    }
}

impl Sink for ShownProfile {
    fn event(&mut self, event: &Event) {
        self.apply(event.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::event::{Nanos, Process, ProcessId, Sample, Thread, ThreadId};

    #[test]
    fn each_sink_of_a_list_takes_all_events_in_their_order() {
        let thread = Thread {
            process: ProcessId(0),
            tid: None,
            name: None,
            is_main: true,
        };
        let sample = |at| {
            Event::Sample(Sample {
                at: Nanos(at),
                ticks: 1,
                wall: Nanos(5),
                ..Sample::default()
            })
        };
        let events = [
            Event::Process(ProcessId(0), Process::default()),
            Event::Thread(ThreadId(0), thread),
            sample(5),
            sample(10),
            Event::End(Nanos(11)),
        ];
        let (mut whole, mut timed) = (Profile::default(), Profile::with_timeline());
        let mut sinks: Vec<&mut dyn Sink> = vec![&mut whole, &mut timed];
        for event in &events {
            sinks.iter_mut().for_each(|sink| sink.event(event));
        }
        for profile in [&whole, &timed] {
            assert_eq!((profile.rejected(), profile.totals().wall), (0, Nanos(10)));
            assert_eq!(profile.duration(), Nanos(11));
        }
        let runs = timed.timeline().map(|kept| kept.runs(ThreadId(0)).count());
        assert_eq!(runs, Some(2));
    }
}
