//! Turns a profile into the part of it that findings are about: the program, without the steps that build it.

use std::collections::HashMap;

use super::builders;
use crate::profile::cores;
use crate::profile::event::{Nanos, ProcessId, Thread, ThreadId, Usage};
use crate::profile::own_frames::OwnFrames;
use crate::profile::{Profile, Row, Totals};

/// What takes less of the run is no finding.
const MIN_SHARE_OF_RUN: f64 = 0.02;

/// What was seen fewer times may be chance.
const MIN_SAMPLES: u64 = 10;

/// What findings are made of.
pub(super) struct Scope<'p> {
    pub(super) profile: &'p Profile,
    pub(super) lines: OwnFrames<'p>,
    /// By process: whether it only builds or installs something for the others.
    is_build_step: Vec<bool>,
    /// How long the program ran.
    run: Nanos,
}

impl<'p> Scope<'p> {
    pub(super) fn of(profile: &'p Profile) -> Scope<'p> {
        let mut scope = Scope {
            profile,
            lines: OwnFrames::of(profile),
            is_build_step: builders::find(profile),
            run: cores::elapsed(profile),
        };
        if scope.has_build_steps() {
            scope.run = scope.time_of(|id| scope.is_counted(id)).min(scope.run);
        }
        scope
    }

    /// How long the program ran.
    pub(super) fn run(&self) -> Nanos {
        self.run
    }

    pub(super) fn has_build_steps(&self) -> bool {
        self.is_build_step.contains(&true)
    }

    /// Whether a process is of the program.
    pub(super) fn is_counted(&self, id: ProcessId) -> bool {
        self.is_build_step.get(id.0 as usize) != Some(&true)
    }

    fn is_counted_thread(&self, id: ThreadId) -> bool {
        let thread = self.profile.thread(id);
        thread.is_none_or(|thread| self.is_counted(thread.process))
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &'p Row> {
        let rows = self.profile.rows().iter();
        rows.filter(|row| self.is_counted_thread(row.thread))
    }

    /// The threads of the program, with their sums.
    pub(super) fn threads(&self) -> impl Iterator<Item = (ThreadId, &'p Thread, Totals)> {
        let threads = self.profile.threads().iter();
        let threads = threads.zip(self.profile.thread_totals());
        let threads = (0..).map(ThreadId).zip(threads);
        let threads = threads.filter(|(_, (thread, _))| self.is_counted(thread.process));
        threads.map(|(id, (thread, totals))| (id, thread, *totals))
    }

    pub(super) fn usage(&self) -> impl Iterator<Item = &'p Usage> {
        let usage = self.profile.usage().iter();
        usage.filter(|usage| self.is_counted(usage.process))
    }

    pub(super) fn is_main(&self, id: ThreadId) -> bool {
        self.profile.thread(id).is_some_and(|thread| thread.is_main)
    }

    /// Whether a time is worth a sentence: a fiftieth of the run, seen often enough.
    pub(super) fn is_worth(&self, time: Nanos, samples: u64) -> bool {
        samples >= MIN_SAMPLES && time.seconds() >= MIN_SHARE_OF_RUN * self.run.seconds()
    }

    /// How many cores the program kept busy, on average.
    pub(super) fn cores_busy(&self) -> f64 {
        let totals: Totals = self.threads().map(|(.., totals)| totals).sum();
        let cpu = totals.cpu + totals.helpers_cpu;
        cpu.seconds() / self.run.seconds().max(1e-9)
    }

    /// How long any of these processes was there: from when it was first seen to its last sample.
    pub(super) fn time_of(&self, is_meant: impl Fn(ProcessId) -> bool) -> Nanos {
        let mut ends: HashMap<ProcessId, Nanos> = HashMap::new();
        let threads = self.profile.threads().iter();
        for (thread, end) in threads.zip(self.profile.thread_ends()) {
            let known = ends.entry(thread.process).or_default();
            *known = end.max(known).to_owned();
        }
        let meant = ends.into_iter().filter(|(id, _)| is_meant(*id));
        let seen = |id| {
            self.profile
                .process(id)
                .map_or(Nanos(0), |known| known.seen)
        };
        let mut spans: Vec<(Nanos, Nanos)> = meant.map(|(id, end)| (seen(id), end)).collect();
        spans.sort_unstable();
        let mut time = Nanos(0);
        let mut until = Nanos(0);
        for (from, to) in spans {
            time += to - from.max(until);
            until = until.max(to);
        }
        time
    }
}
