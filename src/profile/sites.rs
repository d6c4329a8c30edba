//! Turns a frame into whether it is that of a known function of the standard library or of a package.

use super::event::Frame;
use super::paths;

/// A function of the standard library or a package: its file's path in the folder of the library, and its name without
/// its class.
pub(super) type Site = (&'static str, &'static str);

/// Whether the frame is of this function.
pub(super) fn is_site(frame: &Frame, (file, function): Site) -> bool {
    let name = frame.name.rsplit('.').next().unwrap_or_default();
    name == function && is_file(frame, file)
}

/// Whether the frame is of this file, given by its path in the folder of the library.
pub(super) fn is_file(frame: &Frame, part: &str) -> bool {
    library_part(frame) == Some(part)
}

/// The path of the frame's file in the folder of the library; `None`: it is in none.
pub(super) fn library_part(frame: &Frame) -> Option<&str> {
    paths::library_part(frame.file.as_deref()?)
}
