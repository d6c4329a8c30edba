//! Turns frames and stacks into those that are to be shown, numbered anew.

use std::collections::{BTreeSet, HashMap};

use regex::Regex;

use super::imports::{Import, Imports, Role};
use super::nothing_left::Criterion;
use super::selection::{HIDDEN, Hidden};
use crate::profile::event::{
    Event, Frame, FrameId, LOADING_MODULES, NativeSample, Process, StackId,
};
use crate::profile::paths;

/// What becomes of a sample's stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// The sample stays, with this stack.
    As(Option<StackId>),
    /// The sample goes.
    Not(Criterion),
}

/// Which frames are shown.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// As [`Selection::function`](super::Selection::function).
    pub(super) function: Option<Regex>,
    /// As [`Selection::focus`](super::Selection::focus).
    pub(super) focus: Option<Regex>,
    /// As [`Selection::folds_imports`](super::Selection::folds_imports).
    pub(super) folds_imports: bool,
    /// As [`Selection::hidden`](super::Selection::hidden).
    pub(super) hidden: Vec<Hidden>,
}

/// The frames and stacks seen, and what is shown of them.
#[derive(Debug)]
pub(super) struct Stacks {
    asked: Shown,
    imports: Imports,
    /// By number of the frames that came in: an index into [`Stacks::frames`], and what it does in an import.
    own_frames: Vec<(usize, Role)>,
    frames: Vec<OwnFrame>,
    stacks: Vec<OwnStack>,
    nodes: Vec<Node>,
    node_of: HashMap<(Option<usize>, usize), usize>,
    mark: Option<StackId>,
    frames_out: u32,
    stacks_out: u32,
    /// Every name, for the one who misses one; empty when none is asked for.
    names: BTreeSet<String>,
}

/// A frame that may be shown: one that came in, or one that imports are folded into.
#[derive(Debug)]
struct OwnFrame {
    frame: Frame,
    is_function: bool,
    is_focus: bool,
    is_hidden: bool,
    /// What functions it stands for, until it is shown.
    names: Option<Vec<Frame>>,
    out: Option<FrameId>,
}

/// A stack as it came in.
#[derive(Debug, Clone, Copy, Default)]
struct OwnStack {
    has_function: bool,
    has_focus: bool,
    /// What is shown of it: an index into [`Stacks::nodes`].
    shown: Option<usize>,
    /// The import that it is in and whose module does not run yet.
    import: Option<Import>,
}

/// A stack as it is shown: several that came in may be the same without their hidden frames.
#[derive(Debug)]
struct Node {
    parent: Option<usize>,
    /// An index into [`Stacks::frames`].
    frame: usize,
    out: Option<StackId>,
}

impl Stacks {
    /// No frame has come yet.
    pub(super) fn new(asked: Shown) -> Stacks {
        Stacks {
            asked,
            imports: Imports::default(),
            own_frames: Vec::new(),
            frames: Vec::new(),
            stacks: Vec::new(),
            nodes: Vec::new(),
            node_of: HashMap::new(),
            mark: None,
            frames_out: 0,
            stacks_out: 0,
            names: BTreeSet::new(),
        }
    }

    /// A process was defined: where it runs tells how its modules are named.
    pub(super) fn process(&mut self, process: &Process) {
        self.imports.process(process);
    }

    /// A frame was defined.
    pub(super) fn frame(&mut self, id: FrameId, frame: Frame, emit: &mut dyn FnMut(Event)) {
        if id.0 as usize != self.own_frames.len() {
            emit(Event::Frame(FrameId(u32::MAX), frame));
            return;
        }
        let role = match self.asked.folds_imports {
            true => Role::of(&frame),
            false => Role::Other,
        };
        let index = self.add(frame);
        self.own_frames.push((index, role));
    }

    fn add(&mut self, frame: Frame) -> usize {
        let asked = &self.asked;
        let fits = |regex: &Option<Regex>| {
            regex
                .as_ref()
                .is_some_and(|regex| regex.is_match(&frame.name))
        };
        let file = frame.file.as_deref();
        let is_hidden = |hidden: &Hidden| file.is_some_and(|file| hides(hidden, file));
        if asked.function.is_some() || asked.focus.is_some() {
            self.names.insert(frame.name.clone());
        }
        self.frames.push(OwnFrame {
            is_function: fits(&asked.function),
            is_focus: fits(&asked.focus),
            is_hidden: asked.hidden.iter().any(is_hidden),
            frame,
            names: None,
            out: None,
        });
        self.frames.len() - 1
    }

    /// A stack was defined.
    pub(super) fn stack(
        &mut self,
        id: StackId,
        parent: Option<StackId>,
        frame: FrameId,
        emit: &mut dyn FnMut(Event),
    ) {
        let own = self.own_frames.get(frame.0 as usize).copied();
        let (Some((index, role)), true) = (own, self.is_stack(parent) && self.is_next(id)) else {
            emit(Event::Stack {
                id: StackId(u32::MAX),
                parent: None,
                frame: FrameId(u32::MAX),
            });
            return;
        };
        let below = parent.and_then(|id| self.stacks.get(id.0 as usize));
        let below = below.copied().unwrap_or_default();
        let (index, base, import) = self.fold(index, role, &below);
        let own = &self.frames[index];
        let has_focus = below.has_focus || own.is_focus;
        let is_shown = !own.is_hidden && (has_focus || self.asked.focus.is_none());
        let has_function = below.has_function || own.is_function;
        let shown = if is_shown {
            Some(self.node(base, index))
        } else {
            base
        };
        self.stacks.push(OwnStack {
            has_function,
            has_focus,
            shown,
            import,
        });
    }

    /// Which frame is shown for one that stands on `below`, on which node, and in which import the stack then is.
    fn fold(
        &mut self,
        index: usize,
        role: Role,
        below: &OwnStack,
    ) -> (usize, Option<usize>, Option<Import>) {
        match (role, below.import) {
            (Role::ImportSystem, import) => {
                let import = import.unwrap_or(Import { base: below.shown });
                let mark = match self.imports.mark {
                    Some(mark) => mark,
                    None => self.add(Frame::mark(LOADING_MODULES)),
                };
                self.imports.mark = Some(mark);
                (mark, import.base, Some(import))
            }
            (Role::Module, Some(import)) => {
                let frame = match self.imports.frame_of(index) {
                    Some(frame) => frame,
                    None => self.add(self.imports.frame(&self.frames[index].frame)),
                };
                self.imports.keep(index, frame);
                (frame, import.base, None)
            }
            // They may lie between two frames of the import system.
            (Role::NoPython, import) => (index, below.shown, import),
            (Role::Module | Role::Other, _) => (index, below.shown, None),
        }
    }

    fn is_next(&self, id: StackId) -> bool {
        id.0 as usize == self.stacks.len()
    }

    /// Whether a stack was defined.
    pub(super) fn is_stack(&self, id: Option<StackId>) -> bool {
        id.is_none_or(|id| (id.0 as usize) < self.stacks.len())
    }

    fn node(&mut self, parent: Option<usize>, frame: usize) -> usize {
        let nodes = &mut self.nodes;
        *self.node_of.entry((parent, frame)).or_insert_with(|| {
            nodes.push(Node {
                parent,
                frame,
                out: None,
            });
            nodes.len() - 1
        })
    }

    /// What becomes of a sample with this stack; hands on what is not defined yet of what is shown.
    pub(super) fn keep(&mut self, stack: Option<StackId>, emit: &mut dyn FnMut(Event)) -> Kept {
        let own = stack.and_then(|id| self.stacks.get(id.0 as usize));
        let own = own.copied().unwrap_or_default();
        if self.asked.function.is_some() && !own.has_function {
            return Kept::Not(Criterion::Function);
        }
        if self.asked.focus.is_some() && !own.has_focus {
            return Kept::Not(Criterion::Focus);
        }
        Kept::As(match own.shown {
            Some(node) => Some(self.define(node, emit)),
            None => stack.map(|_| self.define_mark(emit)),
        })
    }

    /// What becomes of a native sample, with the numbers that its stacks have now; `None`: one of them is not shown.
    pub(super) fn keep_native(
        &mut self,
        sample: NativeSample,
        emit: &mut dyn FnMut(Event),
    ) -> Option<NativeSample> {
        let is_known = self.is_stack(sample.stack) && self.is_stack(Some(sample.merged));
        if !is_known {
            return None;
        }
        let Kept::As(stack) = self.keep(sample.stack, emit) else {
            return None;
        };
        match self.keep(Some(sample.merged), emit) {
            Kept::As(Some(merged)) => Some(NativeSample {
                stack,
                merged,
                ..sample
            }),
            Kept::As(None) | Kept::Not(_) => None,
        }
    }

    /// What functions a frame stands for.
    pub(super) fn names(
        &mut self,
        frame: FrameId,
        functions: Vec<Frame>,
        emit: &mut dyn FnMut(Event),
    ) {
        let own = self.own_frames.get(frame.0 as usize);
        let Some(own) = own.and_then(|(index, _)| self.frames.get_mut(*index)) else {
            return;
        };
        match own.out {
            Some(frame) => emit(Event::Names { frame, functions }),
            None => own.names = Some(functions),
        }
    }

    /// The new number of a stack: defines its frames from the outermost unknown one on.
    fn define(&mut self, node: usize, emit: &mut dyn FnMut(Event)) -> StackId {
        let unknown: Vec<usize> = std::iter::successors(Some(node), |at| self.nodes[*at].parent)
            .take_while(|at| self.nodes[*at].out.is_none())
            .collect();
        for at in unknown.into_iter().rev() {
            let parent = self.nodes[at].parent;
            let parent = parent.and_then(|parent| self.nodes[parent].out);
            let frame = self.define_frame(self.nodes[at].frame, emit);
            self.nodes[at].out = Some(self.emit_stack(parent, frame, emit));
        }
        self.nodes[node].out.unwrap_or(StackId(u32::MAX))
    }

    fn define_frame(&mut self, index: usize, emit: &mut dyn FnMut(Event)) -> FrameId {
        let own = &mut self.frames[index];
        *own.out.get_or_insert_with(|| {
            let id = FrameId(self.frames_out);
            self.frames_out += 1;
            emit(Event::Frame(id, own.frame.clone()));
            if let Some(functions) = own.names.take() {
                let frame = id;
                emit(Event::Names { frame, functions });
            }
            id
        })
    }

    fn define_mark(&mut self, emit: &mut dyn FnMut(Event)) -> StackId {
        if let Some(mark) = self.mark {
            return mark;
        }
        let frame = FrameId(self.frames_out);
        self.frames_out += 1;
        let mark = Frame::mark(HIDDEN);
        emit(Event::Frame(frame, mark));
        let id = self.emit_stack(None, frame, emit);
        self.mark = Some(id);
        id
    }

    fn emit_stack(
        &mut self,
        parent: Option<StackId>,
        frame: FrameId,
        emit: &mut dyn FnMut(Event),
    ) -> StackId {
        let id = StackId(self.stacks_out);
        self.stacks_out += 1;
        emit(Event::Stack { id, parent, frame });
        id
    }

    /// The function asked for, and those there are.
    pub(super) fn function(&self) -> (String, Vec<String>) {
        Self::words(self.asked.function.as_ref(), &self.names)
    }

    /// The function asked for as the root, and those there are.
    pub(super) fn focus(&self) -> (String, Vec<String>) {
        Self::words(self.asked.focus.as_ref(), &self.names)
    }

    fn words(regex: Option<&Regex>, names: &BTreeSet<String>) -> (String, Vec<String>) {
        let names = names.iter().cloned().collect();
        (regex.map(Regex::to_string).unwrap_or_default(), names)
    }
}

fn hides(hidden: &Hidden, file: &str) -> bool {
    match hidden {
        Hidden::StandardLibrary => paths::is_standard_library(file),
        Hidden::Files(pattern) => pattern.matches(file),
    }
}
