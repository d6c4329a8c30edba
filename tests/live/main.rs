//! Tests against real interpreters of every version, which `scripts/test` provides.

mod formats;
mod legacy;
mod line_tables;
mod oracle;
mod programs;
mod pythons;
mod thread_names;
mod torture;
