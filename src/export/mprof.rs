//! Turns the readings of resident memory into the file that `mprof run` writes and `mprof plot` draws.
//!
//! One word and its values a line (memory_profiler's `mprof.py`, `read_mprofile_file`): `CMDLINE`, the
//! command; `MEM`, resident MiB of the first process and the time in seconds since 1970; `CHLD`, the
//! same of another process, behind its number from 0 on. Times of a recording that does not say
//! when it began are since 1970 itself.

use std::io;

use crate::export::ReportInput;
use crate::export::spec::Spec;
use crate::export::words::labels::one_line;
use crate::profile::event::ProcessId;

const MIB: f64 = 1024.0 * 1024.0;

/// memory_profiler's record of resident memory over time.
pub(super) const MPROF: Spec = Spec::new("mprof", &["dat"], "mprof plot {path}", write);

/// Writes the file.
///
/// # Errors
/// When `out` fails.
fn write(input: &ReportInput<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let profile = input.profile;
    let meta = input.meta;
    writeln!(out, "CMDLINE {}", one_line(&meta.command))?;
    // A child that was read before its parent is still a child.
    let first = profile.usage().iter().filter(|u| u.resident.is_some());
    let first = first.map(|usage| usage.process).min().unwrap_or_default();
    for usage in profile.usage() {
        let Some(resident) = usage.resident else {
            continue;
        };
        let at_ns = u128::from(meta.start_unix_ns) + u128::from(usage.at.0);
        let (seconds, rest) = (at_ns / 1_000_000_000, at_ns % 1_000_000_000 / 100_000);
        let mib = resident as f64 / MIB;
        let who = who(first, usage.process);
        writeln!(out, "{who} {mib:.6} {seconds}.{rest:04}")?;
    }
    Ok(())
}

fn who(first: ProcessId, process: ProcessId) -> String {
    match process.0.checked_sub(first.0) {
        Some(0) | None => "MEM".to_owned(),
        Some(child) => format!("CHLD {}", child - 1),
    }
}
