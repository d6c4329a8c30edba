//! Tests that need no Python: files, the command line, ordinary processes, the architecture.

#[path = "../support/mod.rs"]
#[macro_use]
mod support;

mod architecture;
mod blocked_loops;
mod call_tree;
mod cli;
mod damage;
mod diff;
mod export;
mod fake_interpreter;
mod filter;
mod findings;
mod first_screen;
mod images;
mod launch;
mod line_tables;
mod manners;
mod memory;
mod old_glibc;
mod old_recordings;
mod over_ranks;
mod process;
mod profile;
mod rates;
mod recent;
mod recording;
mod source_reader;
mod stacks;
mod symbols;
mod talk;
mod timeline;
mod top;
mod virtual_target;
