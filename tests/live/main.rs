//! Tests against real interpreters, those that `RSAMP_PYTHONS` lists.

mod oracle;
mod programs;
mod pythons;

mod legacy;
mod line_tables;
