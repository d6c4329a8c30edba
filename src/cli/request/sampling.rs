//! Turns the options on sampling into rates, times and bounds.

use std::time::Duration;

use super::error::RequestError;
use crate::cli::args::SamplingArgs;
use crate::recording::size_limit::MIN_BYTES;
use crate::run::request::{
    DEFAULT_MAX_OVERHEAD, Extras, MAX_DURATION_SECONDS, MAX_RATE_HZ, MIN_RATE_HZ, Sampling,
};
use crate::sampler::{Bounds, Children, Rate, StopPolicy};

/// `children` is how they are followed, if they are.
pub(super) fn sampling(args: &SamplingArgs, children: Children) -> Result<Sampling, RequestError> {
    let rate = args.rate.as_deref().map_or(Ok(Rate::Auto), rate)?;
    let asked = args.max_overhead.as_deref().map(max_overhead).transpose()?;
    Ok(Sampling {
        rate,
        is_overhead_asked: asked.is_some(),
        max_overhead: asked.or((rate == Rate::Auto).then_some(DEFAULT_MAX_OVERHEAD)),
        duration: args.duration.as_deref().map(duration).transpose()?,
        delay: args.delay.as_deref().map(delay).transpose()?,
        stops: match (args.never_stop, args.always_stop) {
            (true, _) => StopPolicy::Never,
            (false, true) => StopPolicy::Always,
            (false, false) => StopPolicy::WhereNeeded,
        },
        children: if args.no_children {
            Children::Ignored
        } else {
            children
        },
    })
}

fn rate(text: &str) -> Result<Rate, RequestError> {
    if text == "auto" {
        return Ok(Rate::Auto);
    }
    match text.parse::<f64>() {
        Ok(hz) if (MIN_RATE_HZ..=MAX_RATE_HZ).contains(&hz) => Ok(Rate::Fixed(hz)),
        _ => Err(RequestError::BadRate(text.to_owned())),
    }
}

/// A part of one core, from per cent.
fn max_overhead(text: &str) -> Result<f64, RequestError> {
    match text.strip_suffix('%').unwrap_or(text).parse::<f64>() {
        Ok(percent) if percent > 0.0 && percent <= 100.0 => Ok(percent / 100.0),
        _ => Err(RequestError::BadOverhead(text.to_owned())),
    }
}

fn duration(text: &str) -> Result<Duration, RequestError> {
    seconds(text).ok_or_else(|| RequestError::BadDuration(text.to_owned()))
}

fn delay(text: &str) -> Result<Duration, RequestError> {
    seconds(text).ok_or_else(|| RequestError::BadDelay(text.to_owned()))
}

/// Seconds above 0.
fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.parse().ok()?;
    if !(seconds > 0.0 && seconds <= MAX_DURATION_SECONDS) {
        return None;
    }
    let duration = Duration::try_from_secs_f64(seconds).ok()?;
    (!duration.is_zero()).then_some(duration)
}

/// Between which functions to record.
pub(super) fn bounds(args: &SamplingArgs) -> Result<Bounds, RequestError> {
    let function = |option, name: &Option<String>| match name.as_deref().map(str::trim) {
        Some(name) if name.is_empty() || name.contains(char::is_whitespace) => {
            Err(RequestError::BadFunction {
                option,
                text: name.to_owned(),
            })
        }
        name => Ok(name.map(str::to_owned)),
    };
    Ok(Bounds {
        start_at: function("start-at", &args.start_at)?,
        stop_at: function("stop-at", &args.stop_at)?,
    })
}

/// `500K`, `20M`, `1G`, in powers of 1024.
fn size_bytes(text: &str) -> Result<u64, RequestError> {
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
        _ => Err(RequestError::BadSize(text.to_owned())),
    }
}

pub(super) fn extras(args: &SamplingArgs) -> Result<Extras, RequestError> {
    let is_bad = |name: &&String| name.is_empty() || name.contains('=');
    match args.env.iter().find(is_bad) {
        Some(name) => Err(RequestError::NoVariable(name.clone())),
        None => Ok(Extras {
            environment: args.env.clone(),
            source: !args.no_source,
            max_size_bytes: args.max_size.as_deref().map(size_bytes).transpose()?,
        }),
    }
}
