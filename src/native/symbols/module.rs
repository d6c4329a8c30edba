//! Turns an opened ELF file into its headers, and these into sections.

use std::fs::File;
use std::path::Path;

use goblin::elf::SectionHeader;

use super::compressed;
use crate::process::{ElfFile, ImageError, ReadBudget, Segment};

/// An ELF file with its headers.
pub struct Module {
    pub elf: ElfFile,
    pub sections: Vec<SectionHeader>,
    pub segments: Vec<Segment>,
}

impl Module {
    /// Reads the headers.
    ///
    /// # Errors
    /// When it is not an ELF file or can't be read.
    pub fn open(file: File, path: &Path) -> Result<Module, ImageError> {
        let elf = ElfFile::new(file, path)?;
        Ok(Module {
            sections: elf.sections()?,
            segments: elf.segments()?,
            elf,
        })
    }

    /// The section's bytes, decompressed; `None` where there is none or it can't be read.
    pub fn section(&self, name: &str, budget: &mut ReadBudget) -> Option<Vec<u8>> {
        let headers = self.elf.headers_of(&self.sections, name).ok()?;
        compressed::section(&self.elf, headers.first()?, budget)
    }

    /// Whether it has a section of this name.
    pub fn has_section(&self, name: &str) -> bool {
        let headers = self.elf.headers_of(&self.sections, name);
        headers.is_ok_and(|headers| !headers.is_empty())
    }
}
