//! Tells which native frames are shown, and what class of work a stack with them does.

use super::event::{Frame, FrameKind, NATIVE_MISSING};
use super::paths::file_name;

/// The name of the module of code that a compiler made in memory.
pub const NO_FILE: &str = "[jit]";

/// Which native frames are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NativeFrames {
    /// Those of libraries and extension modules: not those of the interpreter itself, nor those that called it first.
    #[default]
    Libraries,
    /// All.
    All,
    /// None.
    None,
}

/// A native function, as far as classes of work need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NativeFunction<'f> {
    /// The file name of its program or library.
    pub library: &'f str,
    /// Its name.
    pub name: &'f str,
}

/// Tells the kinds of work that native code does.
pub trait WorkClasses {
    /// The class of a stack with these native functions inside its innermost Python function, innermost first: a word of the
    /// table of classes, or the file name of a library that is in none.
    fn class_of(&self, functions: &[NativeFunction<'_>]) -> String;
}

impl NativeFrames {
    /// Whether a frame is shown that stands outside of all Python frames, or inside one.
    pub(super) fn shows(self, frame: &Frame, is_inside_python: bool) -> bool {
        match (self, &frame.kind) {
            (NativeFrames::Libraries, FrameKind::Native(code)) => {
                is_inside_python && !is_interpreter(&code.module)
            }
            (NativeFrames::Libraries, FrameKind::Mark) => {
                is_inside_python || frame.name != NATIVE_MISSING
            }
            (NativeFrames::None, FrameKind::Native(_)) => false,
            (NativeFrames::None, FrameKind::Mark) => frame.name != NATIVE_MISSING,
            (_, FrameKind::Python) | (NativeFrames::All, _) => true,
        }
    }
}

impl NativeFrames {
    /// Whether a function of a frame that is shown is: not what CPython makes for perf, a piece of code for each Python
    /// function (`-X perf`; Python/perf_trampoline.c), whose Python frame stands beside it.
    pub(super) fn shows_function(self, function: &Frame) -> bool {
        match (self, &function.kind) {
            (NativeFrames::Libraries, FrameKind::Native(code)) => {
                code.module != NO_FILE || !function.name.starts_with("py::")
            }
            _ => true,
        }
    }
}

/// Whether a file is the interpreter by its name: `libpython3.11.so.1.0`, `python3.12`, `python3.13t`, `python2.7-dbg`.
#[must_use]
pub fn is_interpreter(module: &str) -> bool {
    let name = file_name(module);
    if name.starts_with("libpython") {
        return true;
    }
    let Some(version) = name.strip_prefix("python") else {
        return false;
    };
    let version = version
        .trim_end_matches("-dbg")
        .trim_end_matches(['d', 'm', 't', 'u']);
    version.chars().all(|c| c.is_ascii_digit() || c == '.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::event::NativeCode;

    #[test]
    fn what_an_interpreter_makes_for_perf_is_hidden_as_the_interpreter_is() {
        let function = |module: &str, name: &str| Frame {
            kind: FrameKind::Native(NativeCode {
                module: module.to_owned(),
                build_id: None,
                offset: None,
                is_inlined: false,
            }),
            ..Frame::mark(name)
        };
        let trampoline = function(NO_FILE, "py::main:/home/ada/run.py");
        assert!(!NativeFrames::Libraries.shows_function(&trampoline));
        assert!(NativeFrames::All.shows_function(&trampoline));
        for function in [function(NO_FILE, "kernel"), function("/x.so", "py::x")] {
            assert!(NativeFrames::Libraries.shows_function(&function));
        }
    }

    #[test]
    fn interpreters_are_told_by_their_file_names() {
        for name in [
            "/usr/bin/python3.11",
            "/usr/lib/libpython3.9.so.1.0",
            "/opt/bin/python3.13t",
            "/usr/bin/python2.7-dbg",
            "/usr/bin/python",
        ] {
            assert!(is_interpreter(name), "{name}");
        }
        for name in [
            "/lib/libc.so.6",
            "/usr/lib/python3/dist-packages/_cffi_backend.so",
            "/opt/pythonic.so",
            "/opt/_ctypes.cpython-311.so",
            "[jit]",
        ] {
            assert!(!is_interpreter(name), "{name}");
        }
    }
}
