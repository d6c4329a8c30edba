//! Turns how time is spread over ranks into tables of plain text.

use std::fmt::Write as _;

use crate::export::SummaryOptions;
use crate::export::words::escape::visible;
use crate::export::words::paths::Shortener;
use crate::export::words::precision::decimals;
use crate::export::words::table::{line, more, place};
use crate::profile::over_ranks::{OverRanks, Spread};
use crate::profile::{Mode, Profile};

/// So many launches are told of.
const MAX_LAUNCHES: usize = 10;

/// Of launches other than the first, so many rows are shown at most.
const ROWS_OF_OTHERS: usize = 5;

/// For each launch its ranks as a whole, then the functions and the lines whose imbalance costs most, the launch that
/// took longest first; nothing for a profile of less than two ranks.
pub(crate) fn tables(text: &mut String, profile: &Profile, options: &SummaryOptions) {
    let launches = OverRanks::of_launches(profile, options.mode);
    for (index, launch) in launches.iter().take(MAX_LAUNCHES).enumerate() {
        let name = name_of(launch, &launches);
        let rows = if index == 0 {
            usize::MAX
        } else {
            ROWS_OF_OTHERS
        };
        tables_of(text, launch, &name, options, rows);
    }
    if launches.len() > MAX_LAUNCHES {
        let more = launches.len() - MAX_LAUNCHES;
        line(
            text,
            &format!("{more} more launches; rsamp report --step shows one"),
        );
    }
}

/// What tells a launch from the others; empty where there is no other.
fn name_of(launch: &OverRanks<'_>, launches: &[OverRanks<'_>]) -> String {
    match launch.launch() {
        _ if launches.len() == 1 => String::new(),
        Some(name) => visible(name),
        None => "other launch".to_owned(),
    }
}

/// Of each launch its ranks as a whole, in a sentence; none for a profile of less than two ranks.
pub(crate) fn sentences(profile: &Profile, mode: Mode) -> Vec<String> {
    let launches = OverRanks::of_launches(profile, mode);
    let sentence = |launch| match name_of(launch, &launches).as_str() {
        "" => in_words(launch, mode),
        name => format!("{name}: {}", in_words(launch, mode)),
    };
    launches.iter().map(sentence).collect()
}

/// One launch, whose name is empty where there is no other.
fn tables_of(
    text: &mut String,
    ranks: &OverRanks<'_>,
    name: &str,
    options: &SummaryOptions,
    max_rows: usize,
) {
    text.push('\n');
    let (before, of) = match name {
        "" => (String::new(), String::new()),
        name => (format!("{name}: "), format!(" of {name}")),
    };
    line(text, &(before + &in_words(ranks, options.mode)));
    let (functions, lines) = (ranks.functions(), ranks.lines());
    let files = functions.iter().filter_map(|row| row.function.file);
    let shortener = Shortener::of(files);
    let rows = functions.iter().map(|row| {
        let function = &row.function;
        (
            row.self_time,
            place(&shortener, function, function.first_line),
        )
    });
    let heading = format!("functions over ranks{of}");
    table(
        text,
        &heading,
        options.mode,
        rows,
        options.functions.min(max_rows),
    );
    let rows = lines
        .iter()
        .map(|row| (row.self_time, place(&shortener, &row.function, row.line)));
    let heading = format!("lines over ranks{of}");
    table(
        text,
        &heading,
        options.mode,
        rows,
        options.lines.min(max_rows),
    );
}

/// What counts of a mode's time.
fn counted(mode: Mode) -> &'static str {
    match mode {
        Mode::Wall => "without waits",
        Mode::Cpu => "CPU time",
        Mode::Gil => "holding the GIL",
    }
}

/// `4 ranks: 9.1 to 12.4 s each (without waits), mean 10.2 s; rank 3 takes longest; imbalance 21 %, which costs 8.6 core-seconds`
fn in_words(ranks: &OverRanks<'_>, mode: Mode) -> String {
    let whole = ranks.whole();
    let slowest = whole.slowest.filter(|_| whole.is_significant());
    let slowest = slowest.map_or_else(String::new, |rank| format!("; rank {rank} takes longest"));
    let decimals = decimals(whole.chance_seconds, MAX_DECIMALS);
    let cost = match whole.is_significant() {
        true => format!(
            ", which costs {:.decimals$} core-seconds",
            whole.cost_core_seconds
        ),
        false => ", within noise".to_owned(),
    };
    format!(
        "{} ranks: {:.decimals$} to {:.decimals$} s each ({}), mean {:.decimals$} s{slowest}; imbalance {} %{cost}",
        ranks.ranks().len(),
        whole.min_seconds,
        whole.max_seconds,
        counted(mode),
        whole.mean_seconds,
        percent(whole.imbalance()),
    )
}

/// Milliseconds are enough.
const MAX_DECIMALS: usize = 3;

/// Stands for the cost where the slowest rank is as slow as chance may make it look.
const NOISE: &str = "noise";

/// One table of self times; no table when no rows are asked for.
fn table(
    text: &mut String,
    heading: &str,
    mode: Mode,
    rows: impl Iterator<Item = (Spread, String)>,
    max_rows: usize,
) {
    if max_rows == 0 {
        return;
    }
    let _ = writeln!(
        text,
        "\n{heading} by the cost of their imbalance (self time, {})\n\
         {:>9} {:>9} {:>9} {:>9} {:>7} {:>9} {:>11}",
        counted(mode),
        "min s",
        "mean s",
        "max s",
        "sd s",
        "slowest",
        "imbal. %",
        "cost core-s"
    );
    let mut count = 0;
    for (spread, place) in rows.filter(|(spread, _)| spread.max_seconds > 0.0) {
        count += 1;
        if count <= max_rows {
            let slowest = spread.slowest.filter(|_| spread.is_significant());
            let slowest = slowest.map_or_else(|| "-".to_owned(), |rank| rank.to_string());
            let decimals = decimals(spread.chance_seconds, MAX_DECIMALS);
            let cost = if spread.is_significant() {
                format!("{:.decimals$}", spread.cost_core_seconds)
            } else {
                NOISE.to_owned()
            };
            let _ = writeln!(
                text,
                "{:>9.decimals$} {:>9.decimals$} {:>9.decimals$} {:>9.decimals$} {slowest:>7} {:>9} {cost:>11}  {place}",
                spread.min_seconds,
                spread.mean_seconds,
                spread.max_seconds,
                spread.deviation_seconds,
                percent(spread.imbalance()),
            );
        }
    }
    more(text, count, max_rows);
}

fn percent(part: Option<f64>) -> String {
    part.map_or_else(|| "-".to_owned(), |part| format!("{:.0}", part * 100.0))
}
