//! Turns a profile that goes on into a screen that is redrawn while the program runs.
//!
//! ```text
//! keys ─► State (state) ──────────────┐
//! snapshots of the profile ─► Answer (answer) ─► cells (view) ─► terminal (terminal), text (batch)
//!                  Host (host): words, source text, files
//! ```
//!
//! What the keys do and what is shown are pure: only [`terminal`] knows a terminal. Everything that is not in the profile,
//! the words and the files among it, the [`Host`] brings, which `cli` makes.

pub mod host;

pub mod filter;

pub mod state;

mod order;

pub mod pane;

pub mod flame;

pub mod header;

pub mod answer;

pub mod view;

pub mod terminal;

pub mod batch;

pub use answer::Answer;
pub use host::Host;
pub use state::{Effect, Key, Screen, State};
