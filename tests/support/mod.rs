//! What several test programs share; each uses a part of it.
#![allow(dead_code, unused_macros)]
#![allow(clippy::print_stdout)]

#[macro_use]
pub mod pythons;
#[macro_use]
pub mod needs;

pub mod commands;
pub mod fake_host;
pub mod image_format;
pub mod profiles;
pub mod programs;
pub mod recordings;
