//! Turns what stands out in a profile into sentences: what, how much, where, and what to do.

use super::escape::visible;
use super::labels;
use super::table::place;
use crate::export::words::number::size;
use crate::export::words::paths::Shortener;
use crate::export::words::units::rough_seconds;
use crate::profile::Profile;
use crate::profile::event::{Nanos, State};
use crate::profile::findings::{
    BlockedLoops, BlockingCall, Compiler, Crowd, Finding, HotLine, ImportedModule, SlowRank,
    findings,
};
use crate::profile::paths;

/// So many modules are named of those imported.
const MAX_MODULES: usize = 3;

/// A module that takes less of the imports is not named.
const MIN_MODULE_SHARE: f64 = 0.1;

/// One state that has this part of the waits is told alone.
const ONE_STATE: f64 = 0.8;

/// The part that one task has of the blocks is not told where it is this or more.
const MOSTLY: f64 = 0.95;

/// A longer command line is cut, in characters.
const MAX_COMMAND: usize = 40;

/// One sentence each, without a full stop; the one that costs most first.
#[must_use]
pub fn sentences(profile: &Profile) -> Vec<String> {
    let files = profile.frames().iter();
    let shortener = Shortener::of(files.filter_map(|frame| frame.file.as_deref()));
    let words = Words {
        shortener,
        processes: profile.processes().len(),
        leaves_out: profile.idle_waits().threads > 0,
    };
    findings(profile).iter().map(|it| words.of(it)).collect()
}

struct Words {
    shortener: Shortener,
    processes: usize,
    /// Whether idle waits are left out of the times.
    leaves_out: bool,
}

impl Words {
    fn of(&self, finding: &Finding<'_>) -> String {
        match finding {
            Finding::MemoryNearLimit { .. } | Finding::MemoryGrows { .. } => self.memory(finding),
            Finding::GilBound {
                threads,
                waited,
                share,
                line,
            } => {
                let (threads, waited) = (count(*threads, "thread"), rough_seconds(*waited));
                let share = percent(*share);
                let line = self.at(line, &|place, line| {
                    let blocked = rough_seconds(Nanos(line.amount));
                    format!("; {place} held it while others waited {blocked} s")
                });
                format!(
                    "the GIL is the bottleneck for {threads}: {waited} s of waiting, {share} of the time \
                     in which they wanted to run{line}: use processes, each has a GIL of its own"
                )
            }
            Finding::Waits {
                share,
                states,
                threads,
                line,
            } => {
                let whose = match threads {
                    1 => "the main thread's time",
                    _ => "the main threads' time",
                };
                let line = self.at(line, &|place, line| {
                    format!(", {} of it in {place}", percent(line.share))
                });
                let (share, what) = (percent(*share), waiting(*share, states));
                format!("{share} of {whose} is {what}{line}: --mode cpu shows the rest")
            }
            Finding::Imports { .. } | Finding::Compiling { .. } | Finding::BuildSteps { .. } => {
                self.preparing(finding)
            }
            Finding::FewCores { .. } | Finding::Oversubscribed { .. } => self.cores(finding),
            Finding::BlockedLoops(blocked) => self.loops(blocked),
            Finding::Mpi { .. } | Finding::JitCompiling { .. } | Finding::OpenMpWaits { .. } => {
                self.native(finding)
            }
        }
    }

    /// Where a finding is, as `tell` puts it; nothing where no line is known.
    fn at(
        &self,
        line: &Option<HotLine<'_>>,
        tell: &dyn Fn(String, &HotLine<'_>) -> String,
    ) -> String {
        let told = line.as_ref().map(|line| tell(self.place(line), line));
        told.unwrap_or_default()
    }

    fn place(&self, line: &HotLine<'_>) -> String {
        place(&self.shortener, &line.function, line.line)
    }

    /// Of memory near its limit and of memory that grows; nothing of other findings.
    fn memory(&self, finding: &Finding<'_>) -> String {
        match finding {
            Finding::MemoryNearLimit { peak, limit, line } => {
                let share = percent(*peak as f64 / *limit as f64);
                let (peak, limit) = (size(*peak), size(*limit));
                let line = self.at(line, &|place, line| {
                    format!("; {place} retains most, likely {}", size(line.amount))
                });
                format!(
                    "memory peaked at {peak}, {share} of the limit of {limit}{line}: a larger \
                     input needs a higher limit"
                )
            }
            Finding::MemoryGrows {
                from,
                to,
                time,
                line,
                ..
            } => {
                let line = self.at(line, &|place, line| {
                    format!("; {place} retains most, likely {}", size(line.amount))
                });
                let (from, to, time) = (size(*from), size(*to), rough_seconds(*time));
                format!(
                    "memory keeps growing, from {from} to {to} in {time} s{line}: rsamp report \
                     --memory shows the lines"
                )
            }
            _ => String::new(),
        }
    }

    /// Of what a program does before it works; nothing of other findings.
    fn preparing(&self, finding: &Finding<'_>) -> String {
        match finding {
            Finding::Imports {
                time,
                whole,
                threads,
                modules,
            } => {
                let of = self.part_of(*time, *whole, *threads);
                let modules = self.modules(modules, *time, *threads);
                format!("importing takes {of}{modules}; import later what not every run needs")
            }
            Finding::Compiling {
                compiler,
                time,
                whole,
                threads,
                line,
            } => {
                let line = self.at(line, &|place, line| {
                    format!(", {} of it for {place}", percent(line.share))
                });
                let of = self.part_of(*time, *whole, *threads);
                let (what, advice) = compiling(*compiler);
                format!("{what} takes {of}{line}: {advice}")
            }
            Finding::BuildSteps {
                time,
                whole,
                command,
            } => {
                let of = part_of(*time, *whole, "");
                let command = shortened(command);
                format!("building takes {of} (`{command}`): build before the job")
            }
            _ => String::new(),
        }
    }

    /// Of too few and of too many cores; nothing of other findings.
    fn cores(&self, finding: &Finding<'_>) -> String {
        match finding {
            Finding::FewCores { busy, usable, line } => {
                let line = self.at(line, &|place, line| {
                    format!("; {} of the CPU time is in {place}", percent(line.share))
                });
                format!("{busy:.1} of {usable} usable cores busy{line}")
            }
            Finding::Oversubscribed {
                crowd,
                runnable,
                usable,
                share,
                line,
            } => {
                let share = percent(*share);
                let on = format!(
                    "on {} in {share} of the readings",
                    count(*usable as usize, "CPU")
                );
                match crowd {
                    Crowd::Ranks(ranks) => {
                        format!("{ranks} ranks {on}: start {usable}, or ask for {ranks} CPUs")
                    }
                    Crowd::Processes(processes) => {
                        format!(
                            "{processes} processes {on}: run {usable} at a time (a pool of {usable})"
                        )
                    }
                    Crowd::Threads(_) => format!(
                        "{runnable:.0} threads want to run {on}: run {usable} at a time (a pool of {usable})"
                    ),
                    Crowd::NativeThreads(processes) => {
                        let line = self.at(line, &|place, _| format!("; they work for {place}"));
                        let each = (usable / processes).max(1);
                        let whose = match processes {
                            1 => String::new(),
                            processes => format!(" of {processes} processes"),
                        };
                        format!(
                            "{runnable:.0} threads{whose} want to run {on}{line}: OMP_NUM_THREADS={each} \
                             may be faster"
                        )
                    }
                }
            }
            _ => String::new(),
        }
    }

    /// Of native work; nothing of other findings.
    fn native(&self, finding: &Finding<'_>) -> String {
        match finding {
            Finding::Mpi { share, slow, line } => {
                let slow = slow.as_ref().map(|slow| {
                    let SlowRank {
                        rank,
                        slowness,
                        function,
                    } = slow;
                    let function = labels::clean(function);
                    format!(": rank {rank} takes {slowness:.1} times the mean in {function}")
                });
                let line = self.at(line, &|place, line| {
                    format!(", {} of it in {place}", percent(line.share))
                });
                let share = percent(*share);
                format!("{share} of the time is in MPI{}", slow.unwrap_or(line))
            }
            Finding::JitCompiling { time, line, .. } => {
                let line = self.at(line, &|place, line| {
                    format!(", {} of it in {place}", percent(line.share))
                });
                let time = rough_seconds(*time);
                format!("{time} s of JIT compilation{line}")
            }
            Finding::OpenMpWaits { share, line } => {
                let line = self.at(line, &|place, _| format!(" in {place}"));
                let share = percent(*share);
                format!("OpenMP threads wait {share} of the time{line}")
            }
            _ => String::new(),
        }
    }

    /// Of event loops that are blocked.
    fn loops(&self, blocked: &BlockedLoops<'_>) -> String {
        let BlockedLoops {
            threads,
            times,
            time,
            whole,
            longest,
            ready,
            task,
            call,
            gil_share,
            holder,
        } = blocked;
        let whose = match threads.as_slice() {
            [thread] => format!("the event loop of {} was", labels::bare_thread_name(thread)),
            threads => format!("the event loops of {} threads were", threads.len()),
        };
        let many = match times {
            1 => "once".to_owned(),
            times => format!("{times} times"),
        };
        let share = |share: f64| match share {
            MOSTLY.. => String::new(),
            share => format!("{} in ", percent(share)),
        };
        let task = self.at(task, &|place, line| format!("{}{place}", share(line.share)));
        let call = call.as_ref().map(|call| self.call(call));
        let gil = (holder.is_some() || task.is_empty()).then(|| {
            let held = self.at(holder, &|place, _| format!(", which {place} held"));
            format!("{} waiting for the GIL{held}", percent(*gil_share))
        });
        let why = [Some(task).filter(|task| !task.is_empty()), call, gil];
        let why: Vec<String> = why.into_iter().flatten().collect();
        let ready = match ready {
            None | Some(0) => String::new(),
            Some(1) => "; 1 task or callback was ready to run meanwhile".to_owned(),
            Some(ready) => {
                format!("; up to {ready} tasks and callbacks were ready to run meanwhile")
            }
        };
        format!(
            "{whose} blocked {many} for over 100 ms, {} s of {} s, longest {} s: {}{ready}",
            rough_seconds(*time),
            rough_seconds(*whole),
            rough_seconds(*longest),
            why.join(", ")
        )
    }

    /// `97 % in json.loads called at app.py:29`
    fn call(&self, call: &BlockingCall<'_>) -> String {
        let share = percent(call.line.share);
        let Some(callee) = call.callee else {
            return format!("{share} in {}", self.place(&call.line));
        };
        let module = callee.file.map(|file| paths::module_name(file, &[]));
        let name = match module {
            Some(module) => format!("{module}.{}", callee.name),
            None => callee.name.to_owned(),
        };
        let name = labels::clean(&name);
        let file = call.line.function.file.unwrap_or_default();
        let file = labels::clean(self.shortener.shorten(file));
        match call.line.line {
            Some(line) => format!("{share} in {name} called at {file}:{line}"),
            None => format!("{share} in {name} called in {file}"),
        }
    }

    /// `4.1 of 6.0 s`; of several threads the average. As many threads as processes are one of each.
    fn part_of(&self, time: Nanos, whole: Nanos, threads: usize) -> String {
        let each = |time: Nanos| Nanos(time.0 / threads.max(1) as u64);
        let average = match threads {
            0 | 1 => None,
            threads if threads == self.processes => Some(format!("average of {threads} processes")),
            threads => Some(format!("average of {threads} threads")),
        };
        let idle = self.leaves_out.then(|| "without idle waits".to_owned());
        let notes: Vec<String> = average.into_iter().chain(idle).collect();
        part_of(each(time), each(whole), &notes.join(", "))
    }

    /// `: pandas 2.9 s (run.py:2), numpy 0.80 s (run.py:1)`
    fn modules(&self, modules: &[ImportedModule<'_>], whole: Nanos, threads: usize) -> String {
        let named = modules.iter().filter_map(|module| {
            let is_much = module.time.seconds() >= MIN_MODULE_SHARE * whole.seconds();
            let name = module.name.as_deref().filter(|_| is_much)?;
            Some((name, module))
        });
        let words = named.take(MAX_MODULES).map(|(name, module)| {
            let time = rough_seconds(Nanos(module.time.0 / threads.max(1) as u64));
            let file = module.line.function.file;
            let file = file.map(|file| visible(self.shortener.shorten(file)));
            let at = match (file, module.line.line) {
                // Not of what Python imports itself when it starts.
                (Some(file), Some(line)) if !file.starts_with('<') => format!(" ({file}:{line})"),
                _ => String::new(),
            };
            format!("{} {time} s{at}", visible(name))
        });
        let words: Vec<String> = words.collect();
        match words.as_slice() {
            [] => String::new(),
            words => format!(": {}", words.join(", ")),
        }
    }
}

/// `4.1 of 6.0 s`, with what is to be known of these times.
fn part_of(time: Nanos, whole: Nanos, note: &str) -> String {
    let note = match note {
        "" => String::new(),
        note => format!(" ({note})"),
    };
    format!(
        "{} of {} s{note}",
        rough_seconds(time),
        rough_seconds(whole)
    )
}

/// What most of the waiting is for, or each with its part.
fn waiting(whole: f64, states: &[(State, f64)]) -> String {
    match states {
        [(state, share), ..] if *share >= ONE_STATE * whole => state.to_string(),
        states => {
            let worth = states.iter().filter(|(_, share)| *share >= 0.1 * whole);
            let each = worth.map(|(state, share)| format!("{} {state}", percent(*share)));
            format!("waiting ({})", each.collect::<Vec<_>>().join(", "))
        }
    }
}

/// Who compiles, and what a user can do.
fn compiling(compiler: Compiler) -> (&'static str, &'static str) {
    match compiler {
        Compiler::Numba => (
            "compiling with numba",
            "@njit(cache=True) keeps what is compiled",
        ),
        Compiler::Torch => ("torch.compile", "only the first steps pay it"),
        Compiler::Jax => (
            "compiling with jax",
            "JAX_COMPILATION_CACHE_DIR keeps what is compiled",
        ),
        Compiler::Extension => (
            "building extension modules",
            "build them before the program runs",
        ),
        Compiler::Regex => (
            "compiling regular expressions",
            "compile each once (re.compile) and keep it",
        ),
    }
}

fn shortened(command: &str) -> String {
    let line = visible(command);
    match line.char_indices().nth(MAX_COMMAND) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    }
}
