//! Turns the classes of native work into words.

use super::escape::visible;
use super::units::significant;
use crate::profile::event::Nanos;
use crate::profile::work::{self, NativeThreads};
use crate::profile::{Mode, Profile};

/// Classes with a smaller part of the time are told together.
const MIN_SHARE: f64 = 0.01;

/// So many classes are named.
const MAX_CLASSES: usize = 6;

/// So many groups of native threads are named.
const MAX_GROUPS: usize = 3;

/// So many classes are named of each.
const MAX_CLASSES_OF_THREADS: usize = 3;

/// The words of the classes of rsamp's table. Others go by the word that they have there.
const WORDS: &[(&str, &str)] = &[
    (work::PYTHON, "Python"),
    ("mpi", "MPI"),
    ("mpi-point", "MPI point to point"),
    ("mpi-collective", "MPI collective"),
    ("mpi-io", "MPI I/O"),
    ("openmp-wait", "OpenMP wait"),
    ("openblas-wait", "OpenBLAS wait"),
    ("blas", "BLAS and LAPACK"),
    ("fft", "FFT"),
    ("io", "I/O"),
    ("copy", "copying memory"),
    ("allocation", "allocation"),
    ("gc", "garbage collection"),
    ("import", "import and load"),
    ("gpu", "GPU"),
    ("gpu-wait", "GPU wait"),
    ("gpu-launch", "GPU launch"),
    ("gpu-copy", "GPU copy"),
    ("jit-compile", "JIT compilation"),
    ("jit", "JIT code"),
];

/// The words of a class.
pub(crate) fn class(class: Option<&str>) -> String {
    let Some(class) = class else {
        return "not known".to_owned();
    };
    let known = WORDS.iter().find(|(word, _)| *word == class);
    known.map_or_else(|| visible(class), |(_, words)| (*words).to_owned())
}

/// `38 % BLAS and LAPACK, 20 % Python, 3 % other`; `None`: no native sample tells.
pub(crate) fn classes_in_words(profile: &Profile, mode: Mode) -> Option<String> {
    let rows = work::classes(profile, mode);
    let whole = profile.totals().time(mode).seconds();
    if rows.is_empty() || whole <= 0.0 {
        return None;
    }
    let times = rows.iter().map(|row| (row.class, row.totals.time(mode)));
    Some(shares(times, whole, MAX_CLASSES))
}

fn shares<'c>(
    times: impl Iterator<Item = (Option<&'c str>, Nanos)>,
    whole: f64,
    most: usize,
) -> String {
    let (mut parts, mut rest) = (Vec::new(), 0.0);
    for (of, time) in times {
        let share = time.seconds() / whole;
        if share < MIN_SHARE || parts.len() >= most {
            rest += share;
            continue;
        }
        parts.push(format!("{:.0} % {}", 100.0 * share, class(of)));
    }
    if rest >= MIN_SHARE / 2.0 {
        parts.push(format!("{:.0} % other", 100.0 * rest));
    }
    parts.join(", ")
}

/// `threads without Python: 12 s of CPU in 7 threads omp-worker-* (80 % BLAS and LAPACK, 20 % OpenMP wait)`; `None`: there
/// are none.
pub(crate) fn native_threads_in_words(profile: &Profile) -> Option<String> {
    let groups = work::native_threads(profile);
    let told: Vec<String> = groups.iter().take(MAX_GROUPS).map(threads).collect();
    let more = match groups.len().saturating_sub(MAX_GROUPS) {
        0 => String::new(),
        more => format!(", and {more} more names"),
    };
    (!told.is_empty()).then(|| format!("threads without Python: {}{more}", told.join("; ")))
}

fn threads(group: &NativeThreads<'_>) -> String {
    let cpu = significant(group.totals.cpu.seconds());
    let classes = group.classes.iter();
    let classes = classes.map(|(class, totals)| (*class, totals.wall));
    let whole = group.totals.wall.seconds().max(1e-9);
    let classes = shares(classes, whole, MAX_CLASSES_OF_THREADS);
    let name = visible(&group.name);
    let many = match group.threads {
        1 => "1 thread".to_owned(),
        threads => format!("{threads} threads"),
    };
    format!("{cpu} s of CPU in {many} {name} ({classes})")
}
