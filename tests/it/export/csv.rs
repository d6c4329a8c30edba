//! What the tables of comma-separated values hold.

use std::collections::BTreeSet;

use rsamp::export::Format;
use rsamp::profile::{Event, Nanos, Usage};

use crate::profile::{Build, Call};

use super::{HOSTILE_FILES, empty, hostile, hostile_names, one_thread, text, two_threads};

#[test]
fn files() {
    insta::assert_snapshot!(text(Format::FunctionsCsv, &one_thread()));
    insta::assert_snapshot!(text(Format::LinesCsv, &one_thread()));
    insta::assert_snapshot!(text(Format::FunctionsCsv, &two_threads()));
    insta::assert_snapshot!(text(Format::LinesCsv, &empty()));
    let mut profile = one_thread();
    profile.apply(Event::Usage(Usage {
        at: Nanos(1_500_000_000),
        resident: Some(20_000_000),
        cpu: Some(Nanos(7)),
        runnable: Some(2),
        forced_switches: Some(9),
        ..Usage::default()
    }));
    insta::assert_snapshot!(text(Format::UsageCsv, &profile));
}

/// The fields of each record, by the rules of RFC 4180.
fn records(csv: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut field) = (Vec::new(), Vec::new(), String::new());
    let (mut is_quoted, mut chars) = (false, csv.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '"' if is_quoted && chars.peek() == Some(&'"') => field.extend(chars.next()),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => record.push(std::mem::take(&mut field)),
            '\n' if !is_quoted => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            c => field.push(c),
        }
    }
    assert!(!is_quoted && record.is_empty() && field.is_empty());
    records
}

#[test]
fn hostile_names_are_whole_in_one_field() {
    for (format, columns) in [(Format::FunctionsCsv, 47), (Format::LinesCsv, 48)] {
        let rows = records(&text(format, &hostile()));
        assert!(rows.iter().all(|row| row.len() == columns));
        assert_eq!(
            rows.len(),
            1 + hostile_names().len() * (HOSTILE_FILES.len() + 1)
        );
        for name in hostile_names() {
            let shown = name.replace(['\0', '\u{1b}'], "\u{fffd}");
            assert!(rows.iter().any(|row| row[0] == shown), "{name:?}");
        }
        for file in HOSTILE_FILES {
            let shown = if file == "-->" { "'-->" } else { file };
            assert!(rows.iter().any(|row| row[1] == shown), "{file:?}");
        }
    }
}

#[test]
fn no_name_is_a_formula() {
    let mut build = Build::default();
    build.thread(None);
    let names = ["=1+1", "+1", "-1", "@SUM(A1)", " \t=1", "\u{a0}=1"];
    for name in names {
        build.sample(0, &[Call(name, "=cmd|' /C calc'!A0.py", 1, 1)], 1_000_000);
    }
    for format in [Format::FunctionsCsv, Format::LinesCsv] {
        for row in records(&text(format, &build.profile)).iter().skip(1) {
            assert!(row[0].starts_with('\''), "{row:?}");
            assert_eq!(row[1], "'=cmd|' /C calc'!A0.py");
            assert!(names.contains(&&row[0][1..]), "{row:?}");
        }
    }
}

/// docs/csv.md tells every column of every table, and no other.
#[test]
fn every_column_is_documented() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/csv.md"));
    let page = page.expect("docs/csv.md");
    let told = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('|').next());
    let told: BTreeSet<&str> = told
        .flat_map(|cell| cell.split('`'))
        .filter(|word| !word.trim().is_empty() && !word.starts_with(','))
        .collect();
    let formats = [
        Format::FunctionsCsv,
        Format::LinesCsv,
        Format::ClassesCsv,
        Format::RanksCsv,
        Format::UsageCsv,
        Format::TasksCsv,
    ];
    let mut tables: Vec<String> = formats.map(|format| text(format, &one_thread())).into();
    tables.push(crate::diff::csv_of_equals());
    let found: BTreeSet<&str> = tables
        .iter()
        .filter_map(|table| table.lines().next())
        .flat_map(|header| header.split(','))
        .collect();
    assert_eq!(told, found);
}
