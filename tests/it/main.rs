//! Tests of rsamp that need no Python.

mod process;
