//! Turns clap's errors into rsamp's words: which option, what was typed, what is allowed or meant.

use std::error::Error;

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// What is wrong with a command line, and what the user can do about it.
#[derive(Debug, PartialEq, Eq)]
pub struct Usage {
    /// In one line.
    pub message: String,
    /// Without `hint:` in front.
    pub hint: String,
}

/// From this Jaro-Winkler similarity on, of 0 to 1, one name may have been meant by another: `rat` and `rate` have 0.94,
/// `maxoverhead` and `max-overhead` 0.98, and two names that have nothing to do with each other seldom more than 0.7.
const LEAST_SIMILARITY: f64 = 0.8;

/// Says it in rsamp's words. `None`: clap's own words are good, as for help, which is an error to clap.
///
/// `rsamp` has all subcommands; `words` are those typed, the program's name first.
#[must_use]
pub fn usage(error: &clap::Error, rsamp: &clap::Command, words: &[String]) -> Option<Usage> {
    let name = words.iter().skip(1).find(|word| !word.starts_with('-'))?;
    let command = rsamp.find_subcommand(name)?;
    let (option, value) = (
        text(error, ContextKind::InvalidArg)?,
        text(error, ContextKind::InvalidValue),
    );
    match error.kind() {
        ErrorKind::UnknownArgument if option.starts_with('-') => Some(Usage {
            message: format!("rsamp {name} has no option {option}"),
            hint: meant(&option, command, rsamp),
        }),
        ErrorKind::ValueValidation => {
            let allowed = error.source()?.to_string();
            Some(invalid(name, &option, &value?, &allowed))
        }
        ErrorKind::InvalidValue => {
            let value = value.filter(|value| !value.is_empty())?;
            let allowed = match error.get(ContextKind::ValidValue)? {
                ContextValue::Strings(allowed) => format!("give {}", allowed.join(", ")),
                _ => return None,
            };
            Some(invalid(name, &option, &value, &allowed))
        }
        _ => None,
    }
}

/// `invalid --rate "0": give …`. clap calls the option `--rate <HZ>`.
fn invalid(command: &str, option: &str, value: &str, allowed: &str) -> Usage {
    // `--native[=<HZ>]` and `--rate <HZ>`, but `<PID>`.
    let ends = |it: char| it.is_whitespace() || it == '[' || it == '=';
    let option = match option.split(ends).next() {
        Some(option) if option.starts_with('-') => option,
        _ => option.split_whitespace().next().unwrap_or(option),
    };
    let option = option.trim_matches(['<', '>', '[', ']', '.']);
    Usage {
        message: format!("invalid {option} {value:?}: {allowed}"),
        hint: format!("see rsamp {command} --help"),
    }
}

fn text(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) => texts.first().cloned(),
        _ => None,
    }
}

/// What may have been meant by an option that the command does not have.
fn meant(option: &str, command: &clap::Command, rsamp: &clap::Command) -> String {
    let name = command.get_name();
    let others: Vec<String> = rsamp
        .get_subcommands()
        .filter(|other| !other.is_hide_set() && options(other).any(|known| known == option))
        .map(|other| format!("rsamp {}", other.get_name()))
        .collect();
    let place = match command.get_name() {
        "record" => "; the program's own options go behind its name",
        _ => "",
    };
    if !others.is_empty() {
        return format!("{option} is an option of {}{place}", others.join(", "));
    }
    match nearest(option, options(command)) {
        Some(nearest) => {
            format!("the nearest option is {nearest}{place}; see rsamp {name} --help")
        }
        None => format!("see rsamp {name} --help{place}"),
    }
}

/// The long option that is so like `option` that it may have been meant.
fn nearest(option: &str, options: impl Iterator<Item = String>) -> Option<String> {
    let typed = option.strip_prefix("--")?;
    let similarity = |known: &str| strsim::jaro_winkler(typed, known.trim_start_matches('-'));
    let near = options.map(|known| (similarity(&known), known));
    let near = near.filter(|(similarity, _)| *similarity >= LEAST_SIMILARITY);
    let best = near.max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.map(|(_, known)| known)
}

/// `--rate` and the like, without those that are for rsamp itself.
fn options(command: &clap::Command) -> impl Iterator<Item = String> {
    let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
    shown.filter_map(|arg| Some(format!("--{}", arg.get_long()?)))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::cli::args::Args;

    #[test]
    fn an_unknown_option_is_never_a_program() {
        let table = [
            (
                "record --rat 100 -- python x.py",
                "rsamp record has no option --rat",
                "the nearest option is --rate",
            ),
            (
                "record --from 3 python x.py",
                "rsamp record has no option --from",
                "--from is an option of rsamp report, rsamp diff",
            ),
            (
                "record --maxoverhead 3 x",
                "rsamp record has no option --maxoverhead",
                "the nearest option is --max-overhead",
            ),
            (
                "record --zebra python x.py",
                "rsamp record has no option --zebra",
                "see rsamp record --help; the program's own options go behind its name",
            ),
            (
                "record -z python x.py",
                "rsamp record has no option -z",
                "see rsamp record --help",
            ),
            (
                "record --rate 0 x",
                "invalid --rate \"0\": give 0.001 to",
                "see rsamp record --help",
            ),
            (
                "record --native=x x",
                "invalid --native \"x\": give 0.001 to 1000",
                "see rsamp record --help",
            ),
            (
                "report a --mode user",
                "invalid --mode \"user\": give wall, cpu, gil",
                "see rsamp report --help",
            ),
            (
                "dump --job x",
                "invalid --job \"x\": give the number of a job",
                "see rsamp dump --help",
            ),
            (
                "record --env A=1 x",
                "invalid --env \"A=1\": give the name of a variable without =",
                "see",
            ),
            (
                "diff a b -f gif",
                "invalid --format \"gif\": give one of flamegraph",
                "see rsamp diff --help",
            ),
        ];
        for (line, message, hint) in table {
            let words: Vec<String> = format!("rsamp {line}")
                .split(' ')
                .map(str::to_owned)
                .collect();
            let Err(error) = Args::try_parse_from(&words) else {
                panic!("{line} is right")
            };
            let said = usage(&error, &Args::command(), &words).unwrap_or_else(|| panic!("{error}"));
            assert!(said.message.starts_with(message), "{line}: {said:?}");
            assert!(said.hint.starts_with(hint), "{line}: {said:?}");
        }
    }
}
