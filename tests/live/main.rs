//! Tests against real interpreters, those that `RSAMP_PYTHONS` lists.

mod pythons;

mod line_tables;
