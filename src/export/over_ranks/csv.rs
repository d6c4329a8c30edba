//! Turns how time is spread over ranks into comma-separated values.

use std::io;

use serde::Serialize;

use crate::export::ReportInput;
use crate::export::csv::clean;
use crate::export::spec::Spec;
use crate::profile::functions::Function;
use crate::profile::over_ranks::{OverRanks, Spread};

/// A table of functions and lines over the ranks.
pub(crate) const RANKS_CSV: Spec = Spec::new(
    "ranks-csv",
    &["ranks.csv"],
    "table of ranks, for spreadsheets and pandas",
    write,
);

/// Writes the functions and lines as comma-separated values: a header alone for a profile of less than two
/// ranks.
///
/// # Errors
/// When `out` fails.
fn write(input: &ReportInput<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let profile = input.profile;
    let meta = input.meta;
    let mut writer = csv::WriterBuilder::new()
        .has_headers(false)
        .from_writer(out);
    writer.write_record(COLUMNS)?;
    for ranks in OverRanks::of_launches(profile, meta.mode) {
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
