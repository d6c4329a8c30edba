//! Turns the functions and lines of two profiles into pairs of the same one.
//!
//! Between two recordings the source may have been edited or lie in another folder. So a function
//! is known by its file and name, not by its line, and where its file is not on the other side, by
//! the path behind the program's own folder or that of the library. Several of one name in one file
//! (lambdas, methods before 3.11) are told apart by their order. A line is known by its distance
//! from the first line of its function.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use crate::profile::Profile;
use crate::profile::event::{Frame, FrameId};
use crate::profile::functions::{Function, Functions};
use crate::profile::paths::library_part;

/// The same thing on both sides; `None` where it does not appear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pair<T> {
    pub(super) base: Option<T>,
    pub(super) new: Option<T>,
}

impl<T: Copy> Pair<T> {
    /// As it is after, or if it is gone, as it was.
    pub(super) fn shown(&self) -> Option<T> {
        self.new.or(self.base)
    }
}

impl<T> Default for Pair<T> {
    fn default() -> Pair<T> {
        Pair {
            base: None,
            new: None,
        }
    }
}

/// A line of a function on one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line<'p> {
    pub(super) function: Function<'p>,
    pub(super) line: Option<u32>,
}

/// Pairs, and to which of them each frame belongs, on either side.
#[derive(Debug)]
pub(super) struct Pairs<T> {
    pub(super) pairs: Vec<Pair<T>>,
    pub(super) of_base_frame: Vec<usize>,
    pub(super) of_new_frame: Vec<usize>,
}

impl<T> Default for Pairs<T> {
    fn default() -> Pairs<T> {
        Pairs {
            pairs: Vec::new(),
            of_base_frame: Vec::new(),
            of_new_frame: Vec::new(),
        }
    }
}

/// The functions of both profiles.
pub(super) fn functions<'p>(base: &'p Profile, new: &'p Profile) -> Pairs<Function<'p>> {
    let (base, new) = (List::of(base), List::of(new));
    let partner_of = partners(&base, &new);
    let mut pairs = Vec::new();
    let mut pair_of_new = vec![None; new.functions.len()];
    for (function, partner) in base.functions.iter().zip(&partner_of) {
        if let Some(partner) = partner {
            pair_of_new[*partner] = Some(pairs.len());
        }
        pairs.push(Pair {
            base: Some(*function),
            new: partner.map(|partner| new.functions[partner]),
        });
    }
    let pair_of_new = pair_of_new.into_iter().zip(&new.functions);
    let pair_of_new: Vec<usize> = pair_of_new
        .map(|(pair, function)| {
            pair.unwrap_or_else(|| {
                pairs.push(Pair {
                    base: None,
                    new: Some(*function),
                });
                pairs.len() - 1
            })
        })
        .collect();
    Pairs {
        pairs,
        of_base_frame: base.of_frame,
        of_new_frame: new.of_frame.iter().map(|id| pair_of_new[*id]).collect(),
    }
}

/// The functions of one profile.
struct List<'p> {
    functions: Vec<Function<'p>>,
    of_frame: Vec<usize>,
    /// The folder that all files of the program itself lie in.
    home: PathBuf,
}

impl<'p> List<'p> {
    fn of(profile: &'p Profile) -> List<'p> {
        let table = Functions::of(profile);
        let functions: Vec<Function<'p>> = table.rows().iter().map(|row| row.function).collect();
        let frames = 0..profile.frames().len() as u32;
        let of_frame = frames.map(|id| table.of_frame(FrameId(id)).map_or(0, |id| id.0 as usize));
        let files = functions.iter().filter_map(|function| function.file);
        let own = files.filter(|file| file.starts_with('/') && library_part(file).is_none());
        let folders = own.filter_map(|file| Path::new(file).parent().map(Path::to_path_buf));
        List {
            home: folders.reduce(|a, b| shared(&a, &b)).unwrap_or_default(),
            of_frame: of_frame.collect(),
            functions,
        }
    }

    /// The ids of the functions for which `is_open`, by path and name, in the order of their lines.
    fn groups(
        &self,
        path: PathOf,
        is_open: impl Fn(usize) -> bool,
    ) -> BTreeMap<(Option<&'p str>, &'p str), Vec<usize>> {
        let mut groups: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (id, function) in self
            .functions
            .iter()
            .enumerate()
            .filter(|(id, _)| is_open(*id))
        {
            let key = (path(self, function), function.name);
            groups.entry(key).or_default().push(id);
        }
        for ids in groups.values_mut() {
            ids.sort_by_key(|id| self.functions[*id].first_line);
        }
        groups
    }
}

/// The path that two have in common.
fn shared(a: &Path, b: &Path) -> PathBuf {
    let pairs = a.components().zip(b.components());
    pairs.take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
}

/// For each function of `base`, the one of `new` that is the same.
fn partners(base: &List<'_>, new: &List<'_>) -> Vec<Option<usize>> {
    let mut partner_of = vec![None; base.functions.len()];
    let mut is_taken = vec![false; new.functions.len()];
    for path in [whole_path as PathOf, short_path as PathOf] {
        let base_groups = base.groups(path, |id| partner_of[id].is_none());
        let new_groups = new.groups(path, |id| !is_taken[id]);
        for (key, base_ids) in &base_groups {
            let new_ids = new_groups.get(key).map_or(&[] as &[usize], Vec::as_slice);
            for (base_id, new_id) in in_group(base, base_ids, new, new_ids) {
                partner_of[base_id] = Some(new_id);
                is_taken[new_id] = true;
            }
        }
    }
    partner_of
}

/// By which path the functions of one round are the same.
type PathOf = for<'p> fn(&List<'p>, &Function<'p>) -> Option<&'p str>;

fn whole_path<'p>(_: &List<'p>, function: &Function<'p>) -> Option<&'p str> {
    function.file
}

/// The file, behind the program's folder or that of the library.
fn short_path<'p>(list: &List<'p>, function: &Function<'p>) -> Option<&'p str> {
    let file = function.file?;
    if let Some(part) = library_part(file) {
        return Some(part);
    }
    let rest = Path::new(file).strip_prefix(&list.home).ok();
    Some(rest.and_then(Path::to_str).unwrap_or(file))
}

/// Functions of one path and name on either side, as pairs: those of the same first line if some
/// are missing on one side, and the rest in their order.
fn in_group(
    base: &List<'_>,
    base_ids: &[usize],
    new: &List<'_>,
    new_ids: &[usize],
) -> Vec<(usize, usize)> {
    let (mut base_ids, mut new_ids) = (base_ids.to_vec(), new_ids.to_vec());
    let mut found = Vec::new();
    if base_ids.len() != new_ids.len() {
        base_ids.retain(|base_id| {
            let line = base.functions[*base_id].first_line;
            let same = new_ids
                .iter()
                .position(|new_id| new.functions[*new_id].first_line == line);
            if let Some(at) = same {
                found.push((*base_id, new_ids.remove(at)));
            }
            same.is_none()
        });
    }
    found.extend(base_ids.into_iter().zip(new_ids));
    found
}

/// The lines of both profiles; `functions` are those of the same profiles.
pub(super) fn lines<'p>(
    base: &'p Profile,
    new: &'p Profile,
    functions: &Pairs<Function<'p>>,
) -> Pairs<Line<'p>> {
    let mut ids = HashMap::new();
    let mut lines = Pairs::default();
    for (frame, function) in base.frames().iter().zip(&functions.of_base_frame) {
        let line = Line::of(frame);
        let id = line_id(&mut ids, &mut lines.pairs, (*function, line.key()));
        lines.pairs[id].base.get_or_insert(line);
        lines.of_base_frame.push(id);
    }
    for (frame, function) in new.frames().iter().zip(&functions.of_new_frame) {
        let line = Line::of(frame);
        let id = line_id(&mut ids, &mut lines.pairs, (*function, line.key()));
        lines.pairs[id].new.get_or_insert(line);
        lines.of_new_frame.push(id);
    }
    lines
}

/// A pair of functions, and what tells a line of it.
type LineIds = HashMap<(usize, LineKey), usize>;

fn line_id<'p>(ids: &mut LineIds, pairs: &mut Vec<Pair<Line<'p>>>, key: (usize, LineKey)) -> usize {
    *ids.entry(key).or_insert_with(|| {
        pairs.push(Pair::default());
        pairs.len() - 1
    })
}

/// What tells a line of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum LineKey {
    /// The distance from the first line of the function.
    Distance(i64),
    /// The number of the line in the file, where the first line is not known.
    Number(Option<u32>),
}

impl<'p> Line<'p> {
    fn of(frame: &'p Frame) -> Line<'p> {
        Line {
            function: Function::from(frame),
            line: frame.line,
        }
    }

    /// The function with the number of the line in the place of its first line.
    pub(super) fn in_place(self) -> Function<'p> {
        Function {
            first_line: self.line,
            ..self.function
        }
    }

    fn key(&self) -> LineKey {
        match (self.line, self.function.first_line) {
            (Some(line), Some(first)) => LineKey::Distance(i64::from(line) - i64::from(first)),
            (line, _) => LineKey::Number(line),
        }
    }
}
