//! Tests against real interpreters of every version, which `scripts/test` provides.

mod formats;
mod line_tables;
mod pythons;
