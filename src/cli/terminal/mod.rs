//! Turns what came of a run into text on the terminal.

pub mod browser;
pub mod live_view;
pub mod overview;
pub mod processes;
pub mod progress;
pub mod screen;
pub mod streams;
pub mod summary;
pub mod tables;
