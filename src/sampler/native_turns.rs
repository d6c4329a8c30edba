//! Turns the running threads of a process into those that are stopped at one tick for their native frames.

use crate::process::Tid;

/// The most threads that are stopped at one tick.
pub const MOST_STOPS: usize = 4;

/// A thread that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunningThread {
    /// The kernel's id.
    pub tid: Tid,
    /// Whether it is stopped at every tick: it holds the GIL, or is the main thread.
    pub is_first: bool,
}

/// Whose turn it is.
#[derive(Debug, Default)]
pub struct Turns {
    /// The thread that had the last turn.
    last: Option<Tid>,
}

impl Turns {
    /// At most [`MOST_STOPS`] of the threads: those that come first, and of the others as many as there is room for, but
    /// one at least, each in its turn.
    pub fn take(&mut self, threads: &[RunningThread]) -> Vec<Tid> {
        let tids = |is_first| {
            let chosen = threads
                .iter()
                .filter(move |thread| thread.is_first == is_first);
            chosen.map(|thread| thread.tid)
        };
        let mut others: Vec<Tid> = tids(false).collect();
        others.sort_unstable();
        let behind = others.partition_point(|tid| Some(*tid) <= self.last);
        others.rotate_left(behind);
        let room = if others.is_empty() {
            MOST_STOPS
        } else {
            MOST_STOPS - 1
        };
        let mut chosen: Vec<Tid> = tids(true).take(room).collect();
        others.truncate(MOST_STOPS - chosen.len());
        self.last = others.last().copied().or(self.last);
        chosen.append(&mut others);
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Threads by their ids, those that come first by negative ones.
    fn taken(turns: &mut Turns, threads: &[i32]) -> Vec<i32> {
        let thread = |tid: &i32| RunningThread {
            tid: Tid(tid.abs()),
            is_first: *tid < 0,
        };
        let threads: Vec<RunningThread> = threads.iter().map(thread).collect();
        turns.take(&threads).into_iter().map(|tid| tid.0).collect()
    }

    #[test]
    fn the_holder_of_the_gil_and_the_main_thread_come_first_and_the_others_in_turn() {
        let mut turns = Turns::default();
        let threads = [-1, 2, 3, 4, 5, 6, -9];
        let mut seen: Vec<i32> = Vec::new();
        for _ in 0..5 {
            let taken = taken(&mut turns, &threads);
            assert_eq!(taken[..2], [1, 9]);
            seen.extend(&taken[2..]);
        }
        assert_eq!(seen, [2, 3, 4, 5, 6, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn threads_that_come_and_go_leave_no_turn_out() {
        let mut turns = Turns::default();
        assert_eq!(taken(&mut turns, &[2, 3, 4, 5, 6]), [2, 3, 4, 5]);
        assert_eq!(taken(&mut turns, &[2, 3, 7]), [7, 2, 3]);
        assert!(taken(&mut turns, &[]).is_empty());
        assert_eq!(taken(&mut turns, &[2, 5]), [5, 2]);
    }

    #[test]
    fn many_interpreters_leave_room_for_another_thread() {
        let mut turns = Turns::default();
        let threads = [-1, -2, -3, -4, -5, 8, 9];
        assert_eq!(taken(&mut turns, &threads), [1, 2, 3, 8]);
        assert_eq!(taken(&mut turns, &threads), [1, 2, 3, 9]);
        assert_eq!(taken(&mut turns, &threads[..5]), [1, 2, 3, 4]);
    }
}
