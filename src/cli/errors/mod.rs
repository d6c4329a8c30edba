//! Turns an error into an exit code, and into what the user can do about it.

pub mod exit_code;

pub mod hints;

pub mod advice;

pub mod usage;
