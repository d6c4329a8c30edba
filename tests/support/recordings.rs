//! Turns a recording on disk into all that is in it.

use std::fs::File;
use std::path::Path;

use rsamp::profile::Profile;
use rsamp::recording::{Completeness, Header, Reader, SourceText};

/// What a recording holds.
pub struct Read {
    pub header: Header,
    pub profile: Profile,
    pub completeness: Completeness,
    pub sources: Vec<SourceText>,
}

/// Reads a recording, which may still grow; `None` while there is no file or no header in it.
pub fn read(path: &Path) -> Option<Read> {
    let mut reader = Reader::new(File::open(path).ok()?).ok()?;
    let mut profile = Profile::default();
    let completeness = reader
        .read(&mut |event| profile.apply(event))
        .expect("read");
    assert_eq!(profile.rejected(), 0);
    Some(Read {
        header: reader.header().clone(),
        profile,
        completeness,
        sources: reader.sources().to_vec(),
    })
}
