//! Turns a place in native code into a frame that names the module and the address in it.

use crate::native::modules::Place;
use crate::profile::event::{Frame, FrameKind, NativeCode};
use crate::profile::native_frames::NO_FILE;
use crate::profile::paths::file_name;

/// The frame of an instruction at this place, which has no name yet.
#[must_use]
pub fn native_frame(place: &Place) -> Frame {
    let module = module_of(place);
    let name = file_name(&module).to_owned();
    Frame {
        kind: FrameKind::Native(NativeCode {
            module,
            build_id: place.build_id.as_deref().map(str::to_owned),
            offset: Some(place.offset),
            is_inlined: false,
        }),
        name,
        file: None,
        first_line: None,
        line: None,
    }
}

/// The module as the process has it mapped.
#[must_use]
pub fn module_of(place: &Place) -> String {
    let path = place.module.as_ref();
    path.map_or_else(
        || NO_FILE.to_owned(),
        |path| path.to_string_lossy().into_owned(),
    )
}
