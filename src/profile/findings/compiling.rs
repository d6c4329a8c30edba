//! Turns stacks with frames of compilers into the time that a program compiles while it runs.

use std::collections::{BTreeMap, HashSet};

use super::finding::{Compiler, Finding};
use super::hot_line;
use super::scope::Scope;
use crate::profile::event::{Frame, Nanos, StackId, ThreadId};
use crate::profile::paths;

/// How the files begin in which each does nothing else, behind the folder of its library. They are on the stack while it
/// compiles and not when its result runs, as of numba 0.60, torch 2.5, jax 0.4.35, Cython 3.0, setuptools 75 and
/// CPython 3.14.
const FILES: &[(&str, Compiler)] = &[
    ("numba/core/compiler.py", Compiler::Numba),
    ("numba/cuda/compiler.py", Compiler::Numba),
    ("torch/_dynamo/convert_frame.py", Compiler::Torch),
    ("torch/_inductor/compile_fx.py", Compiler::Torch),
    ("torch/_inductor/compile_worker/", Compiler::Torch),
    ("torch/utils/cpp_extension.py", Compiler::Extension),
    ("jax/_src/compiler.py", Compiler::Jax),
    ("jax/_src/interpreters/mlir.py", Compiler::Jax),
    ("Cython/Build/", Compiler::Extension),
    ("Cython/Compiler/", Compiler::Extension),
    ("pyximport/", Compiler::Extension),
    ("distutils/", Compiler::Extension),
    ("setuptools/_distutils/", Compiler::Extension),
    ("re/_compiler.py", Compiler::Regex),
    ("re/_parser.py", Compiler::Regex),
    ("sre_compile.py", Compiler::Regex),
    ("sre_parse.py", Compiler::Regex),
    ("regex/_regex_core.py", Compiler::Regex),
];

/// What is known of a stack: who compiles, and the stack that called it.
type Compiling = (Compiler, Option<StackId>);

/// What one compiler takes.
#[derive(Debug, Default)]
struct Sum {
    time: Nanos,
    samples: u64,
    threads: HashSet<ThreadId>,
    by_caller: Vec<(Option<StackId>, u64)>,
}

/// Each compiler that takes more than a moment. What modules compile while they are imported is time of importing.
pub(super) fn findings<'p>(scope: &Scope<'p>) -> Vec<Finding<'p>> {
    let compiling = by_stack(scope);
    let mut sums: BTreeMap<Compiler, Sum> = BTreeMap::new();
    for row in scope.rows() {
        let stack = row
            .stack
            .filter(|_| scope.lines.importing(row.stack).is_none());
        let known = stack.and_then(|stack| *compiling.get(stack.0 as usize)?);
        let Some((compiler, caller)) = known else {
            continue;
        };
        let sum = sums.entry(compiler).or_default();
        sum.time += row.totals.wall;
        sum.samples = sum.samples.saturating_add(row.totals.samples);
        sum.threads.insert(row.thread);
        sum.by_caller.push((caller, row.totals.wall.0));
    }
    let worth = sums.into_iter();
    let worth = worth.filter(|(_, sum)| scope.is_worth(sum.time, sum.samples));
    let finding = |(compiler, sum): (Compiler, Sum)| {
        let threads = scope.threads().filter(|(id, ..)| sum.threads.contains(id));
        Finding::Compiling {
            compiler,
            time: sum.time,
            whole: threads.fold(Nanos(0), |whole, (.., totals)| whole + totals.wall),
            threads: sum.threads.len(),
            line: hot_line::of_stacks(&scope.lines, sum.by_caller.into_iter()),
        }
    };
    worth.map(finding).collect()
}

/// By stack: the outermost compiler in it.
fn by_stack(scope: &Scope<'_>) -> Vec<Option<Compiling>> {
    let profile = scope.profile;
    let mut known: Vec<Option<Compiling>> = Vec::with_capacity(profile.stacks().len());
    // Parents come before their children.
    for stack in profile.stacks() {
        let below = stack
            .parent
            .and_then(|parent| *known.get(parent.0 as usize)?);
        let here = || profile.frame(stack.frame).and_then(compiler);
        known.push(below.or_else(|| Some((here()?, stack.parent))));
    }
    known
}

fn compiler(frame: &Frame) -> Option<Compiler> {
    let part = paths::library_part(frame.file.as_deref()?)?;
    let mut files = FILES.iter();
    files
        .find(|(begin, _)| part.starts_with(begin))
        .map(|(_, compiler)| *compiler)
}
