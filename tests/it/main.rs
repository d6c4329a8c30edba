//! Tests that need no Python: files, command line, snapshots, architecture.

mod architecture;
mod cli;
mod export;
mod profile;
