//! Gives a profile its native frames and the classes of their work, by the table that rsamp brings and the user's own.

use std::collections::BTreeMap;
use std::path::Path;

use thiserror::Error;

use crate::native::classes::{Class, Classes, ClassifiedFrame, refines};
use crate::native::look_up_in_folder;
use crate::profile::diff::SampledProfile;
use crate::profile::native_frames::{NativeFrames, NativeFunction, WorkClasses};
use crate::profile::{Mode, Profile, Totals, UnnamedFrame, work};
use crate::sampler::functions_of;

/// How native frames are shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NativeShown {
    /// Which.
    pub frames: NativeFrames,
    /// What tells the classes of work; `None`: the table that rsamp brings.
    pub classes: Option<Classes>,
    /// Only time of these classes, and of those that are parts of them (`mpi-io` of `mpi`); empty: all.
    pub only: Vec<String>,
}

/// Nothing is left of the classes that were asked for.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("no samples left by --class {asked}: {there}", there = classes_there(.there))]
pub struct NoWork {
    /// Those asked for.
    pub asked: String,
    /// Those there are.
    pub there: Vec<String>,
}

fn classes_there(there: &[String]) -> String {
    match there {
        [] => "the recording has no native samples (rsamp record --native)".to_owned(),
        there => format!("there are {}", there.join(", ")),
    }
}

impl NativeShown {
    /// Gives a profile to which all events have come the native frames that native samples tell.
    ///
    /// # Errors
    /// When nothing is left of the classes that are asked for.
    pub fn refine(&self, profile: &mut Profile) -> Result<(), NoWork> {
        if let Some(table) = self.table() {
            profile.refine(self.frames, &table);
        }
        if self.only.is_empty() {
            return Ok(());
        }
        let classes = work::classes(profile, Mode::Wall);
        let there = classes
            .iter()
            .filter_map(|row| row.class)
            .map(str::to_owned);
        let error = NoWork {
            asked: self.only.join(", "),
            there: there.collect(),
        };
        let is_asked = |class: &str| {
            let mut only = self.only.iter();
            only.any(|asked| asked == class || refines(class, asked))
        };
        profile.keep_work(is_asked);
        match profile.totals() == Totals::default() {
            true => Err(error),
            false => Ok(()),
        }
    }
}

impl NativeShown {
    /// The same for one of two recordings that are compared: all of it, whatever its class.
    pub fn refine_sampled(&self, profile: &mut SampledProfile) {
        if let Some(table) = self.table() {
            profile.refine(self.frames, &table);
        }
    }

    fn table(&self) -> Option<Table> {
        let table = self.classes.clone().or_else(|| Classes::built_in().ok());
        table.map(Table)
    }
}

/// A library by its path, and its build id.
type Library = (String, Option<String>);

/// Names the native frames without names of a profile by what a folder has of their libraries.
pub fn name_by_folder(profile: &mut Profile, folder: &Path) {
    let mut wanted: BTreeMap<Library, Vec<(UnnamedFrame, u64)>> = BTreeMap::new();
    for (frame, code) in profile.unnamed_native_frames() {
        if let Some(offset) = code.offset {
            let library = (code.module.clone(), code.build_id.clone());
            wanted.entry(library).or_default().push((frame, offset));
        }
    }
    for ((module, build_id), frames) in wanted {
        let mut offsets: Vec<u64> = frames.iter().map(|(_, offset)| *offset).collect();
        offsets.sort_unstable();
        offsets.dedup();
        let found = look_up_in_folder(folder, &module, build_id.as_deref(), &offsets);
        let Some(found) = found else {
            continue;
        };
        for (frame, offset) in frames {
            let index = offsets.binary_search(&offset);
            let functions = index.ok().and_then(|index| found.get(index));
            if let Some(functions) = functions {
                let functions = functions_of(&module, offset, functions.clone());
                profile.name_native_frame(frame, functions);
            }
        }
    }
}

struct Table(Classes);

impl WorkClasses for Table {
    fn class_of(&self, functions: &[NativeFunction<'_>]) -> String {
        let frames = functions.iter().map(|function| ClassifiedFrame {
            library: function.library,
            name: function.name,
        });
        let class = match self.0.of_stack(frames) {
            Class::Python => "python",
            Class::Named(class) | Class::Library(class) => class,
        };
        class.to_owned()
    }
}
