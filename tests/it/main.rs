//! Tests that need no Python: the command line and the architecture.

mod architecture;
mod cli;
