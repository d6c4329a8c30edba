//! Tests that need no Python: files, the command line, ordinary processes, the architecture.

mod architecture;
mod cli;
mod damage;
mod export;
mod fake_interpreter;
mod image_format;
mod images;
mod process;
mod profile;
mod rates;
mod stacks;
