//! Chooses which frames of a thread with native frames are shown.

use crate::profile::dump::Dump;
use crate::profile::event::{Frame, FrameKind, NATIVE_MISSING};
use crate::profile::native_frames::NativeFrames;

/// Leaves out the frames that are not to be shown. Of those of a thread without Python frames, all are or none.
pub fn keep(dump: &mut Dump, which: NativeFrames) {
    let interpreter = dump.interpreter_module.as_deref();
    let is_native = |frame: &Frame| match frame.kind {
        FrameKind::Native(_) => true,
        FrameKind::Mark => frame.name == NATIVE_MISSING,
        FrameKind::Python => false,
    };
    for thread in &mut dump.threads {
        match which {
            NativeFrames::All => {}
            NativeFrames::None => thread.frames.retain(|frame| !is_native(frame)),
            NativeFrames::Libraries => keep_libraries(&mut thread.frames, interpreter),
        }
    }
}

fn keep_libraries(frames: &mut Vec<Frame>, interpreter: Option<&str>) {
    let is_python = |frame: &Frame| frame.kind == FrameKind::Python;
    let Some(outermost) = frames.iter().rposition(is_python) else {
        return;
    };
    let mut number = 0;
    frames.retain(|frame| {
        number += 1;
        match &frame.kind {
            FrameKind::Native(code) => {
                number <= outermost && Some(code.module.as_str()) != interpreter
            }
            FrameKind::Python | FrameKind::Mark => true,
        }
    });
}
