//! Turns a profile into the file of Python's `pstats` module, as `cProfile` writes it.
//!
//! The file is one marshalled dictionary `{(file, first line, name): (cc, nc, tt, ct, callers)}`
//! with `callers` being `{(file, first line, name): (cc, nc, tt, ct)}` (Lib/cProfile.py,
//! `create_stats`; Lib/pstats.py, `Stats.load_stats`). Times are seconds.
//!
//! A sampler cannot count calls: `cc` and `nc`, which pstats shows as `ncalls`, hold the number of
//! samples in which the function was on the stack.
//!
//! Rows are summed over threads. Two rows are no function: `~:0(<all threads>)` called everything
//! that was outermost, as `<built-in method builtins.exec>` did in a file of cProfile. Its `ct` is
//! the time of all threads, and viewers find their root by it: tuna refuses a file in which every
//! row has a caller, and pstats one without any row. `~:0(<no Python frames>)` holds the time of
//! threads that had no Python frame. So the sum of `tt` is the time of all threads, which for one
//! thread is the duration.
//!
//! With native functions, which cProfile has as `~:0(<built-in method time.sleep>)`, those are rows too:
//! `~:0(<dgemm_ in libblas.so.3>)`. The own time of a Python function is then without what they took.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;

use crate::export::ReportInput;
use crate::export::spec::Spec;
use crate::export::words::labels::{NO_PYTHON_FRAMES, name_of};
use crate::profile::callers::{self, Edge};
use crate::profile::functions::{Function, FunctionId, FunctionKind, Functions};
use crate::profile::{Mode, Profile, Totals};

/// The row that called whatever is outermost in a stack.
const ROOT: &str = "<all threads>";

/// What pstats takes for a row's identity: file, first line, name.
type Key<'p> = (&'p str, u32, Cow<'p, str>);

#[derive(Default)]
struct Entry<'p> {
    self_totals: Totals,
    totals: Totals,
    callers: BTreeMap<Key<'p>, (Totals, Totals)>,
}

/// The marshalled dictionary of Python's `pstats` module.
pub(super) const PSTATS: Spec = Spec::new(
    "pstats",
    &["pstats"],
    "python -m pstats {path}; gprof2dot, snakeviz and tuna open it too",
    write,
)
.binary();

/// Writes the file.
///
/// # Errors
/// When `out` fails.
fn write(input: &ReportInput<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    write_profile(input.profile, input.meta.mode, out)
}

/// The same with native functions.
pub(super) const NATIVE_PSTATS: Spec = Spec::new(
    "native-pstats",
    &["native.pstats"],
    "the same with native functions as rows",
    write_native,
)
.binary();

fn write_native(input: &ReportInput<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    write_profile(input.profile.with_native_frames(), input.meta.mode, out)
}

fn write_profile(profile: &Profile, mode: Mode, out: &mut dyn io::Write) -> io::Result<()> {
    let functions = Functions::of(profile);
    let edges = callers::edges(profile, &functions);
    let entries = entries(profile, &functions, &edges);
    let mut marshal = Marshal { out };
    marshal.start_dict()?;
    for (key, entry) in &entries {
        marshal.key(key)?;
        marshal.start_tuple(5)?;
        marshal.times(&entry.self_totals, &entry.totals, mode)?;
        marshal.start_dict()?;
        for (caller, (self_totals, totals)) in &entry.callers {
            marshal.key(caller)?;
            marshal.start_tuple(4)?;
            marshal.times(self_totals, totals, mode)?;
        }
        marshal.end_dict()?;
    }
    marshal.end_dict()
}

/// The rows. Functions that differ only in what pstats cannot tell (an unknown file or line) are
/// added up in one.
fn entries<'p>(
    profile: &Profile,
    functions: &Functions<'p>,
    edges: &[Edge],
) -> BTreeMap<Key<'p>, Entry<'p>> {
    let root: Key<'p> = ("~", 0, ROOT.into());
    let mut entries: BTreeMap<Key<'p>, Entry<'p>> = BTreeMap::new();
    entries.entry(root.clone()).or_default().totals = profile.totals();
    for row in functions.rows() {
        if was_seen(&row.totals) {
            let entry = entries.entry(key(&row.function)).or_default();
            entry.self_totals += row.self_totals;
            entry.totals += row.totals;
        }
    }
    let key_of = |id: FunctionId| functions.row(id).map(|row| key(&row.function));
    // A caller has samples if its callee has: every caller has a row, as tuna demands.
    for edge in edges.iter().filter(|edge| was_seen(&edge.totals)) {
        let caller = edge.caller.map_or(Some(root.clone()), key_of);
        if let (Some(caller), Some(callee)) = (caller, key_of(edge.callee)) {
            add_caller(&mut entries, callee, caller, edge.self_totals, edge.totals);
        }
    }
    let frameless = profile.frameless_totals();
    if frameless.samples > 0 {
        let key: Key<'p> = ("~", 0, NO_PYTHON_FRAMES.into());
        let entry = entries.entry(key.clone()).or_default();
        entry.self_totals += frameless;
        entry.totals += frameless;
        add_caller(&mut entries, key, root, frameless, frameless);
    }
    entries
}

/// Native functions may have a part of one sample's time, and so none by number.
fn was_seen(totals: &Totals) -> bool {
    totals.samples > 0 || totals.wall.0 > 0
}

fn add_caller<'p>(
    entries: &mut BTreeMap<Key<'p>, Entry<'p>>,
    callee: Key<'p>,
    caller: Key<'p>,
    self_totals: Totals,
    totals: Totals,
) {
    let callers = &mut entries.entry(callee).or_default().callers;
    let sums = callers.entry(caller).or_default();
    sums.0 += self_totals;
    sums.1 += totals;
}

/// As cProfile writes built-in functions, what has no file, or is native, is in `~` on line 0.
fn key<'p>(function: &Function<'p>) -> Key<'p> {
    if let FunctionKind::Native(_) = function.kind {
        return ("~", 0, format!("<{}>", name_of(function)).into());
    }
    let file = function.file.unwrap_or("~");
    (file, function.first_line.unwrap_or(0), function.name.into())
}

/// Writes values in Python's marshal format, with the codes that every version of Python 3 reads
/// (Python/marshal.c; version 2, without references).
struct Marshal<'w> {
    out: &'w mut dyn io::Write,
}

impl Marshal<'_> {
    fn start_dict(&mut self) -> io::Result<()> {
        self.out.write_all(b"{")
    }

    /// A dictionary ends where a key would begin with `TYPE_NULL`.
    fn end_dict(&mut self) -> io::Result<()> {
        self.out.write_all(b"0")
    }

    fn start_tuple(&mut self, len: u32) -> io::Result<()> {
        self.out.write_all(b"(")?;
        self.out.write_all(&len.to_le_bytes())
    }

    fn key(&mut self, (file, line, name): &Key<'_>) -> io::Result<()> {
        self.start_tuple(3)?;
        self.text(file)?;
        self.int(u64::from(*line))?;
        self.text(name)
    }

    fn times(&mut self, self_totals: &Totals, totals: &Totals, mode: Mode) -> io::Result<()> {
        self.int(totals.samples)?;
        self.int(totals.samples)?;
        self.float(self_totals.time(mode).seconds())?;
        self.float(totals.time(mode).seconds())
    }

    fn float(&mut self, value: f64) -> io::Result<()> {
        self.out.write_all(b"g")?;
        self.out.write_all(&value.to_le_bytes())
    }

    fn text(&mut self, text: &str) -> io::Result<()> {
        let too_long = |_| io::Error::new(io::ErrorKind::InvalidData, "a name longer than 2 GiB");
        let len = i32::try_from(text.len()).map_err(too_long)?;
        self.out.write_all(b"u")?;
        self.out.write_all(&len.to_le_bytes())?;
        self.out.write_all(text.as_bytes())
    }

    /// 32 bits with sign, or else digits of 15 bits, the lowest first.
    fn int(&mut self, value: u64) -> io::Result<()> {
        if let Ok(value) = i32::try_from(value) {
            self.out.write_all(b"i")?;
            return self.out.write_all(&value.to_le_bytes());
        }
        let shifted = std::iter::successors(Some(value), |rest| Some(rest >> 15));
        let digits: Vec<u64> = shifted.take_while(|rest| *rest > 0).collect();
        self.out.write_all(b"l")?;
        self.out.write_all(&(digits.len() as u32).to_le_bytes())?;
        for digit in digits {
            self.out
                .write_all(&((digit & 0x7fff) as u16).to_le_bytes())?;
        }
        Ok(())
    }
}
