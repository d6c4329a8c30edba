//! Turns [`Args`](super::args::Args) as typed into requests that can be carried out; touches nothing outside.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use super::args::{AttachArgs, DumpArgs, RecordArgs, SamplingArgs, TargetArgs};
use crate::export::{Format, UnknownFormat};
use crate::process::Pid;
use crate::sampler::{Rate, Stops};

/// The clock's resolution: a tick each nanosecond. No machine holds a thousandth of it.
pub const MAX_RATE_HZ: f64 = 1e9;
/// Less than one sample in 1000 seconds profiles nothing.
pub const MIN_RATE_HZ: f64 = 0.001;
/// The part of one core that rsamp may use when neither that nor a rate is asked for.
pub const DEFAULT_MAX_OVERHEAD: f64 = 0.01;
/// About 31 years: far above any run, far below where time arithmetic overflows.
pub const MAX_DURATION_SECONDS: f64 = 1e9;

/// `rsamp record`, ready to be carried out.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The program and its arguments; never empty.
    pub command: Vec<OsString>,
    /// How to sample.
    pub sampling: Sampling,
    /// What to write.
    pub outputs: Outputs,
    /// When to draw progress.
    pub progress: ProgressWish,
    /// Whether to print the summary.
    pub quiet: bool,
}

/// `rsamp attach`, ready to be carried out.
#[derive(Debug, Clone, PartialEq)]
pub struct Attach {
    /// The process.
    pub pid: Pid,
    /// How to sample.
    pub sampling: Sampling,
    /// What to write.
    pub outputs: Outputs,
    /// When to draw progress.
    pub progress: ProgressWish,
    /// Whether to print the summary.
    pub quiet: bool,
}

/// `rsamp dump`, ready to be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dump {
    /// The process.
    pub pid: Pid,
    /// What to print.
    pub form: DumpForm,
}

/// The form of a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DumpForm {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// How to sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// How often; within [`MIN_RATE_HZ`] and [`MAX_RATE_HZ`].
    pub rate: Rate,
    /// The part of one core that rsamp may use, above 0 and up to 1; `None`: as much as the rate takes.
    pub max_overhead: Option<f64>,
    /// When to stop sampling; `None`: when the target ends.
    pub duration: Option<Duration>,
    /// When a thread of the target may be stopped.
    pub stops: Stops,
}

/// When to draw a line of progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgressWish {
    /// Never.
    Never,
    /// When standard error is a terminal that the profiled program does not write to.
    OwnTerminal,
    /// Whenever standard error is a terminal.
    AnyTerminal,
}

/// What to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outputs {
    /// Which files.
    pub files: Files,
    /// Whether an existing file may be overwritten although the user did not name it.
    pub force: bool,
}

/// Which files to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Files {
    /// `NAME-PID` with the ending of each format, in the current folder.
    Default(Vec<Format>),
    /// The files that were named.
    Named(Vec<Output>),
}

/// A file that the user named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Where; `-` is standard output.
    pub path: PathBuf,
    /// What.
    pub format: Format,
}

/// Why a command line cannot be carried out.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RequestError {
    /// `rsamp record --pid 4242 …`.
    #[error("`record` starts a program and takes no --pid")]
    RecordWithPid {
        /// What was typed behind `--pid`.
        pid: String,
    },
    /// `rsamp attach --pid 4242 python x.py`.
    #[error("`{subcommand}` reads a running process and takes no command: {words}")]
    PidAndCommand {
        /// `attach` or `dump`.
        subcommand: &'static str,
        /// The words too many.
        words: String,
    },
    /// The PID is no number, or none that a process can have.
    #[error("{0:?} is no process id: a whole number above 0")]
    NoPid(String),
    /// The rate is no number, or none that can be kept.
    #[error("{0:?} is no rate: samples per second, from {MIN_RATE_HZ} to {MAX_RATE_HZ}, or auto")]
    BadRate(String),
    /// The overhead is no number, or no part of a core.
    #[error("{0:?} is no overhead: per cent of one core, above 0 and up to 100, such as 1 or 0.5")]
    BadOverhead(String),
    /// The duration is no number, or not positive.
    #[error("{0:?} is no duration: seconds above 0, such as 30 or 2.5")]
    BadDuration(String),
    /// The ending of a file stands for no format.
    #[error("choose a format for {path:?}")]
    Ending {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: UnknownFormat,
    },
    /// `-f` names nothing known.
    #[error("read --format")]
    Format(#[source] UnknownFormat),
    /// The same file twice.
    #[error("{0:?} is named twice with --output")]
    SameFileTwice(PathBuf),
    /// There is no command at all, or an empty word for one.
    #[error("no command to run")]
    NoCommand,
}

/// Builds what `rsamp record` asks for.
///
/// # Errors
/// When it cannot be carried out.
pub fn record(args: &RecordArgs) -> Result<Record, RequestError> {
    if let Some(pid) = &args.pid {
        return Err(RequestError::RecordWithPid { pid: pid.clone() });
    }
    if args.command.is_empty() {
        return Err(RequestError::NoCommand);
    }
    Ok(Record {
        command: args.command.clone(),
        sampling: sampling(&args.sampling)?,
        outputs: outputs(&args.sampling)?,
        progress: match (args.sampling.quiet, args.progress) {
            (true, _) => ProgressWish::Never,
            (false, true) => ProgressWish::AnyTerminal,
            (false, false) => ProgressWish::OwnTerminal,
        },
        quiet: args.sampling.quiet,
    })
}

/// Builds what `rsamp attach` asks for.
///
/// # Errors
/// When it cannot be carried out.
pub fn attach(args: &AttachArgs) -> Result<Attach, RequestError> {
    Ok(Attach {
        pid: target("attach", &args.target)?,
        sampling: sampling(&args.sampling)?,
        outputs: outputs(&args.sampling)?,
        progress: if args.sampling.quiet {
            ProgressWish::Never
        } else {
            ProgressWish::AnyTerminal
        },
        quiet: args.sampling.quiet,
    })
}

/// Builds what `rsamp dump` asks for.
///
/// # Errors
/// When it cannot be carried out.
pub fn dump(args: &DumpArgs) -> Result<Dump, RequestError> {
    Ok(Dump {
        pid: target("dump", &args.target)?,
        form: if args.json {
            DumpForm::Json
        } else {
            DumpForm::Text
        },
    })
}

fn target(subcommand: &'static str, args: &TargetArgs) -> Result<Pid, RequestError> {
    let (pid, surplus) = match (&args.pid, args.words.as_slice()) {
        (Some(pid), words) => (pid.clone(), words),
        (None, [pid, words @ ..]) => (pid.to_string_lossy().into_owned(), words),
        (None, []) => return Err(RequestError::NoPid(String::new())),
    };
    if !surplus.is_empty() {
        let words: Vec<_> = surplus.iter().map(|word| word.to_string_lossy()).collect();
        return Err(RequestError::PidAndCommand {
            subcommand,
            words: words.join(" "),
        });
    }
    match pid.parse::<i32>() {
        Ok(number) if number > 0 => Ok(Pid(number)),
        _ => Err(RequestError::NoPid(pid)),
    }
}

fn sampling(args: &SamplingArgs) -> Result<Sampling, RequestError> {
    let rate = args.rate.as_deref().map_or(Ok(Rate::Auto), rate)?;
    let asked = args.max_overhead.as_deref().map(max_overhead).transpose()?;
    Ok(Sampling {
        rate,
        max_overhead: asked.or((rate == Rate::Auto).then_some(DEFAULT_MAX_OVERHEAD)),
        duration: args.duration.as_deref().map(duration).transpose()?,
        stops: match (args.never_stop, args.always_stop) {
            (true, _) => Stops::Never,
            (false, true) => Stops::Always,
            (false, false) => Stops::LastResort,
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
    let bad = || RequestError::BadDuration(text.to_owned());
    let seconds: f64 = text.parse().map_err(|_| bad())?;
    if !(seconds > 0.0 && seconds <= MAX_DURATION_SECONDS) {
        return Err(bad());
    }
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(bad()),
    }
}

fn outputs(args: &SamplingArgs) -> Result<Outputs, RequestError> {
    let format = args
        .format
        .as_deref()
        .map(Format::from_name)
        .transpose()
        .map_err(RequestError::Format)?;
    let files = if args.output.is_empty() {
        Files::Default(format.map_or_else(
            || vec![Format::FlameGraph, Format::Pstats],
            |format| vec![format],
        ))
    } else {
        let mut named: Vec<Output> = Vec::new();
        for path in &args.output {
            if named.iter().any(|output| &output.path == path) {
                return Err(RequestError::SameFileTwice(path.clone()));
            }
            named.push(output(path, format)?);
        }
        Files::Named(named)
    };
    Ok(Outputs {
        files,
        force: args.force,
    })
}

fn output(path: &Path, format: Option<Format>) -> Result<Output, RequestError> {
    let format = match format {
        Some(format) => format,
        None => Format::from_path(path).map_err(|source| RequestError::Ending {
            path: path.to_owned(),
            source,
        })?,
    };
    Ok(Output {
        path: path.to_owned(),
        format,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args::{Args, Command};

    /// What the words `rsamp …` ask for, or the error's text.
    fn build(line: &str) -> Result<String, String> {
        let args = Args::try_parse_from(line.split_whitespace())
            .map_err(|error| error.kind().to_string())?;
        let built = match args.command {
            Command::Record(args) => record(&args).map(|request| format!("{request:?}")),
            Command::Attach(args) => attach(&args).map(|request| format!("{request:?}")),
            Command::Dump(args) => dump(&args).map(|request| format!("{request:?}")),
            Command::Completions(_) => Ok(String::new()),
        };
        built.map_err(|error| format!("{:#}", anyhow::Error::new(error)))
    }

    #[test]
    fn a_right_line_becomes_a_request() {
        let table: &[(&str, &[&str])] = &[
            (
                "rsamp record -- python x.py -o y",
                &[r#"["python", "x.py", "-o", "y"]"#, "rate: Auto"],
            ),
            (
                "rsamp record python x.py -r 5",
                &[r#"["python", "x.py", "-r", "5"]"#, "rate: Auto"],
            ),
            (
                "rsamp record -r 0.5 -d 2.5 x",
                &[
                    "rate: Fixed(0.5), max_overhead: None",
                    "duration: Some(2.5s)",
                    r#"["x"]"#,
                ],
            ),
            ("rsamp record -- -odd-name", &[r#"["-odd-name"]"#]),
            (
                "rsamp record x",
                &[
                    "Default([FlameGraph, Pstats])",
                    "force: false",
                    "OwnTerminal",
                    "quiet: false",
                ],
            ),
            ("rsamp record -f folded x", &["Default([Folded])"]),
            (
                "rsamp record --force --quiet x",
                &["force: true", "Never", "quiet: true"],
            ),
            ("rsamp record --progress x", &["AnyTerminal"]),
            (
                "rsamp record -o a.svg -o b.pstats x",
                &[
                    r#"Named([Output { path: "a.svg", format: FlameGraph }, Output { path: "b.pstats", format: Pstats }])"#,
                ],
            ),
            (
                "rsamp record -o a.svg -o b -f folded x",
                &[r#""a.svg", format: Folded"#, r#""b", format: Folded"#],
            ),
            (
                "rsamp record -f SVG -o - x",
                &[r#""-", format: FlameGraph"#],
            ),
            ("rsamp attach 42", &["pid: Pid(42)", "AnyTerminal"]),
            (
                "rsamp attach --pid 42 -d 3 -o a.txt",
                &["pid: Pid(42)", "duration: Some(3s)", "format: Text"],
            ),
            ("rsamp attach -p 42 -q", &["pid: Pid(42)", "Never"]),
            (
                "rsamp attach 42 -d 3",
                &["pid: Pid(42)", "duration: Some(3s)"],
            ),
            ("rsamp attach -r 1000000 42", &["Fixed(1000000.0)"]),
            ("rsamp attach -r 1e9 42", &["Fixed(1000000000.0)"]),
            (
                "rsamp attach -r auto 42",
                &["rate: Auto, max_overhead: Some(0.01)"],
            ),
            (
                "rsamp attach --max-overhead 0.5 42",
                &["rate: Auto, max_overhead: Some(0.005)"],
            ),
            (
                "rsamp attach -r 100 --max-overhead 100% 42",
                &["rate: Fixed(100.0), max_overhead: Some(1.0)"],
            ),
            ("rsamp dump --json 42", &["Pid(42)", "Json"]),
            ("rsamp dump --pid=42", &["Pid(42)", "Text"]),
        ];
        for (line, expected) in table {
            let built = build(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            for part in *expected {
                assert!(built.contains(part), "{line}: no {part} in {built}");
            }
        }
    }

    #[test]
    fn a_wrong_line_says_why() {
        let table = [
            ("rsamp record --pid 42 -- python x.py", "takes no --pid"),
            ("rsamp record --pid 42", "takes no --pid"),
            (
                "rsamp attach --pid 42 -- python x.py",
                "takes no command: python x.py",
            ),
            (
                "rsamp attach 42 python x.py",
                "takes no command: python x.py",
            ),
            (
                "rsamp dump 42 43",
                "`dump` reads a running process and takes no command: 43",
            ),
            ("rsamp attach 0", "\"0\" is no process id"),
            ("rsamp attach -- -42", "\"-42\" is no process id"),
            ("rsamp attach --pid -42", "\"-42\" is no process id"),
            ("rsamp attach scatter.py", "\"scatter.py\" is no process id"),
            (
                "rsamp attach 99999999999",
                "\"99999999999\" is no process id",
            ),
            (
                "rsamp record -r 0 x",
                "\"0\" is no rate: samples per second, from 0.001 to 1000000000, or auto",
            ),
            ("rsamp record -r -5 x", "\"-5\" is no rate"),
            ("rsamp record -r NaN x", "\"NaN\" is no rate"),
            ("rsamp record -r inf x", "\"inf\" is no rate"),
            ("rsamp record -r 1000000001 x", "\"1000000001\" is no rate"),
            ("rsamp record --rate= x", "\"\" is no rate"),
            ("rsamp record -r 1e-300 x", "\"1e-300\" is no rate"),
            ("rsamp record -r fast x", "\"fast\" is no rate"),
            (
                "rsamp record --max-overhead 0 x",
                "\"0\" is no overhead: per cent of one core, above 0 and up to 100",
            ),
            ("rsamp record --max-overhead -1 x", "\"-1\" is no overhead"),
            (
                "rsamp record --max-overhead 101 x",
                "\"101\" is no overhead",
            ),
            (
                "rsamp record --max-overhead NaN x",
                "\"NaN\" is no overhead",
            ),
            (
                "rsamp record --max-overhead inf x",
                "\"inf\" is no overhead",
            ),
            (
                "rsamp record --max-overhead low x",
                "\"low\" is no overhead",
            ),
            ("rsamp record -d 0 x", "\"0\" is no duration"),
            ("rsamp record -d -1 x", "\"-1\" is no duration"),
            ("rsamp record -d NaN x", "\"NaN\" is no duration"),
            ("rsamp record -d 1e300 x", "\"1e300\" is no duration"),
            ("rsamp record -d 1e-300 x", "\"1e-300\" is no duration"),
            (
                "rsamp record -o a.png x",
                "choose a format for \"a.png\": unknown ending .png: known are .svg (flamegraph), .pstats",
            ),
            (
                "rsamp record -o a x",
                "\"a\": no ending that names a format",
            ),
            (
                "rsamp record -f png x",
                "--format: unknown format png: known are .svg (flamegraph)",
            ),
            (
                "rsamp record -o a.svg -o a.svg x",
                "\"a.svg\" is named twice",
            ),
            ("rsamp record --output= -f svg x", "isn't valid"),
            ("rsamp record", "required"),
            ("rsamp attach", "required"),
            ("rsamp record --progress --quiet x", "cannot be used with"),
        ];
        for (line, expected) in table {
            let error = build(line).expect_err(line);
            assert!(
                error.contains(expected),
                "{line}: no {expected:?} in {error:?}"
            );
        }
    }
}
