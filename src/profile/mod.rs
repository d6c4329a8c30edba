//! Turns events into stacks with times, and those into tables and call trees.

pub mod event;
