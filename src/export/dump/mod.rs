//! Turns stacks that were read once into text for people and JSON for programs.

pub(crate) mod json;
pub(crate) mod native;
pub(crate) mod ranks;
pub(crate) mod tasks;
pub(crate) mod text;
