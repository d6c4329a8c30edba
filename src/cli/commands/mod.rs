//! Turns requests into deeds, one file per subcommand.

pub mod completions;
