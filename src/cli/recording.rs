//! Turns a running process into a profile and its files.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::outputs::{Outcome, Plan};
use super::request::Sampling;
use crate::export::Meta;
use crate::process::Pid;
use crate::profile::event::{Event, Nanos};
use crate::profile::{Profile, View};
use crate::sampler::{self, Ended, Progress, SamplerError, Settings, Stop};

/// What to record, and where it goes.
#[derive(Debug)]
pub struct Recording {
    /// The process.
    pub pid: Pid,
    /// NAME of `NAME-PID`.
    pub name: String,
    /// The command line, for the headlines.
    pub command: Vec<String>,
    /// How to sample.
    pub sampling: Sampling,
    /// How long the process may take to start its interpreter; `None`: as long as it lives.
    pub start_timeout: Option<Duration>,
    /// Where the files go.
    pub plan: Plan,
}

/// What came of it.
#[derive(Debug)]
pub struct Recorded {
    /// The process.
    pub pid: Pid,
    /// The samples.
    pub profile: Profile,
    /// What became of the files.
    pub outcomes: Vec<Outcome>,
    /// Why the sampling ended.
    pub ended: Ended,
    /// Why there is no sample, when the process ended too early for one.
    pub too_short: Option<SamplerError>,
}

impl Recording {
    /// Samples until the process ends, the duration is over or `stop` is requested, then writes the files.
    ///
    /// A process that ends before its interpreter was ready leaves an empty profile.
    ///
    /// # Errors
    /// When the process cannot be sampled; no file is written then.
    pub fn run(&self, stop: &Stop, progress: &Arc<Progress>) -> Result<Recorded, SamplerError> {
        let settings = Settings {
            rate_hz: self.sampling.rate_hz,
            duration: self.sampling.duration,
            start_timeout: self.start_timeout,
        };
        let started = Instant::now();
        let mut profile = Profile::default();
        let result = sampler::sample(self.pid, &settings, stop, progress, &mut |event| {
            profile.apply(event)
        });
        let (ended, too_short) = match result {
            Ok(ended) => (ended, None),
            Err(error @ SamplerError::EndedEarly(_)) => {
                let elapsed_ns = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
                profile = Profile::default();
                profile.apply(Event::End(Nanos(elapsed_ns)));
                (Ended::TargetEnded, Some(error))
            }
            Err(error) => return Err(error),
        };
        let outcomes = self.plan.write(&profile, &self.meta(&profile), self.pid);
        Ok(Recorded {
            pid: self.pid,
            profile,
            outcomes,
            ended,
            too_short,
        })
    }

    fn meta(&self, profile: &Profile) -> Meta {
        let mut facts = Vec::new();
        if let Some(process) = profile.processes().first() {
            facts.push(format!("Python {}", process.python));
        }
        facts.push(format!("{} Hz", self.sampling.rate_hz));
        Meta {
            title: format!("{} (process {})", self.name, self.pid),
            command: self.command.join(" "),
            facts,
            view: View::Wall,
        }
    }
}
