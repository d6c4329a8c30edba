//! Turns an error into an exit code, and into what the user can do about it.

pub(crate) mod exit_code;

pub(crate) mod hints;

pub(crate) mod advice;

pub(crate) mod usage;
