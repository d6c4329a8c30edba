//! Turns several recordings into one recording and one profile.

use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, JoinHandle};

use crate::export::source_text::SourceText as SourceTexts;
use crate::process::Pid;
use crate::profile::Profile;
use crate::profile::event::Event;
use crate::recording::{Header, Merger, Moved, SourceText, Spare, Spill, Writer};
use crate::run::inputs::{self, Group, Input, Trouble};
use crate::run::launches::Launches;
use crate::run::outputs::{Destination, Growing, Kind, Outcome, Plan, Saved, WriteError};
use crate::run::request::Shown;
use crate::run::shown::ShownProfile;

/// What came of the merging.
#[derive(Debug)]
pub struct Merged {
    /// All samples.
    pub profile: Profile,
    /// What became of the recordings that were asked for.
    pub recordings: Vec<Outcome>,
    /// The source texts in the recordings.
    pub sources: SourceTexts,
}

/// Reads all recordings, one after the other, and writes those that the plan has, with this header. `pid` names them.
/// The profile is of what is to be shown.
/// Each process tells its rank and host, and times are since the start of the first recording.
#[must_use]
pub fn merge(
    inputs: &mut [Input],
    header: &Header,
    plan: &mut Plan,
    pid: Pid,
    shown: &Shown,
    trouble: &mut Trouble,
) -> Merged {
    let mut recordings = Recordings::new(plan, pid, header);
    let group = Group {
        first_start_unix_ns: inputs::first_start_unix_ns(inputs),
        tells_host: true,
        tells_name: false,
    };
    let mut shown_profile = ShownProfile::new(plan.empty_profile(), shown);
    let mut merger = Merger::default();
    let mut launches = Launches::of(inputs);
    let (mut sources, mut seen) = (SourceTexts::default(), HashSet::new());
    let mut emit = |event: Event, recordings: &mut Recordings| {
        recordings.event(&event);
        shown_profile.apply(event);
    };
    for input in inputs {
        merger.begin();
        let read = inputs::read_one(input, &mut launches, group, trouble, &mut |event| {
            merger.apply(event, &mut |event| emit(event, &mut recordings));
        });
        if let Some(reader) = read {
            recordings.sources(reader.sources(), reader.changed_files());
            // A thousand ranks run the same program.
            for text in reader.sources() {
                if seen.insert((Arc::clone(&text.file), text.first_line)) {
                    sources.add(&text.file, text.first_line, &text.text);
                }
            }
        }
    }
    merger.finish(&mut |event| emit(event, &mut recordings));
    Merged {
        profile: shown_profile.finish(),
        recordings: recordings.finish(plan),
        sources,
    }
}

/// Recordings that are written while others are read. No file is made before the first process: filters let one pass only
/// with a sample.
pub struct Recordings {
    header: Header,
    waiting: Vec<(Growing, OpenOutput, Spare)>,
    /// What came before the first process.
    held: Vec<Event>,
    outputs: Vec<Output>,
    seen: HashSet<(Arc<str>, u32)>,
    changed: HashSet<Arc<str>>,
    /// The end, behind which there must be nothing.
    end: Option<Event>,
}

type OpenOutput = Box<dyn FnOnce() -> io::Result<File>>;

impl Recordings {
    /// Those that the plan has, with this header. `pid` names them.
    #[must_use]
    pub fn new(plan: &mut Plan, pid: Pid, header: &Header) -> Recordings {
        let places = plan.choose_names(pid).into_iter();
        let open = |place: Destination| -> (Growing, OpenOutput, Spare) {
            let spare = plan.spare(&place);
            let growing = Growing::at(place);
            let open = plan.opener(&growing);
            (growing, Box::new(open), spare)
        };
        Recordings {
            header: header.clone(),
            waiting: places.map(open).collect(),
            held: Vec::new(),
            outputs: Vec::new(),
            seen: HashSet::new(),
            changed: HashSet::new(),
            end: None,
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.outputs.is_empty()
    }

    /// Takes the next event.
    pub fn event(&mut self, event: &Event) {
        if self.is_empty() {
            return;
        }
        if !self.waiting.is_empty() {
            self.held.push(event.clone());
            if matches!(event, Event::Process(..)) {
                self.open();
            }
            return;
        }
        self.put(event.clone());
    }

    fn put(&mut self, event: Event) {
        if matches!(event, Event::End(_)) {
            self.end = Some(event);
            return;
        }
        for output in &mut self.outputs {
            output.put(Piece::Event(event.clone()));
        }
    }

    /// Takes source texts, of each place once, and files that were changed while their program ran.
    pub fn sources(&mut self, sources: &[SourceText], changed_files: &[Arc<str>]) {
        for file in changed_files {
            if self.changed.insert(Arc::clone(file)) {
                for output in &mut self.outputs {
                    output.put(Piece::ChangedFile(Arc::clone(file)));
                }
            }
        }
        for source in sources {
            if self
                .seen
                .insert((Arc::clone(&source.file), source.first_line))
            {
                for output in &mut self.outputs {
                    output.put(Piece::Source(source.clone()));
                }
            }
        }
    }

    fn open(&mut self) {
        for (growing, open, spare) in self.waiting.drain(..) {
            let output = Output::open(open(), spare, growing, self.header.clone());
            self.outputs.push(output);
        }
        for event in mem::take(&mut self.held) {
            self.put(event);
        }
    }

    /// Ends the files, and tells what became of each.
    #[must_use]
    pub fn finish(mut self, plan: &Plan) -> Vec<Outcome> {
        self.open();
        if let Some(end) = &self.end {
            for output in &mut self.outputs {
                output.put(Piece::Event(end.clone()));
            }
        }
        let arrived = |output: Output| {
            let growing = output.growing.clone();
            plan.deliver(growing, output.finish())
        };
        self.outputs.into_iter().map(arrived).collect()
    }
}

/// That of the first, with what is true of all.
#[must_use]
pub fn common_header(inputs: &[Input]) -> Header {
    let mut headers = inputs.iter().map(|input| &input.header);
    let mut header = headers.next().cloned().unwrap_or_default();
    let hosts: BTreeSet<&str> = inputs.iter().map(|i| i.header.host.as_str()).collect();
    header.start_unix_ns = inputs::first_start_unix_ns(inputs);
    header.host = hosts.into_iter().collect::<Vec<_>>().join(", ");
    for other in headers {
        header
            .environment
            .retain(|variable| other.environment.contains(variable));
    }
    header
}

/// What is handed to a thread that writes at once, and how many of these may wait for it.
const PIECES_AT_ONCE: usize = 4096;
const MAX_WAITING: usize = 16;

/// A recording that a thread of its own writes: to compress the samples takes longer than to read them.
struct Output {
    growing: Growing,
    pieces: Vec<Piece>,
    sender: SyncSender<Vec<Piece>>,
    thread: io::Result<JoinHandle<Written>>,
}

enum Piece {
    Event(Event),
    Source(SourceText),
    ChangedFile(Arc<str>),
}

/// How many bytes were written, and where else than planned, and the first thing that went wrong.
struct Written(u64, Option<PathBuf>, io::Result<()>);

impl Output {
    fn open(file: io::Result<File>, spare: Spare, growing: Growing, header: Header) -> Output {
        let (sender, receiver) = mpsc::sync_channel(MAX_WAITING);
        let writing = move || {
            let mut bytes = 0;
            let spill = file.map(|file| Spill::new(file, 0, Some(spare)));
            let result = spill.and_then(|spill| write(spill, header, receiver, &mut bytes));
            match result {
                Ok(Some(Moved { to, why })) => Written(bytes, Some(to), Err(why)),
                Ok(None) => Written(bytes, None, Ok(())),
                Err(error) => Written(bytes, None, Err(error)),
            }
        };
        Output {
            growing,
            pieces: Vec::new(),
            sender,
            thread: thread::Builder::new()
                .name("recorder".to_owned())
                .spawn(writing),
        }
    }

    fn put(&mut self, piece: Piece) {
        self.pieces.push(piece);
        if self.pieces.len() >= PIECES_AT_ONCE {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        // A thread that has failed says why at the end.
        let _ = self.sender.send(mem::take(&mut self.pieces));
    }

    fn finish(mut self) -> Outcome {
        self.hand_over();
        let Output {
            growing,
            sender,
            thread,
            ..
        } = self;
        drop(sender);
        let failed = || {
            Written(
                0,
                None,
                Err(io::Error::other("the thread that writes has failed")),
            )
        };
        let Written(written_bytes, moved_to, result) = match thread {
            Ok(thread) => thread.join().unwrap_or_else(|_| failed()),
            Err(error) => Written(0, None, Err(error)),
        };
        let path = growing.destination.path;
        Outcome {
            kind: Kind::Recording,
            saved: (written_bytes > 0).then(|| Saved {
                path: moved_to.unwrap_or_else(|| path.clone()),
                size_bytes: written_bytes,
            }),
            error: result.err().map(|source| WriteError {
                path,
                written_bytes,
                source,
            }),
        }
    }
}

/// Tells where it went on, if it did.
fn write(
    file: Spill,
    header: Header,
    pieces: Receiver<Vec<Piece>>,
    written_bytes: &mut u64,
) -> io::Result<Option<Moved>> {
    let mut writer = Writer::new(BufWriter::new(file), header)?;
    for piece in pieces.into_iter().flatten() {
        let result = match piece {
            Piece::Event(event) => writer.event(&event),
            Piece::Source(source) => writer.source(&source.file, source.first_line, &source.text),
            Piece::ChangedFile(file) => {
                writer.changed_file(&file);
                Ok(())
            }
        };
        *written_bytes = writer.written_bytes();
        result?;
    }
    let (mut out, all_bytes) = writer.finish()?;
    out.flush()?;
    *written_bytes = all_bytes;
    let file = out.get_ref().file();
    if file.metadata()?.is_file() {
        file.sync_all()?;
    }
    let (_, moved) = out.get_mut().take_spare();
    Ok(moved)
}
