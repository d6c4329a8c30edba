//! rsamp: a sampling profiler for CPython that works from outside the process, on Linux.
//!
//! # The road
//!
//! ```text
//! target process ─► memory ─► cpython ─► sampler ─► profile::Event ─► profile::Profile
//!                                                                          │
//!                                                                          ▼
//!                                                        export/* (svg, pstats, …)   cli summary
//! ```
//!
//! Data flows one way. [`profile::event::Event`] is the hinge: the sampler emits events, and a
//! [`profile::Profile`] is events folded.
//!
//! # The rooms, in reading order
//!
//! | room | what it turns into what | names |
//! |---|---|---|
//! | [`sys`] | system calls that have no safe binding into safe functions; the only `unsafe` code | - |
//! | [`process`] | a PID into an identity, its maps, threads, images; a command into a running child | `sys` |
//! | [`memory`] | an address of the target into bytes | `sys`, `process` |
//! | [`cpython`] | bytes into threads, frames, names and lines | `process`, `memory` |
//! | [`profile`] | events into stacks with times, and those into tables and call trees | - |
//! | [`sampler`] | a located interpreter into a stream of events | `process`, `memory`, `cpython`, `profile` |
//! | [`export`] | a profile into the bytes of a file format | `profile` |
//! | [`cli`] | what the user typed into all of the above | all but `sys` |
//!
//! The test `tests/it/architecture.rs` fails when a room names one that its row does not list.

pub mod sys;

pub mod process;

pub mod memory;

pub mod cpython;

pub mod profile;

pub mod sampler;

pub mod export;

pub mod cli;
