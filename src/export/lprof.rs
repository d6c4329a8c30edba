//! Turns a profile into the file of line_profiler, as kernprof writes it.
//!
//! It is a pickled `LineStats` with `timings`, `{(file, first line, name): [(line, hits, time)]}`, and
//! `unit`, the seconds of a time of 1 (line_profiler's `_line_profiler.pyx`). line_profiler 5 pickles a
//! subclass that 4 does not have, but both have, and print, the class of 4: that is named here.
//!
//! Hits are samples. The time of a line is that of all it called too, as line_profiler measures it. Where a
//! function calls itself, line_profiler's clock starts anew in each call: so a sample counts for the line of
//! the innermost call only, and the lines add up to the function's total time.
//!
//! line_profiler shows the text from a function's first line on and fails where that is within a string. A
//! module's is 1: up to Python 3.7 its code object names the line in which its first statement *ends*, which
//! is the last one of a docstring.
//!
//! The opcodes are those of protocol 2, which every Python 3 reads (Python's `pickletools.py`).

use std::collections::BTreeMap;
use std::io;

use super::Meta;
use crate::export::ReportInput;
use crate::export::spec::Spec;
use crate::profile::functions::{Function, Functions};
use crate::profile::lines::Lines;
use crate::profile::{Profile, Totals};

const MODULE_AND_CLASS: &[u8] = b"cline_profiler._line_profiler\nLineStats\n";

/// A unit of nanoseconds.
const UNIT_SECONDS: f64 = 1e-9;

/// What line_profiler takes for a function: file, first line, name.
type Key<'p> = (&'p str, u32, &'p str);

/// By line: hits and nanoseconds.
type Timings = BTreeMap<u32, (u64, u64)>;

/// line_profiler's pickled line timings.
pub(super) const LPROF: Spec = Spec::new(
    "lprof",
    &["lprof"],
    "python -m line_profiler -t {path}",
    write,
)
.binary();

/// Writes the file. Functions without a file have no lines to show and are left out.
///
/// # Errors
/// When `out` fails.
fn write(input: &ReportInput<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let profile = input.profile;
    let meta = input.meta;
    let functions = timings(profile, meta);
    let mut pickle = Pickle { out };
    pickle.raw(b"\x80\x02")?;
    pickle.raw(MODULE_AND_CLASS)?;
    // No arguments, a new object, and the dictionary of its attributes.
    pickle.raw(b")\x81}(")?;
    pickle.text("timings")?;
    pickle.raw(b"}(")?;
    for (key, timings) in &functions {
        pickle.function(key, timings)?;
    }
    pickle.raw(b"u")?;
    pickle.text("unit")?;
    pickle.float(UNIT_SECONDS)?;
    pickle.raw(b"ub.")
}

/// The lines of each function that has a file.
fn timings<'p>(profile: &'p Profile, meta: &Meta) -> BTreeMap<Key<'p>, Timings> {
    let functions = Functions::of(profile);
    let lines = Lines::of(profile, &functions);
    let rows = lines.rows().iter();
    let rows = rows.zip(lines.innermost(profile, &functions));
    let seen: Vec<_> = rows.filter(|(_, totals)| totals.samples > 0).collect();
    let mut first_seen: BTreeMap<Function<'p>, u32> = BTreeMap::new();
    for (row, _) in &seen {
        if let Some(line) = row.line {
            let first = first_seen.entry(row.function).or_insert(line);
            *first = line.min(*first);
        }
    }
    let mut timings: BTreeMap<Key<'p>, Timings> = BTreeMap::new();
    for (row, totals) in seen {
        let Some(file) = row.function.file else {
            continue;
        };
        let first_line = match row.function.is_module() {
            true => 1,
            false => row
                .function
                .first_line
                .or(first_seen.get(&row.function).copied())
                .unwrap_or(1),
        };
        let lines = timings.entry((file, first_line, row.function.name));
        add(
            lines.or_default(),
            row.line.unwrap_or(first_line),
            &totals,
            meta,
        );
    }
    timings
}

fn add(timings: &mut Timings, line: u32, totals: &Totals, meta: &Meta) {
    let (hits, time) = timings.entry(line).or_default();
    *hits = hits.saturating_add(totals.samples);
    *time = time.saturating_add(totals.time(meta.mode).0);
}

struct Pickle<'w> {
    out: &'w mut dyn io::Write,
}

impl Pickle<'_> {
    fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)
    }

    fn function(&mut self, (file, line, name): &Key<'_>, timings: &Timings) -> io::Result<()> {
        self.text(file)?;
        self.int(u64::from(*line))?;
        self.text(name)?;
        // A tuple of three; an empty list, and what is appended to it.
        self.raw(b"\x87](")?;
        for (line, (hits, time)) in timings {
            self.int(u64::from(*line))?;
            self.int(*hits)?;
            self.int(*time)?;
            self.raw(b"\x87")?;
        }
        self.raw(b"e")
    }

    fn text(&mut self, text: &str) -> io::Result<()> {
        let too_long = |_| io::Error::new(io::ErrorKind::InvalidData, "a name longer than 4 GiB");
        let length = u32::try_from(text.len()).map_err(too_long)?;
        self.raw(b"X")?;
        self.raw(&length.to_le_bytes())?;
        self.raw(text.as_bytes())
    }

    /// A long of nine bytes: the ninth is for the sign.
    fn int(&mut self, value: u64) -> io::Result<()> {
        self.raw(b"\x8a\x09")?;
        self.raw(&value.to_le_bytes())?;
        self.raw(b"\0")
    }

    fn float(&mut self, value: f64) -> io::Result<()> {
        self.raw(b"G")?;
        self.raw(&value.to_be_bytes())
    }
}
