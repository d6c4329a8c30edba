//! Turns the arguments of `rsamp diff` into two recordings and how to compare them.

use std::path::PathBuf;

use super::error::RequestError;
use super::filters;
use crate::cli::args::DiffArgs;
use crate::export::diff::DiffFormat;
use crate::profile::diff::{Limit, Scale};
use crate::profile::filter::Selection;

/// `rsamp diff`, ready to be carried out.
#[derive(Debug, Clone)]
pub struct Diff {
    /// The recording before, as typed: a path, or a pattern that the shell did not expand.
    pub base: PathBuf,
    /// The recording after.
    pub new: PathBuf,
    /// What to write; nothing: tables, to standard output.
    pub outputs: Vec<(PathBuf, DiffFormat)>,
    /// Whether a write-protected file may be replaced.
    pub force: bool,
    /// How to compare.
    pub scale: Scale,
    /// How much slower the recording after may be.
    pub limits: Vec<Limit>,
    /// What to compare.
    pub selection: Selection,
    /// Whether to say what was written.
    pub quiet: bool,
}

/// Builds what `rsamp diff` asks for.
///
/// # Errors
/// When it cannot be carried out.
pub fn diff(args: &DiffArgs) -> Result<Diff, RequestError> {
    let named = args.format;
    let mut outputs: Vec<(PathBuf, DiffFormat)> = Vec::new();
    for path in &args.output {
        if outputs.iter().any(|(other, _)| other == path) {
            return Err(RequestError::SameFileTwice(path.clone()));
        }
        let format = match named {
            Some(format) => format,
            None => DiffFormat::from_path(path).map_err(RequestError::DiffFormat)?,
        };
        outputs.push((path.clone(), format));
    }
    if let (Some(format), true) = (named, outputs.is_empty()) {
        outputs.push((PathBuf::from("-"), format));
    }
    if args.normalize && args.fail_if.iter().any(Limit::is_for_all) {
        return Err(RequestError::LimitOfScaledTime);
    }
    Ok(Diff {
        base: args.base.clone(),
        new: args.new.clone(),
        outputs,
        force: args.force,
        scale: if args.normalize {
            Scale::Normalized
        } else {
            Scale::Seconds
        },
        limits: args.fail_if.clone(),
        selection: filters::selection(&args.filters)?,
        quiet: args.quiet,
    })
}
