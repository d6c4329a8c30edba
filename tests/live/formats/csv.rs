//! What Python's csv module makes of tables.

use rsamp::export::Format;

use super::{profile, stdout, with_file};
use crate::support::pythons::Python;

fn every_python_3_reads_the_tables(python: &Python) {
    let script = "import csv, io, sys; rows = list(csv.DictReader(io.open(sys.argv[1], newline='', \
                  encoding='utf-8'))); print(len(rows), [(r['function'], r['self_wall_s'], \
                  r['total_wall_s']) for r in rows])";
    for (format, rows) in [(Format::FunctionsCsv, "4 ["), (Format::LinesCsv, "4 [")] {
        let shown = with_file(format, &profile(), |path| {
            stdout(python.interpreter().arg("-c").arg(script).arg(path))
        });
        assert!(shown.starts_with(rows), "{python:?}\n{shown}");
        assert!(
            shown.contains("('fib', '0.250000000', '0.500000000')"),
            "{shown}"
        );
        assert!(shown.contains("naïve_λ_🦀 <&>;\\n�\"\\'\\\\"), "{shown}");
    }
}

test_on_each!(every_python_3_reads_the_tables);
