//! Turns a profile into one HTML page that opens from disk without a network.
//!
//! The page is TypeScript in `page/`, bundled into `page.html`. At its mark stand the data, each in a script tag that no
//! browser runs:
//!
//! | tag | what it holds | written by |
//! |---|---|---|
//! | `meta` | JSON: what is said of the profile, its processes and threads | [`meta`] |
//! | `core` | strings, functions, the tree of stacks, counters, losses | [`definitions`] |
//! | `src` | source text | [`source`] |
//! | `p0`, `p1`, … | the runs of the threads of each process | [`runs`] |
//! | `end` | nothing: a page without it was cut off | here |
//!
//! All but the first and the last are gzip ([`gzip`]) as text ([`base85`]), written piece by piece: no tag is ever held as a whole. The page
//! decodes a process when it is looked at. What the columns mean stands here and in `page/decode.ts`.

mod base85;
mod columns;
mod content;
mod definitions;
mod gzip;
mod meta;
mod moved;
mod runs;
mod size;
mod source;
mod tag;

use std::io;

use crate::export::ReportInput;
use crate::export::spec::Spec;
use crate::profile::Profile;
use crate::profile::timeline::Timeline;

use content::{Base, Content};
use size::Bounded;

/// The page, built by `page/build.mjs`.
const PAGE: &str = include_str!("page.html");

/// Where the data stand in it.
const DATA: &str = "<!--data-->";

/// The HTML page.
pub(super) const HTML: Spec = Spec::new(
    "html",
    &["html", "htm"],
    "one page with everything, for any browser: xdg-open {path}",
    write,
)
.with_time_axis();

/// Writes the page of one profile, no larger than the user allows.
///
/// # Errors
/// When `out` fails, or what is not on the time axis is too large already ([`io::ErrorKind::FileTooLarge`]).
fn write(input: &ReportInput<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    write_content(&Content::of(input), out)
}

/// Writes the page that compares a recording with another one, `base`: `about` is the profile of the recording alone, and
/// `input` is of both, that of the base first, which has so many processes.
///
/// # Errors
/// As [`write`].
pub(super) fn write_pair(
    input: &ReportInput<'_>,
    about: &Profile,
    (base, processes): (&str, u32),
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let content = Content {
        input: *input,
        about,
        base: Some(Base {
            name: base,
            processes,
        }),
    };
    write_content(&content, out)
}

fn write_content(content: &Content<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let limit = content.input.meta.drawing.max_page_bytes;
    let write = |timeline: &Timeline, out: &mut dyn io::Write| write_all(content, timeline, out);
    let timeline = size::fitting(&content.input, limit, PAGE.len(), &write)?;
    write_all(content, &timeline, &mut Bounded::new(out, limit))
}

fn write_all(
    content: &Content<'_>,
    timeline: &Timeline,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let profile = content.input.profile;
    let (before, behind) = PAGE.split_once(DATA).unwrap_or((PAGE, ""));
    out.write_all(before.as_bytes())?;
    meta::write(content, timeline, out)?;
    tag::packed("core", out, &mut |columns| {
        definitions::write(content, columns)
    })?;
    if let Some(sources) = content.input.sources {
        tag::packed("src", out, &mut |columns| source::write(sources, columns))?;
    }
    for (process, threads) in runs::by_process(profile) {
        tag::packed(&format!("p{process}"), out, &mut |columns| {
            runs::write(timeline, &threads, columns)
        })?;
    }
    tag::plain("end", "", out)?;
    out.write_all(behind.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::{Drawing, Meta};
    use crate::profile::event::{
        Event, Frame, FrameId, FrameKind, Nanos, Process, ProcessId, Sample, StackId, Thread,
        ThreadId,
    };

    #[test]
    fn the_page_has_one_place_for_the_data() {
        assert_eq!(PAGE.matches(DATA).count(), 1);
    }

    #[test]
    fn the_page_without_data_is_small() {
        assert!(PAGE.len() <= 250_000, "{} bytes", PAGE.len());
    }

    /// Runs of 200 stacks in turn, of lengths that do not repeat.
    fn busy() -> Profile {
        let mut profile = Profile::with_timeline();
        profile.apply(Event::Process(ProcessId(0), Process::default()));
        let thread = Thread {
            process: ProcessId(0),
            tid: None,
            name: None,
            is_main: true,
        };
        profile.apply(Event::Thread(ThreadId(0), thread));
        for id in 0..200 {
            let frame = Frame {
                kind: FrameKind::Python,
                name: format!("f{id}"),
                file: None,
                first_line: None,
                line: None,
            };
            profile.apply(Event::Frame(FrameId(id), frame));
            profile.apply(Event::Stack {
                id: StackId(id),
                parent: None,
                frame: FrameId(id),
            });
        }
        let mut now = Nanos(0);
        for turn in 0..20_000_u32 {
            let wall = Nanos(1_000_000 + u64::from(turn.wrapping_mul(2_654_435_761) >> 12));
            now += wall;
            profile.apply(Event::Sample(Sample {
                at: now,
                thread: ThreadId(0),
                stack: Some(StackId(turn.wrapping_mul(40_503) % 200)),
                ticks: 1,
                wall,
                ..Sample::default()
            }));
        }
        profile.apply(Event::End(now));
        profile
    }

    fn page(profile: &Profile, max_page_bytes: u64) -> io::Result<String> {
        let drawing = Drawing {
            max_page_bytes,
            ..Drawing::default()
        };
        let meta = Meta {
            drawing,
            ..Meta::default()
        };
        let mut out = Vec::new();
        write(&ReportInput::new(profile, &meta), &mut out)?;
        Ok(String::from_utf8(out).expect("a page is text"))
    }

    #[test]
    fn a_page_that_is_too_large_gets_longer_steps() {
        let profile = busy();
        let whole = page(&profile, u64::MAX).expect("no limit");
        assert!(whole.contains("\"step_ns\":null"));
        let limit = PAGE.len() + (whole.len() - PAGE.len()) / 2;
        let smaller = page(&profile, limit as u64).expect("there is room");
        assert!(smaller.len() <= limit, "{} of {limit}", smaller.len());
        let (_, step) = smaller.split_once("\"step_ns\":").expect("a step");
        assert!(step.starts_with(|c: char| c.is_ascii_digit()), "{step}");
    }

    #[test]
    fn a_page_that_cannot_be_small_enough_is_not_written() {
        let error = page(&busy(), PAGE.len() as u64).expect_err("no room");
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert!(error.to_string().contains("--max-size"), "{error}");
    }
}
