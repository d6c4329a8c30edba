//! Turns the runs of a profile into ones whose page is as small as the user allows.

use std::borrow::Cow;
use std::io::{self, Write};

use crate::export::ReportInput;
use crate::export::words::number;
use crate::profile::timeline::Timeline;

/// The page is made so often at most to find out how large it is.
const MAX_TRIES: usize = 8;

/// Of what is left for the runs, so much is filled: a smaller part of them packs a little worse.
const FILLED: f64 = 0.9;

/// Writes the page with these runs.
type WritePage<'w> = &'w dyn Fn(&Timeline, &mut dyn Write) -> io::Result<()>;

/// Those of the profile, in longer steps where the page were larger than `limit` otherwise. Without data, it has `empty_bytes`.
///
/// # Errors
/// When it is too large without any.
pub(super) fn fitting<'p>(
    input: &ReportInput<'p>,
    limit: u64,
    empty_bytes: usize,
    write: WritePage<'_>,
) -> io::Result<Cow<'p, Timeline>> {
    let mut timeline = input.profile.timeline_or_unordered();
    if bytes_at_most(input, &timeline, empty_bytes) < limit {
        return Ok(timeline);
    }
    let rest = size_of(&Timeline::empty(), write)?;
    for _ in 0..MAX_TRIES {
        let size = size_of(&timeline, write)?;
        if size <= limit {
            return Ok(timeline);
        }
        let left = limit.saturating_sub(rest) as f64 * FILLED;
        let part = left / size.saturating_sub(rest).max(1) as f64;
        let bytes = (timeline.bytes() as f64 * part) as usize;
        match timeline.within(bytes) {
            Some(smaller) if bytes > 0 => timeline = Cow::Owned(smaller),
            _ => break,
        }
    }
    Err(too_large(limit))
}

/// How large the page is at most, by far: what is known without making it.
fn bytes_at_most(input: &ReportInput<'_>, timeline: &Timeline, empty_bytes: usize) -> u64 {
    let profile = input.profile;
    let sources = input.sources.map_or(0, |sources| {
        let files = sources.files().into_iter();
        files
            .flat_map(|file| sources.lines(file))
            .map(|(_, text)| text.len() + 3)
            .sum()
    });
    let counts = [
        (profile.stacks().len(), 12),
        (profile.frames().len(), 100),
        (profile.usage().len(), 80),
        (profile.threads().len() + profile.processes().len(), 1000),
    ];
    let columns: usize = counts.into_iter().map(|(count, bytes)| count * bytes).sum();
    // A number of a run takes more bytes in columns than packed, and five characters are four bytes.
    (empty_bytes + 2 * (timeline.bytes() + sources + columns)) as u64
}

fn size_of(timeline: &Timeline, write: WritePage<'_>) -> io::Result<u64> {
    let mut nowhere = io::sink();
    let mut counted = Bounded::new(&mut nowhere, u64::MAX);
    write(timeline, &mut counted)?;
    Ok(counted.written)
}

fn too_large(limit: u64) -> io::Error {
    let limit = number::size(limit);
    let text = format!(
        "the page is larger than --max-size ({limit}), however long the steps of its time axis are"
    );
    io::Error::new(io::ErrorKind::FileTooLarge, text)
}

/// Writes so many bytes and no more.
pub(super) struct Bounded<'w> {
    out: &'w mut dyn Write,
    written: u64,
    limit: u64,
}

impl<'w> Bounded<'w> {
    pub(super) fn new(out: &'w mut dyn Write, limit: u64) -> Bounded<'w> {
        Bounded {
            out,
            written: 0,
            limit,
        }
    }
}

impl Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.limit - self.written < bytes.len() as u64 {
            return Err(too_large(self.limit));
        }
        let written = self.out.write(bytes)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
