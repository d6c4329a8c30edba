//! Turns a [`Dump`] into JSON and back, schema 1 (the help of `rsamp dump` documents it).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::profile::dump::{Activity, Dump, TaskDump, TaskState, ThreadDump, WaitsFor};
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
    #[serde(skip_serializing_if = "Option::is_none", default)]
    tasks: Option<Vec<JsonTask<'a>>>,
}

#[derive(Serialize, Deserialize)]
struct JsonTask<'a> {
    id: u32,
    name: Option<Cow<'a, str>>,
    interpreter: i64,
    state: Cow<'a, str>,
    waits_for: Option<Cow<'a, str>>,
    parents: Cow<'a, [u32]>,
    frames: Vec<JsonFrame<'a>>,
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
        tasks: dump
            .tasks
            .as_ref()
            .map(|tasks| tasks.iter().map(json_task).collect()),
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

fn json_task(task: &TaskDump) -> JsonTask<'_> {
    let waits_for = match task.state {
        TaskState::Waiting(waits_for) => Some(waits_for_word(waits_for).into()),
        TaskState::Running | TaskState::Ready | TaskState::NotBegun => None,
    };
    JsonTask {
        id: task.id,
        name: task.name.as_deref().map(Cow::from),
        interpreter: task.interpreter,
        state: state_word(task.state).into(),
        waits_for,
        parents: Cow::Borrowed(&task.parents),
        frames: task.frames.iter().map(json_frame).collect(),
    }
}

fn state_word(state: TaskState) -> &'static str {
    match state {
        TaskState::Running => RUNNING,
        TaskState::Ready => "ready",
        TaskState::NotBegun => "created",
        TaskState::Waiting(_) => WAITING,
    }
}

fn waits_for_word(waits_for: WaitsFor) -> &'static str {
    match waits_for {
        WaitsFor::Sleep => "sleep",
        WaitsFor::Network => "network",
        WaitsFor::Lock => "lock",
        WaitsFor::Queue => "queue",
        WaitsFor::Thread => "thread",
        WaitsFor::Process => "process",
        WaitsFor::Task => "task",
        WaitsFor::Future => "future",
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
        tasks: document
            .tasks
            .map(|tasks| tasks.into_iter().map(task).collect()),
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

fn task(task: JsonTask<'_>) -> TaskDump {
    let waits_for = task.waits_for.as_deref();
    let waits_for = WaitsFor::ALL
        .into_iter()
        .find(|some| Some(waits_for_word(*some)) == waits_for);
    let waiting = TaskState::Waiting(waits_for.unwrap_or(WaitsFor::Future));
    let mut states = [TaskState::Running, TaskState::NotBegun, waiting].into_iter();
    let state = states.find(|state| state_word(*state) == task.state);
    TaskDump {
        id: task.id,
        name: task.name.map(Cow::into_owned),
        interpreter: task.interpreter,
        state: state.unwrap_or(TaskState::Ready),
        parents: task.parents.into_owned(),
        frames: task.frames.into_iter().map(frame).collect(),
    }
}

fn frame(frame: JsonFrame<'_>) -> Frame {
    Frame {
        // Every function of Python has a file.
        kind: match (frame.native, &frame.file) {
            (Some(native), _) => FrameKind::Native(NativeCode {
                module: native.module.into_owned(),
                build_id: None,
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

    /// A task in each state.
    fn with_tasks() -> Dump {
        let waits = WaitsFor::ALL.map(TaskState::Waiting);
        let states = [TaskState::Running, TaskState::Ready, TaskState::NotBegun].into_iter();
        let tasks = states.chain(waits).zip(0..).map(|(state, id)| TaskDump {
            id,
            name: (id > 0).then(|| format!("Task-{id}")),
            interpreter: 0,
            state,
            parents: Vec::from_iter(0..id.min(2)),
            frames: sample_dump().threads[0].frames.clone(),
        });
        Dump {
            tasks: Some(tasks.collect()),
            ..sample_dump()
        }
    }

    #[test]
    fn tasks_have_what_they_wait_for_and_what_waits_for_them() {
        let text = json(&with_tasks()).expect("JSON");
        let read: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let task = &read["tasks"][5];
        assert_eq!(task["state"], "waiting");
        assert_eq!(task["waits_for"], "lock");
        assert_eq!(task["parents"], serde_json::json!([0, 1]));
        assert_eq!(read["tasks"][2]["state"], "created");
        let without: serde_json::Value =
            serde_json::from_str(&json(&sample_dump()).expect("JSON")).expect("JSON");
        assert_eq!(without.get("tasks"), None);
    }

    #[test]
    fn what_was_written_is_read_back() {
        for dump in [sample_dump(), attack(), native_dump(), with_tasks()] {
            let text = json(&dump).expect("JSON");
            let back = read(text.as_bytes()).expect("a dump");
            assert_eq!(json(&back).expect("JSON"), text);
            assert_eq!(format!("{back:?}"), format!("{dump:?}"));
            assert!(read(&text.as_bytes()[..text.len() / 2]).is_err());
        }
    }
}
