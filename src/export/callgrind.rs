//! Turns a profile into the format of Valgrind's callgrind, with costs per line.
//!
//! The format is that of the "Callgrind Format Specification" in Valgrind's manual. The events are
//! nanoseconds (`Wall_ns`, `Cpu_ns`, `Gil_ns`, the chosen one first) and `Samples`. `calls=` holds
//! samples too, because a sampler cannot count calls. Costs are summed over threads.
//!
//! callgrind_annotate takes for the inclusive cost of a function the sum over the calls of it. So
//! that this is its total time, a sample counts for one call of each function only, the outermost,
//! and what is outermost in a stack is called by `<all threads>`.
//!
//! A name ends with its line and cannot be escaped: control characters in it are replaced.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;

use super::Meta;
use crate::export::ReportInput;
use crate::export::spec::Spec;
use crate::export::words::{labels, lost};
use crate::profile::functions::{Function, FunctionId, FunctionKind, Functions};
use crate::profile::lines::Lines;
use crate::profile::{Mode, Profile, Totals, callers};

/// callgrind's own name for a file that is not known.
const UNKNOWN_FILE: &str = "???";

/// The object of Python functions, where native ones have theirs.
const PYTHON: &str = "Python";

/// What called whatever is outermost in a stack.
const ROOT: &str = "<all threads>";

/// A function of the file: an index into [`Subject`]s.
type SubjectId = usize;

/// A function, or what stands for one, and its costs. A line that is not known is 0.
struct Subject {
    /// The program or library; `None`: Python code, or no function.
    object: Option<String>,
    file: String,
    name: String,
    first_line: u32,
    lines: BTreeMap<u32, Totals>,
    calls: Vec<(u32, SubjectId, Totals)>,
}

impl Subject {
    /// What is no function.
    fn mark(name: &str) -> Subject {
        let function = Function {
            file: None,
            first_line: None,
            name,
            kind: FunctionKind::Mark,
        };
        Subject::new(&function, name.to_owned())
    }

    fn new(function: &Function<'_>, name: String) -> Subject {
        Subject {
            object: match function.kind {
                FunctionKind::Native(module) => Some(labels::one_line(module)),
                FunctionKind::Python | FunctionKind::Mark => None,
            },
            file: function
                .file
                .map_or_else(|| UNKNOWN_FILE.to_owned(), labels::one_line),
            name,
            first_line: function.first_line.unwrap_or(0),
            lines: BTreeMap::new(),
            calls: Vec::new(),
        }
    }
}

/// The format of Valgrind's callgrind.
pub(super) const CALLGRIND: Spec = Spec::new(
    "callgrind",
    &["callgrind"],
    "callgrind_annotate {path}; KCachegrind opens it too",
    write,
);

/// Writes the file.
///
/// # Errors
/// When `out` fails.
fn write(input: &ReportInput<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let profile = input.profile.with_native_frames();
    let meta = input.meta;
    let subjects = subjects(profile);
    let has_objects = subjects.iter().any(|subject| subject.object.is_some());
    let mut writer = Writer {
        has_objects,
        object_ids: HashMap::new(),
        file_ids: HashMap::new(),
        defined: HashSet::new(),
        mode: meta.mode,
        out,
    };
    writer.header(profile, meta)?;
    for (id, subject) in subjects.iter().enumerate() {
        if !subject.lines.is_empty() || !subject.calls.is_empty() {
            writer.subject(id, &subjects)?;
        }
    }
    writer.out.write_all(b"\n")?;
    writer.costs("totals:", &profile.totals())
}

/// The functions by their ids, then the root, then the lack of frames.
fn subjects(profile: &Profile) -> Vec<Subject> {
    let functions = Functions::of(profile);
    let names = labels::within_files(&functions);
    let rows = functions.rows().iter().zip(names);
    let mut subjects: Vec<Subject> = rows
        .map(|(row, name)| Subject::new(&row.function, name))
        .collect();
    let root = subjects.len();
    subjects.push(Subject::mark(ROOT));

    let ids: HashMap<Function<'_>, SubjectId> = functions
        .rows()
        .iter()
        .enumerate()
        .map(|(id, row)| (row.function, id))
        .collect();
    let lines = Lines::of(profile, &functions);
    for row in lines
        .rows()
        .iter()
        .filter(|row| row.self_totals.samples > 0)
    {
        if let Some(id) = ids.get(&row.function) {
            let sum = subjects[*id].lines.entry(row.line.unwrap_or(0));
            *sum.or_default() += row.self_totals;
        }
    }
    let sites = callers::call_sites(profile, &functions);
    for site in sites.iter().filter(|site| site.totals.samples > 0) {
        let caller = site.caller.map_or(root, subject_id);
        let (line, callee) = (site.line.unwrap_or(0), subject_id(site.callee));
        subjects[caller].calls.push((line, callee, site.totals));
    }

    let frameless = profile.frameless_totals();
    if frameless.samples > 0 {
        let mut subject = Subject::mark(labels::NO_PYTHON_FRAMES);
        subject.lines.insert(0, frameless);
        let id = subjects.len();
        subjects.push(subject);
        subjects[root].calls.push((0, id, frameless));
    }
    subjects
}

fn subject_id(id: FunctionId) -> SubjectId {
    id.0 as usize
}

struct Writer<'w> {
    /// Whether programs and libraries are told: where all is Python, there are none.
    has_objects: bool,
    object_ids: HashMap<String, usize>,
    file_ids: HashMap<String, usize>,
    /// The objects (`ob`), files (`fl`) and functions (`fn`) whose names were written: from then on a number stands
    /// for each.
    defined: HashSet<(&'static str, usize)>,
    mode: Mode,
    out: &'w mut dyn io::Write,
}

impl Writer<'_> {
    fn header(&mut self, profile: &Profile, meta: &Meta) -> io::Result<()> {
        let command = labels::one_line(&meta.command);
        write!(
            self.out,
            "# callgrind format\nversion: 1\ncreator: rsamp\ncmd: {command}\n"
        )?;
        let lost = lost::lost_in_words(profile);
        for fact in [&meta.title].into_iter().chain(&meta.facts).chain([&lost]) {
            writeln!(self.out, "desc: rsamp: {}", labels::one_line(fact))?;
        }
        self.out.write_all(b"positions: line\n")?;
        let events: Vec<&str> = self.modes().map(event).collect();
        writeln!(self.out, "events: {} Samples", events.join(" "))?;
        self.costs("summary:", &profile.totals())
    }

    /// All modes, the chosen one first.
    fn modes(&self) -> impl Iterator<Item = Mode> + use<> {
        let chosen = self.mode;
        let others = [Mode::Wall, Mode::Cpu, Mode::Gil];
        let others = others.into_iter().filter(move |mode| *mode != chosen);
        [chosen].into_iter().chain(others)
    }

    fn subject(&mut self, id: SubjectId, subjects: &[Subject]) -> io::Result<()> {
        let subject = &subjects[id];
        self.out.write_all(b"\n")?;
        self.name(["ob", "fl", "fn"], id, subject)?;
        for (line, totals) in &subject.lines {
            self.costs(line, totals)?;
        }
        if subject.lines.is_empty() {
            // callgrind_annotate trips over a file in which no line has a cost of its own.
            self.costs(subject.first_line, &Totals::default())?;
        }
        for (line, callee, totals) in &subject.calls {
            self.name(["cob", "cfi", "cfn"], *callee, &subjects[*callee])?;
            let to = subjects[*callee].first_line;
            writeln!(self.out, "calls={} {to}", totals.samples)?;
            self.costs(line, totals)?;
        }
        Ok(())
    }

    /// A function's object, file and name, each with a number, or the number alone if that is known.
    fn name(&mut self, keys: [&str; 3], id: SubjectId, subject: &Subject) -> io::Result<()> {
        let next = self.file_ids.len();
        let file_id = *self.file_ids.entry(subject.file.clone()).or_insert(next);
        let [object_key, file_key, name_key] = keys;
        if self.has_objects {
            let object = subject.object.as_deref().unwrap_or(PYTHON);
            let next = self.object_ids.len();
            let id = *self.object_ids.entry(object.to_owned()).or_insert(next);
            self.define(object_key, ("ob", id), object)?;
        }
        self.define(file_key, ("fl", file_id), &subject.file)?;
        self.define(name_key, ("fn", id), &subject.name)
    }

    fn define(&mut self, key: &str, id: (&'static str, usize), name: &str) -> io::Result<()> {
        let number = id.1 + 1;
        if self.defined.insert(id) {
            return writeln!(self.out, "{key}=({number}) {name}");
        }
        writeln!(self.out, "{key}=({number})")
    }

    fn costs(&mut self, position: impl std::fmt::Display, totals: &Totals) -> io::Result<()> {
        write!(self.out, "{position}")?;
        for mode in self.modes() {
            write!(self.out, " {}", totals.time(mode).0)?;
        }
        writeln!(self.out, " {}", totals.samples)
    }
}

fn event(mode: Mode) -> &'static str {
    match mode {
        Mode::Wall => "Wall_ns",
        Mode::Cpu => "Cpu_ns",
        Mode::Gil => "Gil_ns",
    }
}
