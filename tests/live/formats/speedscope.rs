//! What speedscope makes of the files that are its own.

use std::process::Command;

use rsamp::export::Format;
use rsamp::profile::Profile;
use serde_json::Value;

use super::{HARD_NAME, fetched, profile, speedscope, stdout, tool, with_file};

#[test]
fn speedscope_opens_its_own_format() {
    needs!(RSAMP_FORMATS, node);
    let opened = with_file(Format::Speedscope, &profile(), speedscope);
    let threads = opened.as_array().expect("profiles");
    assert_eq!(threads.len(), 2);
    let main = &threads[0];
    assert_eq!(
        (&main["name"], &main["unit"]),
        (&"thread MainThread (1)".into(), &"nanoseconds".into())
    );
    assert_eq!(main["total"], 625_000_000);
    let frames = main["frames"].as_array().expect("frames");
    let of = |name: &str| frames.iter().find(|frame| frame["name"] == name);
    let fib = of("fib").expect("fib");
    assert_eq!(
        (&fib["self"], &fib["total"]),
        (&250_000_000.into(), &375_000_000.into())
    );
    assert_eq!(
        (&fib["file"], &fib["line"]),
        (&"/home/ada/scatter.py".into(), &10.into())
    );
    assert!(of(HARD_NAME).is_some(), "{frames:?}");
    let order = main["order"].as_array().expect("calls");
    let order: Vec<&Value> = order.iter().take(3).collect();
    assert_eq!(order, ["+main 0", "+fib 125000000", "+fib 250000000"]);
}

#[test]
fn files_keep_to_the_schema() {
    needs!(RSAMP_FORMATS, RSAMP_TOOLS);
    let script = "import sys, json, jsonschema; \
                  schema, file = (json.load(open(f, encoding='utf-8')) for f in sys.argv[1:]); \
                  jsonschema.validate(file, schema); print('valid', len(file['profiles']))";
    let schema = fetched("speedscope/dist/release/file-format-schema.json");
    for (profile, profiles) in [(profile(), 2), (Profile::default(), 1)] {
        let shown = with_file(Format::Speedscope, &profile, |path| {
            let mut command = Command::new(tool("python"));
            stdout(command.args(["-c", script]).arg(&schema).arg(path))
        });
        assert_eq!(shown.trim(), format!("valid {profiles}"));
    }
}

#[test]
fn an_empty_profile_opens() {
    needs!(RSAMP_FORMATS, node);
    let opened = with_file(Format::Speedscope, &Profile::default(), speedscope);
    assert_eq!(opened[0]["total"], 0);
}
