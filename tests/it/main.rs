//! Tests that need no Python: files, the command line, ordinary processes, the architecture.

mod export;
mod process;
mod profile;
