//! Turns the time of processes that build or install something into whether it is a good part of the run.

use super::finding::Finding;
use super::scope::Scope;
use crate::profile::event::ProcessId;

/// A smaller part of the recording is not told.
const MIN_SHARE: f64 = 0.1;

/// Whether build steps take a good part of the recording.
pub(super) fn finding<'p>(scope: &Scope<'p>) -> Option<Finding<'p>> {
    if !scope.has_build_steps() {
        return None;
    }
    let profile = scope.profile;
    let is_build = |id: ProcessId| !scope.is_counted(id);
    let (time, whole) = (scope.time_of(is_build), profile.sampled_time());
    let ids = (0..profile.processes().len() as u32).map(ProcessId);
    let longest = ids
        .filter(|id| is_build(*id))
        .max_by_key(|id| (scope.time_of(|other| other == *id), std::cmp::Reverse(*id)))?;
    let command = profile.process(longest)?.command_line();
    let is_much = time.seconds() >= MIN_SHARE * whole.seconds();
    is_much.then_some(Finding::BuildSteps {
        time,
        whole,
        command,
    })
}
