//! Turns the memory of a CPython interpreter into threads, frames, names and lines.

pub mod layout;

pub mod line_table;

pub mod legacy;
