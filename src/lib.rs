//! rsamp: a sampling profiler for CPython that works from outside the process, on Linux.
//!
//! # The road
//!
//! ```text
//! target process ─► memory ─► cpython ─► sampler ─► profile::Event ─► recording (.rsamp)
//!                                                         │                   │
//!                                                         ▼                   ▼
//!                                                 profile::Profile ◄── events read back
//!                                                         │
//!                                                         ▼
//!                                       export/* (svg, pstats, …)   tui   run (files)   cli (summary)
//! ```
//!
//! Data flows one way. [`profile::event::Event`] is the hinge: the sampler emits events, a recording
//! is events on disk, and a [`profile::Profile`] is events folded: "record, read, fold" equals "fold".
//!
//! # Where to enter
//!
//! The program is [`cli::main`]. A library user reads a process once with [`sampler::dump`], samples it with
//! [`sampler::sample`], reads recordings with [`recording::Reader`], folds events with [`profile::Profile`], and writes
//! a format with [`export::write`]:
//!
//! ```no_run
//! use rsamp::process::Pid;
//! use rsamp::sampler;
//!
//! let dump = sampler::dump(Pid(4242))?;
//! for thread in &dump.threads {
//!     println!("{}", thread.name.as_deref().unwrap_or("a thread"));
//!     // Innermost first.
//!     for frame in &thread.frames {
//!         println!("    {} ({:?}, line {:?})", frame.name, frame.file, frame.line);
//!     }
//! }
//! # Ok::<(), sampler::SamplerError>(())
//! ```
//!
//! # The rooms, in reading order
//!
//! | room | what it turns into what | names |
//! |---|---|---|
//! | [`sys`] | system calls that have no safe binding into safe functions; the only `unsafe` code | - |
//! | [`process`] | a PID into an identity, its maps, threads, images; a command into a running child | `sys` |
//! | [`memory`] | an address of the target into bytes | `sys`, `process` |
//! | [`cpython`] | bytes into threads, frames, names and lines | `process`, `memory` |
//! | [`native`] | the C stack of a thread into native frames with names, lines and classes of work, merged with its Python frames | `process`, `memory`, `cpython` |
//! | [`profile`] | events into stacks with times, and those into tables and call trees | - |
//! | [`sampler`] | a process and its descendants into a stream of events | `process`, `memory`, `cpython`, `native`, `profile` |
//! | [`recording`] | events into the bytes of a `.rsamp` file and back | `profile` |
//! | [`export`] | a profile into the bytes of a file format | `profile` |
//! | [`tui`] | a profile that goes on into a screen that is redrawn meanwhile | `profile` |
//! | [`launch`] | environments into ranks, and a launcher's command line into one with rsamp before the program; a job into its processes | `process` |
//! | [`run`] | a request into finished files: samples or recordings into sinks, and those into outputs | all above but `sys` |
//! | [`cli`] | what the user typed into requests, and what came of them into text, hints and exit codes | all but `sys` |
//!
//! The test `tests/it/architecture.rs` fails when a room names one that its row does not list, or when files of one
//! room name each other in a circle.
//!
//! What is absent: `profile` and `export` know no process, no memory and no file; `recording` knows no sampler; the
//! sampler knows no file that it writes. `run` knows no option, no exit code and no terminal: it warns on standard error,
//! and `cli` says everything else. Which version of CPython is read is a row of [`cpython::layout::rows`]; no other code
//! tells versions apart.
//!
//! # What happens at a tick
//!
//! 1. `sampler::ticker` waits until the `sampler::schedule` says so, or until the
//!    [`process::ExitWatcher`] tells that a process has ended or an interpreter was found;
//!    `sampler::rate` decides how often that is.
//! 2. Every 10 ms `sampler::process_tree` asks [`process::NewProcesses`] for new processes: one system call
//!    when there is none on the whole machine. Those that were forked are read like their parents from
//!    then on; the others are for `sampler::finder`, on a thread of its own, until they become Python.
//! 3. One after another, each `sampler::program` is read: [`cpython::reader`] asks one
//!    [`memory::Window`] for the GIL ([`cpython::gil`]), at times for the lists of interpreters and
//!    threads (`cpython::threads`), and, for each thread that may have held the GIL meanwhile, for the
//!    thread state and the places where its frames lay last time (`cpython::places::StackRanges`). All of
//!    it comes with one `process_vm_readv`.
//! 4. [`cpython::frames`] walks each stack in the copy; `cpython::top` finds the frame that was executing
//!    in it, by the rule of the version, and `cpython::shape` whether the frames lie as calls lay them. If
//!    that does not decide, what the copy named is completed by what is read afterwards, and the sample counts as
//!    undetermined: another moment is never chosen. Where that is the case for more than 1 % of a thread's samples,
//!    it is read while it stands still, stopped by ptrace or off the CPU, at ticks that chance chooses.
//! 5. [`cpython::code`] compares the code objects of the stacks with what it read of them before: where the
//!    interpreter counts those that were freed (3.14 on) whenever that count has moved, else the young ones
//!    at every tick and the old ones every 10 ms.
//! 6. `sampler::intern` numbers the stacks, `sampler::threads` books the measured time since the
//!    last tick to them. `sampler::activity` asks the kernel what each thread that may have run does
//!    (`process::syscall`), `sampler::gil_waits` tells native code from waiting for the GIL,
//!    `sampler::cpu` keeps the CPU time that is booked with what the kernel counts,
//!    `sampler::held` holds runs back until that is sure, `sampler::run_delay` makes the part in which a thread waited for
//!    a CPU a run of its own, `sampler::roles` decides whose doing growing memory and
//!    the waiting of others are, `sampler::growth` which of a thread's stacks changed memory (`sampler::resident`,
//!    `sampler::faults`, `sampler::course`), and `sampler::usage` reads the counters of the process ten times a
//!    second. Time that no tick sampled (`sampler::gaps`) is attributed to a frame that says why.
//! 7. Where native frames are wanted, some ticks ([`sampler::NativeRate`]) read native stacks too: that of a thread
//!    that began to wait without a stop, those of running threads in turn by a stop of some 20 to 100 µs each
//!    (`sampler::native_sampler`, [`process::PendingStop`]). They refine the samples and change none.
//! 8. `sampler::named_events` adds the names of native frames, which a thread and a process of their own find
//!    (`sampler::name_finder`). The sinks of a run take the events: [`profile::Profile::apply`] folds what is shown, while a
//!    [`recording::Recorder`] hands all of them to the thread that writes them.
//! 9. At the end idle waits are left out of the profile (`profile::idle`), which outputs and the first screen
//!    ([`export::first_screen`]) are then made of.
//!
//! # What holds everywhere
//!
//! - Nothing read from the target is trusted: every walk has a named bound, every length is checked
//!   before room is made for it, and a bad frame costs that frame.
//! - The target is not changed. It is not stopped either, but one thread for one reading as the last
//!   resort, the running threads of a Python before 3.6 for every reading, and running threads in turn where native
//!   frames are wanted; `--never-stop` forbids all of it.
//! - rsamp lends nobody its rights. A file that the target named is read with the target's
//!   ([`run::sources::reader`]), and one that the user named is made with the user's ([`run::outputs`]).
//! - rsamp waits for local file systems only. A mapped file on another one is read by a process of its own
//!   ([`cpython::image_reader`]), which is given up when it does not answer.
//! - Time is measured, never counted: a sample stands for the interval since the tick before.

mod sys;

pub mod process;

pub mod memory;

pub mod cpython;

pub mod native;

pub mod profile;

pub mod sampler;

pub mod recording;

pub mod export;

pub mod tui;

mod launch;

pub mod run;

pub mod cli;
