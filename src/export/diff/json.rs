//! Turns what differs between two recordings into JSON, for scripts.
//!
//! ```json
//! {"schema": 1, "mode": "wall", "view": "wall", "normalized": false,
//!  "base": {"name": "base.rsamp", "seconds": 10.0, "time_seconds": 9.8, "samples": 9800, "lost": {"late": 3}},
//!  "new": {…},
//!  "functions": [
//!    {"base": {"name": "solve", "file": "/srv/solver.py", "first_line": 3}, "new": {…},
//!     "self": {"base_seconds": 3.0, "base_share": 0.3, "new_seconds": 4.0, "new_share": 0.4,
//!              "change_seconds": 1.0, "error_seconds": 0.1, "p_value": 0.0, "beyond_noise": true},
//!     "total": {…}}],
//!  "lines": [
//!    {"base": {"name": "solve", "file": "/srv/solver.py", "first_line": 3, "line": 5}, "new": {…},
//!     "self": {…}, "total": {…}}],
//!  "verdict": {"outcome": "failed", "limits": [
//!    {"limit": "solve:+5%", "outcome": "failed", "compared": [
//!      {"function": {"name": "solve", "file": "/srv/solver.py", "first_line": 3}, "outcome": "failed", "growth": 0.33,
//!       "time": {…}}]}]}}
//! ```
//!
//! `verdict` is null without `--fail-if`. An `outcome` is `passed`, `failed`, or `undecided` where the recordings are too short
//! to tell; `growth` is what was added, as a part of the time before; `function` is null for the time of all threads.
//! `seconds` is how long the recording lasted, `time_seconds` the time of all threads in this mode. `view` is the older key of `mode`.
//! What is not known or not there is null. Fields may be added; none is removed or renamed without
//! a new number of the schema.

use std::collections::BTreeMap;
use std::io;

use serde::Serialize;

use crate::profile::Profile;
use crate::profile::diff::{Change, Diff, Growth, Outcome, Scale, Verdict};
use crate::profile::functions::Function;

use super::Names;

/// Writes the object and a line feed.
///
/// # Errors
/// When `out` fails.
pub(super) fn write(
    diff: &Diff<'_>,
    names: &Names,
    verdicts: &[Verdict<'_>],
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let functions = diff.functions().into_iter().map(|row| Row {
        base: row.base.map(FunctionRef::of_function),
        new: row.new.map(FunctionRef::of_function),
        self_time: Times::of(&row.self_time),
        total_time: Times::of(&row.total_time),
    });
    let lines = diff.lines().into_iter().map(|row| Row {
        base: row.base.map(FunctionRef::of_line),
        new: row.new.map(FunctionRef::of_line),
        self_time: Times::of(&row.self_time),
        total_time: Times::of(&row.total_time),
    });
    let document = Document {
        schema: 1,
        mode: diff.mode().to_string(),
        view: diff.mode().to_string(),
        normalized: diff.scale() == Scale::Normalized,
        base: recording(&names.base, diff.base(), diff),
        new: recording(&names.new, diff.new_profile(), diff),
        functions: functions.collect(),
        lines: lines.collect(),
        verdict: VerdictObject::of(verdicts),
    };
    serde_json::to_writer(&mut *out, &document)?;
    out.write_all(b"\n")
}

#[derive(Debug, Serialize)]
struct Document<'p> {
    schema: u32,
    mode: String,
    /// The older key of `mode`.
    view: String,
    normalized: bool,
    base: Recording<'p>,
    new: Recording<'p>,
    functions: Vec<Row<'p>>,
    lines: Vec<Row<'p>>,
    verdict: Option<VerdictObject<'p>>,
}

#[derive(Debug, Serialize)]
struct Recording<'p> {
    name: &'p str,
    seconds: f64,
    time_seconds: f64,
    samples: u64,
    lost: BTreeMap<String, u64>,
}

#[derive(Debug, Serialize)]
struct Row<'p> {
    base: Option<FunctionRef<'p>>,
    new: Option<FunctionRef<'p>>,
    #[serde(rename = "self")]
    self_time: Times,
    #[serde(rename = "total")]
    total_time: Times,
}

#[derive(Debug, Serialize)]
struct FunctionRef<'p> {
    name: &'p str,
    file: Option<&'p str>,
    first_line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<Option<u32>>,
}

#[derive(Debug, Serialize)]
struct Times {
    base_seconds: f64,
    base_share: f64,
    new_seconds: f64,
    new_share: f64,
    change_seconds: f64,
    /// serde_json writes what is not finite as null.
    error_seconds: f64,
    p_value: f64,
    beyond_noise: bool,
}

impl Times {
    fn of(change: &Change) -> Times {
        Times {
            base_seconds: change.base.seconds,
            base_share: change.base.share,
            new_seconds: change.new.seconds,
            new_share: change.new.share,
            change_seconds: change.seconds(),
            error_seconds: change.error_seconds,
            p_value: change.p_value,
            beyond_noise: change.is_beyond_noise,
        }
    }
}

impl<'p> FunctionRef<'p> {
    fn of_function(function: Function<'p>) -> FunctionRef<'p> {
        FunctionRef {
            name: function.name,
            file: function.file,
            first_line: function.first_line,
            line: None,
        }
    }

    fn of_line((function, line): (Function<'p>, Option<u32>)) -> FunctionRef<'p> {
        FunctionRef {
            line: Some(line),
            ..FunctionRef::of_function(function)
        }
    }
}

/// What came of all limits, and of each.
#[derive(Debug, Serialize)]
struct VerdictObject<'p> {
    outcome: &'static str,
    limits: Vec<LimitObject<'p>>,
}

#[derive(Debug, Serialize)]
struct LimitObject<'p> {
    limit: &'p str,
    outcome: &'static str,
    compared: Vec<GrowthObject<'p>>,
}

#[derive(Debug, Serialize)]
struct GrowthObject<'p> {
    function: Option<FunctionRef<'p>>,
    outcome: &'static str,
    growth: f64,
    time: Times,
}

impl<'p> VerdictObject<'p> {
    /// `None` where there are no limits.
    fn of(verdicts: &'p [Verdict<'p>]) -> Option<VerdictObject<'p>> {
        let limits = verdicts.iter().map(|verdict| LimitObject {
            limit: verdict.limit.text(),
            outcome: verdict.outcome().word(),
            compared: verdict.compared.iter().map(GrowthObject::of).collect(),
        });
        Some(VerdictObject {
            outcome: Outcome::of_all(verdicts)?.word(),
            limits: limits.collect(),
        })
    }
}

impl<'p> GrowthObject<'p> {
    fn of(growth: &Growth<'p>) -> GrowthObject<'p> {
        GrowthObject {
            function: growth.function.map(FunctionRef::of_function),
            outcome: growth.outcome.word(),
            growth: growth.growth,
            time: Times::of(&growth.change),
        }
    }
}

fn recording<'p>(name: &'p str, profile: &Profile, diff: &Diff<'_>) -> Recording<'p> {
    let lost = profile.lost().iter();
    Recording {
        name,
        seconds: profile.duration().seconds(),
        time_seconds: profile.totals().time(diff.mode()).seconds(),
        samples: profile.totals().samples,
        lost: lost
            .map(|(cause, count)| (cause.to_string(), *count))
            .collect(),
    }
}
