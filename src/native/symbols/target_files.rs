//! Turns the path of a debug file, as a process sees it, into the file, opened with the rights of that process.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::fcntl::{OFlag, ResolveFlag};
use nix::sys::stat::Mode;

use super::debug_files::DebugFiles;
use crate::process::{ActingAs, Credentials, Process, open_regular_below, with_memory};

/// The files that a live process sees.
#[derive(Debug)]
pub struct TargetFiles {
    root: OwnedFd,
    /// Whose rights count; `None`: those of rsamp, which are not root's.
    rights: Option<Credentials>,
}

impl TargetFiles {
    /// Those of a process.
    ///
    /// # Errors
    /// When the process is gone, or its root folder or rights can't be read.
    pub fn of(process: &Process) -> io::Result<TargetFiles> {
        let root = format!("/proc/{}/root", with_memory(process.pid()));
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = nix::fcntl::open(Path::new(&root), flags, Mode::empty())?;
        let rights = match Credentials::own()?.is_root() {
            true => {
                let found = process.credentials().map_err(io::Error::other)?;
                Some(found.unwrap_or_else(Credentials::everybody))
            }
            false => None,
        };
        Ok(TargetFiles { root, rights })
    }
}

impl DebugFiles for TargetFiles {
    fn open(&self, path: &Path) -> io::Result<File> {
        let _acting = self.rights.as_ref().map(ActingAs::begin).transpose()?;
        let path = path.strip_prefix("/").unwrap_or(path);
        open_regular_below(&self.root, path, ResolveFlag::RESOLVE_IN_ROOT)
    }
}
