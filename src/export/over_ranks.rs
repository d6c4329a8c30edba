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

/// Of launches other than the first, so many rows are shown at most.
const ROWS_OF_OTHERS: usize = 5;

/// For each launch its ranks as a whole, then the functions and the lines whose imbalance costs most, the launch that
/// took longest first; nothing for a profile of less than two ranks.
pub(super) fn tables(text: &mut String, profile: &Profile, options: &SummaryOptions) {
    let launches = OverRanks::of_launches(profile, options.view);
    for (index, launch) in launches.iter().take(MAX_LAUNCHES).enumerate() {
        let name = match launch.launch() {
            _ if launches.len() == 1 => String::new(),
            Some(name) => visible(name),
            None => "other launch".to_owned(),
        };
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
    line(text, &(before + &in_words(ranks, options.view)));
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
        options.view,
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
        options.view,
        rows,
        options.lines.min(max_rows),
    );
}

/// What counts of a view's time.
fn counted(view: View) -> &'static str {
    match view {
        View::Wall => "wall without waiting",
        View::Cpu => "cpu",
        View::Gil => "gil",
    }
}

/// `4 ranks: 9.100 to 12.350 s of time (wall without waiting), mean 10.200 s; rank 3 has the most: imbalance …`
fn in_words(ranks: &OverRanks<'_>, view: View) -> String {
    let whole = ranks.whole();
    let slowest = whole.slowest.filter(|_| whole.is_significant());
    let slowest = slowest.map_or_else(String::new, |rank| format!("; rank {rank} has the most"));
    format!(
        "{} ranks: {:.3} to {:.3} s of time ({}), mean {:.3} s{slowest}: imbalance {} %, {:.3} core-seconds",
        ranks.ranks().len(),
        whole.min_seconds,
        whole.max_seconds,
        counted(view),
        whole.mean_seconds,
        percent(whole.imbalance()),
        whole.cost_core_seconds,
    )
}

/// Stands for the cost where the slowest rank is as slow as chance may make it look.
const NOISE: &str = "noise";

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
        "\n{heading} by the cost of their imbalance (self time, {})\n\
         {:>9} {:>9} {:>9} {:>9} {:>7} {:>9} {:>11}",
        counted(view),
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
            let cost = if spread.is_significant() {
                format!("{:.3}", spread.cost_core_seconds)
            } else {
                NOISE.to_owned()
            };
            let _ = writeln!(
                text,
                "{:>9.3} {:>9.3} {:>9.3} {:>9.3} {slowest:>7} {:>9} {cost:>11}  {place}",
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
            let (own, total) = (&row.self_time, &row.total_time);
            let significant = (own.is_significant(), total.is_significant());
            writer.serialize((place, times(own, total), &launch, significant))?;
        }
        for row in ranks.lines() {
            let place = csv_place("line", &row.function, row.line);
            let (own, total) = (&row.self_time, &row.total_time);
            let significant = (own.is_significant(), total.is_significant());
            writer.serialize((place, times(own, total), &launch, significant))?;
        }
    }
    writer.flush()
}

/// The names of the columns; docs/csv.md tells what they hold.
const COLUMNS: [&str; 22] = [
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
    "self_significant",
    "total_significant",
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
        spread.cost_core_seconds,
    )
}

/// What rsamp's JSON tells of the ranks.
#[derive(Serialize)]
pub(super) struct JsonRanks<'p> {
    #[serde(flatten)]
    first: JsonLaunch<'p>,
    /// The launches that took less time.
    other_launches: Vec<JsonLaunch<'p>>,
}

#[derive(Serialize)]
struct JsonLaunch<'p> {
    launch: Option<&'p str>,
    numbers: Vec<u32>,
    whole: JsonSpread,
    functions: Vec<JsonRow<'p>>,
    lines: Vec<JsonRow<'p>>,
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
    is_significant: bool,
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
            cost_core_s: spread.cost_core_seconds,
            is_significant: spread.is_significant(),
        }
    }
}

/// `None` for a profile of less than two ranks.
pub(super) fn json<'p>(profile: &'p Profile, view: View) -> Option<JsonRanks<'p>> {
    let launches = OverRanks::of_launches(profile, view);
    let mut launches = launches.iter().map(json_launch);
    Some(JsonRanks {
        first: launches.next()?,
        other_launches: launches.collect(),
    })
}

fn json_launch<'p>(ranks: &OverRanks<'p>) -> JsonLaunch<'p> {
    let of_function =
        |r: &&FunctionSpread<'p>| json_row(r.function, None, r.self_time, r.total_time);
    let of_line =
        |r: &&LineSpread<'p>| json_row(r.function, Some(r.line), r.self_time, r.total_time);
    JsonLaunch {
        launch: ranks.launch(),
        numbers: ranks.ranks().to_vec(),
        whole: ranks.whole().into(),
        functions: ranks.functions().iter().map(of_function).collect(),
        lines: ranks.lines().iter().map(of_line).collect(),
    }
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
