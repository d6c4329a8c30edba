//! Turns stacks that were read once into text for people and JSON for programs.

pub mod json;
pub mod native;
pub mod ranks;
pub mod tasks;
pub mod text;
