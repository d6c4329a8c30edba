//! Turns the options on files and drawing into what to write.

use std::path::{Path, PathBuf};

use super::error::RequestError;
use super::filters;
use crate::cli::args::{DrawingArgs, SamplingArgs};
use crate::export::{Direction, Drawing};
use crate::run::outputs::{Kind, Pattern};
use crate::run::request::{DEFAULT_KINDS, Files, Output, Outputs};

pub(super) fn outputs(args: &SamplingArgs) -> Result<Outputs, RequestError> {
    let named = args.format.as_deref().map(Kind::from_name).transpose();
    let kind = named.map_err(RequestError::Format)?;
    let files = if args.output.is_empty() {
        Files::Default(kind.map_or_else(|| DEFAULT_KINDS.to_vec(), |kind| vec![kind]))
    } else {
        let mut files = named_outputs(&args.output, kind)?;
        for file in &mut files {
            file.pattern = Pattern::with_marks(&file.path)?;
        }
        Files::Named(files)
    };
    Ok(Outputs {
        files,
        drawing: drawing(&args.drawing)?,
        shown: filters::shown(&args.shown)?,
        force: args.force,
        scratch: args.scratch,
    })
}

pub(super) fn drawing(args: &DrawingArgs) -> Result<Drawing, RequestError> {
    let default = Drawing::default();
    let percent = |option, text: &Option<String>, default| {
        text.as_deref()
            .map_or(Ok(default), |text| percent(option, text))
    };
    Ok(Drawing {
        direction: if args.icicle {
            Direction::Down
        } else {
            Direction::Up
        },
        is_reversed: args.reversed,
        by_line: args.by_line,
        merges_processes: args.merge_processes,
        node_threshold_percent: percent(
            "node-thres",
            &args.node_thres,
            default.node_threshold_percent,
        )?,
        edge_threshold_percent: percent(
            "edge-thres",
            &args.edge_thres,
            default.edge_threshold_percent,
        )?,
    })
}

fn percent(option: &'static str, text: &str) -> Result<f64, RequestError> {
    match text.trim_end_matches('%').parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        _ => Err(RequestError::BadPercent {
            option,
            text: text.to_owned(),
        }),
    }
}

pub(super) fn named_outputs(
    paths: &[PathBuf],
    kind: Option<Kind>,
) -> Result<Vec<Output>, RequestError> {
    let mut named: Vec<Output> = Vec::new();
    for path in paths {
        if named.iter().any(|output| &output.path == path) {
            return Err(RequestError::SameFileTwice(path.clone()));
        }
        named.push(output(path, kind)?);
    }
    Ok(named)
}

fn output(path: &Path, kind: Option<Kind>) -> Result<Output, RequestError> {
    let kind = match kind {
        Some(kind) => kind,
        None => Kind::from_path(path).map_err(|source| RequestError::Ending {
            path: path.to_owned(),
            source,
        })?,
    };
    Ok(Output {
        path: path.to_owned(),
        kind,
        pattern: None,
    })
}
