//! Chooses which frames of a thread with native frames are shown.

use crate::profile::dump::Dump;
use crate::profile::event::{Frame, FrameKind};

/// Which native frames are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NativeFrames {
    /// Those of libraries and extension modules: not those of the interpreter itself, nor those that called it first.
    #[default]
    Libraries,
    /// All.
    All,
}

/// Leaves out the frames that are not to be shown. Those of a thread without Python frames all are.
pub fn keep(dump: &mut Dump, which: NativeFrames) {
    if which == NativeFrames::All {
        return;
    }
    let interpreter = dump.interpreter_module.as_deref();
    for thread in &mut dump.threads {
        let is_python = |frame: &Frame| frame.kind == FrameKind::Python;
        let Some(outermost) = thread.frames.iter().rposition(is_python) else {
            continue;
        };
        let mut number = 0;
        thread.frames.retain(|frame| {
            number += 1;
            match &frame.kind {
                FrameKind::Native(code) => {
                    number <= outermost && Some(code.module.as_str()) != interpreter
                }
                FrameKind::Python | FrameKind::Mark => true,
            }
        });
    }
}
