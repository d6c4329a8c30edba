//! The table of file formats, and what a file's ending or a name stands for in it.

use std::fmt;
use std::path::Path;

use thiserror::Error;

use super::spec::Spec;
use super::*;

/// Makes the list of formats: a line for each, with the [`Spec`] in the file that writes it.
macro_rules! formats {
    ($($(#[$doc:meta])* $name:ident => $spec:path,)*) => {
        /// A file format.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Format {
            $($(#[$doc])* $name,)*
        }

        impl Format {
            /// All formats, in the order in which they are listed to the user.
            pub const ALL: &'static [Format] = &[$(Format::$name),*];

            pub(super) fn spec(self) -> &'static Spec {
                match self {
                    $(Format::$name => &$spec,)*
                }
            }
        }
    };
}

formats! {
    /// An interactive flame graph.
    FlameGraph => flamegraph::FLAME_GRAPH,
    /// One page with everything, for a browser.
    Html => html::HTML,
    /// The marshalled dictionary of Python's `pstats` module.
    Pstats => pstats::PSTATS,
    /// The same with native functions.
    NativePstats => pstats::NATIVE_PSTATS,
    /// Collapsed stacks, one per line, with microseconds.
    Folded => folded::FOLDED,
    /// A plain-text report.
    Text => text::TEXT,
    /// speedscope's own JSON.
    Speedscope => speedscope::SPEEDSCOPE,
    /// The format of Valgrind's callgrind.
    Callgrind => callgrind::CALLGRIND,
    /// pprof's gzipped profile.proto.
    Pprof => pprof::PPROF,
    /// A call graph in Graphviz's DOT.
    Dot => dot::DOT,
    /// The same, drawn by `dot`.
    DotSvg => dot::DOT_SVG,
    /// The same as an image.
    DotPng => dot::DOT_PNG,
    /// rsamp's own JSON (docs/json.md).
    Json => json::JSON,
    /// A table of functions.
    FunctionsCsv => csv::FUNCTIONS_CSV,
    /// A table of lines.
    LinesCsv => csv::LINES_CSV,
    /// A table of classes of native work.
    ClassesCsv => csv::CLASSES_CSV,
    /// A table of what the kernel counted of processes over time.
    UsageCsv => usage_csv::USAGE_CSV,
    /// A table of the asyncio tasks.
    TasksCsv => task_csv::TASKS_CSV,
    /// line_profiler's pickled line timings.
    Lprof => lprof::LPROF,
    /// memory_profiler's record of resident memory over time.
    Mprof => mprof::MPROF,
    /// A table of functions and lines over the ranks.
    RanksCsv => over_ranks::csv::RANKS_CSV,
    /// The Firefox Profiler's processed profile.
    Firefox => firefox::FIREFOX,
    /// Chrome's Trace Event Format.
    ChromeTrace => chrome_trace::CHROME_TRACE,
}

impl Format {
    /// The name by which a user asks for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.spec().name
    }

    /// The ending of its files, without the dot; the first, where it has several.
    #[must_use]
    pub fn ending(self) -> &'static str {
        self.spec().endings[0]
    }

    /// What it is for, and how the file at `path` is opened; `path` as it can be pasted into a shell.
    #[must_use]
    pub fn open_with(self, path: &str) -> String {
        self.spec().open_with.replace("{path}", path)
    }

    /// Whether it is not text.
    #[must_use]
    pub fn is_binary(self) -> bool {
        self.spec().is_binary
    }

    /// The program that has to be there for it to be written.
    #[must_use]
    pub fn program(self) -> Option<&'static str> {
        self.spec().program
    }

    /// Whether it shows what was seen when, if it is given a profile made by
    /// [`Profile::with_timeline`](crate::profile::Profile::with_timeline).
    #[must_use]
    pub fn has_time_axis(self) -> bool {
        self.spec().has_time_axis
    }

    /// The format that a file's ending stands for, in whatever case: of several that fit, the
    /// longest.
    ///
    /// # Errors
    /// When the file has no ending or an unknown one; the text lists the known ones.
    pub fn from_path(path: &Path) -> Result<Format, UnknownFormat> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let lower = name.to_ascii_lowercase();
        let endings = Format::ALL.iter().flat_map(|format| {
            let endings = format.spec().endings.iter();
            endings.map(move |ending| (*format, *ending))
        });
        let fits = |ending: &str| {
            let stem = lower.strip_suffix(ending).and_then(|s| s.strip_suffix('.'));
            stem.is_some_and(|stem| !stem.is_empty())
        };
        let found = endings
            .filter(|(_, ending)| fits(ending))
            .max_by_key(|(_, ending)| ending.len());
        match (found, path.extension()) {
            (Some((format, _)), _) => Ok(format),
            // As Valgrind names its files, and KCachegrind looks for them.
            _ if lower == "callgrind.out" || lower.starts_with("callgrind.out.") => {
                Ok(Format::Callgrind)
            }
            (None, Some(ending)) => Err(UnknownFormat::Ending(ending.to_string_lossy().into())),
            (None, None) => Err(UnknownFormat::NoEnding),
        }
    }

    /// The format of that name, in whatever case; endings are understood as names too.
    ///
    /// # Errors
    /// When there is none; the text lists the known ones.
    pub fn from_name(name: &str) -> Result<Format, UnknownFormat> {
        let is_meant = |format: &Format| {
            let Spec {
                name: own, endings, ..
            } = format.spec();
            let mut names = endings.iter().chain([own]);
            names.any(|known| name.eq_ignore_ascii_case(known))
        };
        let found = Format::ALL.iter().copied().find(is_meant);
        found.ok_or_else(|| UnknownFormat::Name(name.to_owned()))
    }

    /// The known endings with their names: `.svg (flamegraph), .pstats, .folded, .txt (text), …`.
    #[must_use]
    pub fn known() -> String {
        let known = Format::ALL.iter().map(|format| {
            let Spec { name, endings, .. } = format.spec();
            let dotted: Vec<String> = endings.iter().map(|ending| format!(".{ending}")).collect();
            let dotted = dotted.join(" or ");
            if endings.contains(name) {
                return dotted;
            }
            format!("{dotted} ({name})")
        });
        known.collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The user named a format that there is not.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UnknownFormat {
    /// A file without an ending.
    #[error(
        "the name has no ending that names a format: give one of {}",
        Format::known()
    )]
    NoEnding,
    /// An ending that stands for no format.
    #[error("unknown ending .{}: give one of {}", .0.escape_debug(), Format::known())]
    Ending(String),
    /// A name of no format.
    #[error("unknown format {}: give one of {}", .0.escape_debug(), Format::known())]
    Name(String),
}
