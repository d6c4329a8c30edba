//! Turns words such as `42.3`, `3` and `mpirun-*` into a test of what tells launches apart.

use std::fmt;

use glob::{Pattern, PatternError};

/// How the name of a launch begins that is a step of a Slurm job; `JOB.STEP` follows.
const STEP: &str = "step ";

/// A step of a job, or a launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepName(Pattern);

impl StepName {
    /// Takes a name as it was typed: that of a launch (`mpirun-4711`), a step (`step 42.3`, `42.3`) or the number of a
    /// step in its job (`3`). `*` and `?` are as in a shell.
    ///
    /// # Errors
    /// When the pattern is none.
    pub fn new(text: &str) -> Result<StepName, PatternError> {
        Ok(StepName(Pattern::new(text.trim())?))
    }

    /// Whether the launch has this name.
    #[must_use]
    pub fn fits(&self, launch: &str) -> bool {
        let step = launch.strip_prefix(STEP);
        // What comes behind a comma tells runs within a step apart.
        let step = step.map(|step| step.split(',').next().unwrap_or(step));
        let number = step.and_then(|step| step.rsplit('.').next());
        [Some(launch), step, number]
            .into_iter()
            .flatten()
            .any(|name| self.0.matches(name))
    }
}

impl fmt::Display for StepName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_named_by_its_launch_its_job_and_its_number() {
        let fits = |text: &str, launch| StepName::new(text).ok().map(|name| name.fits(launch));
        for text in ["step 42.3", "42.3", "3", "42.*", " 3 "] {
            assert_eq!(fits(text, "step 42.3"), Some(true), "{text}");
        }
        for text in ["42", "2", ".3", "13"] {
            assert_eq!(fits(text, "step 42.3"), Some(false), "{text}");
        }
        assert_eq!(fits("3", "step 42.3, run 2"), Some(true));
        assert_eq!(fits("*run 2", "step 42.3, run 2"), Some(true));
        assert_eq!(fits("mpirun-*", "mpirun-4711"), Some(true));
        assert_eq!(fits("4711", "mpirun-4711"), Some(false));
        assert!(StepName::new("a[").is_err());
    }
}
