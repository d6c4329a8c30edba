//! Turns the commands and options into man pages, one for each command: `rsamp man-pages FOLDER`.

use std::path::Path;

use anyhow::{Context, Result};
use clap::CommandFactory;

use crate::cli::args::Args;
use crate::cli::errors::exit_code;

/// Writes `rsamp.1`, `rsamp-record.1` and so on.
///
/// # Errors
/// When one cannot be written.
pub fn run(folder: &Path) -> Result<u8> {
    clap_mangen::generate_to(Args::command(), folder)
        .with_context(|| format!("write the man pages into {folder:?}"))?;
    Ok(exit_code::OK)
}
