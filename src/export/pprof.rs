//! Turns a profile into a gzipped message of pprof's profile.proto.
//!
//! The numbers of the fields are those of proto/profile.proto in github.com/google/pprof. Each stack
//! of each thread is a sample with its ticks and its nanoseconds of wall, CPU and GIL time. Thread and
//! process are labels. A location is one line of one function. Names are whole: protobuf needs no escapes.
//!
//! The chosen time is the last value, and is named as the default too: viewers that do not know
//! `default_sample_type` (older versions of speedscope) show the last value of a sample.

use std::collections::HashMap;
use std::io;

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;

use super::Meta;
use crate::export::ReportInput;
use crate::export::spec::Spec;
use crate::export::words::{labels, lost};
use crate::profile::event::{FrameId, FrameKind, ThreadId};
use crate::profile::functions::{Function, Functions};
use crate::profile::{self, Mode, Row};

#[derive(Message)]
struct Profile {
    #[prost(message, repeated, tag = "1")]
    sample_type: Vec<ValueType>,
    #[prost(message, repeated, tag = "2")]
    sample: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    mapping: Vec<Mapping>,
    #[prost(message, repeated, tag = "4")]
    location: Vec<Location>,
    #[prost(message, repeated, tag = "5")]
    function: Vec<FunctionRow>,
    #[prost(string, repeated, tag = "6")]
    string_table: Vec<String>,
    #[prost(int64, tag = "10")]
    duration_nanos: i64,
    #[prost(message, optional, tag = "11")]
    period_type: Option<ValueType>,
    #[prost(int64, tag = "12")]
    period: i64,
    #[prost(int64, repeated, tag = "13")]
    comment: Vec<i64>,
    #[prost(int64, tag = "14")]
    default_sample_type: i64,
}

/// Here and below, what stands for a text is its number in the string table.
#[derive(Message)]
struct ValueType {
    #[prost(int64, tag = "1")]
    r#type: i64,
    #[prost(int64, tag = "2")]
    unit: i64,
}

#[derive(Message)]
struct Sample {
    /// The innermost first.
    #[prost(uint64, repeated, tag = "1")]
    location_id: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    value: Vec<i64>,
    #[prost(message, repeated, tag = "3")]
    label: Vec<Label>,
}

#[derive(Clone, Message)]
struct Label {
    #[prost(int64, tag = "1")]
    key: i64,
    #[prost(int64, tag = "2")]
    str: i64,
    #[prost(int64, tag = "3")]
    num: i64,
}

/// A program or library, of native code only. rsamp keeps addresses in files, not those in memory: each is given a range
/// of its own.
#[derive(Message)]
struct Mapping {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint64, tag = "2")]
    memory_start: u64,
    #[prost(uint64, tag = "3")]
    memory_limit: u64,
    #[prost(int64, tag = "5")]
    filename: i64,
    #[prost(int64, tag = "6")]
    build_id: i64,
    #[prost(bool, tag = "7")]
    has_functions: bool,
    #[prost(bool, tag = "10")]
    has_inline_frames: bool,
}

#[derive(Message)]
struct Location {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint64, tag = "2")]
    mapping_id: u64,
    #[prost(uint64, tag = "3")]
    address: u64,
    #[prost(message, repeated, tag = "4")]
    line: Vec<Line>,
}

#[derive(Message)]
struct Line {
    #[prost(uint64, tag = "1")]
    function_id: u64,
    #[prost(int64, tag = "2")]
    line: i64,
}

#[derive(Message)]
struct FunctionRow {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "2")]
    name: i64,
    #[prost(int64, tag = "3")]
    system_name: i64,
    #[prost(int64, tag = "4")]
    filename: i64,
    #[prost(int64, tag = "5")]
    start_line: i64,
}

/// pprof's gzipped profile.proto.
pub(super) const PPROF: Spec = Spec::new(
    "pprof",
    &["pb.gz", "pprof"],
    "go tool pprof -top {path}",
    write,
)
.binary();

/// Writes the file.
///
/// # Errors
/// When `out` fails.
fn write(input: &ReportInput<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let profile = input.profile.with_native_frames();
    let meta = input.meta;
    let mut gzip = GzEncoder::new(out, Compression::default());
    let mut strings = Strings::new();
    let labels = labels(profile, &mut strings);
    let head = head(profile, meta, strings);
    let modes = modes(meta.mode);
    io::Write::write_all(&mut gzip, &head.encode_to_vec())?;
    for row in profile.rows() {
        // Messages one after the other are one message, with the elements of all.
        let part = Profile {
            sample: vec![sample(profile, row, modes, &labels)],
            ..Profile::default()
        };
        io::Write::write_all(&mut gzip, &part.encode_to_vec())?;
    }
    gzip.finish().map(|_| ())
}

/// All but the samples.
fn head(profile: &profile::Profile, meta: &Meta, mut strings: Strings) -> Profile {
    let functions = Functions::of(profile);
    let mut rows: Vec<FunctionRow> = functions
        .rows()
        .iter()
        .map(|row| function_row(&row.function, &mut strings))
        .collect();
    rows.push(FunctionRow {
        name: strings.number(labels::NO_PYTHON_FRAMES),
        ..FunctionRow::default()
    });
    for (id, row) in (1_u64..).zip(&mut rows) {
        row.id = id;
    }
    let comments = [&meta.title, &meta.command].into_iter().chain(&meta.facts);
    let comments = comments.filter(|comment| !comment.is_empty());
    let mut comment: Vec<i64> = comments.map(|fact| strings.number(fact)).collect();
    comment.push(strings.number(&lost::lost_in_words(profile)));
    let totals = profile.totals();
    let mappings = Mappings::of(profile, &mut strings);
    let mut value_type = |r#type: &str, unit: &str| ValueType {
        r#type: strings.number(r#type),
        unit: strings.number(unit),
    };
    let mut sample_type = vec![value_type("samples", "count")];
    for mode in modes(meta.mode) {
        sample_type.push(value_type(mode_name(mode), "nanoseconds"));
    }
    Profile {
        sample_type,
        period_type: Some(value_type("wall", "nanoseconds")),
        default_sample_type: value_type(mode_name(meta.mode), "nanoseconds").r#type,
        period: int(totals.wall.0 / totals.samples.max(1)),
        duration_nanos: int(profile.duration().0),
        location: locations(profile, &functions, &mappings),
        mapping: mappings.rows,
        function: rows,
        comment,
        sample: Vec::new(),
        string_table: strings.table,
    }
}

/// The times of a sample in the order in which they are written, the chosen one last.
fn modes(chosen: Mode) -> [Mode; 3] {
    match chosen {
        Mode::Wall => [Mode::Gil, Mode::Cpu, Mode::Wall],
        Mode::Cpu => [Mode::Gil, Mode::Wall, Mode::Cpu],
        Mode::Gil => [Mode::Cpu, Mode::Wall, Mode::Gil],
    }
}

fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Wall => "wall",
        Mode::Cpu => "cpu",
        Mode::Gil => "gil",
    }
}

fn function_row(function: &Function<'_>, strings: &mut Strings) -> FunctionRow {
    let name = strings.number(function.name);
    FunctionRow {
        id: 0,
        name,
        system_name: name,
        filename: strings.number(function.file.unwrap_or_default()),
        start_line: i64::from(function.first_line.unwrap_or(0)),
    }
}

/// One for each frame, by its number, and one more for the lack of frames.
fn locations(
    profile: &profile::Profile,
    functions: &Functions<'_>,
    mappings: &Mappings,
) -> Vec<Location> {
    let frameless = functions.rows().len();
    let lines = (0_u32..).zip(profile.frames()).map(|(id, frame)| {
        let function = functions.of_frame(FrameId(id));
        Line {
            function_id: 1 + function.map_or(frameless as u64, |id| u64::from(id.0)),
            line: i64::from(frame.line.unwrap_or(0)),
        }
    });
    let lines = lines.chain([Line {
        function_id: 1 + frameless as u64,
        line: 0,
    }]);
    let places = mappings.of_frame.iter().copied().chain([(0, 0)]);
    let with_id = |(id, (line, (mapping_id, address)))| Location {
        id,
        mapping_id,
        address,
        line: vec![line],
    };
    (1_u64..).zip(lines.zip(places)).map(with_id).collect()
}

/// The range of addresses that each program or library is given.
const MAPPING_BYTES: u64 = 1 << 40;

/// The programs and libraries of native frames.
#[derive(Default)]
struct Mappings {
    rows: Vec<Mapping>,
    /// By frame: the number of its mapping and an address in it; 0 for none.
    of_frame: Vec<(u64, u64)>,
}

impl Mappings {
    fn of(profile: &profile::Profile, strings: &mut Strings) -> Mappings {
        let mut mappings = Mappings::default();
        let mut ids: HashMap<(i64, i64), u64> = HashMap::new();
        for frame in profile.frames() {
            let FrameKind::Native(code) = &frame.kind else {
                mappings.of_frame.push((0, 0));
                continue;
            };
            let filename = strings.number(&code.module);
            let build_id = strings.number(code.build_id.as_deref().unwrap_or_default());
            let next = mappings.rows.len() as u64 + 1;
            let id = *ids.entry((filename, build_id)).or_insert(next);
            let memory_start = id * MAPPING_BYTES;
            if id == next {
                mappings.rows.push(Mapping {
                    id,
                    memory_start,
                    memory_limit: memory_start + MAPPING_BYTES,
                    filename,
                    build_id,
                    has_functions: true,
                    has_inline_frames: true,
                });
            }
            let address = code.offset.filter(|offset| *offset < MAPPING_BYTES);
            let address = address.map_or(0, |offset| memory_start + offset);
            mappings.of_frame.push((id, address));
        }
        mappings
    }
}

/// The labels of the samples of each thread.
fn labels(profile: &profile::Profile, strings: &mut Strings) -> Vec<Vec<Label>> {
    let [thread_key, tid_key, pid_key] = ["thread", "tid", "pid"].map(|key| strings.number(key));
    let number = |key: i64, number: i32| Label {
        key,
        str: 0,
        num: i64::from(number),
    };
    let mut of_thread = Vec::new();
    for thread in profile.threads() {
        let name = strings.number(&labels::thread_name(thread));
        let mut labels = vec![Label {
            key: thread_key,
            str: name,
            num: 0,
        }];
        labels.extend(thread.tid.map(|tid| number(tid_key, tid)));
        let process = profile.process(thread.process);
        labels.extend(process.map(|process| number(pid_key, process.pid)));
        of_thread.push(labels);
    }
    of_thread
}

fn sample(
    profile: &profile::Profile,
    row: &Row,
    modes: [Mode; 3],
    labels: &[Vec<Label>],
) -> Sample {
    let ThreadId(thread) = row.thread;
    let location_id = match row.stack {
        Some(_) => {
            let ids = profile.frame_ids_of(row.stack);
            ids.map(|id| 1 + u64::from(id.0)).collect()
        }
        None => vec![1 + profile.frames().len() as u64],
    };
    let totals = &row.totals;
    let times = modes.map(|mode| totals.time(mode).0);
    let values = [totals.samples].into_iter().chain(times);
    Sample {
        location_id,
        value: values.map(int).collect(),
        label: labels.get(thread as usize).cloned().unwrap_or_default(),
    }
}

fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The string table; number 0 is the empty text.
struct Strings {
    table: Vec<String>,
    numbers: HashMap<String, i64>,
}

impl Strings {
    fn new() -> Strings {
        let mut strings = Strings {
            table: Vec::new(),
            numbers: HashMap::new(),
        };
        strings.number("");
        strings
    }

    fn number(&mut self, text: &str) -> i64 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.table.len() as i64;
        self.table.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }
}
