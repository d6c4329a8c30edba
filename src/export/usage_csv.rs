//! Turns what the kernel counted of processes over time into comma-separated values.
//!
//! One row per process and reading, in the order in which they were read. Counters run from the start of the
//! process. What the kernel does not tell is an empty field; quoting is as in [`super::csv`].

use std::io;

use csv::Writer;

use super::csv::{number, seconds};
use crate::export::ReportInput;
use crate::export::spec::Spec;
use crate::profile::event::Usage;

/// The columns behind the process id.
const COLUMNS: [&str; 14] = [
    "at_s",
    "resident_bytes",
    "peak_bytes",
    "anonymous_bytes",
    "cpu_s",
    "runnable_threads",
    "read_calls_bytes",
    "write_calls_bytes",
    "storage_read_bytes",
    "storage_written_bytes",
    "minor_faults",
    "major_faults",
    "voluntary_switches",
    "forced_switches",
];

/// A table of what the kernel counted of processes over time.
pub(super) const USAGE_CSV: Spec = Spec::new(
    "usage-csv",
    &["usage.csv"],
    "memory, I/O, faults, switches over time, for pandas",
    write,
);

/// Writes the table.
///
/// # Errors
/// When `out` fails.
fn write(input: &ReportInput<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let profile = input.profile;
    let mut writer = Writer::from_writer(out);
    writer.write_record(["pid"].iter().chain(&COLUMNS))?;
    for usage in profile.usage() {
        let process = profile.process(usage.process);
        let pid = number(process.map(|process| process.pid));
        writer.write_record([pid].into_iter().chain(fields(usage)))?;
    }
    writer.flush()
}

fn fields(usage: &Usage) -> [String; 14] {
    [
        seconds(usage.at),
        number(usage.resident),
        number(usage.peak),
        number(usage.anonymous),
        usage.cpu.map_or_else(String::new, seconds),
        number(usage.runnable),
        number(usage.read_calls_bytes),
        number(usage.write_calls_bytes),
        number(usage.storage_read_bytes),
        number(usage.storage_written_bytes),
        number(usage.minor_faults),
        number(usage.major_faults),
        number(usage.voluntary_switches),
        number(usage.forced_switches),
    ]
}
