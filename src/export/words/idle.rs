//! Turns the idle waits that a profile leaves out into words.

use super::units::span;
use crate::profile::{IdleWaits, Profile};

/// `28 idle threads left out: 73.1 s of waiting (--idle shows them)`; `None` where nothing was left out.
#[must_use]
pub fn left_out(profile: &Profile) -> Option<String> {
    let IdleWaits {
        threads,
        idle_threads,
        main_threads,
        time,
    } = profile.idle_waits();
    let plural = if threads == 1 { "" } else { "s" };
    let with_main = match main_threads {
        0 => String::new(),
        1 if threads == 1 => " (the main one)".to_owned(),
        1 => " (the main one too)".to_owned(),
        count => format!(" ({count} main ones too)"),
    };
    let time = span(time);
    match threads {
        0 => None,
        _ if threads == idle_threads => Some(format!(
            "{threads} idle thread{plural}{with_main} left out: {time} of waiting (--idle shows {})",
            if threads == 1 { "it" } else { "them" },
        )),
        _ => Some(format!(
            "idle waits of {threads} thread{plural}{with_main} left out: {time} (--idle shows them)"
        )),
    }
}
