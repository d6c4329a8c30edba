//! Turns the asyncio tasks of a [`Dump`] into a tree for people, in which equal tasks are one.

use std::collections::HashMap;
use std::fmt::Write;

use super::text::{header, write_run};
use crate::export::words::escape::escaped;
use crate::export::words::number::grouped;
use crate::profile::dump::{Dump, TaskDump, TaskState, WaitsFor, is_made_up};

const INDENT: &str = "    ";

/// A task that is this deep in the tree has no others below it: they stand beside the tree.
const MAX_DEPTH: usize = 64;

/// So many names of equal tasks are told.
const MAX_NAMES: usize = 3;

/// A header, and the tree of the tasks: below each the frames of its coroutines, outermost first, and then the tasks that it
/// waits for.
///
/// Every name and path is escaped: none can steer the terminal.
#[must_use]
pub fn text(dump: &Dump) -> String {
    header(dump) + &tree(dump)
}

/// As [`text`], without the header.
#[must_use]
pub(super) fn tree(dump: &Dump) -> String {
    let tasks = dump.tasks.as_deref().unwrap_or_default();
    if tasks.is_empty() {
        return "\nNo asyncio task\n".to_owned();
    }
    let word = if tasks.len() == 1 { "task" } else { "tasks" };
    let mut out = format!("\n{} asyncio {word}\n", grouped(tasks.len() as u64));
    let tree = Tree::of(tasks);
    for group in tree.folded(&tree.roots) {
        out.push('\n');
        group.write(&mut out, "");
    }
    out
}

/// Which task is below which: each once.
struct Tree<'d> {
    tasks: &'d [TaskDump],
    roots: Vec<usize>,
    children: Vec<Vec<usize>>,
}

impl<'d> Tree<'d> {
    /// A task is below the first of its parents. Tasks that wait for each other begin with the first of them.
    fn of(tasks: &'d [TaskDump]) -> Tree<'d> {
        let numbers: HashMap<u32, usize> = tasks.iter().map(|task| task.id).zip(0..).collect();
        let mut below: Vec<Vec<usize>> = vec![Vec::new(); tasks.len()];
        let mut roots = Vec::new();
        for (number, task) in tasks.iter().enumerate() {
            match task.parents.iter().find_map(|parent| numbers.get(parent)) {
                Some(parent) => below[*parent].push(number),
                None => roots.push(number),
            }
        }
        let mut tree = Tree {
            tasks,
            roots: Vec::new(),
            children: vec![Vec::new(); tasks.len()],
        };
        let mut is_placed = vec![false; tasks.len()];
        let others = 0..tasks.len();
        let mut open: Vec<(usize, usize)> = Vec::new();
        for root in roots.into_iter().chain(others) {
            if !std::mem::replace(&mut is_placed[root], true) {
                tree.roots.push(root);
                open.push((root, 0));
            }
            while let Some((number, depth)) = open.pop() {
                for child in below[number].iter().filter(|_| depth < MAX_DEPTH) {
                    if !std::mem::replace(&mut is_placed[*child], true) {
                        tree.children[number].push(*child);
                        open.push((*child, depth + 1));
                    }
                }
            }
        }
        tree
    }

    /// The tasks with those below them, equal ones as one, in the order in which the first of each comes.
    fn folded(&self, numbers: &[usize]) -> Vec<Group<'d>> {
        let mut groups: Vec<Group<'d>> = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        for number in numbers {
            let task = &self.tasks[*number];
            let body = self.body(*number);
            match known.get(&body).and_then(|first| groups.get_mut(*first)) {
                Some(group) => group.tasks.push(task),
                None => {
                    known.insert(body.clone(), groups.len());
                    groups.push(Group {
                        tasks: vec![task],
                        body,
                    });
                }
            }
        }
        groups
    }

    /// What is below the name of a task: what it does, its frames, and the tasks that it waits for.
    fn body(&self, number: usize) -> String {
        let task = &self.tasks[number];
        let mut out = state(task.state).to_owned();
        if task.parents.len() > 1 {
            let _ = write!(out, ", awaited by {} tasks", task.parents.len());
        }
        out.push('\n');
        let frames: Vec<_> = task.frames.iter().rev().cloned().collect();
        for run in frames.chunk_by(|one, next| one == next) {
            write_run(&mut out, INDENT, run);
        }
        for group in self.folded(&self.children[number]) {
            group.write(&mut out, INDENT);
        }
        out
    }
}

/// Equal tasks.
struct Group<'d> {
    tasks: Vec<&'d TaskDump>,
    body: String,
}

impl Group<'_> {
    fn write(&self, out: &mut String, indent: &str) {
        let mut lines = self.body.lines();
        let state = lines.next().unwrap_or_default();
        let _ = writeln!(out, "{indent}{}, {state}", self.title());
        for line in lines {
            let _ = writeln!(out, "{indent}{line}");
        }
    }

    /// `Task-7`, `"reader"`; of several the root coroutine and the names that the program gave: `20 × ticker`.
    fn title(&self) -> String {
        let name = |task: &&TaskDump| {
            task.name
                .clone()
                .unwrap_or_else(|| "unnamed task".to_owned())
        };
        let mut names: Vec<String> = self.tasks.iter().map(name).collect();
        if let [name] = names.as_slice() {
            return escaped(name).into_owned();
        }
        let root = self.tasks[0].frames.last();
        let root = root.map_or("task", |frame| frame.name.as_str());
        let count = grouped(names.len() as u64);
        names.retain(|name| !is_made_up(name));
        names.dedup();
        let more = if names.len() > MAX_NAMES { ", …" } else { "" };
        names.truncate(MAX_NAMES);
        match names.as_slice() {
            [] => format!("{count} × {}", escaped(root)),
            names => format!(
                "{count} × {} ({}{more})",
                escaped(root),
                escaped(&names.join(", "))
            ),
        }
    }
}

fn state(state: TaskState) -> &'static str {
    match state {
        TaskState::Running => "running",
        TaskState::Ready => "ready to run",
        TaskState::NotBegun => "not begun",
        TaskState::Waiting(waits_for) => match waits_for {
            WaitsFor::Sleep => "sleeping",
            WaitsFor::Network => "waiting for the network",
            WaitsFor::Lock => "waiting for a lock",
            WaitsFor::Queue => "waiting for a queue",
            WaitsFor::Thread => "waiting for a thread",
            WaitsFor::Process => "waiting for a child process",
            WaitsFor::Task => "waiting for a task",
            WaitsFor::Future => "waiting for a future",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::event::{Frame, FrameKind};

    fn task(
        id: u32,
        name: &str,
        state: TaskState,
        frames: &[(&str, u32)],
        parents: &[u32],
    ) -> TaskDump {
        let frame = |(name, line): &(&str, u32)| Frame {
            kind: FrameKind::Python,
            name: (*name).to_owned(),
            file: Some("/home/me/app.py".to_owned()),
            first_line: Some(1),
            line: Some(*line),
        };
        TaskDump {
            id,
            name: Some(name.to_owned()),
            interpreter: 0,
            state,
            parents: parents.to_vec(),
            frames: frames.iter().map(frame).collect(),
        }
    }

    fn dump(tasks: Vec<TaskDump>) -> Dump {
        Dump {
            pid: 4242,
            python: "3.12.1".to_owned(),
            command: vec!["python".to_owned(), "app.py".to_owned()],
            interpreter_module: None,
            threads: Vec::new(),
            tasks: Some(tasks),
        }
    }

    const SLEEP: TaskState = TaskState::Waiting(WaitsFor::Sleep);
    const TASK: TaskState = TaskState::Waiting(WaitsFor::Task);

    #[test]
    fn equal_tasks_are_one_below_the_task_that_waits_for_them() {
        let mut tasks = vec![task(
            0,
            "Task-1",
            TASK,
            &[("gather_all", 12), ("main", 30)],
            &[],
        )];
        tasks.extend(
            (1..=20).map(|id| task(id, &format!("Task-{id}"), SLEEP, &[("ticker", 5)], &[0])),
        );
        tasks.extend((21..=25).map(|id| task(id, &format!("job {id}"), TASK, &[("job", 7)], &[])));
        tasks.push(task(
            26,
            "shared",
            TaskState::Ready,
            &[("job", 8)],
            &[21, 22],
        ));
        insta::assert_snapshot!(text(&dump(tasks)), @r"
        Process 4242, Python 3.12.1
        Command: python app.py

        27 asyncio tasks

        Task-1, waiting for a task
            main (/home/me/app.py:30)
            gather_all (/home/me/app.py:12)
            20 × ticker, sleeping
                ticker (/home/me/app.py:5)

        job 21, waiting for a task
            job (/home/me/app.py:7)
            shared, ready to run, awaited by 2 tasks
                job (/home/me/app.py:8)

        4 × job (job 22, job 23, job 24, …), waiting for a task
            job (/home/me/app.py:7)
        ");
    }

    #[test]
    fn tasks_that_wait_for_each_other_are_all_shown() {
        let tasks = vec![
            task(0, "one", TASK, &[("a", 1)], &[1]),
            task(1, "two", TASK, &[("b", 2)], &[0]),
            task(2, "itself", TASK, &[("c", 3)], &[2, 77]),
        ];
        insta::assert_snapshot!(tree(&dump(tasks)), @r"

        3 asyncio tasks

        one, waiting for a task
            a (/home/me/app.py:1)
            two, waiting for a task
                b (/home/me/app.py:2)

        itself, waiting for a task, awaited by 2 tasks
            c (/home/me/app.py:3)
        ");
    }

    #[test]
    fn a_chain_of_tasks_beyond_the_limit_goes_on_beside_the_tree() {
        let count = 3 * MAX_DEPTH as u32;
        let parents = |id: u32| Vec::from_iter(id.checked_sub(1));
        let tasks =
            (0..count).map(|id| task(id, &format!("t{id}"), TASK, &[("f", 1)], &parents(id)));
        let tree = tree(&dump(tasks.collect()));
        for id in 0..count {
            let title = format!("t{id}, waiting");
            assert_eq!(tree.matches(&title).count(), 1, "{title}");
        }
    }

    #[test]
    fn names_cannot_steer_the_terminal() {
        let tasks = vec![task(0, "\x1b[2J\nroot", SLEEP, &[("\x1b]0;x\x07", 1)], &[])];
        let tree = tree(&dump(tasks));
        assert!(!tree.contains('\x1b') && tree.contains("root"), "{tree:?}");
    }

    #[test]
    fn without_tasks_it_says_so() {
        assert_eq!(tree(&dump(Vec::new())), "\nNo asyncio task\n");
    }
}
