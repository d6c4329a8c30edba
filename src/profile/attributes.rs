//! Turns what is known of some samples only into sets that samples share.
//!
//! A [`Sample`](super::event::Sample) has what every sample has. What only some have (the task that ran, the class of the
//! native code) is an attribute: a word and its value. Equal sets of attributes are one [`Attributes`], defined by an event
//! as a frame is, and a sample names it by its number: so it is as small without attributes as it was before there were
//! any, and to copy it allocates nothing. Samples with different sets are never summed, unless they differ in what tells
//! one task of a name from another only ([`Attribute::is_of_one_task`]); but for that nothing between the sampler and a
//! table needs to know what attributes there are.
//!
//! A new attribute is one more [`Attribute`] with its number in a recording. What defines it emits the set before the first
//! sample that has it, no more than [`MAX_ATTRIBUTES`](super::limits::MAX_ATTRIBUTES) of them. A filter compares the sets
//! when they are defined, not at each sample; a table looks up
//! [`Profile::attributes`](super::Profile::attributes) of its rows.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;

/// A set of attributes, numbered from 0. An `Option` of it takes no more room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttributesId(NonZeroU32);

impl AttributesId {
    /// That with this number. The largest numbers are the same.
    #[must_use]
    pub fn new(number: u32) -> AttributesId {
        AttributesId(NonZeroU32::MIN.saturating_add(number))
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0.get() - 1
    }
}

/// What may be known of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Attribute {
    /// The name of the asyncio task that ran, or the function of its coroutine where the program gave it none.
    Task,
    /// The class of the native code that ran: what kind of work it does.
    NativeClass,
    /// The number of the asyncio task in its process, in the order in which they were seen.
    TaskId,
    /// The function of the task's coroutine.
    TaskCoroutine,
    /// The tasks that waited for the task when it was first seen, as [`Attribute::Task`] has them, one a line.
    TaskParents,
    /// How many callbacks the event loop had ready to be called when this step of the task had kept it for 100 ms: steps of
    /// other tasks, mostly.
    ReadyCallbacks,
}

impl Attribute {
    /// All of them. In a recording each is the number of its place here, from 0.
    pub const ALL: [Attribute; 6] = [
        Attribute::Task,
        Attribute::NativeClass,
        Attribute::TaskId,
        Attribute::TaskCoroutine,
        Attribute::TaskParents,
        Attribute::ReadyCallbacks,
    ];

    /// Whether it tells tasks of one name apart. There may be very many of them: their samples are summed by name.
    #[must_use]
    pub fn is_of_one_task(self) -> bool {
        use Attribute::{ReadyCallbacks, TaskCoroutine, TaskId, TaskParents};
        matches!(self, TaskId | TaskCoroutine | TaskParents | ReadyCallbacks)
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Attribute::Task => "task",
            Attribute::NativeClass => "class",
            Attribute::TaskId => "task id",
            Attribute::TaskCoroutine => "task coroutine",
            Attribute::TaskParents => "task parents",
            Attribute::ReadyCallbacks => "ready callbacks",
        })
    }
}

/// What is known of some samples: each attribute once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Attributes(pub BTreeMap<Attribute, String>);

impl Attributes {
    /// Those by which samples are summed.
    #[must_use]
    pub fn of_row(&self) -> Attributes {
        let mut of_row = self.clone();
        of_row.0.retain(|attribute, _| !attribute.is_of_one_task());
        of_row
    }
}
