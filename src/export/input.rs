//! What a report is made of: the profile, and what is said of it.

use super::drawing::Drawing;
use super::source_text::SourceText;
use super::words::{idle, labels, lost, time_axis};
use crate::profile::confidence::Confidence;
use crate::profile::{Mode, Profile};

/// What every format is given. A format takes of it what it has room for.
#[derive(Clone, Copy)]
pub struct ReportInput<'r> {
    /// What was sampled.
    pub profile: &'r Profile,
    /// What is said beyond the profile itself.
    pub meta: &'r Meta,
    /// The text of the functions' lines; `None`: it was not looked for.
    pub sources: Option<&'r SourceText>,
    /// How sure the shares are; `None`: nobody asked.
    pub confidence: Option<&'r Confidence<'r>>,
}

impl<'r> ReportInput<'r> {
    /// Of a profile alone.
    #[must_use]
    pub fn new(profile: &'r Profile, meta: &'r Meta) -> ReportInput<'r> {
        ReportInput {
            profile,
            meta,
            sources: None,
            confidence: None,
        }
    }
}

/// What the outputs say beyond the profile itself.
#[derive(Debug, Clone, Default)]
pub struct Meta {
    /// The headline.
    pub title: String,
    /// The command that was sampled, as one line.
    pub command: String,
    /// Facts for the line below the headline, as `100 Hz`.
    pub facts: Vec<String>,
    /// When the recording began, in ns since 1970; 0: not known.
    pub start_unix_ns: u64,
    /// Whether threads, states or stacks were left out: then nothing is said of the whole.
    pub is_part: bool,
    /// Which time the widths and columns show.
    pub mode: Mode,
    /// How graphs are drawn.
    pub drawing: Drawing,
}

impl Meta {
    /// One line of whatever the format has room for: the title, the command, the facts, what was lost, and the idle waits
    /// that were left out.
    pub(super) fn headline(&self, profile: &Profile) -> String {
        let parts = [self.all_that_holds(profile)].into_iter();
        let parts: Vec<String> = parts.chain(idle::left_out(profile)).collect();
        parts.join(" · ")
    }

    fn all_that_holds(&self, profile: &Profile) -> String {
        let lost = lost::lost_briefly(profile);
        let parts = [&self.title, &self.command].into_iter().chain(&self.facts);
        let parts = parts.filter(|part| !part.is_empty()).chain([&lost]);
        let parts: Vec<String> = parts.map(|part| labels::clean(part)).collect();
        parts.join(" · ")
    }

    /// The same for a format with a time axis, which holds idle waits too, and how fine that axis is.
    pub(super) fn headline_over_time(&self, profile: &Profile) -> String {
        let parts = [self.all_that_holds(profile)].into_iter();
        let parts: Vec<String> = parts.chain(time_axis::in_words(profile)).collect();
        parts.join(" · ")
    }
}
