//! Turns several recordings into one recording and one profile.

use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use super::header;
use super::inputs::{self, Input, Trouble};
use super::kind::Kind;
use super::outputs::{Outcome, Plan, Saved, WriteError};
use super::place::Place;
use crate::process::Pid;
use crate::profile::Profile;
use crate::profile::event::{Event, Nanos};
use crate::recording::{Header, Merger, Writer};

/// What came of the merging.
#[derive(Debug)]
pub struct Merged {
    /// All samples.
    pub profile: Profile,
    /// What became of the recordings that were asked for.
    pub recordings: Vec<Outcome>,
}

/// Reads all recordings, one after the other, and writes those that the plan has, with this header. `pid` names them.
/// Each process tells its rank and host, and times are since the start of the first recording.
#[must_use]
pub fn merge(
    inputs: &mut [Input],
    header: &Header,
    plan: &mut Plan,
    pid: Pid,
    trouble: &mut Trouble,
) -> Merged {
    let places = plan.settle(pid);
    let starts = inputs.iter().map(|input| input.header.start_unix_ns);
    let first = starts.min().unwrap_or_default();
    let open = |place: Place| Output::open(plan, place, header.clone());
    let mut outputs: Vec<Output> = places.into_iter().map(open).collect();
    let mut profile = plan.empty_profile();
    let mut merger = Merger::default();
    let mut seen: HashSet<(Arc<str>, u32)> = HashSet::new();
    let mut emit = |event: Event, outputs: &mut [Output]| {
        for output in outputs {
            output.put(|writer| writer.event(&event));
        }
        profile.apply(event);
    };
    for input in inputs {
        // No name: each process tells its rank and host by itself.
        merger.begin(None);
        let since = Nanos(input.header.start_unix_ns.saturating_sub(first));
        let (rank, host) = (header::rank(&input.header), input.header.host.clone());
        let read = inputs::read_one(input, trouble, &mut |event| {
            let event = placed(event, since, rank, &host);
            merger.apply(event, &mut |event| emit(event, &mut outputs));
        });
        for source in read.iter().flat_map(|reader| reader.sources()) {
            if seen.insert((Arc::clone(&source.file), source.first_line)) {
                for output in &mut outputs {
                    output.put(|w| w.source(&source.file, source.first_line, &source.text));
                }
            }
        }
    }
    merger.finish(&mut |event| emit(event, &mut outputs));
    Merged {
        profile,
        recordings: outputs
            .into_iter()
            .map(|output| {
                let place = output.place.clone();
                plan.arrive(&place, output.finish())
            })
            .collect(),
    }
}

/// The event of a recording that began at `since`, of a rank on a host.
fn placed(event: Event, since: Nanos, rank: Option<u32>, host: &str) -> Event {
    match event {
        Event::Process(id, mut process) => {
            process.seen += since;
            process.rank = process.rank.or(rank);
            process.host.get_or_insert_with(|| host.to_owned());
            Event::Process(id, process)
        }
        Event::Sample(mut sample) => {
            sample.at += since;
            Event::Sample(sample)
        }
        Event::Lost(mut loss) => {
            loss.at += since;
            Event::Lost(loss)
        }
        Event::Usage(mut usage) => {
            usage.at += since;
            Event::Usage(usage)
        }
        Event::End(end) => Event::End(end + since),
        event => event,
    }
}

/// That of the first, with what is true of all.
#[must_use]
pub fn common_header(inputs: &[Input]) -> Header {
    let mut headers = inputs.iter().map(|input| &input.header);
    let mut header = headers.next().cloned().unwrap_or_default();
    let hosts: BTreeSet<&str> = inputs.iter().map(|i| i.header.host.as_str()).collect();
    header.host = hosts.into_iter().collect::<Vec<_>>().join(", ");
    for other in headers {
        header.start_unix_ns = header.start_unix_ns.min(other.start_unix_ns);
        header
            .environment
            .retain(|variable| other.environment.contains(variable));
    }
    header
}

/// A recording that is being written, and the first thing that went wrong with it.
struct Output {
    place: Place,
    writer: io::Result<Writer<BufWriter<File>>>,
    written_bytes: u64,
}

impl Output {
    fn open(plan: &Plan, place: Place, header: Header) -> Output {
        let file = plan.opener(place.clone())();
        Output {
            place,
            writer: file.and_then(|file| Writer::new(BufWriter::new(file), header)),
            written_bytes: 0,
        }
    }

    fn put(&mut self, write: impl FnOnce(&mut Writer<BufWriter<File>>) -> io::Result<()>) {
        if let Ok(writer) = &mut self.writer {
            let result = write(writer);
            self.written_bytes = writer.written_bytes();
            if let Err(error) = result {
                self.writer = Err(error);
            }
        }
    }

    fn finish(self) -> Outcome {
        let mut written_bytes = self.written_bytes;
        let finished = self.writer.and_then(|writer| {
            let (mut out, all_bytes) = writer.finish()?;
            out.flush()?;
            written_bytes = all_bytes;
            let file = out.get_ref();
            let is_file = file.metadata()?.is_file();
            if is_file { file.sync_all() } else { Ok(()) }
        });
        let path = self.place.path;
        Outcome {
            kind: Kind::Recording,
            saved: (written_bytes > 0).then(|| Saved {
                path: path.clone(),
                size_bytes: written_bytes,
            }),
            error: finished.err().map(|source| WriteError {
                path,
                written_bytes,
                source,
            }),
        }
    }
}
