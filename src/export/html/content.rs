//! What a page shows: one profile, or two recordings of which one is compared with the other.

use crate::export::ReportInput;
use crate::profile::Profile;

/// What a page is made of.
#[derive(Clone, Copy)]
pub(super) struct Content<'r> {
    /// What is on the time axis and in the tables.
    pub input: ReportInput<'r>,
    /// What findings, losses and totals are of.
    pub about: &'r Profile,
    /// What it is compared with.
    pub base: Option<Base<'r>>,
}

/// The recording that another one is compared with: the first processes of the profile.
#[derive(Clone, Copy)]
pub(super) struct Base<'r> {
    /// Its name.
    pub name: &'r str,
    /// How many processes it has.
    pub processes: u32,
}

impl<'r> Content<'r> {
    /// One profile, with its native frames.
    pub(super) fn of(input: &ReportInput<'r>) -> Content<'r> {
        Content {
            input: ReportInput {
                profile: input.profile.with_native_frames(),
                ..*input
            },
            about: input.profile,
            base: None,
        }
    }
}
