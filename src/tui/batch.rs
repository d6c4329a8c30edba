//! Turns snapshots into text, one page after the other, for scripts.

use std::io::{self, Write};
use std::thread::sleep;
use std::time::{Duration, Instant};

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::answer::Answer;
use super::host::Host;
use super::state::State;
use super::view::{self, HEAD_HEIGHT, Page, Palette};
use crate::profile::snapshot::{Snapshot, Span};

/// How often is looked whether there is a snapshot, or the end.
const PATIENCE: Duration = Duration::from_millis(20);

/// Samples come up to half a second after what they tell of.
const LATE: Duration = Duration::from_millis(500);

/// How often all the time is printed.
const WHOLE_EVERY: Duration = Duration::from_secs(10);

/// How wide a page is, in characters: that of a small terminal.
const WIDTH: u16 = 80;

/// Prints a page for each span of time, so many of them, or until the program ends: then the last one is of what there
/// was. Rows keep the order of their own page.
///
/// # Errors
/// When `out` cannot be written.
pub fn run(
    host: &mut dyn Host,
    state: &State,
    pages: Option<usize>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let every = match state.span {
        Span::Seconds(seconds) => Duration::from_secs(seconds as u64),
        Span::Whole => WHOLE_EVERY,
    };
    let mut due = Instant::now() + every + LATE;
    for number in 0..pages.unwrap_or(usize::MAX) {
        while Instant::now() < due && host.ended().is_none() && !host.is_interrupted() {
            // What comes is not what is shown: it tells whether the sampling goes on.
            let _ = host.take();
            sleep(PATIENCE);
        }
        due += every;
        let Some(snapshot) = snapshot(host, state.span) else {
            return Ok(());
        };
        if number > 0 {
            writeln!(out)?;
        }
        out.write_all(text(&snapshot, state, host).as_bytes())?;
        out.flush()?;
        if host.ended().is_some() || host.is_interrupted() {
            return Ok(());
        }
    }
    Ok(())
}

/// A new snapshot; `None` where the user does not want it any more.
fn snapshot(host: &mut dyn Host, span: Span) -> Option<Snapshot> {
    host.request(span);
    loop {
        if let Some(snapshot) = host.take() {
            return Some(snapshot);
        }
        if host.is_interrupted() {
            return None;
        }
        sleep(PATIENCE);
    }
}

/// A page with all rows.
#[must_use]
pub fn text(snapshot: &Snapshot, state: &State, host: &mut dyn Host) -> String {
    let answer = Answer::of(snapshot, state, &[], host);
    let rows = answer.rows.len().max(answer.findings.len() * 3) as u16;
    let area = Rect::new(0, 0, WIDTH, HEAD_HEIGHT + 1 + rows.max(1));
    let mut buffer = Buffer::empty(area);
    let page = Page {
        answer: &answer,
        state,
        palette: Palette { is_coloured: false },
        has_keys: false,
    };
    view::draw(&page, host, area, &mut buffer);
    lines(&buffer)
}

/// The cells as text, without what is empty at the end.
fn lines(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width.max(1));
    let lines = buffer.content.chunks(width).map(|cells| {
        let line: String = cells.iter().map(|cell| cell.symbol()).collect();
        line.trim_end().to_owned()
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    text.trim_end().to_owned() + "\n"
}
