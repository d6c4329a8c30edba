//! Turns a profile into one of the time that costs somebody: without the waits of threads that have nothing to do.
//!
//! Everything counts that the main thread of a process does, and of other threads what is not an idle wait. Three rules
//! tell idle waits, each for a kind of program:
//!
//! 1. A server, a queue, a data loader: a thread that is not the main one is blocked ([`State::is_idle_wait`]).
//! 2. A `Pool`, a notebook, a server: the main thread waits for somebody to bring work ([`WAITS_FOR_WORK`]), and nothing
//!    of the user's is on its stack between that place and the call that waits.
//! 3. A program whose main thread only serves the others: 99 % of its time ([`SERVING_SHARE`]) are waits in an event loop,
//!    in `accept`, `join` or `Event.wait`. A script that waits for its own thread for half of its time shows that wait.
//!
//! Where these rules leave nothing, the program does nothing but wait, and all of it is shown.
//!
//! The times of a wait are not gone: [`Profile::idle_waits`] says how much was left out. What counts in the waits
//! themselves stays: CPU time, the GIL, growth of memory.

use super::event::{Frame, Nanos, StackId, State, ThreadId};
use super::idle_waits::IdleWaits;
use super::sites::{Site, is_file, is_site};
use super::{Profile, Row, Totals};

/// The part of its time that a main thread waits which only serves the others.
const SERVING_SHARE: f64 = 0.99;

/// A wait in which threads without Python frames (BLAS, OpenMP) worked for this part of the time is no idle one.
const HELPED_SHARE: f64 = 0.1;

/// A thread is idle as a whole where less than this part of its time counts.
const BUSY_SHARE: f64 = 0.01;

/// The frames between the wait and the place where a thread waits for work are few; a stack is not searched further.
const MAX_FRAMES_OF_A_WAIT: usize = 16;

/// Where the main thread of a process waits until somebody brings work.
const WAITS_FOR_WORK: &[Site] = &[
    ("multiprocessing/pool.py", "worker"),
    ("concurrent/futures/process.py", "_process_worker"),
    ("multiprocessing/forkserver.py", "main"),
    ("multiprocessing/resource_tracker.py", "main"),
    ("multiprocessing/managers.py", "serve_forever"),
    ("loky/process_executor.py", "_process_worker"),
    (
        "joblib/externals/loky/process_executor.py",
        "_process_worker",
    ),
    ("billiard/pool.py", "workloop"),
    ("torch/utils/data/_utils/worker.py", "_worker_loop"),
    ("socketserver.py", "serve_forever"),
    ("gunicorn/arbiter.py", "run"),
    ("gunicorn/workers/sync.py", "wait"),
    ("uvicorn/server.py", "run"),
    ("ipykernel/kernelapp.py", "start"),
];

/// A loop that is run forever serves, unless a call waits for one of its tasks.
const RUNS_FOREVER: Site = ("asyncio/base_events.py", "run_forever");
const RUNS_UNTIL: Site = ("asyncio/base_events.py", "run_until_complete");

/// An event loop's turn, which waits for events.
const LOOP_TURN: Site = ("asyncio/base_events.py", "_run_once");

/// The calls of the standard library in which a thread waits for others.
const WAITS: &[Site] = &[
    ("threading.py", "wait"),
    ("threading.py", "join"),
    ("threading.py", "_wait_for_tstate_lock"),
    ("socket.py", "accept"),
    ("selectors.py", "select"),
    ("multiprocessing/popen_fork.py", "poll"),
    ("multiprocessing/connection.py", "wait"),
    ("multiprocessing/connection.py", "_recv"),
    ("multiprocessing/synchronize.py", "__enter__"),
    ("multiprocessing/queues.py", "get"),
    ("queue.py", "get"),
];

/// Files whose frames may lie between such a call and the place that waits for work.
const MACHINERY: &[&str] = &[
    "threading.py",
    "queue.py",
    "selectors.py",
    "socket.py",
    "socketserver.py",
    "multiprocessing/queues.py",
    "multiprocessing/synchronize.py",
    "multiprocessing/connection.py",
    "multiprocessing/managers.py",
    "asyncio/base_events.py",
    "asyncio/runners.py",
    "tornado/platform/asyncio.py",
];

impl State {
    /// Whether a thread that is not the main one costs nobody anything while it is in this state: it is blocked, and not
    /// by the disk.
    #[must_use]
    pub fn is_idle_wait(self) -> bool {
        self.is_blocked() && self != State::Disk
    }
}

/// Whether to leave a wait out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// It counts.
    Counts,
    /// It does not.
    Idle,
    /// It does not if the main thread does nothing else.
    Serves,
}

impl Profile {
    /// Leaves idle waits out of all sums, as the module says; the timeline keeps them.
    pub fn leave_out_idle_waits(&mut self) {
        let waits: Vec<Wait> = self.rows().iter().map(|row| wait_of(self, row)).collect();
        let serving = serving_threads(self, &waits);
        let is_idle = |(row, wait): (&Row, &Wait)| match wait {
            Wait::Counts => false,
            Wait::Idle => true,
            Wait::Serves => serving[row.thread.0 as usize],
        };
        let idle: Vec<bool> = self.rows().iter().zip(&waits).map(is_idle).collect();
        let left = |(row, is_idle): (&Row, &bool)| match is_idle {
            true => without_wait(row.totals),
            false => row.totals,
        };
        let left: Vec<Totals> = self.rows().iter().zip(&idle).map(left).collect();
        let is_all_waiting = left.iter().all(|totals| totals.samples == 0);
        if !idle.contains(&true) || is_all_waiting {
            return;
        }
        let waits = idle_waits(self, &left);
        self.leave_out(left, waits);
    }

    /// By stack: what a blocked main thread costs there. Of other threads, every idle wait is left out.
    pub fn waits_of_main_threads(&self) -> impl Iterator<Item = Wait> {
        (0..self.stacks().len() as u32).map(|id| self.wait_of_main_at(Some(StackId(id))))
    }

    fn wait_of_main_at(&self, stack: Option<StackId>) -> Wait {
        let frames = self.frames_of(stack).take(MAX_FRAMES_OF_A_WAIT);
        wait_of_main(&frames.collect::<Vec<_>>())
    }
}

/// What counts of a wait: what it used nevertheless.
fn without_wait(totals: Totals) -> Totals {
    let wall = totals.cpu.max(totals.gil).min(totals.wall);
    let part = u128::from(totals.samples) * u128::from(wall.0) / u128::from(totals.wall.0.max(1));
    Totals {
        samples: part as u64,
        wall,
        ..totals
    }
}

fn wait_of(profile: &Profile, row: &Row) -> Wait {
    let helped = HELPED_SHARE * row.totals.wall.seconds();
    let is_helped = row.totals.helpers_cpu > Nanos(0) && row.totals.helpers_cpu.seconds() >= helped;
    if !row.state.is_idle_wait() || is_helped {
        return Wait::Counts;
    }
    match profile.thread(row.thread) {
        Some(thread) if thread.is_main => profile.wait_of_main_at(row.stack),
        _ => Wait::Idle,
    }
}

/// `frames` are those of the main thread, innermost first.
fn wait_of_main(frames: &[&Frame]) -> Wait {
    let Some(innermost) = frames.first() else {
        return Wait::Counts;
    };
    let is_at = |frame: &Frame, sites: &[Site]| sites.iter().any(|site| is_site(frame, *site));
    let calls = frames.iter().take_while(|frame| is_machinery(frame));
    let calls = calls.count();
    // The first frame that is not machinery may be the place that waits for work.
    let path = &frames[..frames.len().min(calls + 1)];
    let waits = is_at(innermost, WAITS);
    let runs_forever = path.iter().any(|frame| is_site(frame, RUNS_FOREVER))
        && !frames.iter().any(|frame| is_site(frame, RUNS_UNTIL));
    let for_work = path.iter().any(|frame| is_at(frame, WAITS_FOR_WORK)) || runs_forever;
    if (waits || is_at(innermost, WAITS_FOR_WORK)) && for_work {
        return Wait::Idle;
    }
    let is_selector = is_site(innermost, ("selectors.py", "select"));
    let in_loop = path.iter().any(|frame| is_site(frame, LOOP_TURN));
    match waits && (!is_selector || in_loop) {
        true => Wait::Serves,
        false => Wait::Counts,
    }
}

fn is_machinery(frame: &Frame) -> bool {
    MACHINERY.iter().any(|file| is_file(frame, file))
}

/// By thread: whether it is a main thread that only serves.
fn serving_threads(profile: &Profile, waits: &[Wait]) -> Vec<bool> {
    let mut served = vec![Nanos(0); profile.threads().len()];
    for (row, wait) in profile.rows().iter().zip(waits) {
        if *wait != Wait::Counts {
            served[row.thread.0 as usize] += row.totals.wall;
        }
    }
    let wholes = profile.thread_totals().iter();
    let is_serving = |(served, whole): (Nanos, &Totals)| {
        whole.wall > Nanos(0) && served.seconds() >= SERVING_SHARE * whole.wall.seconds()
    };
    served.into_iter().zip(wholes).map(is_serving).collect()
}

/// What is left out where `left` counts of the rows.
fn idle_waits(profile: &Profile, left: &[Totals]) -> IdleWaits {
    let mut of_thread = vec![Nanos(0); profile.threads().len()];
    for (row, left) in profile.rows().iter().zip(left) {
        of_thread[row.thread.0 as usize] += row.totals.wall - left.wall;
    }
    let mut waits = IdleWaits::default();
    for (id, idle) in of_thread.into_iter().enumerate() {
        let thread = profile.thread(ThreadId(id as u32));
        let (Some(thread), true) = (thread, idle > Nanos(0)) else {
            continue;
        };
        let whole = profile.thread_totals()[id].wall;
        let busy = whole - idle;
        waits.threads += 1;
        waits.idle_threads += usize::from(busy.seconds() < BUSY_SHARE * whole.seconds());
        waits.main_threads += usize::from(thread.is_main);
        waits.time += idle;
    }
    waits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::event::{Event, FrameId, FrameKind, Process, ProcessId, Sample, Thread};

    const LIB: &str = "/usr/lib/python3.11/";

    /// A profile of one process with the stacks of threads, outermost frame first. `(is_main, state, seconds, cpu seconds,
    /// frames)`; a frame is `file:function`, below the standard library where the file does not begin with `/`.
    fn profile(runs: &[(bool, State, u64, u64, &[&str])]) -> Profile {
        let mut profile = Profile::default();
        profile.apply(Event::Process(ProcessId(0), Process::default()));
        // The main thread is one, in however many runs.
        let mut ids: Vec<u32> = Vec::new();
        for (is_main, ..) in runs {
            let next = ids.iter().max().map_or(0, |id| id + 1);
            let main = ids.iter().zip(runs).find(|(_, run)| run.0 && *is_main);
            let id = main.map_or(next, |(id, _)| *id);
            let thread = Thread {
                process: ProcessId(0),
                tid: None,
                name: None,
                is_main: *is_main,
            };
            profile.apply(Event::Thread(ThreadId(id), thread));
            ids.push(id);
        }
        let (mut frames, mut stacks) = (0, 0);
        for (id, (_, state, seconds, cpu, path)) in ids.into_iter().zip(runs) {
            let mut parent = None;
            for place in *path {
                let (file, name) = place.split_once(':').unwrap();
                let file = match file.starts_with('/') {
                    true => file.to_owned(),
                    false => format!("{LIB}{file}"),
                };
                let frame = Frame {
                    kind: FrameKind::Python,
                    name: name.to_owned(),
                    file: Some(file),
                    first_line: None,
                    line: None,
                };
                profile.apply(Event::Frame(FrameId(frames), frame));
                profile.apply(Event::Stack {
                    id: StackId(stacks),
                    parent,
                    frame: FrameId(frames),
                });
                parent = Some(StackId(stacks));
                (frames, stacks) = (frames + 1, stacks + 1);
            }
            profile.apply(Event::Sample(Sample {
                at: Nanos(seconds * 1_000_000_000),
                thread: ThreadId(id),
                stack: parent,
                ticks: *seconds as u32 * 100,
                wall: Nanos(seconds * 1_000_000_000),
                cpu: Nanos(cpu * 1_000_000_000),
                state: *state,
                ..Sample::default()
            }));
        }
        assert_eq!(profile.rejected(), 0);
        profile
    }

    /// The seconds that count, and those left out.
    #[track_caller]
    fn check(runs: &[(bool, State, u64, u64, &[&str])], counts: u64, left_out: u64) {
        let mut profile = profile(runs);
        let whole = profile.totals();
        profile.leave_out_idle_waits();
        let second = 1_000_000_000;
        assert_eq!(profile.totals().wall, Nanos(counts * second));
        assert_eq!(profile.idle_waits().time, Nanos(left_out * second));
        assert_eq!(profile.totals().cpu, whole.cpu, "CPU time is never idle");
        let of_threads: Totals = profile.thread_totals().iter().copied().sum();
        assert_eq!(of_threads, profile.totals());
        let of_rows: Totals = profile.rows().iter().map(|row| row.totals).sum();
        assert_eq!(of_rows, profile.totals());
    }

    const RUN: &str = "/home/ada/run.py:main";

    #[test]
    fn of_a_script_everything_counts_that_its_main_thread_does() {
        let download = [RUN, "socket.py:readinto"];
        let join = [
            RUN,
            "threading.py:join",
            "threading.py:_wait_for_tstate_lock",
        ];
        check(
            &[
                (true, State::Network, 5, 0, &download),
                (true, State::Sleep, 3, 0, &[RUN]),
                (true, State::Lock, 4, 0, &join),
                (true, State::Python, 1, 1, &[RUN]),
            ],
            13,
            0,
        );
    }

    #[test]
    fn of_a_script_whose_threads_work_the_main_thread_that_joins_them_does_not_count() {
        let work = ["threading.py:run", "/home/ada/run.py:work"];
        let join = [
            RUN,
            "threading.py:join",
            "threading.py:_wait_for_tstate_lock",
        ];
        check(
            &[
                (true, State::Lock, 199, 0, &join),
                (true, State::Python, 1, 1, &[RUN]),
                (false, State::Python, 200, 200, &work),
                (false, State::Gil, 50, 0, &work),
                (false, State::Disk, 10, 0, &work),
                (false, State::Sleep, 70, 0, &work),
            ],
            261,
            269,
        );
    }

    #[test]
    fn of_a_server_its_handlers_count_and_no_thread_that_waits_for_a_request() {
        let serve = [
            RUN,
            "socketserver.py:BaseServer.serve_forever",
            "selectors.py:_PollLikeSelector.select",
        ];
        let handler = [
            "socketserver.py:process_request_thread",
            "/home/ada/run.py:get",
        ];
        let read = [
            "socketserver.py:process_request_thread",
            "socket.py:readinto",
        ];
        check(
            &[
                // A third of the time it accepts requests: it serves all the same.
                (true, State::Waiting, 60, 0, &serve),
                (true, State::Python, 30, 30, &serve[..2]),
                (false, State::Python, 20, 20, &handler),
                (false, State::Network, 80, 0, &read),
            ],
            50,
            140,
        );
    }

    #[test]
    fn of_a_notebook_its_cells_count_and_not_the_time_between_them() {
        let between = [
            "runpy.py:_run_module_as_main",
            "/usr/lib/python3/dist-packages/ipykernel/kernelapp.py:start",
            "/usr/lib/python3/dist-packages/tornado/platform/asyncio.py:start",
            "asyncio/base_events.py:BaseEventLoop.run_forever",
            "asyncio/base_events.py:BaseEventLoop._run_once",
            "selectors.py:EpollSelector.select",
        ];
        let cell = [&between[..5], &["/tmp/ipykernel_1/1.py:<module>"]].concat();
        check(
            &[
                (true, State::Waiting, 500, 0, &between),
                (true, State::Sleep, 20, 0, &cell),
                (true, State::Native, 30, 30, &cell),
                (false, State::Waiting, 550, 0, &["threading.py:run"]),
            ],
            50,
            1050,
        );
    }

    #[test]
    fn of_a_pool_the_tasks_count_and_no_worker_that_waits_for_one() {
        let worker = [
            "multiprocessing/process.py:run",
            "multiprocessing/pool.py:worker",
        ];
        let get = [
            worker[0],
            worker[1],
            "multiprocessing/queues.py:SimpleQueue.get",
            "multiprocessing/synchronize.py:SemLock.__enter__",
        ];
        let task = [
            worker[0],
            worker[1],
            "multiprocessing/pool.py:mapstar",
            "/home/ada/run.py:task",
        ];
        let waiting_task = [
            task[0],
            task[1],
            task[2],
            task[3],
            "threading.py:Event.wait",
        ];
        check(
            &[
                (true, State::Lock, 40, 0, &get),
                (true, State::Python, 50, 50, &task),
                (true, State::Lock, 10, 0, &waiting_task),
            ],
            60,
            40,
        );
    }

    #[test]
    fn of_a_rank_that_waits_for_the_others_all_counts() {
        check(
            &[
                (true, State::Network, 90, 0, &["/home/ada/mpi.py:exchange"]),
                (true, State::Python, 10, 10, &[RUN]),
            ],
            100,
            0,
        );
    }

    #[test]
    fn of_a_loop_its_wait_counts_unless_it_does_nothing_else() {
        let wait = [
            RUN,
            "asyncio/runners.py:run",
            "asyncio/base_events.py:BaseEventLoop.run_until_complete",
            "asyncio/base_events.py:BaseEventLoop.run_forever",
            "asyncio/base_events.py:BaseEventLoop._run_once",
            "selectors.py:EpollSelector.select",
        ];
        let callback = [&wait[..5], &[RUN]].concat();
        check(
            &[
                (true, State::Waiting, 90, 0, &wait),
                (true, State::Python, 10, 10, &callback),
            ],
            100,
            0,
        );
        check(
            &[
                (true, State::Waiting, 996, 0, &wait),
                (true, State::Python, 4, 4, &callback),
            ],
            4,
            996,
        );
    }

    #[test]
    fn a_program_that_does_nothing_but_wait_is_shown() {
        let wait = ["threading.py:run", "threading.py:wait"];
        check(&[(false, State::Lock, 60, 0, &wait)], 60, 0);
    }

    #[test]
    fn a_wait_in_which_native_threads_work_counts() {
        let mut profile = profile(&[(true, State::Python, 1, 1, &[RUN])]);
        let thread = Thread {
            process: ProcessId(0),
            tid: None,
            name: None,
            is_main: false,
        };
        profile.apply(Event::Thread(ThreadId(1), thread));
        profile.apply(Event::Sample(Sample {
            at: Nanos(9),
            thread: ThreadId(1),
            ticks: 9,
            wall: Nanos(9),
            helpers_cpu: Nanos(30),
            state: State::Lock,
            ..Sample::default()
        }));
        profile.leave_out_idle_waits();
        assert_eq!(profile.idle_waits(), IdleWaits::default());
    }

    #[test]
    fn threads_are_counted_by_what_they_did_beside_waiting() {
        let wait = ["threading.py:run", "threading.py:wait"];
        let mut profile = profile(&[
            (true, State::Python, 9, 9, &[RUN]),
            (false, State::Lock, 9, 0, &wait),
            (false, State::Lock, 9, 4, &wait),
        ]);
        profile.leave_out_idle_waits();
        let expected = IdleWaits {
            threads: 2,
            idle_threads: 1,
            main_threads: 0,
            time: Nanos(14_000_000_000),
        };
        assert_eq!(profile.idle_waits(), expected);
    }
}
