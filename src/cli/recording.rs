//! Turns a running process into a profile and its files.

use std::time::{Duration, Instant};

use super::outputs::{Outcome, Plan};
use super::request::Sampling;
use crate::export::{Meta, rates};
use crate::process::Pid;
use crate::profile::event::{Event, Nanos};
use crate::profile::{Profile, View};
use crate::sampler::{self, Ended, Progress, SamplerError, Settings, Stop};

/// How long a process that was named by its PID may take to become Python. It either is already or is
/// about to be: slow imports come after the interpreter's start, so that a few seconds are plenty.
pub const START_TIMEOUT: Duration = Duration::from_secs(5);

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

/// What the sampling gave.
#[derive(Debug)]
pub struct Sampled {
    /// The samples.
    pub profile: Profile,
    /// Why the sampling ended.
    pub ended: Ended,
    /// Why there is no sample, when the process ended too early for one.
    pub too_short: Option<SamplerError>,
}

/// What came of it all.
#[derive(Debug)]
pub struct Recorded {
    /// What the sampling gave.
    pub sampled: Sampled,
    /// What became of the files.
    pub outcomes: Vec<Outcome>,
}

impl Recording {
    /// Samples until the process ends, the duration is over or `stop` is requested.
    ///
    /// A process that ends before its interpreter was ready gives an empty profile.
    ///
    /// # Errors
    /// When the process cannot be sampled.
    pub fn sample(&self, stop: &Stop, progress: &Progress) -> Result<Sampled, SamplerError> {
        let settings = Settings {
            rate: self.sampling.rate,
            max_overhead: self.sampling.max_overhead,
            duration: self.sampling.duration,
            start_timeout: self.start_timeout,
            stops: self.sampling.stops,
        };
        let started = Instant::now();
        let mut profile = Profile::default();
        let result = sampler::sample(self.pid, &settings, stop, progress, &mut |event| {
            profile.apply(event)
        });
        match result {
            Ok(ended) => Ok(Sampled {
                profile,
                ended,
                too_short: None,
            }),
            Err(error @ SamplerError::EndedEarly(_)) => {
                let elapsed_ns = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
                let mut profile = Profile::default();
                profile.apply(Event::End(Nanos(elapsed_ns)));
                Ok(Sampled {
                    profile,
                    ended: Ended::TargetEnded,
                    too_short: Some(error),
                })
            }
            Err(error) => Err(error),
        }
    }

    /// Writes the files.
    #[must_use]
    pub fn write(&self, sampled: Sampled) -> Recorded {
        let outcomes = self
            .plan
            .write(&sampled.profile, &self.meta(&sampled.profile), self.pid);
        Recorded { sampled, outcomes }
    }

    fn meta(&self, profile: &Profile) -> Meta {
        let mut facts = Vec::new();
        if let Some(process) = profile.processes().first() {
            facts.push(format!("Python {}", process.python));
        }
        facts.extend(rates::in_words(profile));
        Meta {
            title: format!("{} (process {})", self.name, self.pid),
            command: self.command.join(" "),
            facts,
            view: View::Wall,
        }
    }
}
