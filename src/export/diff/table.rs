//! Turns what differs between two recordings into tables of plain text.

use std::fmt::Write as _;

use super::Names;
use crate::export::text::head;
use crate::export::words::labels;
use crate::export::words::paths::Shortener;
use crate::export::words::precision;
use crate::export::words::table::{line, more, place};
use crate::profile::Profile;
use crate::profile::diff::{Change, Diff, Scale, Time};
use crate::profile::event::Nanos;

/// How many rows a table of a written report has at most.
pub const REPORT_ROWS: usize = 100;

/// So many standard errors on either side of a normally distributed value hold the true one with
/// 95 %.
const ERRORS_AT_95: f64 = 1.96;

/// Both recordings, then functions by the change of their own and of their total time and lines by
/// that of their own, the largest change first; each table has at most `rows` rows.
///
/// Seconds are over all threads together; shares are of the time of all threads. Behind a change
/// stands what it may be off by for noise (95 %), and `*` where it is more than noise.
#[must_use]
pub fn table(diff: &Diff<'_>, names: &Names, rows: usize) -> String {
    let mut text = String::new();
    for (what, name, profile) in [
        ("base", &names.base, diff.base()),
        ("new", &names.new, diff.new_profile()),
    ] {
        line(&mut text, &format!("{what}: {}", labels::clean(name)));
        head(&mut text, profile);
    }
    let whole = |profile: &Profile| profile.totals().time(diff.mode());
    let (base, new) = (whole(diff.base()), whole(diff.new_profile()));
    if base == Nanos(0) && new == Nanos(0) {
        let none = format!("no {} time was seen in either", diff.mode());
        line(&mut text, &none);
        return text;
    }
    line(&mut text, &compared(diff, base, new));
    text.push_str(LEGEND);
    tables(&mut text, diff, rows);
    text
}

const LEGEND: &str = "\
±: half the 95 % interval of a change, from how much neighbouring parts of a recording differ;
*: a change beyond noise (at most 5 % of the marked changes are noise);
?: the recording is too short, or the function ran too seldom, to tell.
To see how much two runs of one program differ for other reasons, record the base twice.
";

fn compared(diff: &Diff<'_>, base: Nanos, new: Nanos) -> String {
    let mode = diff.mode();
    let (base_s, new_s) = (base.seconds(), new.seconds());
    match diff.scale() {
        Scale::Seconds => format!("{mode} time of all threads: {base_s:.2} s, then {new_s:.2} s"),
        Scale::Normalized => format!(
            "{mode} time of all threads: {base_s:.2} s, then {new_s:.2} s; \
             the base is scaled to the time of the new one"
        ),
    }
}

fn tables(text: &mut String, diff: &Diff<'_>, rows: usize) {
    let mode = diff.mode();
    let functions = diff.functions();
    let files = functions.iter().filter_map(|row| row.function()?.file);
    let shortener = Shortener::of(files);
    let heading = format!("functions by change of self time ({mode})");
    let shown = functions.iter().filter_map(|row| {
        let function = row.function()?;
        let place = place(&shortener, &function, function.first_line);
        Some((row.self_time, place))
    });
    write(text, &heading, shown, rows);

    let by_total = diff.functions_by_total();
    let heading = format!("functions by change of total time ({mode})");
    let shown = by_total.iter().filter_map(|row| {
        let function = row.function()?;
        let place = place(&shortener, &function, function.first_line);
        Some((row.total_time, place))
    });
    write(text, &heading, shown, rows);

    let lines = diff.lines();
    let heading = format!("lines by change of self time ({mode})");
    let shown = lines.iter().filter_map(|row| {
        let (function, line) = row.line()?;
        Some((row.self_time, place(&shortener, &function, line)))
    });
    write(text, &heading, shown, rows);
}

/// Rows without any time on either side are left out.
fn write(
    text: &mut String,
    heading: &str,
    changes: impl Iterator<Item = (Change, String)>,
    max_rows: usize,
) {
    let _ = writeln!(
        text,
        "\n{heading}\n{:>9} {:>6} {:>9} {:>6} {:>10} {:>8}",
        "base s", "%", "new s", "%", "change s", "±"
    );
    let is_seen = |time: Time| time.seconds > 0.0;
    let mut count = 0;
    for (change, place) in changes.filter(|(c, _)| is_seen(c.base) || is_seen(c.new)) {
        count += 1;
        if count <= max_rows {
            let _ = writeln!(text, "{}  {place}", columns(&change));
        }
    }
    more(text, count, max_rows);
}

fn columns(change: &Change) -> String {
    let longest = change.base.seconds.max(change.new.seconds);
    let noise = ERRORS_AT_95 * change.error_seconds;
    let decimals = precision::decimals(noise, decimals(longest));
    let side = |time: Time| {
        // The noise of a share, from that of its time.
        let noise = noise * 100.0 * time.share / time.seconds.max(1e-9);
        let points = match time.share > 0.0 {
            true => precision::decimals(noise, MAX_PERCENT_DECIMALS),
            false => 0,
        };
        format!(
            "{:>9.decimals$} {:>6.points$}",
            time.seconds,
            100.0 * time.share
        )
    };
    let noise = if noise.is_finite() {
        format!("{noise:.decimals$}")
    } else {
        "?".to_owned()
    };
    let mark = if change.is_beyond_noise { '*' } else { ' ' };
    format!(
        "{} {} {:>+10.decimals$} {noise:>8} {mark}",
        side(change.base),
        side(change.new),
        change.seconds(),
    )
}

/// More decimals of a share say nothing.
const MAX_PERCENT_DECIMALS: usize = 1;

/// Milliseconds are enough of a minute, and of an hour, tenths.
fn decimals(seconds: f64) -> usize {
    match seconds {
        ..60.0 => 3,
        60.0..1000.0 => 2,
        _ => 1,
    }
}
