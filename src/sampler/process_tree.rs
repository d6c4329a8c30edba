//! Turns one process into all that descend from it, as they are created, become Python, and end.
//!
//! A look at the PIDs given meanwhile ([`NewProcesses`]) brings the new ones. A child that was forked and runs
//! what its parent runs has everything where its parent has it: it can be sampled at once. All others are for
//! the [`Finder`], which looks at them until they become Python or end. Orphans are still ours where this
//! process adopts them ([`Children::Adopted`]): the kernel makes them its children, so that their parent is
//! us. Where it does not (a process that was attached to), a process is missed whose parent had ended before
//! the first look at it.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::finder::{Finder, Finding};
use super::gaps::LONGEST_SAMPLED;
use super::target::Located;
use super::{Children, SamplerError, Settings};
use crate::process::{
    CpuClock, ExitWatcher, ImageIdentity, NewProcess, NewProcesses, Pid, Process, ProcessError,
    TaskState, Tid, new_processes,
};
use crate::profile::event::ProcessId;

/// How often new processes are looked for, when something is done anyway: a look takes some 2 µs.
pub const LOOK: Duration = Duration::from_millis(10);

/// How often they are looked for at least.
pub const LATEST_LOOK: Duration = Duration::from_millis(20);

/// How long a process has to run what its parent runs until it counts as forked. Most that exec do so
/// within this time, and would be seen as Python for a moment.
const FORK_GRACE: Duration = Duration::from_millis(3);

/// One that is ready to run and has had less CPU time than this may still be about to exec,
const FORK_CPU_NS: u64 = 2_000_000;

/// but not after this time.
const LONGEST_FORK_GRACE: Duration = Duration::from_millis(30);

/// What a look, or a wake-up, brought.
#[derive(Default)]
pub struct TreeNews {
    /// Processes that can be sampled from now on.
    pub arrivals: Vec<Arrival>,
    /// Processes that have ended.
    pub ended: Vec<Pid>,
    /// Processes that cannot be sampled, and why.
    pub failed: Vec<(Pid, SamplerError)>,
    /// How many of those that ended never ran Python.
    pub skipped: u64,
}

/// A process that can be sampled from now on.
pub struct Arrival {
    /// The process.
    pub process: Arc<Process>,
    /// Since when.
    pub seen: Instant,
    /// How to read it.
    pub origin: Origin,
}

/// How to read a process that can be sampled from now on.
pub enum Origin {
    /// Its interpreter was found.
    Found(Box<Located>),
    /// It was forked by this one, and has everything where that one has it.
    Forked(Pid),
}

/// What became of a tree.
#[derive(Debug)]
pub struct TreeEnd {
    /// Why the first process was not found to run Python, when it was not and has ended.
    pub of_first: Option<SamplerError>,
    /// How many processes beside the first still run.
    pub running: u64,
    /// How many of these never ran Python.
    pub skipped: u64,
}

#[derive(Debug)]
struct Member {
    process: Arc<Process>,
    parent: Pid,
    /// What the parent was when this one was created: for when that has ended.
    kin: Option<ProcessId>,
    /// The program that it runs, or ran last, among those that are sampled.
    program: Option<ProcessId>,
    /// The image of the program that it runs now, if that is sampled.
    image: Option<ImageIdentity>,
}

/// A process that runs what its parent runs, as far as was seen.
#[derive(Debug)]
struct Newborn {
    process: Arc<Process>,
    parent: Pid,
    image: ImageIdentity,
    seen: Instant,
    due: Instant,
}

impl Newborn {
    /// Whether it has not had its time yet, as it waits for a CPU.
    fn may_be_about_to_exec(&self, now: Instant) -> bool {
        let main = Tid(self.process.pid().0);
        let had_time = || {
            let cpu_ns = self.process.task_cpu(main);
            cpu_ns.is_none_or(|cpu_ns| cpu_ns >= FORK_CPU_NS)
        };
        now < self.seen + LONGEST_FORK_GRACE
            && self.process.task_state(main) == Some(TaskState::Running)
            && !had_time()
    }
}

/// The processes of a recording.
pub struct ProcessTree {
    root: Pid,
    /// It and those beside it.
    roots: Vec<Pid>,
    /// Where the parents of orphans are.
    adopter: Option<Pid>,
    /// Device and inode of the program that this process runs.
    own_file: Option<(u64, u64)>,
    new_processes: Option<NewProcesses>,
    exit_watcher: ExitWatcher,
    finder: Finder,
    members: HashMap<Pid, Member>,
    newborns: Vec<Newborn>,
    /// Those that could not be opened, and why.
    unopened: Vec<(Pid, SamplerError)>,
    /// When it was looked for new processes last, and the time before.
    looked: Instant,
    looked_before: Instant,
}

impl ProcessTree {
    /// Starts with `root`, those beside it that are still there, and all that descend from them by now.
    ///
    /// # Errors
    /// When the kernel gives no epoll instance or no thread.
    pub fn start(root: Arc<Process>, settings: &Settings) -> io::Result<ProcessTree> {
        let exit_watcher = ExitWatcher::new()?;
        let pid = root.pid();
        let finder = Finder::start(pid, settings.start_timeout, exit_watcher.waker())?;
        let own = Pid(std::process::id() as i32);
        // Launched by this process, not long ago.
        let is_new = settings.children == Children::Adopted && settings.delay.is_none();
        let new_processes = match settings.children {
            Children::Ignored => None,
            Children::Adopted if is_new => Some(NewProcesses::after(pid)),
            Children::Followed | Children::Adopted => Some(NewProcesses::from_now()),
        };
        let mut tree = ProcessTree {
            root: pid,
            roots: vec![pid],
            adopter: (settings.children == Children::Adopted).then_some(own),
            own_file: Process::open(own).and_then(|own| own.exe_file()).ok(),
            new_processes,
            exit_watcher,
            finder,
            members: HashMap::new(),
            newborns: Vec::new(),
            unopened: Vec::new(),
            looked: Instant::now(),
            looked_before: Instant::now(),
        };
        tree.join(&root, own);
        // One that was launched began to run unseen; one that runs already is recorded from now on.
        let launched = root.started().filter(|_| is_new);
        tree.finder.find(root, launched.unwrap_or(tree.looked));
        for pid in &settings.beside {
            tree.join_beside(*pid);
        }
        if tree.new_processes.is_some() {
            allow_many_files();
        }
        if settings.children != Children::Ignored && !is_new {
            tree.take_in_descendants();
        }
        Ok(tree)
    }

    /// The processes that the tree started with and that can be sampled by themselves.
    #[must_use]
    pub fn roots(&self) -> &[Pid] {
        &self.roots
    }

    /// What to wait for.
    #[must_use]
    pub fn exit_watcher(&self) -> &ExitWatcher {
        &self.exit_watcher
    }

    /// When [`ProcessTree::look`] has something to do: at the earliest when something is done anyway, and at
    /// the latest. `None`: never.
    #[must_use]
    pub fn due(&self) -> Option<(Instant, Instant)> {
        self.new_processes.as_ref()?;
        let newborn = self.newborns.iter().map(|newborn| newborn.due).min();
        let [early, late] = [LOOK, LATEST_LOOK].map(|every| {
            let look = self.looked + every;
            newborn.map_or(look, |newborn| newborn.min(look))
        });
        Some((early, late))
    }

    /// Looks for new processes.
    pub fn look(&mut self, news: &mut TreeNews) {
        let Some(new_processes) = &mut self.new_processes else {
            return;
        };
        self.looked_before = std::mem::replace(&mut self.looked, Instant::now());
        for new in new_processes.look() {
            self.take_in(new);
        }
        self.take_newborns(news);
        news.failed.append(&mut self.unopened);
    }

    /// Takes the exits, and what the finder found.
    pub fn take(&mut self, news: &mut TreeNews) {
        let told = self.exit_watcher.take();
        for pid in told.ended {
            let member = self.members.remove(&pid);
            let was_skipped = member.is_some_and(|member| member.program.is_none());
            news.skipped += u64::from(was_skipped);
            self.newborns.retain(|newborn| newborn.process.pid() != pid);
            news.ended.push(pid);
        }
        if told.woken {
            for finding in self.finder.take() {
                match finding {
                    Finding::Failed(pid, error) => news.failed.push((pid, error)),
                    Finding::Python(process, located) => news.arrivals.push(Arrival {
                        process,
                        seen: located.at,
                        origin: Origin::Found(located),
                    }),
                }
            }
        }
    }

    /// Takes in that a process runs a program that is sampled.
    pub fn runs(&mut self, pid: Pid, program: ProcessId, image: Option<ImageIdentity>) {
        if let Some(member) = self.members.get_mut(&pid) {
            (member.program, member.image) = (Some(program), image);
        }
    }

    /// Looks for an interpreter in a process anew: it runs another program.
    pub fn find_again(&mut self, process: &Arc<Process>) {
        if let Some(member) = self.members.get_mut(&process.pid()) {
            member.image = None;
            self.finder.find(Arc::clone(process), Instant::now());
        }
    }

    /// The program that a process ran before the one that it runs, or else that of its nearest ancestor.
    #[must_use]
    pub fn parent_of(&self, pid: Pid) -> Option<ProcessId> {
        let member = self.members.get(&pid)?;
        member
            .program
            .or_else(|| self.kin(member.parent).or(member.kin))
    }

    /// The program of a process or of its nearest ancestor.
    fn kin(&self, pid: Pid) -> Option<ProcessId> {
        let mut member = self.members.get(&pid)?;
        // A child of a child has another PID, and nobody is his own ancestor: this ends.
        for _ in 0..self.members.len() {
            if member.program.is_some() {
                return member.program;
            }
            match self.members.get(&member.parent) {
                Some(parent) => member = parent,
                None => break,
            }
        }
        member.kin
    }

    /// Ends.
    #[must_use]
    pub fn finish(self) -> TreeEnd {
        let (root, members) = (self.root, self.members.values());
        let running: Vec<&Member> = members.filter(|member| member.process.is_alive()).collect();
        let others = running.iter().filter(|member| member.process.pid() != root);
        let skipped = running.iter().filter(|member| member.program.is_none());
        TreeEnd {
            running: others.count() as u64,
            skipped: skipped.count() as u64,
            of_first: self.finder.finish(),
        }
    }

    /// Takes in a process if it belongs to the tree.
    fn take_in(&mut self, new: NewProcess) {
        let is_ours = self.members.contains_key(&new.parent) || Some(new.parent) == self.adopter;
        if !is_ours || self.members.contains_key(&new.pid) || self.is_profiler(new.parent) {
            return;
        }
        // Not a thread, which has a PID too and its process's parent.
        let process = match Process::open(new.pid) {
            Ok(process) => Arc::new(process),
            Err(source) => {
                if matches!(source, ProcessError::Read { .. }) {
                    let pid = new.pid;
                    let error = SamplerError::Process { pid, source };
                    self.unopened.push((pid, error));
                }
                return;
            }
        };
        // What reads source files for this rsamp, and another one whose parent has ended.
        if Some(new.parent) == self.adopter && self.runs_rsamp(&process) {
            return;
        }
        self.join(&process, new.parent);
        let parent = self.members.get(&new.parent);
        match parent.and_then(|parent| parent.image) {
            Some(image) => {
                let now = Instant::now();
                self.newborns.push(Newborn {
                    seen: self.began(&process, now),
                    process,
                    parent: new.parent,
                    image,
                    due: now + FORK_GRACE,
                });
            }
            None => {
                let since = self.began(&process, Instant::now());
                self.finder.find(process, since);
            }
        }
    }

    /// When a process of the tree began that was found now and was not there at the last look: as long ago as the CPU
    /// time that it has used, at least. The kernel tells it to a hundredth of a second only: that is asked where it
    /// is found late.
    fn began(&self, process: &Process, now: Instant) -> Instant {
        let used_ns = process.cpu_clock().and_then(CpuClock::cpu_ns);
        let used = Duration::from_nanos(used_ns.unwrap_or(0));
        let began = now.checked_sub(used).unwrap_or(now);
        let late = Duration::from_nanos(LONGEST_SAMPLED.0);
        let is_late = |at: &Instant| now.saturating_duration_since(*at) > late;
        let started = process.started().filter(is_late).unwrap_or(began);
        began.min(started).max(self.looked_before)
    }

    /// Whether a process of the tree is another rsamp, which records its descendants by itself: before the ranks that
    /// an `mpirun` starts on this node.
    fn is_profiler(&self, pid: Pid) -> bool {
        let member = self.members.get(&pid);
        member.is_some_and(|member| self.runs_rsamp(&member.process))
    }

    fn runs_rsamp(&self, process: &Process) -> bool {
        self.own_file.is_some() && process.exe_file().ok() == self.own_file
    }

    fn join(&mut self, process: &Arc<Process>, parent: Pid) {
        self.exit_watcher.watch(process);
        let member = Member {
            process: Arc::clone(process),
            parent,
            kin: self.kin(parent),
            program: None,
            image: None,
        };
        self.members.insert(process.pid(), member);
    }

    /// Takes in a process that is sampled like the first one; one that has ended is left out.
    fn join_beside(&mut self, pid: Pid) {
        if self.members.contains_key(&pid) {
            return;
        }
        if let Ok(process) = Process::open(pid) {
            let process = Arc::new(process);
            self.join(&process, pid);
            self.roots.push(pid);
            self.finder.find(process, self.looked);
        }
    }

    /// Takes in those that descend from the first processes before new ones are looked for.
    fn take_in_descendants(&mut self) {
        let mut parents = self.roots.clone();
        while let Some(parent) = parents.pop() {
            let known = self.members.get(&parent);
            let Some(children) = known.and_then(|member| member.process.children()) else {
                // In the order of their PIDs a parent comes before its children, but for the oldest of all.
                new_processes::all()
                    .into_iter()
                    .for_each(|new| self.take_in(new));
                return;
            };
            for pid in children {
                self.take_in(NewProcess { pid, parent });
                parents.push(pid);
            }
        }
    }

    /// Tells the forked ones from those that are about to run something else.
    fn take_newborns(&mut self, news: &mut TreeNews) {
        let now = Instant::now();
        let (due, later) = std::mem::take(&mut self.newborns)
            .into_iter()
            .partition(|newborn| newborn.due <= now);
        self.newborns = later;
        for mut newborn in due {
            let image = newborn.process.exe_identity().ok();
            let is_vfork = newborn.process.shares_memory_with(newborn.parent);
            if image != Some(newborn.image) {
                self.finder.find(newborn.process, newborn.seen);
            } else if is_vfork == Some(true) || newborn.may_be_about_to_exec(now) {
                newborn.due = now + FORK_GRACE;
                self.newborns.push(newborn);
            } else {
                news.arrivals.push(Arrival {
                    process: newborn.process,
                    seen: newborn.seen,
                    origin: Origin::Forked(newborn.parent),
                });
            }
        }
    }
}

/// Each process takes a few open files: as many as there may be, not as many as a program gets that does
/// not ask (mostly 1024).
fn allow_many_files() {
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
}
