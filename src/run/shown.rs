//! Turns the events of a run into the profile that its outputs show.

use crate::profile::Profile;
use crate::profile::event::Event;
use crate::profile::filter::Filter;
use crate::run::request::Shown;

/// Folds what is to be shown of a run.
#[derive(Debug)]
pub struct Folding {
    filter: Option<Filter>,
    profile: Profile,
    leaves_out_idle_waits: bool,
}

impl Folding {
    /// Into this empty profile.
    #[must_use]
    pub fn new(profile: Profile, shown: &Shown) -> Folding {
        let selection = shown.selection();
        Folding {
            leaves_out_idle_waits: selection.leaves_out_idle_waits(),
            filter: (!selection.leaves_everything()).then(|| Filter::new(selection)),
            profile,
        }
    }

    /// Takes the next event.
    pub fn apply(&mut self, event: Event) {
        match &mut self.filter {
            Some(filter) => filter.apply(event, &mut |event| self.profile.apply(event)),
            None => self.profile.apply(event),
        }
    }

    /// What is shown of all that came.
    #[must_use]
    pub fn finish(mut self) -> Profile {
        if self.leaves_out_idle_waits {
            self.profile.leave_out_idle_waits();
        }
        self.profile
    }
}
