//! Turns a recording that has become too large into one of half the size, which goes on growing.

use std::fmt;
use std::fs::File;
use std::io;

use super::reader::Reader;
use super::schema::Header;
use super::thin::Thinner;
use super::writer::Writer;
use crate::profile::event::{Event, Nanos};

/// The least that a recording may be limited to: about what the definitions of a larger program take.
pub const MIN_BYTES: u64 = 256 << 10;

/// A recording is thinned out when it is larger than this part of what is allowed, and then becomes smaller than
/// half: what is written at once must fit in between.
const FULL: f64 = 0.75;
const HALF: f64 = 0.5;

/// The first spans in which equal samples become one.
const FIRST_SPAN: Nanos = Nanos(1 << 24);

/// The last: all of a run of some months.
const LAST_SPAN: Nanos = Nanos(1 << 53);

/// Puts bytes into the place of a file, and opens it to write behind them.
pub type Replace = Box<dyn FnMut(&[u8]) -> io::Result<File> + Send>;

/// How large a recording may become.
pub struct SizeLimit {
    /// In bytes.
    pub max_bytes: u64,
    /// Puts these bytes into the place of the file, and opens it to write behind them.
    pub replace: Replace,
    /// Has the sampler take half as many samples from now on.
    pub halve_rate: Box<dyn FnMut() + Send>,
}

impl fmt::Debug for SizeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SizeLimit({})", self.max_bytes)
    }
}

/// Thins a recording out, again and again.
#[derive(Debug)]
pub(super) struct Thinning {
    pub(super) limit: SizeLimit,
    span: Nanos,
}

impl Thinning {
    pub(super) fn new(limit: SizeLimit) -> Thinning {
        Thinning {
            limit,
            span: FIRST_SPAN,
        }
    }

    /// Whether a recording of this size is to be thinned out.
    pub(super) fn is_full(&self, bytes: u64) -> bool {
        bytes as f64 > self.limit.max_bytes as f64 * FULL
    }

    /// Makes a recording of half the size of the one that `open` opens. Returns what goes on writing it, and the file.
    ///
    /// # Errors
    /// When its stacks alone take more than that, or a file cannot be read or written.
    pub(super) fn thin(
        &mut self,
        open: impl Fn() -> io::Result<File>,
    ) -> io::Result<(Writer<Vec<u8>>, File)> {
        let half = (self.limit.max_bytes as f64 * HALF) as u64;
        let writer = loop {
            let writer = thinned(&open, self.span)?;
            if writer.written_bytes() <= half {
                break writer;
            }
            if self.span >= LAST_SPAN {
                return Err(io::Error::other(format!(
                    "its stacks alone take {} bytes, more than half of --max-size",
                    writer.written_bytes()
                )));
            }
            self.span = Nanos(self.span.0 * 2);
        };
        (self.limit.halve_rate)();
        let file = (self.limit.replace)(writer.out())?;
        Ok((writer, file))
    }
}

/// The same recording with equal samples of each span made one.
fn thinned(open: &impl Fn() -> io::Result<File>, span: Nanos) -> io::Result<Writer<Vec<u8>>> {
    let read = || Reader::new(io::BufReader::new(open()?)).map_err(io::Error::other);
    // What is not an event comes at the end of a reading.
    let mut first = read()?;
    first.read(&mut |_| ())?;
    let header: Header = first.header().clone();
    let mut writer = Writer::new(Vec::new(), header)?;
    let mut thinner = Thinner::new(span);
    let mut error = None;
    let mut put = |event: Event| {
        let result = writer.event(&event);
        if let (Event::Process(id, _), true) = (&event, result.is_ok())
            && let Some(path) = first.executables().get(id.0 as usize)
        {
            writer.executable(path.clone());
        }
        error = error.take().or(result.err());
    };
    let mut second = read()?;
    second.read(&mut |event| thinner.apply(event, &mut put))?;
    thinner.finish(&mut put);
    if let Some(error) = error {
        return Err(error);
    }
    for file in first.changed_files() {
        writer.changed_file(file);
    }
    for source in first.sources() {
        writer.source(&source.file, source.first_line, &source.text)?;
    }
    writer.flush()?;
    Ok(writer)
}
