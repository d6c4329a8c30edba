//! Turns stacks into the frame that what they cost is due to: the innermost one of the program's own files, or else of all;
//! and says which of them import something.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::event::{Frame, FrameId, StackId};
use super::functions::Function;
use super::origin::Origins;
use super::{Profile, paths};

/// A line of a function; `None` where it could not be told.
pub(super) type Line<'p> = (Function<'p>, Option<u32>);

/// What imports and what is imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Importing {
    /// The frame of the program's own files that imports, or calls what imports; where there is none, the one with the
    /// statement.
    pub(super) importer: FrameId,
    /// The body of the module; `None` while it is looked for or read.
    pub(super) module: Option<FrameId>,
}

/// What is known of each stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    /// The innermost frame of the program's own files.
    own: Option<FrameId>,
    /// What is imported further in than that.
    importing: Option<Importing>,
}

/// The line to look at of each stack.
pub(super) struct OwnFrames<'p> {
    profile: &'p Profile,
    /// By stack.
    known: Vec<Known>,
}

impl<'p> OwnFrames<'p> {
    pub(super) fn of(profile: &'p Profile) -> OwnFrames<'p> {
        let origins = Origins::of(profile);
        let mut known: Vec<Known> = Vec::with_capacity(profile.stacks().len());
        // Parents come before their children.
        for stack in profile.stacks() {
            let parent = stack.parent.map(|parent| parent.0 as usize);
            let below = parent.and_then(|parent| known.get(parent).copied());
            let caller = parent.and_then(|parent| profile.stacks().get(parent));
            let caller = caller.map(|caller| caller.frame);
            known.push(match profile.frame(stack.frame) {
                Some(frame) => know(&origins, frame, stack.frame, below, caller),
                None => Known {
                    own: None,
                    importing: None,
                },
            });
        }
        OwnFrames { profile, known }
    }

    /// What a stack imports, further in than the program's own files.
    pub(super) fn importing(&self, stack: Option<StackId>) -> Option<Importing> {
        self.known.get(stack?.0 as usize)?.importing
    }

    /// The innermost frame of the program's own files.
    pub(super) fn own(&self, stack: Option<StackId>) -> Option<&'p Frame> {
        self.profile.frame(self.own_id(stack)?)
    }

    /// The number of that frame.
    pub(super) fn own_id(&self, stack: Option<StackId>) -> Option<FrameId> {
        self.known.get(stack?.0 as usize)?.own
    }

    /// The same; where there is none, the innermost of all.
    fn frame_of(&self, stack: Option<StackId>) -> Option<&'p Frame> {
        let innermost = || self.profile.frame(self.profile.stack(stack?)?.frame);
        self.own(stack).or_else(innermost)
    }

    /// The sum of each line over stacks, which may come more than once; the largest first.
    pub(super) fn sums(
        &self,
        amounts: impl Iterator<Item = (Option<StackId>, u64)>,
    ) -> Vec<(Line<'p>, u64)> {
        let mut sums: HashMap<Line<'p>, u64> = HashMap::new();
        for (stack, amount) in amounts.filter(|(_, amount)| *amount > 0) {
            if let Some(frame) = self.frame_of(stack) {
                let sum = sums.entry((Function::from(frame), frame.line)).or_default();
                *sum = sum.saturating_add(amount);
            }
        }
        let mut sums: Vec<_> = sums.into_iter().collect();
        sums.sort_unstable_by_key(|(line, amount)| (Reverse(*amount), *line));
        sums
    }
}

/// What is known of a stack, from what is known of the one below it and the frame that calls.
fn know(
    origins: &Origins,
    frame: &Frame,
    id: FrameId,
    below: Option<Known>,
    caller: Option<FrameId>,
) -> Known {
    let file = frame.file.as_deref().unwrap_or_default();
    let importing = below.and_then(|below| below.importing);
    // Modules make code out of text while they are imported, as for a named tuple.
    let is_generated = importing.is_some() && file.starts_with('<');
    if origins.is_own(frame) && !is_generated {
        return Known {
            own: Some(id),
            importing: None,
        };
    }
    let own = below.and_then(|below| below.own);
    let is_body = Function::from(frame).is_module() && !file.starts_with('<');
    let module = is_body.then_some(id);
    let importing = match importing {
        Some(known) => Some(Importing {
            module: known.module.or(module),
            ..known
        }),
        None if frame.is_import() || paths::is_import_system(file) => Some(Importing {
            importer: own.or(caller).unwrap_or(id),
            module,
        }),
        // Python 2 imports without frames of an import system.
        None if is_body && caller == own => own.map(|importer| Importing { importer, module }),
        None => None,
    };
    Known { own, importing }
}
