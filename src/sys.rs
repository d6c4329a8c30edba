//! Turns the system calls that have no safe binding into safe functions: every `unsafe` block of the crate.
#![allow(unsafe_code)]
