//! Turns the frames of an import into one frame for the imported module.
//!
//! Between the statement that imports and the module's own frame, a Python from 3.3 on has some five frames of the import
//! system, and as many for each module that this one imports. They say nothing that the module's name does not.

use std::collections::HashMap;

use crate::profile::event::{Frame, FrameKind, IMPORT, Process};
use crate::profile::paths;

/// So many folders are tried as the beginning of a module's path; there may be thousands of processes.
const MAX_FOLDERS: usize = 16;

/// What a frame does in an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It is the import system's.
    ImportSystem,
    /// It is a module's code as a whole.
    Module,
    /// It is native code or a mark.
    NoPython,
    /// Anything else.
    Other,
}

impl Role {
    pub(super) fn of(frame: &Frame) -> Role {
        match (&frame.kind, &frame.file) {
            (FrameKind::Native(_) | FrameKind::Mark, _) => Role::NoPython,
            (FrameKind::Python, Some(file)) if paths::is_import_system(file) => Role::ImportSystem,
            (FrameKind::Python, Some(_)) if frame.name == paths::MODULE => Role::Module,
            (FrameKind::Python, _) => Role::Other,
        }
    }
}

/// An import whose module does not run yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Import {
    /// The node of the frame that imports.
    pub(super) base: Option<usize>,
}

/// The frames that imports are folded into.
#[derive(Debug, Default)]
pub(super) struct Imports {
    /// Of the import system.
    pub(super) mark: Option<usize>,
    /// By the frame of a module: that of its import.
    frames: HashMap<usize, usize>,
    folders: Vec<String>,
}

impl Imports {
    /// Learns where a process runs.
    pub(super) fn process(&mut self, process: &Process) {
        if let Some(folder) = &process.working_folder
            && self.folders.len() < MAX_FOLDERS
            && !self.folders.contains(folder)
        {
            self.folders.push(folder.clone());
        }
    }

    /// The frame of the import of the module with this frame.
    pub(super) fn frame_of(&self, module: usize) -> Option<usize> {
        self.frames.get(&module).copied()
    }

    /// Keeps it.
    pub(super) fn keep(&mut self, module: usize, frame: usize) {
        self.frames.insert(module, frame);
    }

    /// The frame that stands for the import of the module that this frame runs.
    pub(super) fn frame(&self, module: &Frame) -> Frame {
        let file = module.file.as_deref().unwrap_or_default();
        Frame {
            name: format!("{IMPORT}{}", paths::module_name(file, &self.folders)),
            ..module.clone()
        }
    }
}
