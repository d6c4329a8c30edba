//! Turns a profile into a table of functions with self and total time.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::event::{Frame, FrameId, FrameKind, IMPORT, StackId};
use super::sums::{self, Sums};
use super::{Mode, Profile, Totals, paths};

/// What makes two frames the same function. Ordered by file, then line, then name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Function<'p> {
    /// The source file; `None`: not known, or a mark.
    pub file: Option<&'p str>,
    /// The first line of its definition.
    pub first_line: Option<u32>,
    /// Its name, qualified where the version knows it.
    pub name: &'p str,
    /// What it is.
    pub kind: FunctionKind<'p>,
}

impl Function<'_> {
    /// What stands for all imports where they are one.
    pub const IMPORTS: Function<'static> = Function {
        file: None,
        first_line: None,
        name: "imports",
        kind: FunctionKind::Mark,
    };

    /// Whether it is a module's code as a whole, run or imported: all of its file is its text.
    #[must_use]
    pub fn is_module(&self) -> bool {
        let is_python = self.kind == FunctionKind::Python;
        self.is_import() || (is_python && self.name == paths::MODULE)
    }

    /// Whether it stands for the import of a module.
    #[must_use]
    pub fn is_import(&self) -> bool {
        self.kind == FunctionKind::Python && self.name.starts_with(IMPORT)
    }
}

/// What stands in a table of functions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FunctionKind<'p> {
    /// A function of Python code.
    #[default]
    Python,
    /// A function of native code in the program or library of this path.
    Native(&'p str),
    /// No function: a mark.
    Mark,
}

impl<'p> From<&'p FrameKind> for FunctionKind<'p> {
    fn from(kind: &'p FrameKind) -> FunctionKind<'p> {
        match kind {
            FrameKind::Python => FunctionKind::Python,
            FrameKind::Native(native) => FunctionKind::Native(&native.module),
            FrameKind::Mark => FunctionKind::Mark,
        }
    }
}

impl<'p> From<&'p Frame> for Function<'p> {
    fn from(frame: &'p Frame) -> Function<'p> {
        Function {
            file: frame.file.as_deref(),
            first_line: frame.first_line,
            name: &frame.name,
            kind: (&frame.kind).into(),
        }
    }
}

/// A function of one profile: an index into [`Functions::rows`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FunctionId(pub u32);

/// A function and its times, over all threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FunctionRow<'p> {
    /// The function.
    pub function: Function<'p>,
    /// Sums over the samples that were in the function itself.
    pub self_totals: Totals,
    /// Sums over the samples whose stack holds the function, each counted once however often it
    /// recurs.
    pub totals: Totals,
}

/// The functions of a profile.
#[derive(Debug, Clone)]
pub struct Functions<'p> {
    rows: Vec<FunctionRow<'p>>,
    of_frame: Vec<FunctionId>,
}

impl<'p> Functions<'p> {
    /// Makes the table.
    #[must_use]
    pub fn of(profile: &'p Profile) -> Functions<'p> {
        Functions::new(profile, Function::from)
    }

    /// The same with all imports as one function, [`Function::IMPORTS`].
    #[must_use]
    pub fn merging_imports(profile: &'p Profile) -> Functions<'p> {
        Functions::new(profile, |frame| match frame.is_import() {
            true => Function::IMPORTS,
            false => Function::from(frame),
        })
    }

    fn new(profile: &'p Profile, function: impl Fn(&'p Frame) -> Function<'p>) -> Functions<'p> {
        let (functions, of_frame) = intern(profile, function);
        let class_of: Vec<usize> = profile
            .stacks()
            .iter()
            .map(|node| of_frame[node.frame.0 as usize].0 as usize)
            .collect();
        let sums = sums::by_class(profile, &class_of, functions.len());
        let with_sums = |(function, sums): (Function<'p>, Sums)| FunctionRow {
            function,
            self_totals: sums.self_time,
            totals: sums.total_time,
        };
        let rows = functions.into_iter().zip(sums).map(with_sums).collect();
        Functions { rows, of_frame }
    }

    /// The functions, in the order in which they were first seen.
    #[must_use]
    pub fn rows(&self) -> &[FunctionRow<'p>] {
        &self.rows
    }

    /// One function.
    #[must_use]
    pub fn row(&self, id: FunctionId) -> Option<&FunctionRow<'p>> {
        self.rows.get(id.0 as usize)
    }

    /// The function that a frame belongs to.
    #[must_use]
    pub fn of_frame(&self, frame: FrameId) -> Option<FunctionId> {
        self.of_frame.get(frame.0 as usize).copied()
    }

    /// The function that a stack ends in.
    #[must_use]
    pub fn of_stack(&self, profile: &Profile, stack: StackId) -> Option<FunctionId> {
        self.of_frame(profile.stack(stack)?.frame)
    }

    /// The functions by self time, longest first; equal ones by total time, then by place.
    #[must_use]
    pub fn by_self(&self, mode: Mode) -> Vec<&FunctionRow<'p>> {
        self.sorted(|row| (row.self_totals.time(mode), row.totals.time(mode)))
    }

    /// The functions by total time, longest first; equal ones by self time, then by place.
    #[must_use]
    pub fn by_total(&self, mode: Mode) -> Vec<&FunctionRow<'p>> {
        self.sorted(|row| (row.totals.time(mode), row.self_totals.time(mode)))
    }

    fn sorted<K: Ord>(&self, heat: impl Fn(&FunctionRow<'p>) -> K) -> Vec<&FunctionRow<'p>> {
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_by_cached_key(|row| (Reverse(heat(row)), row.function));
        rows
    }
}

/// The distinct functions, and the one of each frame.
fn intern<'p>(
    profile: &'p Profile,
    function: impl Fn(&'p Frame) -> Function<'p>,
) -> (Vec<Function<'p>>, Vec<FunctionId>) {
    let mut functions = Vec::new();
    let mut ids = HashMap::new();
    let of_frame = profile
        .frames()
        .iter()
        .map(|frame| {
            let function = function(frame);
            *ids.entry(function).or_insert_with(|| {
                functions.push(function);
                // Never more functions than frames, whose numbers are 32 bits wide.
                FunctionId((functions.len() - 1) as u32)
            })
        })
        .collect();
    (functions, of_frame)
}
