//! Turns the classes of native work into what stands out: ranks that wait in MPI, compilation of JIT code, and threads of
//! OpenMP that wait.

use super::finding::{Finding, SlowRank};
use super::hot_line;
use super::scope::Scope;
use crate::profile::event::Nanos;
use crate::profile::over_ranks::OverRanks;
use crate::profile::work::{class_of, native_threads};
use crate::profile::{Mode, Row};

/// Less of the time in MPI is what a program that communicates takes.
const MIN_MPI_SHARE: f64 = 0.1;

/// A rank that takes less than so many times the mean keeps nobody waiting.
const MIN_SLOWNESS: f64 = 1.2;

/// OpenMP threads that wait less than this part of their time are busy.
const MIN_OPENMP_SHARE: f64 = 0.3;

/// Less CPU time of such threads is not worth a sentence, as a part of the run.
const MIN_OPENMP_CPU: f64 = 0.05;

/// Whether a class is another or a part of it.
fn is_of(class: Option<&str>, group: &str) -> bool {
    let rest = class.and_then(|class| class.strip_prefix(group));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// The rows of a class, their time and samples.
fn sum<'p>(scope: &Scope<'p>, group: &str) -> (Vec<&'p Row>, Nanos, u64) {
    let is_it = |row: &&Row| is_of(class_of(scope.profile, row.attributes), group);
    let rows: Vec<&Row> = scope.rows().filter(is_it).collect();
    let (mut time, mut samples) = (Nanos(0), 0_u64);
    for row in &rows {
        time += row.totals.wall;
        samples = samples.saturating_add(row.totals.samples);
    }
    (rows, time, samples)
}

/// The time in MPI, and the rank that the others wait for.
pub(super) fn mpi<'p>(scope: &Scope<'p>) -> Option<Finding<'p>> {
    let (rows, time, samples) = sum(scope, "mpi");
    let whole = scope.profile.totals().wall;
    let share = time.seconds() / whole.seconds().max(1e-9);
    if share < MIN_MPI_SHARE || !scope.is_worth(time, samples) {
        return None;
    }
    Some(Finding::Mpi {
        share,
        slow: slow_rank(scope),
        line: hot_line::of_rows(&scope.lines, rows.into_iter(), |row| row.totals.wall.0),
    })
}

/// The rank that takes longest in the function whose imbalance costs most, apart from MPI.
fn slow_rank(scope: &Scope<'_>) -> Option<SlowRank> {
    let mut work = scope.profile.clone();
    work.keep_rows(|profile, row| !is_of(class_of(profile, row.attributes), "mpi"));
    let launches = OverRanks::of_launches(&work, Mode::Wall);
    let functions = launches.first()?.functions();
    let times = &functions.first()?.self_time;
    let slowness = times.max_seconds / times.mean_seconds.max(1e-9);
    let is_slow = times.is_significant() && slowness >= MIN_SLOWNESS;
    let rank = times.slowest.filter(|_| is_slow)?;
    Some(SlowRank {
        rank,
        slowness,
        function: functions.first()?.function.name.to_owned(),
    })
}

/// The time in which native code is compiled while the program runs; not where a compiler of Python code was found.
pub(super) fn compiling<'p>(scope: &Scope<'p>) -> Option<Finding<'p>> {
    let (rows, time, samples) = sum(scope, "jit-compile");
    let line = hot_line::of_rows(&scope.lines, rows.into_iter(), |row| row.totals.wall.0);
    scope
        .is_worth(time, samples)
        .then(|| Finding::JitCompiling {
            time,
            whole: scope.profile.totals().wall,
            line,
        })
}

/// Threads of OpenMP that wait, on a CPU or not, while others of them work.
pub(super) fn openmp<'p>(scope: &Scope<'p>) -> Option<Finding<'p>> {
    let (mut waited, mut whole, mut cpu) = (Nanos(0), Nanos(0), Nanos(0));
    for group in native_threads(scope.profile) {
        let waits = group.classes.iter();
        let waits = waits.filter(|(class, _)| is_of(*class, "openmp-wait"));
        let wait = waits.fold(Nanos(0), |sum, (_, totals)| sum + totals.wall);
        if wait > Nanos(0) {
            waited += wait;
            whole += group.totals.wall;
            cpu += group.totals.cpu;
        }
    }
    let share = waited.seconds() / whole.seconds().max(1e-9);
    let is_worth = cpu.seconds() >= MIN_OPENMP_CPU * scope.run().seconds();
    if share < MIN_OPENMP_SHARE || !is_worth {
        return None;
    }
    let line = hot_line::of_rows(&scope.lines, scope.rows(), |row| row.totals.helpers_cpu.0);
    Some(Finding::OpenMpWaits { share, line })
}
