//! Tests that need no Python: files, command line, snapshots, architecture.

mod export;
mod profile;
