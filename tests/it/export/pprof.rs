//! What a pprof file holds, read back by the numbers of its fields.

use std::io::Read;

use flate2::read::GzDecoder;
use rsamp::export::Format;
use rsamp::profile::Profile;

use super::{bytes, empty, hostile, hostile_names, one_thread, two_threads};

/// The value of a field: a number, or bytes.
#[derive(Debug, Clone)]
enum Value {
    Number(u64),
    Bytes(Vec<u8>),
}

/// The fields of a message with their numbers, as the encoding guide of protobuf has it.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Value)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let value = match key & 7 {
            0 => Value::Number(varint(&mut bytes)),
            2 => {
                let len = varint(&mut bytes) as usize;
                let (value, rest) = bytes.split_at(len);
                bytes = rest;
                Value::Bytes(value.to_vec())
            }
            kind => panic!("kind {kind}"),
        };
        fields.push((key >> 3, value));
    }
    fields
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let end = bytes
        .iter()
        .position(|byte| byte & 0x80 == 0)
        .expect("an end");
    let (number, rest) = bytes.split_at(end + 1);
    *bytes = rest;
    number
        .iter()
        .rev()
        .fold(0, |sum, byte| sum << 7 | u64::from(byte & 0x7f))
}

struct Message(Vec<(u64, Value)>);

impl Message {
    fn of(profile: &Profile) -> Message {
        let mut plain = Vec::new();
        let file = bytes(Format::Pprof, profile);
        let mut gzip = GzDecoder::new(file.as_slice());
        gzip.read_to_end(&mut plain).expect("gzip");
        Message(fields(&plain))
    }

    fn all(&self, number: u64) -> Vec<Vec<u8>> {
        let bytes = |(found, value): &(u64, Value)| match value {
            Value::Bytes(bytes) if *found == number => Some(bytes.clone()),
            _ => None,
        };
        self.0.iter().filter_map(bytes).collect()
    }

    fn messages(&self, number: u64) -> Vec<Message> {
        let parts = self.all(number).into_iter();
        parts.map(|part| Message(fields(&part))).collect()
    }

    fn number(&self, number: u64) -> u64 {
        let value = self.0.iter().find(|(found, _)| *found == number);
        match value {
            Some((_, Value::Number(value))) => *value,
            Some(other) => panic!("{other:?}"),
            None => 0,
        }
    }

    fn packed(&self, number: u64) -> Vec<u64> {
        let packed = self.all(number).concat();
        let mut rest = packed.as_slice();
        std::iter::from_fn(|| (!rest.is_empty()).then(|| varint(&mut rest))).collect()
    }

    fn strings(&self) -> Vec<String> {
        let strings = self.all(6).into_iter();
        strings
            .map(|text| String::from_utf8(text).expect("UTF-8"))
            .collect()
    }
}

/// Each sample as `name:line<name:line 1 2 3 4 key=value`.
fn show(profile: &Profile) -> String {
    let file = Message::of(profile);
    let strings = file.strings();
    let (functions, locations) = (file.messages(5), file.messages(4));
    let frame = |id: &u64| {
        let location = locations
            .iter()
            .find(|l| l.number(1) == *id)
            .expect("a location");
        let line = &location.messages(4)[0];
        let function = functions.iter().find(|f| f.number(1) == line.number(1));
        let function = function.expect("a function");
        let name = &strings[function.number(2) as usize];
        let file = &strings[function.number(4) as usize];
        format!("{name}:{file}:{}:{}", function.number(5), line.number(2))
    };
    let label = |label: &Message| {
        let (key, text) = (
            &strings[label.number(1) as usize],
            &strings[label.number(2) as usize],
        );
        format!("{key}={text}{}", label.number(3))
    };
    let sample = |sample: &Message| {
        let frames: Vec<String> = sample.packed(1).iter().map(frame).collect();
        let labels: Vec<String> = sample.messages(3).iter().map(label).collect();
        format!(
            "{}\n    {:?} {}\n",
            frames.join("\n"),
            sample.packed(2),
            labels.join(" ")
        )
    };
    let kind = |kind: &Message| {
        let word = |number| strings[kind.number(number) as usize].as_str();
        format!("{}/{}", word(1), word(2))
    };
    let kinds: Vec<String> = file.messages(1).iter().map(kind).collect();
    let comments = file.packed(13);
    let comments: Vec<&str> = comments
        .iter()
        .map(|id| strings[*id as usize].as_str())
        .collect();
    let samples: String = file.messages(2).iter().map(sample).collect();
    format!(
        "{kinds:?}, first {}\n{comments:?}\nduration {} period {} {}\n{samples}",
        strings[file.number(14) as usize],
        file.number(10),
        file.number(12),
        kind(&file.messages(11)[0]),
    )
}

#[test]
fn files() {
    insta::assert_snapshot!(show(&one_thread()));
    insta::assert_snapshot!(show(&two_threads()));
    insta::assert_snapshot!(show(&empty()));
}

#[test]
fn hostile_names_are_whole() {
    let strings = Message::of(&hostile()).strings();
    assert_eq!(strings[0], "");
    for name in hostile_names() {
        assert!(strings.contains(&name), "{name:?}");
    }
}
