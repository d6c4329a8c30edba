//! Turns what came of a run into text on the terminal.

pub(crate) mod browser;
pub(crate) mod live_view;
pub(crate) mod overview;
pub(crate) mod processes;
pub(crate) mod progress;
pub(crate) mod screen;
pub(crate) mod streams;
pub(crate) mod summary;
pub(crate) mod tables;
