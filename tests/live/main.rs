//! Tests against real interpreters of every version, which `scripts/test` provides.

mod formats;
#[path = "../it/image_format.rs"]
mod image_format;
mod legacy;
mod line_tables;
mod oracle;
mod programs;
mod pythons;
mod save_image;
mod thread_names;
mod torture;
