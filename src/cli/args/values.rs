//! Turns the text of one option's value into the value, or into what is allowed instead.
//!
//! clap calls these for each value; [`usage`](crate::cli::errors::usage) puts the option and what was typed before
//! the text of an error.

use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::{Arg, Command};
use regex::Regex;

use crate::export::Format;
use crate::export::diff::DiffFormat;
use crate::launch::JobName;
use crate::native::classes::{Classes, MAX_TABLE_BYTES};
use crate::process::{Pid, open_regular};
use crate::profile::diff::Limit;
use crate::profile::event::{Nanos, State};
use crate::profile::filter::{Name, Ranks, StepName};
use crate::recording::size_limit::MIN_BYTES;
use crate::run::outputs::Kind;
use crate::run::request::{MAX_DURATION_SECONDS, MAX_NATIVE_HZ, MAX_RATE_HZ, MIN_RATE_HZ};
use crate::sampler::{NativeRate, Rate};

/// A table of classes of native work, in a file.
///
/// # Errors
/// When the file can't be read, or with the line that is not a rule.
pub fn classes(path: &str) -> Result<Classes, String> {
    let mut table = String::new();
    let file = open_regular(Path::new(path)).map_err(|error| error.to_string())?;
    let read = file
        .take(MAX_TABLE_BYTES as u64 + 1)
        .read_to_string(&mut table);
    read.map_err(|error| error.to_string())?;
    Classes::parse(&table).map_err(|error| error.to_string())
}

/// What is allowed in the place of what was typed.
type Allowed = String;

/// A value of which the words that stand for one are known: completions offer them.
#[derive(Debug, Clone)]
pub struct Words<T> {
    known: fn() -> Vec<&'static str>,
    parse: fn(&str) -> Result<T, Allowed>,
}

impl<T: Clone + Send + Sync + 'static> TypedValueParser for Words<T> {
    type Value = T;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<T, clap::Error> {
        self.parse.parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new((self.known)().into_iter().map(PossibleValue::new)))
    }
}

/// `--format` of a recording or a report.
pub fn kind() -> Words<Kind> {
    Words {
        known: || {
            let names = Format::ALL.iter().map(|format| format.name());
            [Kind::Recording.ending()]
                .into_iter()
                .chain(names)
                .collect()
        },
        parse: |text| Kind::from_name(text).map_err(|_| format!("give one of {}", Kind::known())),
    }
}

/// `--format` of a diff.
pub fn diff_format() -> Words<DiffFormat> {
    fn names() -> Vec<&'static str> {
        DiffFormat::ALL.map(DiffFormat::name).to_vec()
    }
    Words {
        known: names,
        parse: |text| {
            let names = names().join(", ");
            DiffFormat::from_name(text).map_err(|_| format!("give one of {names}"))
        },
    }
}

/// The states that one word of `--state` stands for.
#[derive(Debug, Clone)]
pub struct States(pub Vec<State>);

/// `--state`.
pub fn states() -> Words<States> {
    const BLOCKED: &str = "blocked";
    fn known() -> Vec<&'static str> {
        State::ALL
            .map(State::word)
            .into_iter()
            .chain([BLOCKED])
            .collect()
    }
    Words {
        known,
        parse: |text| {
            let is_meant = |state: &State| match text {
                BLOCKED => state.is_blocked(),
                word => word.eq_ignore_ascii_case(state.word()),
            };
            let states: Vec<State> = State::ALL.into_iter().filter(is_meant).collect();
            match states.is_empty() {
                true => Err(format!("give one or more of {}", known().join(", "))),
                false => Ok(States(states)),
            }
        },
    }
}

/// `--rate`: samples per second.
///
/// # Errors
/// What is allowed, here as below.
pub fn rate(text: &str) -> Result<Rate, Allowed> {
    if text == "auto" {
        return Ok(Rate::Auto);
    }
    match text.parse::<f64>() {
        Ok(hz) if (MIN_RATE_HZ..=MAX_RATE_HZ).contains(&hz) => Ok(Rate::Fixed(hz)),
        _ => Err(format!(
            "give {MIN_RATE_HZ} to {MAX_RATE_HZ} samples per second, or auto"
        )),
    }
}

/// `--native`: how often native frames are read, `auto` where no number is given.
pub fn native_rate(text: &str) -> Result<NativeRate, Allowed> {
    if text == "auto" {
        return Ok(NativeRate::Usual);
    }
    match text.parse::<f64>() {
        Ok(hz) if (MIN_RATE_HZ..=MAX_NATIVE_HZ).contains(&hz) => Ok(NativeRate::Fixed(hz)),
        _ => Err(format!(
            "give {MIN_RATE_HZ} to {MAX_NATIVE_HZ} times per second, or auto"
        )),
    }
}

/// `--max-overhead`: a part of one core, from per cent.
pub fn overhead(text: &str) -> Result<f64, Allowed> {
    match text.strip_suffix('%').unwrap_or(text).parse::<f64>() {
        Ok(percent) if percent > 0.0 && percent <= 100.0 => Ok(percent / 100.0),
        _ => Err("give a percentage of one core above 0 and up to 100, such as 1 or 0.5".into()),
    }
}

/// `--duration` and `--delay`: seconds above 0.
pub fn seconds(text: &str) -> Result<Duration, Allowed> {
    let allowed =
        || format!("give seconds above 0 and up to {MAX_DURATION_SECONDS}, such as 30 or 2.5");
    let seconds = text.parse::<f64>().ok();
    let seconds = seconds.filter(|seconds| *seconds > 0.0 && *seconds <= MAX_DURATION_SECONDS);
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration
        .filter(|duration| !duration.is_zero())
        .ok_or_else(allowed)
}

/// `--from` and `--to`: a time since the start of the recording, in seconds.
pub fn moment(text: &str) -> Result<Nanos, Allowed> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=MAX_DURATION_SECONDS).contains(&seconds) => {
            Ok(Nanos((seconds * 1e9).round() as u64))
        }
        _ => Err(format!(
            "give seconds since the start, from 0 to {MAX_DURATION_SECONDS}"
        )),
    }
}

/// `--start-at` and `--stop-at`: a function.
pub fn function(text: &str) -> Result<String, Allowed> {
    let name = text.trim();
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err("give the name of one function, such as solve or Solver.solve".into());
    }
    Ok(name.to_owned())
}

/// `--env`: a variable's name.
pub fn variable(text: &str) -> Result<String, Allowed> {
    match text {
        "" => Err("give the name of a variable".into()),
        text if text.contains('=') => Err(
            "give the name of a variable without =; the value is read from the program's environment"
                .into(),
        ),
        text => Ok(text.to_owned()),
    }
}

/// `--max-size`: `500K`, `20M` or `1G`, in powers of 1024, as bytes.
pub fn size(text: &str) -> Result<u64, Allowed> {
    let units = [("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30)];
    let upper = text.trim().to_ascii_uppercase();
    let upper = upper
        .strip_suffix("IB")
        .or(upper.strip_suffix('B'))
        .unwrap_or(&upper);
    let unit = units
        .into_iter()
        .find_map(|(unit, bytes)| Some((upper.strip_suffix(unit)?, bytes)));
    let (number, unit) = unit.unwrap_or((upper, 1_u64));
    let bytes = number
        .parse::<f64>()
        .ok()
        .map(|number| number * unit as f64);
    match bytes {
        Some(bytes) if (MIN_BYTES as f64..1e18).contains(&bytes) => Ok(bytes as u64),
        _ => Err(format!(
            "give a size of at least {}K, such as 500K, 20M or 1G",
            MIN_BYTES >> 10
        )),
    }
}

/// `--node-thres` and `--edge-thres`.
pub fn percent(text: &str) -> Result<f64, Allowed> {
    match text.trim_end_matches('%').parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        _ => Err("give a percentage from 0 to 100".into()),
    }
}

/// `--fail-if`.
pub fn limit(text: &str) -> Result<Limit, Allowed> {
    Limit::new(text).map_err(|error| error.to_string())
}

/// `--top`.
pub fn count(text: &str) -> Result<usize, Allowed> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("give a whole number from 1 on".into()),
    }
}

/// `--pid`.
pub fn pid(text: &str) -> Result<Pid, Allowed> {
    match text.parse::<i32>() {
        Ok(number) if number > 0 => Ok(Pid(number)),
        _ => Err("give a whole number above 0".into()),
    }
}

/// `--job`.
pub fn job(text: &str) -> Result<JobName, Allowed> {
    text.parse()
        .map_err(|_| "give the number of a job, or of a step, such as 4242 or 4242.0".into())
}

/// `--ranks` and `--rank`: one number or run of numbers.
pub fn ranks(text: &str) -> Result<Ranks, Allowed> {
    Ranks::new(text).map_err(|error| error.to_string())
}

/// `--function` and `--focus`.
pub fn regex(text: &str) -> Result<Regex, Allowed> {
    Regex::new(text).map_err(|error| format!("give a regular expression: {error}"))
}

/// `--thread` and `--process`.
pub fn name(text: &str) -> Result<Name, Allowed> {
    Name::new(text).map_err(not_a_pattern)
}

/// `--step`.
pub fn step(text: &str) -> Result<StepName, Allowed> {
    StepName::new(text).map_err(not_a_pattern)
}

/// `--task`: a pattern of names.
pub fn name_pattern(text: &str) -> Result<glob::Pattern, Allowed> {
    glob::Pattern::new(text).map_err(not_a_pattern)
}

/// `--hide`: a pattern of paths.
pub fn path_pattern(text: &str) -> Result<glob::Pattern, Allowed> {
    glob::Pattern::new(text).map_err(not_a_pattern)
}

fn not_a_pattern(error: glob::PatternError) -> Allowed {
    format!("give a name or a pattern: {error}")
}
