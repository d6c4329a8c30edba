//! Turns how time is spread over ranks into the rows of rsamp's JSON.

use serde::Serialize;

use crate::profile::functions::Function;
use crate::profile::over_ranks::{FunctionSpread, LineSpread, OverRanks, Spread};
use crate::profile::{Mode, Profile};

/// What rsamp's JSON tells of the ranks.
#[derive(Serialize)]
pub(crate) struct JsonRanks<'p> {
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
pub(crate) fn ranks<'p>(profile: &'p Profile, mode: Mode) -> Option<JsonRanks<'p>> {
    let launches = OverRanks::of_launches(profile, mode);
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
