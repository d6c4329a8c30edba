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
