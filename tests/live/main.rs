//! Tests against real interpreters of every version, which `scripts/test` provides. A test that runs on several is one test
//! for each: `cargo test --test live stacks::frames_of_every_kind::v3_11`.
#![allow(clippy::print_stderr)]

#[path = "../support/mod.rs"]
#[macro_use]
mod support;

mod activity;
mod blocked_loops;
mod builds;
mod cells;
mod deep;
mod differential;
mod first_screen;
mod formats;
mod gaps;
mod launchers;
mod legacy;
mod life;
mod line_tables;
mod lines;
mod namespaces;
mod native;
mod native_samples;
mod oracle;
mod package;
mod planted;
mod recordings;
mod refusals;
mod resources;
mod save_image;
mod stacks;
mod symbols;
mod tasks;
mod thread_names;
mod top;
mod torture;
mod tree;
mod trust;
