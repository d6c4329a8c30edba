//! Turns how time is spread over ranks into tables of plain text, comma-separated values and the rows
//! of rsamp's JSON.

use std::fmt::Write as _;
use std::io;

use serde::Serialize;

use crate::profile::functions::Function;
use crate::profile::over_ranks::{FunctionSpread, LineSpread, OverRanks, Spread};
use crate::profile::{Profile, View};

use super::Meta;
use super::csv::clean;
use super::line_table::visible;
use super::paths::Shortener;
use super::text::{SummaryOptions, line, more, place};

/// So many launches are told of.
const MAX_LAUNCHES: usize = 10;

/// The ranks of each launch as a whole, then the functions and the lines whose imbalance costs most in the launch
/// that took longest; nothing for a profile of less than two ranks.
pub(super) fn tables(text: &mut String, profile: &Profile, options: &SummaryOptions) {
    let launches = OverRanks::of_launches(profile, options.view);
    let Some(ranks) = launches.first() else {
        return;
    };
    text.push('\n');
    for launch in launches.iter().take(MAX_LAUNCHES) {
        let name = match launch.launch() {
            _ if launches.len() == 1 => String::new(),
            Some(name) => format!("launch {}: ", visible(name)),
            None => "other launch: ".to_owned(),
        };
        line(text, &(name + &in_words(launch, options.view)));
    }
    if launches.len() > MAX_LAUNCHES {
        let more = launches.len() - MAX_LAUNCHES;
        line(text, &format!("{more} more launches"));
    }
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
    let of = match ranks.launch() {
        Some(name) if launches.len() > 1 => format!(" of launch {}", visible(name)),
        _ => String::new(),
    };
    table(
        text,
        &format!("functions over ranks{of}"),
        options.view,
        rows,
        options.functions,
    );
    let rows = lines
        .iter()
        .map(|row| (row.self_time, place(&shortener, &row.function, row.line)));
    let heading = format!("lines over ranks{of}");
    table(text, &heading, options.view, rows, options.lines);
}

/// `4 ranks, from 9.10 to 12.35 s (wall), mean 10.20 s; rank 3 is the slowest; …`
fn in_words(ranks: &OverRanks<'_>, view: View) -> String {
    let whole = ranks.whole();
    let slowest = whole
        .slowest
        .map_or_else(String::new, |rank| format!("; rank {rank} has the most"));
    format!(
        "{} ranks: {:.3} to {:.3} s of {view} time, mean {:.3} s{slowest}: imbalance {} %, {:.3} core-seconds",
        ranks.ranks().len(),
        whole.min_seconds,
        whole.max_seconds,
        whole.mean_seconds,
        percent(whole.imbalance()),
        whole.cost_core_seconds(),
    )
}

/// One table of self times; no table when no rows are asked for.
fn table(
    text: &mut String,
    heading: &str,
    view: View,
    rows: impl Iterator<Item = (Spread, String)>,
    max_rows: usize,
) {
    if max_rows == 0 {
        return;
    }
    let _ = writeln!(
        text,
        "\n{heading} by the cost of their imbalance (self time, {view})\n\
         {:>9} {:>9} {:>9} {:>9} {:>7} {:>9} {:>11}",
        "min s", "mean s", "max s", "sd s", "slowest", "imbal. %", "cost core-s"
    );
    let mut count = 0;
    for (spread, place) in rows.filter(|(spread, _)| spread.max_seconds > 0.0) {
        count += 1;
        if count <= max_rows {
            let slowest = spread
                .slowest
                .map_or_else(|| "-".to_owned(), |rank| rank.to_string());
            let _ = writeln!(
                text,
                "{:>9.3} {:>9.3} {:>9.3} {:>9.3} {slowest:>7} {:>9} {:>11.3}  {place}",
                spread.min_seconds,
                spread.mean_seconds,
                spread.max_seconds,
                spread.deviation_seconds,
                percent(spread.imbalance()),
                spread.cost_core_seconds(),
            );
        }
    }
    more(text, count, max_rows);
}

fn percent(part: Option<f64>) -> String {
    part.map_or_else(|| "-".to_owned(), |part| format!("{:.1}", part * 100.0))
}

/// Writes the functions and lines as comma-separated values: a header alone for a profile of less than two
/// ranks.
///
/// # Errors
/// When `out` fails.
pub(super) fn write_csv(profile: &Profile, meta: &Meta, out: &mut dyn io::Write) -> io::Result<()> {
    let mut writer = csv::WriterBuilder::new()
        .has_headers(false)
        .from_writer(out);
    writer.write_record(COLUMNS)?;
    for ranks in OverRanks::of_launches(profile, meta.view) {
        let launch = ranks.launch().map(clean);
        let times = |own: &Spread, total: &Spread| (csv_times(own), csv_times(total));
        for row in ranks.functions() {
            let place = csv_place("function", &row.function, None);
            writer.serialize((place, times(&row.self_time, &row.total_time), &launch))?;
        }
        for row in ranks.lines() {
            let place = csv_place("line", &row.function, row.line);
            writer.serialize((place, times(&row.self_time, &row.total_time), &launch))?;
        }
    }
    writer.flush()
}

/// The names of the columns; docs/csv.md tells what they hold.
const COLUMNS: [&str; 20] = [
    "kind",
    "function",
    "file",
    "first_line",
    "line",
    "self_min_s",
    "self_mean_s",
    "self_max_s",
    "self_deviation_s",
    "self_slowest_rank",
    "self_imbalance",
    "self_cost_core_s",
    "total_min_s",
    "total_mean_s",
    "total_max_s",
    "total_deviation_s",
    "total_slowest_rank",
    "total_imbalance",
    "total_cost_core_s",
    "launch",
];

fn csv_place<'p>(
    kind: &'p str,
    function: &Function<'p>,
    line: Option<u32>,
) -> impl Serialize + use<'p> {
    let file = function.file.map(clean);
    (kind, clean(function.name), file, function.first_line, line)
}

fn csv_times(spread: &Spread) -> impl Serialize + use<> {
    (
        spread.min_seconds,
        spread.mean_seconds,
        spread.max_seconds,
        spread.deviation_seconds,
        spread.slowest,
        spread.imbalance(),
        spread.cost_core_seconds(),
    )
}

/// What rsamp's JSON tells of the ranks.
#[derive(Serialize)]
pub(super) struct JsonRanks<'p> {
    launch: Option<&'p str>,
    numbers: Vec<u32>,
    whole: JsonSpread,
    functions: Vec<JsonRow<'p>>,
    lines: Vec<JsonRow<'p>>,
    /// The launches that took less time.
    other_launches: Vec<JsonLaunch<'p>>,
}

#[derive(Serialize)]
struct JsonLaunch<'p> {
    launch: Option<&'p str>,
    numbers: Vec<u32>,
    whole: JsonSpread,
}

#[derive(Serialize)]
struct JsonRow<'p> {
    name: &'p str,
    file: Option<&'p str>,
    first_line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<Option<u32>>,
    #[serde(rename = "self")]
    own: JsonSpread,
    total: JsonSpread,
}

#[derive(Serialize)]
struct JsonSpread {
    min_s: f64,
    mean_s: f64,
    max_s: f64,
    deviation_s: f64,
    slowest_rank: Option<u32>,
    imbalance: Option<f64>,
    cost_core_s: f64,
}

impl From<Spread> for JsonSpread {
    fn from(spread: Spread) -> JsonSpread {
        JsonSpread {
            min_s: spread.min_seconds,
            mean_s: spread.mean_seconds,
            max_s: spread.max_seconds,
            deviation_s: spread.deviation_seconds,
            slowest_rank: spread.slowest,
            imbalance: spread.imbalance(),
            cost_core_s: spread.cost_core_seconds(),
        }
    }
}

/// `None` for a profile of less than two ranks.
pub(super) fn json<'p>(profile: &'p Profile, view: View) -> Option<JsonRanks<'p>> {
    let launches = OverRanks::of_launches(profile, view);
    let ranks = launches.first()?;
    let others = launches.iter().skip(1).map(|ranks| JsonLaunch {
        launch: ranks.launch(),
        numbers: ranks.ranks().to_vec(),
        whole: ranks.whole().into(),
    });
    let of_function =
        |r: &&FunctionSpread<'p>| json_row(r.function, None, r.self_time, r.total_time);
    let of_line =
        |r: &&LineSpread<'p>| json_row(r.function, Some(r.line), r.self_time, r.total_time);
    Some(JsonRanks {
        launch: ranks.launch(),
        numbers: ranks.ranks().to_vec(),
        whole: ranks.whole().into(),
        functions: ranks.functions().iter().map(of_function).collect(),
        lines: ranks.lines().iter().map(of_line).collect(),
        other_launches: others.collect(),
    })
}

fn json_row(
    function: Function<'_>,
    line: Option<Option<u32>>,
    own: Spread,
    total: Spread,
) -> JsonRow<'_> {
    JsonRow {
        name: function.name,
        file: function.file,
        first_line: function.first_line,
        line,
        own: own.into(),
        total: total.into(),
    }
}
