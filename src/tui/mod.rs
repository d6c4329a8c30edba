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

mod host;

mod filter;

pub(crate) mod state;

mod order;

mod pane;

mod flame;

mod header;

mod answer;

pub(crate) mod view;

pub(crate) mod terminal;

pub(crate) mod batch;

pub use answer::Answer;
pub use batch::text as batch_text;
pub use host::Host;
pub use state::{Key, State as ScreenState};
pub use terminal::run;
pub use view::{Page, Palette, draw};
