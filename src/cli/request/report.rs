//! Turns the arguments of `rsamp report` into recordings, a selection, and what to make of them.

use std::path::{Path, PathBuf};

use super::error::RequestError;
use super::filters;
use super::outputs::{drawing, named_outputs};
use crate::cli::args::{ReportArgs, TableArgs};
use crate::export::Format;
use crate::profile::filter::Selection;
use crate::run::outputs::Kind;
use crate::run::request::{ColourChoice, Files, Output, Outputs, Shown};
use crate::run::work::NativeShown;

/// How many functions are shown line by line when none is named.
const DEFAULT_TOP: usize = 5;

/// `rsamp report`, ready to be carried out.
#[derive(Debug, Clone)]
pub struct Report {
    /// The recordings, as typed: paths, or patterns that the shell did not expand.
    pub inputs: Vec<PathBuf>,
    /// What to write; `None`: a summary or tables, to standard output.
    pub outputs: Option<Outputs>,
    /// What to print in the place of the summary.
    pub tables: Tables,
    /// What to show.
    pub selection: Selection,
    /// How native frames are shown.
    pub native: NativeShown,
    /// A folder with debug files.
    pub symbols: Option<PathBuf>,
    /// Whether to print all that is known, not the first screen of it.
    pub full: bool,
    /// When to colour what is printed.
    pub colour: ColourChoice,
    /// Whether to say what was written.
    pub quiet: bool,
    /// Whether to open the page that was written in a browser.
    pub open: bool,
}

/// Which tables to print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables {
    /// The call tree.
    pub tree: bool,
    /// Functions line by line: those of these names, or the hottest.
    pub lines: Option<Vec<String>>,
    /// Their memory: that of functions of these names, or of those that likely retain most.
    pub memory: Option<Vec<String>>,
    /// The time of the asyncio tasks.
    pub tasks: bool,
    /// How many functions, when none is named.
    pub top: usize,
    /// Whether functions line by line come with all their figures and lines.
    pub is_wide: bool,
    /// Whether shares come with their confidence interval.
    pub with_confidence: bool,
}

impl Tables {
    /// Whether one is asked for.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.tree || self.tasks || self.lines.is_some() || self.memory.is_some()
    }
}

/// Builds what `rsamp report` asks for.
///
/// # Errors
/// When it cannot be carried out.
pub fn report(args: &ReportArgs) -> Result<Report, RequestError> {
    let files = files(args)?;
    let drawing = drawing(&args.drawing, args.max_size);
    let (inputs, tables) = tables(&args.files, &args.tables)?;
    Ok(Report {
        inputs,
        tables,
        outputs: files.map(|files| Outputs {
            files,
            drawing,
            shown: Shown::default(),
            force: args.force,
            scratch: false,
        }),
        selection: filters::selection(&args.filters)?,
        native: NativeShown {
            only: args.class.clone(),
            ..filters::native(&args.native_shown)
        },
        symbols: args.symbols.clone(),
        full: args.full,
        colour: args.color.into(),
        quiet: args.quiet,
        open: args.open,
    })
}

/// The files to write; `None`: none.
fn files(args: &ReportArgs) -> Result<Option<Files>, RequestError> {
    let page = Kind::Export(Format::Html);
    let named = match (args.output.as_slice(), args.format) {
        ([], None) => return Ok(args.open.then(|| Files::Default(vec![page]))),
        ([], Some(kind)) => vec![Output {
            path: PathBuf::from("-"),
            kind,
            pattern: None,
        }],
        (paths, kind) => named_outputs(paths, kind)?,
    };
    if args.open && !named.iter().any(|output| output.kind == page) {
        return Err(RequestError::NothingToOpen);
    }
    Ok(Some(Files::Named(named)))
}

/// Sorts the words behind `--lines` and `--memory` into names and recordings.
fn tables(files: &[PathBuf], args: &TableArgs) -> Result<(Vec<PathBuf>, Tables), RequestError> {
    let mut inputs = files.to_vec();
    let mut names = |words: &Option<Vec<String>>| {
        let words = words.as_ref()?.iter();
        let is_recording = |word: &&String| {
            let kind = Kind::from_path(Path::new(word));
            matches!(kind, Ok(Kind::Recording))
        };
        let (recordings, names): (Vec<_>, Vec<_>) = words.partition(is_recording);
        inputs.extend(recordings.into_iter().map(PathBuf::from));
        Some(names.into_iter().cloned().collect())
    };
    let tables = Tables {
        tree: args.tree,
        tasks: args.tasks,
        lines: names(&args.lines),
        memory: names(&args.memory),
        top: args.top.unwrap_or(DEFAULT_TOP),
        is_wide: args.wide,
        with_confidence: args.ci,
    };
    if inputs.is_empty() {
        return Err(RequestError::NoRecording);
    }
    Ok((inputs, tables))
}
