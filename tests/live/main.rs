//! Tests against real interpreters of every version, which `scripts/test` provides.

mod activity;
mod builds;
mod deep;
mod differential;
mod first_screen;
mod formats;
mod gaps;
#[path = "../it/image_format.rs"]
mod image_format;
mod launchers;
mod legacy;
mod life;
mod line_tables;
mod lines;
mod namespaces;
mod oracle;
mod planted;
mod programs;
mod pythons;
mod recordings;
mod refusals;
mod resources;
mod save_image;
mod stacks;
mod thread_names;
mod torture;
mod tree;
mod trust;
