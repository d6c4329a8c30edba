//! Turns a profile into the files that were asked for: each whole, and where the user may write, or not at all.

mod destination;
mod growing;
mod kind;
mod naming;
mod outcome;
mod pipes;
mod plan;
mod temporary;

pub use destination::{Destination, OutputError, Readers, WriteError};
pub use growing::Growing;
pub use kind::{Kind, UnknownKind};
pub use naming::{Facts, Pattern, PatternError};
pub use outcome::{Outcome, Saved};
pub use plan::Plan;
