//! Turns what rsamp finds on each node of a job into lines that srun gathers, and those back.
//!
//! srun mixes what its tasks write, but lines of up to 1024 bytes stay whole (`MAX_MSG_LEN` in Slurm's `slurmstepd/io.c`):
//! so each message is one short line of JSON, and data goes in pieces. No folder need be shared.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// What begins each line; whatever else comes out of srun is somebody else's (a site's prologue).
const MARK: &str = "rsamp:1 ";

/// How much data goes into a line, in bytes; base64 makes a third more of it.
pub const MAX_DATA_BYTES: usize = 600;

/// Texts are cut to this, escaped characters (six bytes each) included.
const MAX_TEXT_BYTES: usize = 120;

/// What a node has to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its number in the step (SLURM_NODEID).
    pub node: u32,
    /// What it is.
    pub what: Payload,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payload {
    /// rsamp runs on the node of this name.
    Hello(String),
    /// A Python process was found.
    Begin(ProcessTag),
    /// More data of a process.
    Data(i32, String),
    /// All that there is of a process, and what went wrong with it.
    End(i32, Option<String>),
    /// All processes of the node have ended; so many were no Python programs.
    Done(u32),
}

/// What is told of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessTag {
    /// Its id as its node sees it; also names its data.
    pub pid: i32,
    /// The step of the job that it belongs to.
    pub step: String,
    /// Its rank among the processes that were launched together.
    pub rank: Option<u32>,
}

impl Payload {
    /// Data as it travels.
    #[must_use]
    pub fn data(pid: i32, bytes: &[u8]) -> Payload {
        Payload::Data(pid, STANDARD.encode(bytes))
    }
}

/// The bytes of [`Payload::Data`].
///
/// # Errors
/// When the text is no base64.
pub fn bytes(text: &str) -> io::Result<Vec<u8>> {
    STANDARD.decode(text).map_err(io::Error::other)
}

/// Writes one line, in one write.
///
/// # Errors
/// When `out` fails: nobody listens any more.
pub fn write(message: &Message, out: &mut impl Write) -> io::Result<()> {
    let line = format!("{MARK}{}\n", serde_json::to_string(message)?);
    out.write_all(line.as_bytes())?;
    out.flush()
}

/// Reads a line; `None` when it is none of ours.
#[must_use]
pub fn read(line: &str) -> Option<Message> {
    serde_json::from_str(line.strip_prefix(MARK)?).ok()
}

/// A text that fits into a line.
#[must_use]
pub fn short(text: &str) -> String {
    let mut end = text.len().min(MAX_TEXT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_a_short_line_and_comes_back() {
        let long = "\u{1}".repeat(5000);
        let all = [
            Payload::Hello(short(&long)),
            Payload::Begin(ProcessTag {
                pid: i32::MAX,
                step: "4294967295".to_owned(),
                rank: Some(u32::MAX),
            }),
            Payload::data(i32::MAX, &[0xfb; MAX_DATA_BYTES]),
            Payload::End(7, Some(short(&long))),
            Payload::End(7, None),
            Payload::Done(3),
        ];
        for what in all {
            let message = Message {
                node: u32::MAX,
                what,
            };
            let mut line = Vec::new();
            write(&message, &mut line).expect("written");
            assert!(line.len() <= 1000, "{} bytes", line.len());
            let line = String::from_utf8(line).expect("text");
            assert_eq!(line.matches('\n').count(), 1);
            assert_eq!(read(line.trim_end()), Some(message));
        }
        assert_eq!(bytes("+/v7").expect("base64"), [0xfb, 0xfb, 0xfb]);
        assert!(bytes("+").is_err());
        assert_eq!(read("Welcome to n1"), None);
        assert_eq!(read("rsamp:1 {"), None);
    }
}
