//! Turns the events of a run into those between two moments of it, as a run of its own.
//!
//! Its times begin with the first moment. All definitions pass, and a sample across one of the moments is cut, so that
//! excerpts of adjacent spans add up to the whole, to the nanosecond.

use crate::profile::event::{Awaited, Event, Loss, Nanos, Process, Sample, Usage};

/// Samples come up to so much later than what they tell of, and than the readings of that time.
const LATE: Nanos = Nanos(1_000_000_000);

/// A part of a run.
#[derive(Debug)]
pub struct Excerpt {
    from: Nanos,
    to: Option<Nanos>,
    is_over: bool,
}

impl Excerpt {
    /// From this moment on.
    #[must_use]
    pub fn new(from: Nanos) -> Excerpt {
        Excerpt {
            from,
            to: None,
            is_over: false,
        }
    }

    /// Until this moment. What tells of the time before may still come.
    pub fn end_at(&mut self, to: Nanos) {
        self.to.get_or_insert(to);
    }

    /// Whether all of it has come.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Takes the next event, and hands on what is of the part.
    pub fn apply(&mut self, event: &Event, emit: &mut dyn FnMut(&Event)) {
        if self.is_over {
            return;
        }
        if let Event::End(end) = event {
            return self.end(*end, emit);
        }
        if let Some(event) = self.part_of(event) {
            emit(&event);
        }
        if let (Event::Usage(Usage { at, .. }) | Event::Sample(Sample { at, .. }), Some(to)) =
            (event, self.to)
            && *at > to + LATE
        {
            self.end(to, emit);
        }
    }

    fn end(&mut self, end: Nanos, emit: &mut dyn FnMut(&Event)) {
        self.is_over = true;
        let to = self.to.map_or(end, |to| to.min(end));
        emit(&Event::End(to - self.from));
    }

    fn part_of(&self, event: &Event) -> Option<Event> {
        let to = self.to.unwrap_or(Nanos(u64::MAX));
        let is_within = |at: Nanos| (self.from..=to).contains(&at);
        match event {
            Event::Process(id, process) => {
                let seen = process.seen - self.from;
                let process = process.clone();
                Some(Event::Process(*id, Process { seen, ..process }))
            }
            Event::Sample(sample) => {
                let start = sample.at - sample.wall;
                let (from, to) = (self.from.max(start), to.min(sample.at));
                let part = (from < to).then(|| sample.part(from - start, to - start))?;
                let at = part.at - self.from;
                Some(Event::Sample(Sample { at, ..part }))
            }
            Event::Usage(usage) => is_within(usage.at).then(|| {
                let at = usage.at - self.from;
                Event::Usage(Usage { at, ..*usage })
            }),
            Event::Awaited(awaited) => is_within(awaited.at).then(|| {
                let at = awaited.at - self.from;
                Event::Awaited(Awaited { at, ..*awaited })
            }),
            Event::Lost(loss) => is_within(loss.at).then(|| {
                let at = loss.at - self.from;
                Event::Lost(Loss { at, ..*loss })
            }),
            event => Some(event.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Profile;
    use crate::profile::event::{ProcessId, Thread, ThreadId};

    /// A run of one thread, as events without its end: so many samples of 7 ms.
    fn run(samples: u64) -> Vec<Event> {
        let thread = Thread {
            process: ProcessId(0),
            tid: None,
            name: None,
            is_main: true,
        };
        let sample = |number: u64| {
            Event::Sample(Sample {
                at: Nanos((number + 1) * 7_000_000),
                ticks: 1,
                wall: Nanos(7_000_000),
                cpu: Nanos(3_333_333),
                ..Sample::default()
            })
        };
        let definitions = [
            Event::Process(ProcessId(0), Process::default()),
            Event::Thread(ThreadId(0), thread),
        ];
        definitions
            .into_iter()
            .chain((0..samples).map(sample))
            .collect()
    }

    /// What an excerpt of a run holds, if its end was asked for when so many events had come.
    fn excerpt(from: u64, to: u64) -> Profile {
        let mut excerpt = Excerpt::new(Nanos(from));
        let mut profile = Profile::default();
        for event in run(1000) {
            if matches!(&event, Event::Sample(sample) if sample.at >= Nanos(to)) {
                excerpt.end_at(Nanos(to));
            }
            excerpt.apply(&event, &mut |event| profile.apply(event.clone()));
        }
        assert!(excerpt.is_over());
        profile
    }

    #[test]
    fn adjacent_parts_add_up_to_the_whole_to_the_nanosecond() {
        let cuts = [0, 1_000_000_001, 2_345_678_901, 5_000_000_000];
        let parts = cuts.windows(2).map(|cut| excerpt(cut[0], cut[1]));
        let (mut wall, mut cpu) = (Nanos(0), Nanos(0));
        for part in parts {
            assert_eq!(part.duration(), part.totals().wall);
            assert_eq!(part.rejected(), 0);
            wall += part.totals().wall;
            cpu += part.totals().cpu;
        }
        let whole = excerpt(0, 5_000_000_000);
        assert_eq!((wall, cpu), (whole.totals().wall, whole.totals().cpu));
        assert_eq!(wall, Nanos(5_000_000_000));
    }
}
