//! Turns sets of attributes into whether the asyncio task that they name was asked for.

use std::collections::BTreeSet;

use glob::Pattern;

use crate::profile::attributes::{Attribute, Attributes, AttributesId};

/// The tasks asked for, and the sets of attributes seen.
#[derive(Debug)]
pub(super) struct Tasks {
    asked: Vec<Pattern>,
    /// By the number of the set.
    fits: Vec<bool>,
    names: BTreeSet<String>,
}

impl Tasks {
    /// No set has come yet; an empty list asks for everything.
    pub(super) fn new(asked: Vec<Pattern>) -> Tasks {
        Tasks {
            asked,
            fits: Vec::new(),
            names: BTreeSet::new(),
        }
    }

    /// Whether everything was asked for.
    pub(super) fn are_all(&self) -> bool {
        self.asked.is_empty()
    }

    /// A set was defined.
    pub(super) fn define(&mut self, attributes: &Attributes) {
        let name = attributes
            .0
            .get(&Attribute::Task)
            .filter(|_| !self.asked.is_empty());
        let fits = name.is_some_and(|name| self.asked.iter().any(|asked| asked.matches(name)));
        self.fits.push(fits);
        self.names.extend(name.cloned());
    }

    /// Whether a sample with this set stays.
    pub(super) fn keep(&self, attributes: Option<AttributesId>) -> bool {
        let fits = |id: AttributesId| self.fits.get(id.number() as usize).copied();
        self.asked.is_empty() || attributes.and_then(fits).unwrap_or(false)
    }

    /// What was asked for, and what there is.
    pub(super) fn named(&self) -> (String, Vec<String>) {
        let asked: Vec<&str> = self.asked.iter().map(Pattern::as_str).collect();
        (asked.join(", "), self.names.iter().cloned().collect())
    }
}
