//! What is to be shown on a screen, before it is drawn.

use super::cells::Palette;
use crate::tui::answer::Answer;
use crate::tui::state::State;

/// What is to be shown.
pub struct Page<'p> {
    /// The figures and the table.
    pub answer: &'p Answer,
    /// What the user chose.
    pub state: &'p State,
    /// Whether there are colours.
    pub palette: Palette,
    /// Whether there are keys to tell of.
    pub has_keys: bool,
}
