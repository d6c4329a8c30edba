//! Turns the options on files and drawing into what to write.

use std::path::{Path, PathBuf};

use super::error::RequestError;
use super::filters;
use crate::cli::args::{DrawingArgs, SamplingArgs};
use crate::export::{Direction, Drawing, Lines};
use crate::run::outputs::{Kind, Pattern};
use crate::run::request::{DEFAULT_KINDS, Files, Output, Outputs, Shown};

pub(super) fn outputs(args: &SamplingArgs) -> Result<Outputs, RequestError> {
    let kind = args.format;
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
        drawing: drawing(&args.drawing, args.max_size),
        shown: Shown {
            native: filters::native(&args.native_shown),
            ..filters::shown(&args.shown)
        },
        force: args.force,
        scratch: args.scratch,
    })
}

/// `max_page_bytes`: what `--max-size` says, if anything.
pub(super) fn drawing(args: &DrawingArgs, max_page_bytes: Option<u64>) -> Drawing {
    let default = Drawing::default();
    Drawing {
        direction: match args.flames {
            true => Direction::Up,
            false => Direction::Down,
        },
        is_reversed: args.reversed,
        lines: match (args.by_line, args.merge_lines) {
            (true, _) => Lines::All,
            (false, true) => Lines::Merged,
            (false, false) => Lines::default(),
        },
        by_thread: args.by_thread,
        by_process: args.by_process,
        by_task: args.by_task,
        merges_processes: args.merge_processes,
        node_threshold_percent: args.node_thres.unwrap_or(default.node_threshold_percent),
        edge_threshold_percent: args.edge_thres.unwrap_or(default.edge_threshold_percent),
        max_page_bytes: max_page_bytes.unwrap_or(default.max_page_bytes),
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
