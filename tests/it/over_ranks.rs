//! How time is spread over ranks.

use rsamp::profile::{
    Event, Function, FunctionKind, Mode, OverRanks, Process, Profile, Spread, State, Thread,
};

use crate::filter::Script;

const SECOND: u64 = 1_000_000_000;

/// Four ranks of 6 s each, in which rank 3 computes all the time and the others wait for it; rank 2 has two
/// processes. A launcher without a rank waits for 50 s.
pub fn four_ranks() -> Profile {
    let mut script = Script::default();
    script.process(0, 100, "python launch.py");
    script.thread(0, 0, Some("MainThread"));
    script.run(0, "wait", 50 * SECOND, 50 * SECOND, 50);
    let runs: [(u32, &[(&str, u64)]); 5] = [
        (3, &[("main solve:7", 2), ("main solve:7 solve:9", 4)]),
        (0, &[("main solve:7", 1), ("main wait", 5)]),
        (1, &[("main solve:7", 2), ("main wait", 4)]),
        (2, &[("main solve:7 solve:9", 2), ("main wait", 3)]),
        (2, &[("main solve:7", 1)]),
    ];
    for (id, (rank, runs)) in (1..).zip(runs) {
        script.rank = Some(rank);
        script.process(id, 100 + id as i32, "python scatter.py");
        script.thread(id, id, Some("MainThread"));
        let mut end = 0;
        for (stack, seconds) in runs {
            end += seconds * SECOND;
            script.state = state_in(stack);
            script.run(id, stack, end, seconds * SECOND, 1000);
        }
    }
    folded(script)
}

/// Whoever is in `wait` waits for a message.
fn state_in(stack: &str) -> State {
    if stack.ends_with("wait") {
        State::Network
    } else {
        State::Python
    }
}

/// The profile, in which all threads are main ones.
fn folded(script: Script) -> Profile {
    let mut profile = Profile::default();
    for event in script.events {
        profile.apply(match event {
            Event::Thread(id, thread) => Event::Thread(
                id,
                Thread {
                    is_main: true,
                    ..thread
                },
            ),
            event => event,
        });
    }
    profile
}

fn check(found: Spread, [min, mean, max, deviation]: [f64; 4], slowest: Option<u32>) {
    assert_eq!(found.ranks, 4);
    assert_eq!((found.min_seconds, found.max_seconds), (min, max));
    let near = |a: f64, b: f64| (a - b).abs() < 1e-12;
    assert!(near(found.mean_seconds, mean), "{found:?}");
    assert!(near(found.deviation_seconds, deviation), "{found:?}");
    assert_eq!(found.slowest, slowest);
}

fn named<'p>(ranks: &OverRanks<'p>, name: &str) -> (Spread, Spread) {
    let rows = ranks.functions();
    let row = rows.iter().find(|row| row.function.name == name);
    let row = row.expect("a function");
    (row.self_time, row.total_time)
}

#[test]
fn functions_and_lines_have_the_figures_of_their_ranks() {
    let profile = four_ranks();
    let ranks = OverRanks::of_launches(&profile, Mode::Wall).remove(0);
    assert_eq!(ranks.ranks(), [0, 1, 2, 3]);
    // All took 6 s, but three of them waited for the fourth.
    check(ranks.whole(), [1.0, 3.0, 6.0, 3.5_f64.sqrt()], Some(3));
    assert_eq!(ranks.whole().cost_core_seconds, 12.0);

    // 1, 2, 3 and 6 s, however deep it recurs.
    let (own, total) = named(&ranks, "solve");
    check(own, [1.0, 3.0, 6.0, 3.5_f64.sqrt()], Some(3));
    assert_eq!(own, total);
    assert_eq!(own.imbalance(), Some(1.0));
    assert_eq!(own.cost_core_seconds, 12.0);

    let names: Vec<_> = ranks
        .functions()
        .iter()
        .map(|row| row.function.name)
        .collect();
    assert_eq!(names, ["solve", "main"], "nobody works in wait");

    let (own, total) = named(&ranks, "main");
    check(own, [0.0, 0.0, 0.0, 0.0], None);
    assert_eq!((own.imbalance(), own.cost_core_seconds), (None, 0.0));
    check(total, [1.0, 3.0, 6.0, 3.5_f64.sqrt()], Some(3));

    let lines = ranks.lines();
    let lines: Vec<_> = lines
        .iter()
        .map(|row| (row.function.name, row.line))
        .collect();
    let expected = [("solve", 9), ("solve", 7), ("main", 1)];
    assert_eq!(lines, expected.map(|(name, line)| (name, Some(line))));
    // Itself 0, 0, 2 and 4 s.
    check(
        ranks.lines()[0].self_time,
        [0.0, 1.5, 4.0, 2.75_f64.sqrt()],
        Some(3),
    );
    // 1, 2, 3 and 6 s with what it calls.
    check(
        ranks.lines()[1].total_time,
        [1.0, 3.0, 6.0, 3.5_f64.sqrt()],
        Some(3),
    );
}

#[test]
fn the_view_chooses_the_time() {
    let profile = four_ranks();
    let ranks = OverRanks::of_launches(&profile, Mode::Gil).remove(0);
    check(
        named(&ranks, "solve").0,
        [0.5, 1.5, 3.0, 0.875_f64.sqrt()],
        Some(3),
    );
}

#[test]
fn one_rank_is_not_compared() {
    let mut script = Script::default();
    script.rank = Some(0);
    script.process(0, 100, "python");
    script.process(1, 101, "python");
    let mut profile = Profile::default();
    script
        .events
        .into_iter()
        .for_each(|event| profile.apply(event));
    assert!(OverRanks::of_launches(&profile, Mode::Wall).is_empty());
}

/// A rank whose recording has no sample waits for the others all the same.
#[test]
fn a_rank_without_samples_counts() {
    let mut script = Script::default();
    for rank in 0..2 {
        script.rank = Some(rank);
        script.process(rank, 100, "python");
    }
    script.thread(0, 0, None);
    script.run(0, "main", SECOND, SECOND, 1000);
    let mut profile = Profile::default();
    script
        .events
        .into_iter()
        .for_each(|event| profile.apply(event));
    let ranks = OverRanks::of_launches(&profile, Mode::Wall).remove(0);
    let rows = ranks.functions();
    assert_eq!(
        rows[0].function,
        Function {
            kind: FunctionKind::Python,
            file: Some("/home/ada/run.py"),
            first_line: Some(1),
            name: "main"
        }
    );
    assert_eq!(
        (
            rows[0].self_time.mean_seconds,
            rows[0].self_time.imbalance()
        ),
        (0.5, Some(1.0))
    );
}

/// Two launches of one script: 2 ranks of 2 and 2 s, then 3 ranks of 1, 1 and 3 s.
#[test]
fn each_launch_is_compared_by_itself() {
    let mut profile = Profile::default();
    let ranks = [
        ("mpirun-8", 0, 2),
        ("mpirun-8", 1, 2),
        ("mpirun-9", 0, 1),
        ("mpirun-9", 1, 1),
        ("mpirun-9", 2, 3),
    ];
    let mut script = Script::default();
    for (id, (_, rank, seconds)) in (0..).zip(ranks) {
        script.rank = Some(rank);
        script.process(id, 100 + id as i32, "python scatter.py");
        script.thread(id, id, None);
        script.run(id, "main", seconds * SECOND, seconds * SECOND, 1000);
    }
    for event in script.events {
        profile.apply(match event {
            Event::Process(id, process) => {
                let launch = Some(ranks[id.0 as usize].0.to_owned());
                Event::Process(id, Process { launch, ..process })
            }
            event => event,
        });
    }
    let launches = OverRanks::of_launches(&profile, Mode::Wall);
    let told: Vec<_> = launches
        .iter()
        .map(|launch| {
            let whole = launch.whole();
            (
                launch.launch(),
                whole.ranks,
                whole.max_seconds,
                whole.slowest,
            )
        })
        .collect();
    // The one with the most time first.
    let expected = [
        (Some("mpirun-9"), 3, 3.0, Some(2)),
        (Some("mpirun-8"), 2, 2.0, None),
    ];
    assert_eq!(told, expected);
}

/// Of 256 ranks each works for some 10 s in 40 functions, by chance a little more or less, and waits until all are
/// done. One works for 0.5 s more in a function that takes little.
#[test]
fn the_true_outlier_of_many_ranks_comes_first() {
    let mut script = Script::default();
    let mut seed = 7_u64;
    let mut chance = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        seed >> 33
    };
    for rank in 0..256 {
        script.rank = Some(rank);
        script.process(rank, 100, "python scatter.py");
        script.thread(rank, rank, Some("MainThread"));
        let mut end = 0;
        let mut run = |script: &mut Script, stack: &str, ticks: u64| {
            end += ticks * 10_000_000;
            script.state = state_in(stack);
            script.run(rank, stack, end, ticks * 10_000_000, ticks as u32);
            end
        };
        let mut until = 0;
        for number in 0..40 {
            // 25 ticks, give or take those that chance takes of 50.
            let ticks = (0..50).filter(|_| chance() % 2 == 0).count() as u64;
            until = run(&mut script, &format!("main part{number}"), ticks);
        }
        if rank == 77 {
            until = run(&mut script, "main rare", 50);
        }
        run(&mut script, "main wait", 1_300 - until / 10_000_000);
    }
    let profile = folded(script);
    let ranks = OverRanks::of_launches(&profile, Mode::Wall).remove(0);
    let rows = ranks.functions();
    assert_eq!(rows[0].function.name, "rare");
    assert_eq!(rows[0].self_time.slowest, Some(77));
    assert!(rows[0].self_time.is_significant());
    let others = rows[1..]
        .iter()
        .filter(|row| row.self_time.is_significant());
    assert_eq!(others.count(), 0);
    let job = ranks.whole().cost_core_seconds;
    for row in &rows {
        assert!(row.self_time.cost_core_seconds <= job, "{row:?} of {job}");
        assert!(row.total_time.cost_core_seconds <= job, "{row:?} of {job}");
    }
}

/// Two ranks take turns: where they wait for each other in between, the imbalance of each part costs; where they don't,
/// both are done at the same time.
#[test]
fn turns_cost_only_where_ranks_wait() {
    for (waits, expected) in [(true, 8.0), (false, 0.0)] {
        let mut script = Script::default();
        for rank in 0..2 {
            script.rank = Some(rank);
            script.process(rank, 100, "python");
            script.thread(rank, rank, Some("MainThread"));
            let (own, other) = (["first", "second"], ["wait", "wait"]);
            let mut end = 0;
            for part in 0..2 {
                let is_own = part == rank as usize;
                if !is_own && !waits {
                    continue;
                }
                let name = if is_own { own[part] } else { other[part] };
                end += 4 * SECOND;
                script.state = state_in(name);
                script.run(rank, name, end, 4 * SECOND, 1000);
            }
        }
        let profile = folded(script);
        let ranks = OverRanks::of_launches(&profile, Mode::Wall).remove(0);
        assert_eq!(ranks.whole().cost_core_seconds, expected);
        let costs: f64 = ranks
            .functions()
            .iter()
            .map(|row| row.self_time.cost_core_seconds)
            .sum();
        assert_eq!(costs, expected);
    }
}
