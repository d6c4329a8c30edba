//! Turns the memory of a CPython interpreter into threads, frames, names and lines.

pub mod version;

pub mod layout;

mod landmarks;

pub mod known_files;

pub mod read_images;

mod limited;

pub mod locate;

pub mod reader;

mod sample;

mod stop_threads;
mod stops;

mod threads;

pub mod frames;

mod top;

mod links;

mod chunks;

mod shape;

mod places;

mod complete;

mod outside;

mod pace;

pub mod activations;

pub mod code;

pub mod line_table;

pub mod text;

pub mod objects;

pub mod thread_names;

pub mod tasks;

mod running_task;

pub mod linecache;

pub mod gil;

pub mod native_ids;

pub mod image_reader;

pub mod legacy;

pub mod legacy_helper;
