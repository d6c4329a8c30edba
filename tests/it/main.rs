//! Tests that need no Python: files, the command line, ordinary processes, the architecture.

mod architecture;
mod cli;
mod export;
mod process;
mod profile;
