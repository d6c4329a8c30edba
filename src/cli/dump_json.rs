//! Turns a [`Dump`] into JSON, schema 1 (the help of `rsamp dump` documents it).

use serde::Serialize;

use crate::profile::event::Frame;
use crate::sampler::{Activity, Dump, ThreadDump};

/// The number of the schema; a removed, renamed or reinterpreted field needs a new one.
pub const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct JsonDump<'a> {
    schema: u32,
    pid: i32,
    python: &'a str,
    command: &'a [String],
    threads: Vec<JsonThread<'a>>,
}

#[derive(Serialize)]
struct JsonThread<'a> {
    tid: Option<i32>,
    name: Option<&'a str>,
    is_main: bool,
    holds_gil: Option<bool>,
    activity: Option<&'static str>,
    interpreter: i64,
    incomplete: Option<&'a str>,
    frames: Vec<JsonFrame<'a>>,
}

#[derive(Serialize)]
struct JsonFrame<'a> {
    name: &'a str,
    file: Option<&'a str>,
    first_line: Option<u32>,
    line: Option<u32>,
}

/// The dump as indented JSON with a line feed at its end.
///
/// # Errors
/// When the JSON cannot be built, which strings and numbers never cause.
pub fn json(dump: &Dump) -> Result<String, serde_json::Error> {
    let document = JsonDump {
        schema: SCHEMA,
        pid: dump.pid.0,
        python: &dump.python,
        command: &dump.command,
        threads: dump.threads.iter().map(json_thread).collect(),
    };
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

fn json_thread(thread: &ThreadDump) -> JsonThread<'_> {
    JsonThread {
        tid: thread.tid,
        name: thread.name.as_deref(),
        is_main: thread.is_main,
        holds_gil: thread.holds_gil,
        activity: thread.activity.map(|activity| match activity {
            Activity::Running => "running",
            Activity::Waiting => "waiting",
        }),
        interpreter: thread.interpreter,
        incomplete: thread.incomplete.as_deref(),
        frames: thread.frames.iter().map(json_frame).collect(),
    }
}

fn json_frame(frame: &Frame) -> JsonFrame<'_> {
    JsonFrame {
        name: &frame.name,
        file: frame.file.as_deref(),
        first_line: frame.first_line,
        line: frame.line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::dump_text::tests::{attack, sample_dump};

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
}
