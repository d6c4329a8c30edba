//! Turns a [`Dump`] into JSON and back, schema 1 (the help of `rsamp dump` documents it).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::profile::dump::{Activity, Dump, ThreadDump};
use crate::profile::event::{Frame, FrameKind, NativeCode};

/// The number of the schema; a removed, renamed or reinterpreted field needs a new one.
pub const SCHEMA: u32 = 1;

const RUNNING: &str = "running";
const WAITING: &str = "waiting";

#[derive(Serialize, Deserialize)]
struct JsonDump<'a> {
    schema: u32,
    pid: i32,
    python: Cow<'a, str>,
    command: Cow<'a, [String]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    interpreter_module: Option<Cow<'a, str>>,
    threads: Vec<JsonThread<'a>>,
}

#[derive(Serialize, Deserialize)]
struct JsonThread<'a> {
    tid: Option<i32>,
    name: Option<Cow<'a, str>>,
    is_main: bool,
    holds_gil: Option<bool>,
    activity: Option<Cow<'a, str>>,
    interpreter: i64,
    incomplete: Option<Cow<'a, str>>,
    frames: Vec<JsonFrame<'a>>,
}

#[derive(Serialize, Deserialize)]
struct JsonFrame<'a> {
    name: Cow<'a, str>,
    file: Option<Cow<'a, str>>,
    first_line: Option<u32>,
    line: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    native: Option<JsonNative<'a>>,
}

#[derive(Serialize, Deserialize)]
struct JsonNative<'a> {
    module: Cow<'a, str>,
    offset: Option<u64>,
    is_inlined: bool,
}

/// The dump as indented JSON with a line feed at its end.
///
/// # Errors
/// When the JSON cannot be built, which strings and numbers never cause.
pub fn json(dump: &Dump) -> Result<String, serde_json::Error> {
    let document = JsonDump {
        schema: SCHEMA,
        pid: dump.pid,
        python: (&dump.python).into(),
        command: Cow::Borrowed(&dump.command),
        interpreter_module: dump.interpreter_module.as_deref().map(Cow::from),
        threads: dump.threads.iter().map(json_thread).collect(),
    };
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

fn json_thread(thread: &ThreadDump) -> JsonThread<'_> {
    JsonThread {
        tid: thread.tid,
        name: thread.name.as_deref().map(Cow::from),
        is_main: thread.is_main,
        holds_gil: thread.holds_gil,
        activity: thread.activity.map(|activity| match activity {
            Activity::Running => RUNNING.into(),
            Activity::Waiting => WAITING.into(),
        }),
        interpreter: thread.interpreter,
        incomplete: thread.incomplete.as_deref().map(Cow::from),
        frames: thread.frames.iter().map(json_frame).collect(),
    }
}

fn json_frame(frame: &Frame) -> JsonFrame<'_> {
    JsonFrame {
        name: (&frame.name).into(),
        file: frame.file.as_deref().map(Cow::from),
        first_line: frame.first_line,
        line: frame.line,
        native: match &frame.kind {
            FrameKind::Native(code) => Some(JsonNative {
                module: (&code.module).into(),
                offset: code.offset,
                is_inlined: code.is_inlined,
            }),
            FrameKind::Python | FrameKind::Mark => None,
        },
    }
}

/// The dump that was turned into this JSON, by this version of rsamp.
///
/// # Errors
/// When it is no such JSON.
pub fn read(json: &[u8]) -> Result<Dump, serde_json::Error> {
    let document: JsonDump<'_> = serde_json::from_slice(json)?;
    Ok(Dump {
        pid: document.pid,
        python: document.python.into_owned(),
        command: document.command.into_owned(),
        interpreter_module: document.interpreter_module.map(Cow::into_owned),
        threads: document.threads.into_iter().map(thread).collect(),
    })
}

fn thread(thread: JsonThread<'_>) -> ThreadDump {
    ThreadDump {
        tid: thread.tid,
        name: thread.name.map(Cow::into_owned),
        is_main: thread.is_main,
        holds_gil: thread.holds_gil,
        activity: thread.activity.and_then(|activity| match &*activity {
            RUNNING => Some(Activity::Running),
            WAITING => Some(Activity::Waiting),
            _ => None,
        }),
        interpreter: thread.interpreter,
        frames: thread.frames.into_iter().map(frame).collect(),
        incomplete: thread.incomplete.map(Cow::into_owned),
    }
}

fn frame(frame: JsonFrame<'_>) -> Frame {
    Frame {
        // Every function of Python has a file.
        kind: match (frame.native, &frame.file) {
            (Some(native), _) => FrameKind::Native(NativeCode {
                module: native.module.into_owned(),
                offset: native.offset,
                is_inlined: native.is_inlined,
            }),
            (None, Some(_)) => FrameKind::Python,
            (None, None) => FrameKind::Mark,
        },
        name: frame.name.into_owned(),
        file: frame.file.map(Cow::into_owned),
        first_line: frame.first_line,
        line: frame.line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::dump::text::tests::{attack, native_dump, sample_dump};

    #[test]
    fn every_field_of_the_schema_is_there() {
        insta::assert_snapshot!(json(&sample_dump()).expect("JSON"), @r#"
        {
          "schema": 1,
          "pid": 4242,
          "python": "3.11.7",
          "command": [
            "python",
            "scatter.py",
            "a b",
            "it's"
          ],
          "threads": [
            {
              "tid": 4242,
              "name": "MainThread",
              "is_main": true,
              "holds_gil": true,
              "activity": "running",
              "interpreter": 0,
              "incomplete": null,
              "frames": [
                {
                  "name": "Field.add",
                  "file": "/home/me/scatter.py",
                  "first_line": 1,
                  "line": 17
                },
                {
                  "name": "<module>",
                  "file": "/home/me/scatter.py",
                  "first_line": 1,
                  "line": 90
                }
              ]
            },
            {
              "tid": null,
              "name": null,
              "is_main": false,
              "holds_gil": null,
              "activity": null,
              "interpreter": 0,
              "incomplete": "memory at 0x7f10 could not be read",
              "frames": [
                {
                  "name": "<native>",
                  "file": null,
                  "first_line": null,
                  "line": null
                }
              ]
            },
            {
              "tid": 4250,
              "name": "worker 散乱",
              "is_main": false,
              "holds_gil": false,
              "activity": "waiting",
              "interpreter": 2,
              "incomplete": null,
              "frames": []
            }
          ]
        }
        "#);
    }

    #[test]
    fn hostile_names_come_back_unchanged() {
        let dump = attack();
        let read: serde_json::Value =
            serde_json::from_str(&json(&dump).expect("JSON")).expect("valid JSON");
        assert_eq!(read["command"][1], dump.command[1].as_str());
        assert_eq!(
            read["threads"][0]["name"],
            dump.threads[0].name.as_deref().expect("a name")
        );
        assert_eq!(
            read["threads"][0]["frames"][0]["file"],
            dump.threads[0].frames[0].file.as_deref().expect("a file")
        );
    }

    #[test]
    fn repeated_frames_are_all_there() {
        let mut dump = sample_dump();
        let frame = dump.threads[0].frames[0].clone();
        dump.threads[0].frames = vec![frame; 10_000];
        let read: serde_json::Value =
            serde_json::from_str(&json(&dump).expect("JSON")).expect("valid JSON");
        assert_eq!(
            read["threads"][0]["frames"].as_array().map(Vec::len),
            Some(10_000)
        );
    }

    #[test]
    fn what_was_written_is_read_back() {
        for dump in [sample_dump(), attack(), native_dump()] {
            let text = json(&dump).expect("JSON");
            let back = read(text.as_bytes()).expect("a dump");
            assert_eq!(json(&back).expect("JSON"), text);
            assert_eq!(format!("{back:?}"), format!("{dump:?}"));
            assert!(read(&text.as_bytes()[..text.len() / 2]).is_err());
        }
    }
}
