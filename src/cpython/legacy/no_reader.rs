//! Stands in for the reader of old interpreters in an rsamp that was built without it: none can be made.

use std::convert::Infallible;

use super::{LegacyError, LegacyThread};

/// Reads nothing.
pub struct LegacyReader(Infallible);

impl LegacyReader {
    /// Fails.
    ///
    /// # Errors
    /// Always.
    pub fn open(pid: i32, _stop: bool) -> Result<LegacyReader, LegacyError> {
        Err(LegacyError::Open {
            pid,
            source: "this rsamp was built without the feature legacy".into(),
        })
    }

    /// As there is none, nothing.
    pub fn allow_stops(&mut self) {
        match self.0 {}
    }

    /// As there is none, nothing.
    #[must_use]
    pub fn stops(&self) -> u64 {
        match self.0 {}
    }

    /// As there is none, nothing.
    #[must_use]
    pub fn version(&self) -> String {
        match self.0 {}
    }

    /// As there is none, nothing.
    ///
    /// # Errors
    /// None.
    pub fn stacks(&mut self) -> Result<Vec<LegacyThread>, LegacyError> {
        match self.0 {}
    }
}
