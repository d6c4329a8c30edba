//! What rsamp's own JSON holds.

use rsamp::export::Format;
use rsamp::profile::{Event, Missing, ProcessId, Usage};
use serde_json::Value;

use super::{empty, hostile, hostile_names, json, meta, one_thread, pretty, two_threads};
use crate::over_ranks::four_ranks;

#[test]
fn files() {
    insta::assert_snapshot!(pretty(Format::Json, &one_thread()));
    insta::assert_snapshot!(pretty(Format::Json, &two_threads()));
    insta::assert_snapshot!(pretty(Format::Json, &empty()));
}

#[test]
fn hostile_names_are_whole() {
    let file = json(Format::Json, &hostile(), &meta());
    for table in ["functions", "lines", "frames"] {
        let rows = file[table].as_array().expect(table);
        for name in hostile_names() {
            assert!(
                rows.iter().any(|row| row["name"] == *name),
                "{name:?} in {table}"
            );
        }
    }
}

/// docs/json.md tells every field, and no other.
#[test]
fn every_field_is_documented() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/json.md"));
    let page = page.expect("docs/json.md");
    let mut found = Vec::new();
    let mut profile = one_thread();
    profile.apply(Event::Usage(Usage::default()));
    profile.apply(Event::Missing(Missing {
        process: ProcessId(0),
        what: "io".to_owned(),
        why: "permission denied".to_owned(),
    }));
    for profile in [profile, four_ranks()] {
        fields(&json(Format::Json, &profile, &meta()), &mut found);
    }
    for field in &found {
        assert!(
            page.contains(&format!("`{field}`")),
            "{field} is not in docs/json.md"
        );
    }
    let told = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    for (field, _) in told {
        assert!(
            found.iter().any(|found| found == field),
            "there is no field {field}"
        );
    }
}

/// The names of all fields, but not the causes in `lost` and the states.
fn fields(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                found.push(name.clone());
                if name != "lost" && !name.ends_with("states") {
                    fields(value, found);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| fields(item, found)),
        _ => {}
    }
}
