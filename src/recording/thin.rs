//! Turns the events of a recording into fewer: equal samples of a span of time become one.
//!
//! No time is lost, and what each stack has in all stays exact; only when it was is kept less finely.

use std::collections::BTreeMap;
use std::mem::take;

use crate::profile::event::{
    Event, Loss, LostCause, Nanos, NativeSample, ProcessId, RateSpan, StackId, State, ThreadId,
    Usage,
};
use crate::profile::track::Track;

/// Thins out a stream of events.
#[derive(Debug)]
pub struct Thinner {
    span: Nanos,
    threads: BTreeMap<ThreadId, Track>,
    /// Of each thread, the native samples of one span.
    natives: BTreeMap<ThreadId, Natives>,
    usage: BTreeMap<ProcessId, Usage>,
    lost: BTreeMap<LostCause, Loss>,
    rate: Option<RateSpan>,
}

/// The native samples of a thread in one span.
#[derive(Debug, Default)]
struct Natives {
    /// The number of the span.
    number: u64,
    /// By Python stack, state and merged stack.
    samples: BTreeMap<(Option<StackId>, State, StackId), NativeSample>,
}

impl Thinner {
    /// Keeps one sample of each stack and state of a thread in each `span` of time.
    #[must_use]
    pub fn new(span: Nanos) -> Thinner {
        Thinner {
            span: Nanos(span.0.max(1)),
            threads: BTreeMap::new(),
            natives: BTreeMap::new(),
            usage: BTreeMap::new(),
            lost: BTreeMap::new(),
            rate: None,
        }
    }

    /// Takes the next event.
    pub fn apply(&mut self, event: Event, emit: &mut dyn FnMut(Event)) {
        match event {
            Event::Sample(sample) => {
                let track = self.threads.entry(sample.thread).or_default();
                track.push(sample, Some(self.span));
                track.take_closed().map(Event::Sample).for_each(emit);
            }
            Event::Native(sample) => self.native(sample, emit),
            Event::Usage(usage) => {
                let number = self.number(usage.at);
                let before = self.usage.insert(usage.process, usage);
                if let Some(before) = before.filter(|before| self.number(before.at) != number) {
                    emit(Event::Usage(before));
                }
            }
            Event::Lost(loss) => {
                let number = self.number(loss.at);
                let same = self.lost.get(&loss.cause).copied();
                let same = same.filter(|before| self.number(before.at) == number);
                let before = self.lost.insert(
                    loss.cause,
                    Loss {
                        count: same.map_or(0, |same| same.count).saturating_add(loss.count),
                        ..loss
                    },
                );
                if let Some(before) = before.filter(|_| same.is_none()) {
                    emit(Event::Lost(before));
                }
            }
            Event::Rate(span) => self.rate(span, emit),
            Event::End(end) => {
                self.finish(emit);
                emit(Event::End(end));
            }
            event => emit(event),
        }
    }

    /// Hands on what is held.
    pub fn finish(&mut self, emit: &mut dyn FnMut(Event)) {
        for (_, mut track) in take(&mut self.threads) {
            let rest = track.take().into_iter();
            rest.map(Event::Sample).for_each(&mut *emit);
        }
        for (_, held) in take(&mut self.natives) {
            let samples = held.samples.into_values();
            samples.map(Event::Native).for_each(&mut *emit);
        }
        take(&mut self.usage)
            .into_values()
            .for_each(|usage| emit(Event::Usage(usage)));
        take(&mut self.lost)
            .into_values()
            .for_each(|loss| emit(Event::Lost(loss)));
        if let Some(span) = self.rate.take() {
            emit(Event::Rate(span));
        }
    }

    /// Of a span there is one native sample of each stack and state of a thread.
    fn native(&mut self, sample: NativeSample, emit: &mut dyn FnMut(Event)) {
        let number = self.number(sample.at);
        let held = self.natives.entry(sample.thread).or_default();
        if held.number != number {
            let before = take(&mut held.samples).into_values();
            before.map(Event::Native).for_each(emit);
            held.number = number;
        }
        let key = (sample.stack, sample.state, sample.merged);
        let same = held.samples.entry(key);
        same.and_modify(|same| {
            same.at = same.at.max(sample.at);
            same.wall += sample.wall;
            same.cpu += sample.cpu;
        })
        .or_insert(sample);
    }

    /// The number of the span that a time ends.
    fn number(&self, at: Nanos) -> u64 {
        at.0.saturating_sub(1) / self.span.0
    }

    fn rate(&mut self, span: RateSpan, emit: &mut dyn FnMut(Event)) {
        let sum = match self.rate {
            Some(before) if before.millihertz == span.millihertz => RateSpan {
                millihertz: span.millihertz,
                time: before.time + span.time,
                ticks: before.ticks.saturating_add(span.ticks),
                own_cpu: before.own_cpu + span.own_cpu,
            },
            before => {
                if let Some(before) = before {
                    emit(Event::Rate(before));
                }
                span
            }
        };
        self.rate = Some(sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::event::Sample;

    const MS: u64 = 1_000_000;

    /// Two threads that change between three stacks every millisecond, with what else is counted.
    fn events() -> Vec<Event> {
        let mut events = Vec::new();
        for number in 0..1000_u64 {
            for thread in 0..2 {
                events.push(Event::Sample(Sample {
                    at: Nanos((number + 1) * MS),
                    thread: ThreadId(thread),
                    stack: Some(StackId((number % 3) as u32)),
                    ticks: 1,
                    wall: Nanos(MS),
                    cpu: Nanos(number),
                    grown_bytes: 1,
                    ..Sample::default()
                }));
            }
            let at = Nanos((number + 1) * MS);
            events.push(Event::Usage(Usage {
                at,
                resident: Some(number),
                ..Usage::default()
            }));
            let cause = LostCause::Late;
            events.push(Event::Lost(Loss {
                at,
                cause,
                count: 2,
            }));
            events.push(Event::Rate(RateSpan {
                millihertz: 1_000_000,
                time: Nanos(MS),
                ticks: 1,
                own_cpu: Nanos(1),
            }));
        }
        events.push(Event::End(Nanos(1000 * MS)));
        events
    }

    fn thinned(events: &[Event], span: Nanos) -> Vec<Event> {
        let mut thinner = Thinner::new(span);
        let mut thin = Vec::new();
        for event in events {
            thinner.apply(event.clone(), &mut |event| thin.push(event));
        }
        thin
    }

    /// Ticks, time, CPU time and growth of each stack of each thread.
    type Sums = BTreeMap<(u32, Option<StackId>), [u64; 4]>;

    /// The sums, and how much was lost.
    fn sums(events: &[Event]) -> (Sums, u64) {
        let (mut sums, mut lost): (BTreeMap<_, [u64; 4]>, u64) = (BTreeMap::new(), 0);
        for event in events {
            match event {
                Event::Sample(sample) => {
                    let sum = sums.entry((sample.thread.0, sample.stack)).or_default();
                    let own = [
                        u64::from(sample.ticks),
                        sample.wall.0,
                        sample.cpu.0,
                        sample.grown_bytes,
                    ];
                    sum.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
                }
                Event::Lost(loss) => lost += loss.count,
                _ => {}
            }
        }
        (sums, lost)
    }

    #[test]
    fn sums_stay_exact_whatever_the_span() {
        let events = events();
        for (span_ms, most) in [(1, 5001), (10, 1000), (100, 120), (10_000, 10)] {
            let thin = thinned(&events, Nanos(span_ms * MS));
            assert_eq!(sums(&thin), sums(&events), "{span_ms} ms");
            assert!(thin.len() <= most, "{span_ms} ms: {}", thin.len());
            assert_eq!(thin.last(), events.last());
        }
    }

    #[test]
    fn samples_of_a_thread_follow_each_other_without_overlap() {
        let thin = thinned(&events(), Nanos(100 * MS));
        let mut end = BTreeMap::new();
        for event in thin {
            if let Event::Sample(sample) = event {
                let end = end.entry(sample.thread).or_insert(Nanos(0));
                assert_eq!(sample.at - sample.wall, *end);
                *end = sample.at;
            }
        }
        assert!(end.values().all(|end| *end == Nanos(1000 * MS)));
    }

    #[test]
    fn the_last_reading_of_each_span_is_kept() {
        let thin = thinned(&events(), Nanos(100 * MS));
        let kept = thin.iter().filter_map(|event| match event {
            Event::Usage(usage) => usage.resident,
            _ => None,
        });
        let expected: Vec<u64> = (0..10).map(|span| span * 100 + 99).collect();
        assert_eq!(kept.collect::<Vec<_>>(), expected);
    }
}
