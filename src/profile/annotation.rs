//! Turns the events of one recording into ones that tell where they are from and when they were, among those of others.

use super::event::{Awaited, Event, Loss, Nanos, NativeSample, Process, Sample, Usage};

/// What a recording is among others. It is the only place that tells processes their rank, launch, host and recording,
/// and that moves times.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annotation {
    /// When the recording was started, since the start of the first.
    pub since: Nanos,
    /// The rank of its processes, where they do not tell another.
    pub rank: Option<u32>,
    /// The launch or step of those that have a rank, where they do not tell another.
    pub launch: Option<String>,
    /// The machine of its processes, where they do not tell another.
    pub host: Option<String>,
    /// The working folder of its processes, where they do not tell another.
    pub working_folder: Option<String>,
    /// The name of the recording, where nothing else tells its processes from those of the others.
    pub recording: Option<String>,
}

impl Annotation {
    /// The event, annotated.
    #[must_use]
    pub fn annotate(&self, event: Event) -> Event {
        match event {
            Event::Process(id, process) => Event::Process(id, self.process(process)),
            Event::Sample(sample) => Event::Sample(Sample {
                at: sample.at + self.since,
                ..sample
            }),
            Event::Native(sample) => Event::Native(NativeSample {
                at: sample.at + self.since,
                ..sample
            }),
            Event::Usage(usage) => Event::Usage(Usage {
                at: usage.at + self.since,
                ..usage
            }),
            Event::Awaited(awaited) => Event::Awaited(Awaited {
                at: awaited.at + self.since,
                ..awaited
            }),
            Event::Lost(loss) => Event::Lost(Loss {
                at: loss.at + self.since,
                ..loss
            }),
            Event::End(duration) => Event::End(duration + self.since),
            event @ (Event::Thread(..)
            | Event::Frame(..)
            | Event::Stack { .. }
            | Event::Attributes(..)
            | Event::Names { .. }
            | Event::Undetermined(..)
            | Event::Pauses(_)
            | Event::Missing(_)
            | Event::Skipped(_)
            | Event::Rate(_)) => event,
        }
    }

    fn process(&self, mut process: Process) -> Process {
        process.seen += self.since;
        process.rank = process.rank.or(self.rank);
        if process.rank.is_some() {
            process.launch = process.launch.or_else(|| self.launch.clone());
        }
        process.host = process.host.or_else(|| self.host.clone());
        let folder = process
            .working_folder
            .or_else(|| self.working_folder.clone());
        process.working_folder = folder;
        process.recording = self.recording.clone().or(process.recording);
        process
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::{LostCause, ProcessId, StackId, State, ThreadId};
    use super::*;

    const SINCE: Nanos = Nanos(5_000);

    fn annotation() -> Annotation {
        Annotation {
            since: SINCE,
            rank: Some(3),
            launch: Some("step 7".to_owned()),
            host: Some("node01".to_owned()),
            working_folder: Some("/scratch".to_owned()),
            recording: Some("second".to_owned()),
        }
    }

    fn annotated(process: Process) -> Process {
        match annotation().annotate(Event::Process(ProcessId(1), process)) {
            Event::Process(ProcessId(1), process) => process,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_process_that_tells_nothing_gets_all_of_the_annotation_and_its_command_stays() {
        let told = annotated(Process {
            command: vec!["python".to_owned()],
            seen: Nanos(7),
            ..Process::default()
        });
        let expected = Process {
            command: vec!["python".to_owned()],
            seen: Nanos(5_007),
            rank: Some(3),
            launch: Some("step 7".to_owned()),
            host: Some("node01".to_owned()),
            working_folder: Some("/scratch".to_owned()),
            recording: Some("second".to_owned()),
            ..Process::default()
        };
        assert_eq!(told, expected);
    }

    #[test]
    fn what_a_process_tells_goes_before_the_annotation() {
        let own = Process {
            rank: Some(0),
            launch: Some("step 1".to_owned()),
            host: Some("node09".to_owned()),
            working_folder: Some("/home".to_owned()),
            ..Process::default()
        };
        let expected = Process {
            seen: SINCE,
            recording: Some("second".to_owned()),
            ..own.clone()
        };
        assert_eq!(annotated(own), expected);
    }

    #[test]
    fn every_event_that_has_a_time_is_moved() {
        let at = Nanos(7);
        let moved = Nanos(5_007);
        let events = |at| {
            [
                Event::Sample(Sample {
                    at,
                    ..Sample::default()
                }),
                Event::Native(NativeSample {
                    at,
                    thread: ThreadId(1),
                    stack: None,
                    state: State::Native,
                    merged: StackId(2),
                    wall: Nanos(9),
                    cpu: Nanos(9),
                }),
                Event::Usage(Usage {
                    at,
                    ..Usage::default()
                }),
                Event::Awaited(Awaited {
                    at,
                    process: ProcessId(1),
                    stack: None,
                    tasks: 4,
                    since: Nanos(9),
                }),
                Event::Lost(Loss {
                    at,
                    cause: LostCause::Late,
                    count: 1,
                }),
                Event::End(at),
            ]
        };
        for (event, expected) in events(at).into_iter().zip(events(moved)) {
            assert_eq!(annotation().annotate(event), expected);
        }
    }
}
