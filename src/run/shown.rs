//! Turns the events of a run into the profile that its outputs show.

use crate::profile::Profile;
use crate::profile::event::Event;
use crate::profile::filter::{Filter, Folding};
use crate::run::request::Shown;
use crate::run::work::NativeShown;

/// Folds what is to be shown of a run.
#[derive(Debug)]
pub struct ShownProfile {
    stage: Stage,
    profile: Profile,
    leaves_out_idle_waits: bool,
    native: NativeShown,
}

/// What events go through on their way to the profile. A filter holds some back for a while, so it is there where
/// it is needed only.
#[derive(Debug)]
enum Stage {
    All(Box<Folding>),
    Part(Box<Filter>),
}

impl ShownProfile {
    /// Into this empty profile.
    #[must_use]
    pub fn new(profile: Profile, shown: &Shown) -> ShownProfile {
        let selection = shown.selection();
        ShownProfile {
            leaves_out_idle_waits: selection.leaves_out_idle_waits(),
            stage: match selection.leaves_everything() {
                true => Stage::All(Box::new(Folding::new(selection.folds_imports))),
                false => Stage::Part(Box::new(Filter::new(selection))),
            },
            profile,
            native: shown.native.clone(),
        }
    }

    /// Takes the next event.
    pub fn apply(&mut self, event: Event) {
        let mut fold = |event| self.profile.apply(event);
        match &mut self.stage {
            Stage::All(folding) => folding.apply(event, &mut fold),
            Stage::Part(filter) => filter.apply(event, &mut fold),
        }
    }

    /// What is shown of all that came.
    #[must_use]
    pub fn finish(mut self) -> Profile {
        if self.leaves_out_idle_waits {
            self.profile.leave_out_idle_waits();
        }
        // A run is shown whole: no class is asked for.
        let _ = self.native.refine(&mut self.profile);
        self.profile
    }
}
