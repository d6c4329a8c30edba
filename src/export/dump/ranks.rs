//! Turns the stacks of all processes of a job into lines for people, in which equal stacks are one, or into JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Write};

use serde_json::{Value, json};

use super::{json as json_of_dump, tasks};
use crate::export::dump::text::write_run;
use crate::export::words::escape::escaped;
use crate::profile::dump::{Activity, Dump, ThreadDump};
use crate::profile::event::Frame;
use crate::profile::filter::Ranks;

/// By how much a group is indented in the one that it is a part of.
const INDENT: &str = "    ";

/// Where a process is in its job. Ordered as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// The step: `0`, `batch`.
    pub step: String,
    /// The rank, where a launcher gave one.
    pub rank: Option<u32>,
    /// The node's name.
    pub node: String,
    /// The process, as its node sees it.
    pub pid: i32,
}

impl Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} on {}", self.pid, escaped(&self.node))
    }
}

/// The processes of a job at one moment.
#[derive(Debug)]
pub struct OfJob {
    /// The job as typed.
    pub job: String,
    /// Its nodes, in words.
    pub nodes: String,
    /// The processes in order, and what they do.
    pub processes: Vec<(Origin, Dump)>,
}

/// A header, and the trees of the asyncio tasks, equal ones as one.
#[must_use]
pub fn tasks(of_job: &OfJob) -> String {
    let mut out = header(of_job);
    let mut groups: Vec<(String, BTreeSet<usize>)> = Vec::new();
    for (number, (_, dump)) in of_job.processes.iter().enumerate() {
        let tree = tasks::tree(dump);
        match groups.iter_mut().find(|(known, _)| *known == tree) {
            Some((_, numbers)) => drop(numbers.insert(number)),
            None => groups.push((tree, BTreeSet::from([number]))),
        }
    }
    let all: Vec<&Origin> = of_job.processes.iter().map(|(origin, _)| origin).collect();
    let who = Who::new(&all);
    for (tree, numbers) in groups {
        let _ = writeln!(out, "\nTasks of {}", who.of_numbers(&numbers));
        for line in tree.trim_start().lines() {
            let indent = if line.is_empty() { "" } else { INDENT };
            let _ = writeln!(out, "{indent}{line}");
        }
    }
    out
}

/// The job, how many processes, and where.
fn header(of_job: &OfJob) -> String {
    let count = of_job.processes.len();
    format!(
        "Job {}: {count} Python {} on {}\n",
        escaped(&of_job.job),
        if count == 1 { "process" } else { "processes" },
        escaped(&of_job.nodes)
    )
}

/// A header, and for the main threads and those of each other name the tree of their stacks from the outermost
/// frame on; where ranks do different things it branches.
#[must_use]
pub fn text(of_job: &OfJob) -> String {
    let mut out = header(of_job);
    let mut groups: BTreeMap<(bool, &str), Vec<OfRank<'_>>> = BTreeMap::new();
    for (number, (_, dump)) in of_job.processes.iter().enumerate() {
        for thread in &dump.threads {
            let name = thread.name.as_deref().unwrap_or_default();
            let key = if thread.is_main {
                (false, "")
            } else {
                (true, name)
            };
            groups
                .entry(key)
                .or_default()
                .push(OfRank { number, thread });
        }
    }
    let all: Vec<&Origin> = of_job.processes.iter().map(|(origin, _)| origin).collect();
    let who = Who::new(&all);
    for ((_, name), threads) in groups {
        let name = match name {
            "" => String::new(),
            name => format!(" \"{}\"", escaped(name)),
        };
        let kind = match threads.iter().all(|of| of.thread.is_main) {
            true => "Main thread",
            false => "Thread",
        };
        let _ = writeln!(out, "\n{kind}{name} of {}", who.of(&threads));
        write_tree(&mut out, INDENT, &threads, 0, &who);
    }
    out
}

/// A thread and the number of its process.
#[derive(Clone, Copy)]
struct OfRank<'d> {
    number: usize,
    thread: &'d ThreadDump,
}

impl<'d> OfRank<'d> {
    /// The frame at a depth from the outermost, which has 0.
    fn frame(self, depth: usize) -> Option<&'d Frame> {
        let frames = &self.thread.frames;
        frames.get(frames.len().checked_sub(depth + 1)?)
    }
}

/// Writes what the threads have in common from a depth on, and then each group of those that differ.
fn write_tree(out: &mut String, indent: &str, threads: &[OfRank<'_>], depth: usize, who: &Who<'_>) {
    let mut depth = depth;
    let mut common: Vec<Frame> = Vec::new();
    let groups = loop {
        // In the order in which the first of each group comes.
        let mut groups: Vec<(Option<&Frame>, Vec<OfRank<'_>>)> = Vec::new();
        for of in threads {
            let frame = of.frame(depth);
            match groups.iter_mut().find(|(known, _)| *known == frame) {
                Some((_, group)) => group.push(*of),
                None => groups.push((frame, vec![*of])),
            }
        }
        match groups.as_slice() {
            [(Some(frame), _)] => common.push((*frame).clone()),
            _ => break groups,
        }
        depth += 1;
    };
    for run in common.chunk_by(|one, next| one == next) {
        write_run(out, indent, run);
    }
    if let [(None, _)] = groups.as_slice() {
        for of in threads {
            if let Some(reason) = &of.thread.incomplete {
                let _ = writeln!(
                    out,
                    "{indent}({} incomplete: {})",
                    who.of(&[*of]),
                    escaped(reason)
                );
            }
        }
        return;
    }
    for (frame, group) in &groups {
        let _ = writeln!(out, "{indent}{}{}", who.of(group), activity(group));
        let inner = format!("{indent}{INDENT}");
        match frame {
            Some(_) => write_tree(out, &inner, group, depth, who),
            None if depth == 0 => {
                let _ = writeln!(out, "{inner}no Python frame");
            }
            None => {
                let _ = writeln!(out, "{inner}in the frame above");
            }
        }
    }
}

/// ` (waiting)`, ` (running)`, ` (3 running, 28 waiting)`, or nothing when nothing is known.
fn activity(threads: &[OfRank<'_>]) -> String {
    let count = |wanted| {
        let is_wanted = |of: &&OfRank<'_>| of.thread.activity == Some(wanted);
        threads.iter().filter(is_wanted).count()
    };
    match (count(Activity::Running), count(Activity::Waiting)) {
        (0, 0) => String::new(),
        (_, 0) => " (running)".to_owned(),
        (0, _) => " (waiting)".to_owned(),
        (running, waiting) => format!(" ({running} running, {waiting} waiting)"),
    }
}

/// Names groups of processes.
struct Who<'d> {
    all: &'d [&'d Origin],
    /// Ranks are those of a step: with several steps, the step is told too.
    has_steps: bool,
    /// Not all have a rank of their own.
    needs_pids: bool,
}

impl<'d> Who<'d> {
    fn new(all: &'d [&'d Origin]) -> Who<'d> {
        let steps: BTreeSet<&str> = all.iter().map(|origin| origin.step.as_str()).collect();
        let ranks: BTreeSet<_> = all
            .iter()
            .filter_map(|o| Some((&o.step, o.rank?)))
            .collect();
        Who {
            all,
            has_steps: steps.len() > 1,
            needs_pids: ranks.len() < all.len(),
        }
    }

    /// `ranks 0-30, 33`, `step 1 rank 0`, `process 42 on n1`
    fn of(&self, threads: &[OfRank<'_>]) -> String {
        self.of_numbers(&threads.iter().map(|of| of.number).collect())
    }

    fn of_numbers(&self, numbers: &BTreeSet<usize>) -> String {
        let origins = numbers.iter().filter_map(|number| self.all.get(*number));
        let mut ranks: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        let mut others = Vec::new();
        for origin in origins {
            match origin.rank {
                Some(rank) if !self.needs_pids => ranks.entry(&origin.step).or_default().push(rank),
                Some(rank) => others.push(format!("rank {rank} ({origin})")),
                None => others.push(origin.to_string()),
            }
        }
        let ranks = ranks.into_iter().map(|(step, ranks)| {
            let word = if ranks.len() == 1 { "rank" } else { "ranks" };
            let step = if self.has_steps {
                format!("step {} ", escaped(step))
            } else {
                String::new()
            };
            format!("{step}{word} {}", Ranks::joined(ranks).join(", "))
        });
        ranks.chain(others).collect::<Vec<_>>().join(", ")
    }
}

/// The processes as indented JSON with a line feed at its end (the help of `rsamp dump` documents it).
///
/// # Errors
/// When the JSON cannot be built, which strings and numbers never cause.
pub fn json(of_job: &OfJob) -> Result<String, serde_json::Error> {
    let processes = of_job.processes.iter().map(|(origin, dump)| {
        let dump: Value = serde_json::from_str(&json_of_dump::json(dump)?)?;
        Ok(json!({
            "node": origin.node,
            "step": origin.step,
            "rank": origin.rank,
            "dump": dump,
        }))
    });
    let processes = processes.collect::<Result<Vec<_>, serde_json::Error>>()?;
    let document = json!({
        "schema": json_of_dump::SCHEMA,
        "job": of_job.job,
        "processes": processes,
    });
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::event::FrameKind;

    fn frame(name: &str, line: u32) -> Frame {
        Frame {
            kind: FrameKind::Python,
            name: name.to_owned(),
            file: Some("hung.py".to_owned()),
            first_line: Some(1),
            line: Some(line),
        }
    }

    /// A thread with these frames, outermost first.
    fn thread(name: &str, frames: &[(&str, u32)]) -> ThreadDump {
        ThreadDump {
            tid: Some(1),
            name: Some(name.to_owned()),
            is_main: name == "MainThread",
            holds_gil: None,
            activity: Some(Activity::Waiting),
            interpreter: 0,
            frames: frames
                .iter()
                .rev()
                .map(|(name, line)| frame(name, *line))
                .collect(),
            incomplete: None,
        }
    }

    fn process(
        step: &str,
        rank: Option<u32>,
        pid: i32,
        threads: Vec<ThreadDump>,
    ) -> (Origin, Dump) {
        let origin = Origin {
            step: step.to_owned(),
            rank,
            node: "n1".to_owned(),
            pid,
        };
        let dump = Dump {
            pid,
            python: "3.11.2".to_owned(),
            command: vec!["python".to_owned()],
            interpreter_module: None,
            threads,
            tasks: None,
        };
        (origin, dump)
    }

    fn of_job(processes: Vec<(Origin, Dump)>) -> OfJob {
        OfJob {
            job: "4242".to_owned(),
            nodes: "2 nodes (n[1-2])".to_owned(),
            processes,
        }
    }

    const HUNG: &[(&str, u32)] = &[
        ("<module>", 30),
        ("main", 24),
        ("exchange", 12),
        ("barrier", 9),
    ];

    #[test]
    fn the_rank_that_hangs_stands_apart() {
        let mut processes: Vec<_> = (0..32)
            .map(|rank| {
                process(
                    "0",
                    Some(rank),
                    100 + rank as i32,
                    vec![thread("MainThread", HUNG)],
                )
            })
            .collect();
        let mut reader = thread(
            "MainThread",
            &[("<module>", 30), ("main", 24), ("read", 17)],
        );
        reader.activity = Some(Activity::Running);
        processes[31].1.threads = vec![reader, thread("logger", &[("run", 3)])];
        insta::assert_snapshot!(text(&of_job(processes)), @r#"
        Job 4242: 32 Python processes on 2 nodes (n[1-2])

        Main thread of ranks 0-31
            <module> (hung.py:30)
            main (hung.py:24)
            ranks 0-30 (waiting)
                exchange (hung.py:12)
                barrier (hung.py:9)
            rank 31 (running)
                read (hung.py:17)

        Thread "logger" of rank 31
            run (hung.py:3)
        "#);
    }

    #[test]
    fn a_stack_that_ends_where_others_go_on_is_told() {
        let processes = vec![
            process("0", Some(0), 1, vec![thread("MainThread", &HUNG[..2])]),
            process("0", Some(1), 2, vec![thread("MainThread", HUNG)]),
            process("1", Some(0), 3, vec![thread("MainThread", HUNG)]),
        ];
        insta::assert_snapshot!(text(&of_job(processes)), @r#"
        Job 4242: 3 Python processes on 2 nodes (n[1-2])

        Main thread of step 0 ranks 0-1, step 1 rank 0
            <module> (hung.py:30)
            main (hung.py:24)
            step 0 rank 0 (waiting)
                in the frame above
            step 0 rank 1, step 1 rank 0 (waiting)
                exchange (hung.py:12)
                barrier (hung.py:9)
        "#);
    }

    #[test]
    fn processes_without_ranks_are_told_by_their_pids() {
        let processes = vec![
            process(
                "batch",
                None,
                7,
                vec![thread("MainThread", &[("fib", 3); 40])],
            ),
            process("batch", None, 9, vec![thread("MainThread", &[])]),
        ];
        insta::assert_snapshot!(text(&of_job(processes)), @r#"
        Job 4242: 2 Python processes on 2 nodes (n[1-2])

        Main thread of process 7 on n1, process 9 on n1
            process 7 on n1 (waiting)
                fib (hung.py:3)
                … previous frame repeated 39 times
            process 9 on n1 (waiting)
                no Python frame
        "#);
    }

    #[test]
    fn ranks_become_ranges() {
        for (numbers, expected) in [
            (&[3][..], "3"),
            (&[0, 1, 2, 3], "0-3"),
            (&[0, 2, 3, 7], "0, 2-3, 7"),
            (&[u32::MAX - 1, u32::MAX], "4294967294-4294967295"),
        ] {
            assert_eq!(Ranks::joined(numbers.iter().copied()).join(", "), expected);
        }
    }

    #[test]
    fn json_says_where_each_process_is() {
        let processes = vec![process("0", Some(5), 7, vec![thread("MainThread", HUNG)])];
        let json = json(&of_job(processes)).expect("JSON");
        let json: Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(json["job"], "4242");
        let process = &json["processes"][0];
        assert_eq!(
            (&process["node"], &process["rank"]),
            (&Value::from("n1"), &Value::from(5))
        );
        assert_eq!(
            process["dump"]["threads"][0]["frames"][0]["name"],
            "barrier"
        );
    }
}
