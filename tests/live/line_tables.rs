//! Decodes the line tables of whole standard libraries and compares every instruction with what
//! the interpreter itself says.

use rsamp::cpython::{LineFormat, LineIndex, LineTable, Row};

use crate::support::programs::program;
use crate::support::pythons::Python;

/// What the standard library of every version has more of.
const AT_LEAST_CODE_OBJECTS: usize = 10_000;

/// Where ranges end and the line of each, neighbours of the same line merged.
type Runs = Vec<(u32, Option<u32>)>;

/// One code object as `dump_line_tables.py` writes it.
struct Record {
    table: LineTable,
    code_bytes: u32,
    /// What the interpreter says, in up to two ways.
    said: Vec<Runs>,
}

fn every_line_is_what_python_says(python: &Python) {
    let records = dump(python);
    for (index, record) in records.iter().enumerate() {
        compare(python, index, record);
    }
    let count = records.len();
    assert!(count >= AT_LEAST_CODE_OBJECTS, "only {count} code objects");
}

test_on_each!(every_line_is_what_python_says);

fn compare(python: &Python, index: usize, record: &Record) {
    let place = || format!("{}, code object {index}: {:?}", python.label, record.table);
    let mut decoded = Runs::new();
    for (start, end, line) in record.table.ranges() {
        if start < record.code_bytes {
            push_run(&mut decoded, end.min(record.code_bytes), line);
        }
    }
    for said in &record.said {
        assert_eq!(&decoded, said, "{}", place());
    }

    let lines = LineIndex::new(&record.table);
    let mut start = 0;
    for &(end, line) in &decoded {
        assert_eq!(lines.line_at(start), line, "byte {start}, {}", place());
        assert_eq!(lines.line_at(end - 1), line, "byte {end} - 1, {}", place());
        start = end;
    }
    if let Some(&(end, line)) = decoded.last() {
        assert_eq!(record.table.line_at(end - 1), line, "{}", place());
    }
}

fn push_run(runs: &mut Runs, end: u32, line: Option<u32>) {
    match runs.last_mut() {
        Some(last) if last.1 == line => last.0 = end,
        _ => runs.push((end, line)),
    }
}

fn dump(python: &Python) -> Vec<Record> {
    let output = python
        .interpreter()
        .arg(program("dump_line_tables.py"))
        .output()
        .unwrap_or_else(|error| panic!("start {}: {error}", python.label));
    assert!(
        output.status.success(),
        "{}: {}",
        python.label,
        String::from_utf8_lossy(&output.stderr)
    );
    let row = Row::of_minor(3, python.version.1).expect("a row");
    let format = row.traits.line_format;
    let mut rest = output.stdout.as_slice();
    let mut records = Vec::new();
    while !rest.is_empty() {
        records.push(take_record(&mut rest, format));
    }
    records
}

fn take_record(rest: &mut &[u8], format: LineFormat) -> Record {
    let first_line = take_int(rest);
    let [code_bytes, table_bytes, a, b] =
        [(); 4].map(|()| u32::try_from(take_int(rest)).expect("a length"));
    let bytes = take_bytes(rest, table_bytes as usize).to_vec();
    let said = [a, b]
        .iter()
        .map(|&count| take_runs(rest, count, code_bytes))
        .filter(|runs| !runs.is_empty())
        .collect();
    Record {
        table: LineTable {
            format,
            first_line,
            bytes,
        },
        code_bytes,
        said,
    }
}

/// `count` pairs (end, line), as far as there is code; a line below 1 is none.
fn take_runs(rest: &mut &[u8], count: u32, code_bytes: u32) -> Runs {
    let mut runs = Runs::new();
    let mut start = 0;
    for _ in 0..count {
        let end = u32::try_from(take_int(rest))
            .expect("an offset")
            .min(code_bytes);
        let line = u32::try_from(take_int(rest)).ok().filter(|&line| line > 0);
        if end > start {
            push_run(&mut runs, end, line);
            start = end;
        }
    }
    runs
}

fn take_int(rest: &mut &[u8]) -> i32 {
    let bytes = take_bytes(rest, 4).try_into().expect("four bytes");
    i32::from_ne_bytes(bytes)
}

fn take_bytes<'a>(rest: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, left) = rest.split_at(count);
    *rest = left;
    taken
}
