//! Turns the events of a run into the line in which the most time was spent lately, for the line of progress.

use std::path::Path;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::profile::event::{Event, Frame, FrameId, Nanos};
use crate::run::sink::Sink;
use crate::sampler::Progress;

/// How often it is told, in time of the recording.
const EVERY: Nanos = Nanos(500_000_000);

/// So many frames are named at most; the time of further ones is not looked at.
const MAX_FRAMES: usize = 1 << 16;

/// Follows in which line the most time is spent.
#[derive(Debug)]
pub struct HottestLine {
    progress: Arc<Progress>,
    /// By frame: what it is called.
    names: Vec<Option<String>>,
    /// By stack: its innermost frame.
    innermost: Vec<FrameId>,
    /// By frame, since it was told last: the time of threads that did not wait.
    times: FxHashMap<FrameId, u64>,
    due: Nanos,
}

impl HottestLine {
    /// Tells `progress`.
    #[must_use]
    pub fn new(progress: &Arc<Progress>) -> HottestLine {
        HottestLine {
            progress: Arc::clone(progress),
            names: Vec::new(),
            innermost: Vec::new(),
            times: FxHashMap::default(),
            due: EVERY,
        }
    }

    fn tell(&mut self) {
        let hottest = self
            .times
            .iter()
            .max_by_key(|(frame, time)| (**time, **frame));
        let name = hottest.and_then(|(frame, _)| self.names.get(frame.0 as usize)?.clone());
        if let Some(name) = name {
            self.progress.set_hottest(name);
        }
        self.times.clear();
    }
}

impl Sink for HottestLine {
    fn event(&mut self, event: &Event) {
        match event {
            Event::Frame(id, frame)
                if id.0 as usize == self.names.len() && self.names.len() < MAX_FRAMES =>
            {
                self.names.push(name(frame));
            }
            Event::Stack { id, frame, .. } if id.0 as usize == self.innermost.len() => {
                self.innermost.push(*frame);
            }
            Event::Sample(sample) => {
                let stack = sample.stack.filter(|_| !sample.state.is_wait());
                let frame = stack.and_then(|stack| self.innermost.get(stack.0 as usize));
                if let Some(frame) = frame {
                    *self.times.entry(*frame).or_default() += sample.wall.0;
                }
                if sample.at >= self.due {
                    self.due = sample.at + EVERY;
                    self.tell();
                }
            }
            _ => {}
        }
    }
}

/// `solver.py:17 (solve)`; `None` for what is no function.
fn name(frame: &Frame) -> Option<String> {
    let file = Path::new(frame.file.as_ref()?)
        .file_name()?
        .to_string_lossy();
    Some(format!("{file}:{} ({})", frame.line?, frame.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::event::{FrameKind, Sample, StackId, State, ThreadId};

    #[test]
    fn the_line_with_the_most_time_lately_is_told() {
        let progress = Arc::new(Progress::default());
        let mut hottest = HottestLine::new(&progress);
        for (number, name) in ["wait", "solve", "load"].into_iter().enumerate() {
            let id = number as u32;
            hottest.event(&Event::Frame(
                FrameId(id),
                Frame {
                    kind: FrameKind::Python,
                    name: name.to_owned(),
                    file: Some("/srv/solver.py".into()),
                    first_line: Some(1),
                    line: Some(10 + id),
                },
            ));
            hottest.event(&Event::Stack {
                id: StackId(id),
                parent: None,
                frame: FrameId(id),
            });
        }
        let mut sample = |at_ms: u64, stack, state, ms: u64| {
            hottest.event(&Event::Sample(Sample {
                at: Nanos(at_ms * 1_000_000),
                thread: ThreadId(0),
                stack: Some(StackId(stack)),
                ticks: 1,
                wall: Nanos(ms * 1_000_000),
                state,
                ..Sample::default()
            }));
        };
        sample(300, 0, State::Lock, 300);
        sample(400, 1, State::Python, 60);
        assert_eq!(progress.hottest(), None);
        sample(500, 2, State::Python, 50);
        assert_eq!(progress.hottest().as_deref(), Some("solver.py:11 (solve)"));
        sample(1100, 2, State::Python, 70);
        assert_eq!(progress.hottest().as_deref(), Some("solver.py:12 (load)"));
    }
}
