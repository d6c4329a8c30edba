//! Turns native frames that are addresses in files into functions with names and lines, as far as the files tell.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use crate::native::{Hurry, NameSource, NamedFrame, SymbolReader};
use crate::process::{MappedFile, Process};
use crate::profile::event::{Frame, FrameKind, NativeCode};
use crate::profile::limits::MAX_FUNCTIONS;
use crate::profile::paths::file_name;

/// After this time no further file is looked into: what is named until then is named. Files of one program with symbols of
/// 100 MB take some seconds.
const MAX_TIME: Duration = Duration::from_secs(10);

/// Names the native frames of these stacks of a process.
pub fn name_frames<'f>(process: &Process, stacks: impl Iterator<Item = &'f mut Vec<Frame>>) {
    let stacks: Vec<&mut Vec<Frame>> = stacks.collect();
    let mut wanted: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (module, offset) in stacks
        .iter()
        .flat_map(|frames| frames.iter())
        .filter_map(place)
    {
        wanted.entry(module.to_owned()).or_default().push(offset);
    }
    let names = look_up(process, wanted);
    for frames in stacks {
        let named = frames.iter().flat_map(|frame| {
            let found = place(frame).and_then(|(module, offset)| names.get(module)?.get(&offset));
            match found {
                Some(found) => found.clone(),
                None => vec![frame.clone()],
            }
        });
        *frames = named.collect();
    }
}

/// The file and the address in it of a native frame.
fn place(frame: &Frame) -> Option<(&str, u64)> {
    match &frame.kind {
        FrameKind::Native(code) => Some((&code.module, code.offset?)),
        FrameKind::Python | FrameKind::Mark => None,
    }
}

type Names = FxHashMap<String, FxHashMap<u64, Vec<Frame>>>;

/// The functions at these addresses, by file, innermost first.
fn look_up(process: &Process, wanted: BTreeMap<String, Vec<u64>>) -> Names {
    let images = process.images().unwrap_or_default();
    let mut reader = SymbolReader::default();
    let begun = Instant::now();
    let mut names = Names::default();
    for (module, mut offsets) in wanted {
        offsets.sort_unstable();
        offsets.dedup();
        let image = only_one(&images, &module).filter(|_| begun.elapsed() < MAX_TIME);
        let found = image.and_then(|image| reader.look_up(process, image, &offsets, Hurry::Now));
        let found = found.into_iter().flatten().zip(&offsets);
        let named = found.filter_map(|(frames, offset)| {
            let is_named = frames
                .iter()
                .any(|frame| frame.source != NameSource::Offset);
            is_named.then(|| (*offset, functions_of(&module, *offset, frames)))
        });
        let named = named.collect();
        names.insert(module, named);
    }
    names
}

/// The frames of what was found at an address of a module, innermost first. One without a name has the offset of its
/// function, or of the address where that is not known.
#[must_use]
pub fn functions_of(module: &str, offset: u64, found: Vec<NamedFrame>) -> Vec<Frame> {
    let frames = found.into_iter();
    let frames = frames.map(|frame| named_frame(module, offset, frame));
    frames.take(MAX_FUNCTIONS).collect()
}

/// The mapped file with this path; `None` also where there are several, as after an upgrade of a library.
pub(super) fn only_one<'f>(images: &'f [MappedFile], module: &str) -> Option<&'f MappedFile> {
    let mut found = images
        .iter()
        .filter(|image| image.path.to_string_lossy() == module);
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

fn named_frame(module: &str, offset: u64, found: NamedFrame) -> Frame {
    let has_name = found.source != NameSource::Offset;
    let file_name = file_name(module);
    Frame {
        kind: FrameKind::Native(NativeCode {
            module: module.to_owned(),
            build_id: None,
            offset: (!has_name).then(|| start_of(&found).unwrap_or(offset)),
            is_inlined: found.is_inlined,
        }),
        name: if has_name {
            found.name
        } else {
            file_name.to_owned()
        },
        file: found.file,
        first_line: None,
        line: found.line,
    }
}

/// Where a function without a name begins, as its name says: `libm.so.6+0x702c0`.
fn start_of(found: &NamedFrame) -> Option<u64> {
    let (_, start) = found.name.rsplit_once("+0x")?;
    u64::from_str_radix(start, 16).ok()
}
