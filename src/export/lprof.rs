//! Turns a profile into the file of line_profiler, as kernprof writes it.
//!
//! It is a pickled `LineStats` with `timings`, `{(file, first line, name): [(line, hits, time)]}`, and
//! `unit`, the seconds of a time of 1 (line_profiler's `_line_profiler.pyx`). line_profiler 5 pickles a
//! subclass that 4 does not have, but both have, and print, the class of 4: that is named here.
//!
//! Hits are samples. The time of a line is that of all it called too, as line_profiler measures it. The
//! opcodes are those of protocol 2, which every Python 3 reads (Python's `pickletools.py`).

use std::collections::BTreeMap;
use std::io;

use crate::profile::Profile;
use crate::profile::line_tables::{self, LineTable};

use super::Meta;

const MODULE_AND_CLASS: &[u8] = b"cline_profiler._line_profiler\nLineStats\n";

/// A unit of nanoseconds.
const UNIT_SECONDS: f64 = 1e-9;

/// What line_profiler takes for a function: file, first line, name.
type Key<'p> = (&'p str, u32, &'p str);

/// By line: hits and nanoseconds.
type Timings = BTreeMap<u32, (u64, u64)>;

/// Writes the file. Functions without a file have no lines to show and are left out.
///
/// # Errors
/// When `out` fails.
pub(super) fn write(profile: &Profile, meta: &Meta, out: &mut dyn io::Write) -> io::Result<()> {
    let tables = line_tables::of(profile);
    let mut functions: BTreeMap<Key<'_>, Timings> = BTreeMap::new();
    for table in &tables {
        let function = &table.row.function;
        if let Some(file) = function.file {
            let first_line = function.first_line.or(first_seen(table)).unwrap_or(1);
            let timings = functions.entry((file, first_line, function.name));
            add(timings.or_default(), table, first_line, meta);
        }
    }
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

fn first_seen(table: &LineTable<'_>) -> Option<u32> {
    table.lines.iter().find_map(|line| line.row.line)
}

/// Lines that are not known count as the function's first.
fn add(timings: &mut Timings, table: &LineTable<'_>, first_line: u32, meta: &Meta) {
    for line in &table.lines {
        let total = &line.row.total_time;
        let number = line.row.line.unwrap_or(first_line);
        let (hits, time) = timings.entry(number).or_default();
        *hits = hits.saturating_add(total.samples);
        *time = time.saturating_add(total.time(meta.view).0);
    }
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
