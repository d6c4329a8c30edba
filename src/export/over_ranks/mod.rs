//! Turns how time is spread over ranks into tables: of plain text, of comma-separated values, and for rsamp's JSON.

pub(crate) mod csv;
pub(crate) mod json;
mod tables;

pub(crate) use tables::{sentences, tables};
