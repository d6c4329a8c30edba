//! Functions line by line: which, and how they are printed.

use rsamp::export::{Colour, LineTableLook, Meta, ReportInput, SourceText, line_tables_text};
use rsamp::profile::{
    Confidence, Event, FunctionKind, Functions, Heat, LineTable, Lines, Missing, Mode, Nanos,
    Process, ProcessId, Profile, Sample, SampledProfile, State, Usage, hottest_tables, line_tables,
    named_tables, state_times,
};

use crate::profile::{Build, Call};

const FILE: &str = "/home/ada/run.py";
const SOLVE_TEXT: &str = "\
def solve(n):
    \"\"\"Solves.\"\"\"
    total = 0
    for i in range(n):
        total += dot(i)

    return total
";

fn solve(line: u32) -> Call<'static> {
    Call("Solver.solve", FILE, 10, line)
}

/// Ten seconds: 1 on line 13, 2 on line 14, 7 in what it calls there; and a line that is not known.
fn profile(is_told: bool) -> Profile {
    let process = Process {
        usable_cpus: is_told.then_some(16),
        ..Process::default()
    };
    let mut build = Build::of_process(Profile::default(), process);
    build.thread(Some("MainThread"));
    let run = |wall_s: u64, cores_in_tenths: u64, state| Sample {
        ticks: wall_s as u32 * 100,
        wall: Nanos(wall_s * 1_000_000_000),
        cpu: Nanos(wall_s * 100_000_000 * cores_in_tenths.min(10)),
        helpers_cpu: Nanos(wall_s * 100_000_000 * cores_in_tenths.saturating_sub(10)),
        state: if is_told { state } else { State::Unknown },
        ..Sample::default()
    };
    let main = Call("main", FILE, 30, 31);
    let dot = Call("dot", "/v/lib/python3.12/site-packages/np.py", 5, 6);
    let held = Sample {
        blocked_others: Nanos(u64::from(is_told) * 500_000_000),
        ..run(1, 10, State::Python)
    };
    build.run(0, &[main, solve(13)], held);
    build.run(0, &[main, solve(14)], run(2, 5, State::Disk));
    let grown = Sample {
        grown_bytes: u64::from(is_told) * 200_000_000,
        shrunk_bytes: u64::from(is_told) * 150_000_000,
        ..run(7, 31, State::Native)
    };
    build.run(0, &[main, solve(14), dot], grown);
    build.profile
}

fn source() -> SourceText {
    let mut source = SourceText::default();
    source.add(FILE, 10, SOLVE_TEXT);
    source
}

fn shown(profile: &Profile, names: &[&str], look: LineTableLook) -> String {
    let tables = line_tables(profile);
    let hottest = hottest_tables(&tables, Heat::SelfTime(Mode::Wall));
    let chosen = names
        .iter()
        .flat_map(|name| named_tables(&hottest, name).expect("a function"));
    let chosen: Vec<&LineTable<'_>> = chosen.collect();
    let meta = Meta::default();
    let input = ReportInput {
        sources: Some(&source()),
        ..ReportInput::new(profile, &meta)
    };
    line_tables_text(&input, &chosen, look)
}

const WIDE: LineTableLook = LineTableLook {
    colour: Colour::None,
    width: None,
};

#[test]
fn a_function_is_shown_whole() {
    insta::assert_snapshot!(shown(&profile(true), &["solve"], WIDE));
}

#[test]
fn a_narrow_table_fits_a_terminal_and_folds_what_took_no_time() {
    let mut build = Build::default();
    build.thread(Some("MainThread"));
    for line in [104, 140] {
        build.sample(0, &[Call("sweep", FILE, 100, line)], 1_000_000_000);
    }
    let mut source = SourceText::default();
    let text: Vec<String> = (100..150)
        .map(|line| {
            format!("    step_{line}(grid, boundary, relaxation, iterations_at_most, tolerance)")
        })
        .collect();
    source.add(FILE, 100, &text.join("\n"));
    let tables = line_tables(&build.profile);
    let meta = Meta::default();
    let input = ReportInput {
        sources: Some(&source),
        ..ReportInput::new(&build.profile, &meta)
    };
    let look = LineTableLook {
        width: Some(80),
        ..WIDE
    };
    let text = line_tables_text(&input, &tables.iter().collect::<Vec<_>>(), look);
    insta::assert_snapshot!(text);
    let rows = text.lines().skip_while(|line| !line.starts_with("Line #"));
    let widest = rows.map(|line| line.chars().count()).max();
    assert!(widest <= Some(80), "{text}");
}

#[test]
fn what_is_not_known_is_said() {
    let text = shown(&profile(false), &["solve"], WIDE);
    insta::assert_snapshot!(text);
    let mut refused = profile(false);
    refused.apply(Event::Usage(Usage::default()));
    let text = shown(&refused, &["solve"], WIDE);
    let reason = "Growth: not available: the kernel did not tell";
    assert!(text.contains(reason), "{text}");
}

#[test]
fn only_hot_lines_are_coloured_and_only_where_asked() {
    let plain = shown(&profile(true), &["solve"], WIDE);
    assert!(!plain.contains('\x1b'), "{plain}");
    let coloured = shown(
        &profile(true),
        &["solve"],
        LineTableLook {
            colour: Colour::Terminal,
            ..WIDE
        },
    );
    let of = |text: &str| {
        let line = coloured.lines().find(|line| line.contains(text));
        line.expect(text).to_owned()
    };
    assert!(
        of("total += dot(i)").starts_with("\x1b[1;31m"),
        "{coloured}"
    );
    assert!(of("for i in range").starts_with("\x1b[33m"), "{coloured}");
    assert!(!of("return total").contains('\x1b'), "{coloured}");
}

#[test]
fn source_cannot_steer_the_terminal() {
    let mut source = SourceText::default();
    source.add(FILE, 10, "def solve(n): # \x1b[2J\u{202e}\n\tx\n");
    let profile = profile(true);
    let tables = line_tables(&profile);
    let chosen: Vec<&LineTable<'_>> = tables.iter().collect();
    let meta = Meta::default();
    let input = ReportInput {
        sources: Some(&source),
        ..ReportInput::new(&profile, &meta)
    };
    let text = line_tables_text(&input, &chosen, WIDE);
    assert!(
        !text.contains(['\x1b', '\u{202e}']) && text.contains("\tx"),
        "{text}"
    );
}

#[test]
fn functions_are_found_by_name_and_by_file() {
    let profile = profile(true);
    let tables = line_tables(&profile);
    let hottest = hottest_tables(&tables, Heat::SelfTime(Mode::Wall));
    let found = |name: &str| -> Result<Vec<&str>, String> {
        let found = named_tables(&hottest, name).map_err(|error| error.to_string())?;
        Ok(found.iter().map(|table| table.row.function.name).collect())
    };
    assert_eq!(found("solve"), Ok(vec!["Solver.solve"]));
    assert_eq!(found("Solver.solve"), Ok(vec!["Solver.solve"]));
    for file in ["run.py", "ada/run.py", FILE] {
        assert_eq!(found(file), Ok(vec!["Solver.solve", "main"]), "{file}");
    }
    for (name, nearest) in [
        ("sovle", "Solver.solve"),
        ("olve", "Solver.solve"),
        ("rnu.py", "run.py"),
    ] {
        let error = found(name).expect_err(name);
        assert!(
            error.contains(&format!("is named {name:?}; there")),
            "{error}"
        );
        assert!(error.contains(nearest), "{error}");
    }
    assert!(found("").is_err());
    let by_memory = hottest_tables(&tables, Heat::Memory);
    // What numpy retains is that of the line that called it.
    assert_eq!(by_memory[0].row.function.name, "Solver.solve");
    let totals = profile.totals();
    let retained = totals.grown_bytes - totals.shrunk_bytes;
    assert_eq!(by_memory[0].retained_bytes, retained);
}

#[test]
fn states_of_a_function_hold_those_of_what_it_calls() {
    let profile = profile(true);
    let tables = line_tables(&profile);
    let solve = tables
        .iter()
        .find(|t| t.row.function.name == "Solver.solve");
    let states = solve.expect("solve").states;
    let s = |seconds: u64| Nanos(seconds * 1_000_000_000);
    assert_eq!(states.self_time.of(State::Disk), s(2));
    assert_eq!(states.self_time.of(State::Native), s(0));
    assert_eq!(states.total_time.of(State::Native), s(7));
    assert_eq!(state_times(&profile).whole(), profile.totals().wall);
    assert_eq!(state_times(&profile).share(State::Native), 0.7);
}

/// A share of one half, visited in turns: with `ticks` samples that stand for themselves, the error is
/// that of so many draws.
fn errors_of(ticks: u32) -> (f64, f64) {
    let mut side = SampledProfile::new(Mode::Wall);
    let mut build = Build::default();
    build.thread(None);
    build.sample(0, &[Call("a", FILE, 1, 1)], 1);
    build.sample(0, &[Call("b", FILE, 2, 2)], 1);
    build.replay(&mut |event| {
        if !matches!(event, Event::Sample(_) | Event::End(_)) {
            side.apply(event);
        }
    });
    // Any generator of random bits does; this is that of Numerical Recipes.
    let mut random = 1_u32;
    for tick in 1..=u64::from(ticks) {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        side.apply(Event::Sample(Sample {
            at: Nanos(tick * 1_000_000),
            stack: Some(rsamp::profile::StackId(random >> 31)),
            ticks: 1,
            wall: Nanos(1_000_000),
            ..Sample::default()
        }));
    }
    let confidence = Confidence::of(&side);
    let functions = rsamp::profile::Functions::of(side.profile());
    let a = functions.rows()[0].function;
    let error = confidence.of_function(&a).expect("a").self_time;
    assert_eq!(confidence.of_line(&a, Some(1)).expect("a").self_time, error);
    (error, 1.96 * 0.5 / f64::from(ticks).sqrt())
}

#[test]
fn the_more_samples_the_narrower_the_intervals() {
    for ticks in [2_000, 20_000, 200_000] {
        let (error, expected) = errors_of(ticks);
        assert!(
            (0.6..1.7).contains(&(error / expected)),
            "{ticks}: {error}, {expected}"
        );
    }
    assert_eq!(errors_of(3).0, f64::INFINITY);
}

#[test]
fn intervals_stand_beside_shares() {
    let mut side = SampledProfile::new(Mode::Wall);
    let mut build = Build::default();
    build.thread(None);
    build.sample(0, &[Call("a", FILE, 1, 1)], 5_000_000_000);
    build.replay(&mut |event| side.apply(event));
    let confidence = Confidence::of(&side);
    let tables = line_tables(side.profile());
    let chosen: Vec<&LineTable<'_>> = tables.iter().collect();
    let meta = Meta::default();
    let input = ReportInput {
        confidence: Some(&confidence),
        ..ReportInput::new(side.profile(), &meta)
    };
    let text = line_tables_text(&input, &chosen, WIDE);
    assert!(text.contains("±95%"), "{text}");
    let options = rsamp::export::SummaryOptions::default();
    let text = rsamp::export::summary_of(&input, &options);
    assert_eq!(text.matches("±95%").count(), 6, "{text}");
    let text = rsamp::export::summary(side.profile(), &options);
    assert!(!text.contains("±95%"), "{text}");
}

#[test]
fn a_module_shows_the_lines_around() {
    let mut source = SourceText::default();
    let text: String = (1..=40).map(|line| format!("x = {line}\n")).collect();
    source.add(FILE, 1, &text);
    let module = rsamp::profile::Function {
        kind: FunctionKind::Python,
        file: Some(FILE),
        first_line: Some(1),
        name: "<module>",
    };
    let lines = source.lines_of(&module, &[2, 20, 40]);
    let expected: Vec<u32> = (1..=5).chain(17..=23).chain(37..=40).collect();
    assert_eq!(lines.into_iter().collect::<Vec<_>>(), expected);
    assert!(source.has(&module, 40) && !source.has(&module, 41));
}

/// Recordings hold of a function that was seen once the lines around, and may hold all of it later.
#[test]
fn a_function_that_is_not_whole_shows_the_lines_around() {
    let function = rsamp::profile::Function {
        kind: FunctionKind::Python,
        file: Some(FILE),
        first_line: Some(10),
        name: "f",
    };
    let mut source = SourceText::default();
    source.add(
        FILE,
        9,
        "# before\ndef f():\n    a\n    b\n    c\n    d\n    e\n",
    );
    let lines = |source: &SourceText| source.lines_of(&function, &[12]).into_iter().collect();
    let around: Vec<u32> = lines(&source);
    assert_eq!(around, [10, 11, 12, 13, 14, 15]);
    assert!(!source.has(&function, 12));
    source.add(FILE, 10, "def f():\n    a\n    b\n");
    source.add(FILE, 10, &"    x\n".repeat(20));
    let whole: Vec<u32> = lines(&source);
    assert_eq!(whole, (10..30).collect::<Vec<u32>>());
    assert!(source.has(&function, 12));
}

/// `ProcessId` is that of the only process.
#[test]
fn the_summary_tells_states_cores_and_memory() {
    let mut profile = profile(true);
    let usage = |at, count| Usage {
        process: ProcessId(0),
        at: Nanos(at),
        resident: Some(100_000_000),
        peak: Some(412_000_000),
        major_faults: Some(count),
        voluntary_switches: Some(1000 + count),
        forced_switches: Some(count * 100),
        storage_read_bytes: Some(count * 5_000_000),
        storage_written_bytes: Some(0),
        ..Usage::default()
    };
    profile.apply(Event::Usage(usage(0, 7)));
    profile.apply(Event::Usage(usage(1, 107)));
    for what in ["stat", "task/TID/syscall"] {
        profile.apply(Event::Missing(Missing {
            process: ProcessId(0),
            what: what.to_owned(),
            why: "permission denied".to_owned(),
        }));
    }
    profile.apply(Event::Usage(Usage {
        minor_faults: Some(1),
        ..Usage::default()
    }));
    let options = rsamp::export::SummaryOptions::default();
    let text = rsamp::export::summary(&profile, &options);
    assert!(
        !text.contains("/proc/PID/stat:"),
        "it was read once\n{text}"
    );
    for expected in [
        "threads: 70 % running native code, 20 % waiting for the disk, 10 % running Python\n",
        "cores: 2.4 of 16 busy\n",
        "memory: peak 412.0 MB\n",
        "context switches: 10,000 forced (others wanted the CPU)\n",
        "page faults that waited for storage: 100\n",
        "storage: 500.0 MB read, 0 B written\n",
        "not available: /proc/PID/task/TID/syscall: permission denied\n",
    ] {
        assert!(text.contains(expected), "no {expected:?} in\n{text}");
    }
}

/// A function that calls itself from two lines, and is called by another that it calls.
#[test]
fn a_sample_counts_once_for_the_innermost_line_of_each_function() {
    let mut build = Build::default();
    build.thread(None);
    let main = Call("main", FILE, 30, 31);
    let stacks: [(&[Call<'_>], u64); 5] = [
        (&[main, solve(12)], 1),
        (&[main, solve(13), solve(12)], 2),
        (&[main, solve(14), solve(13), solve(12)], 4),
        (&[main, solve(14), main, solve(13)], 8),
        (&[main], 16),
    ];
    for (stack, wall_ns) in stacks {
        build.sample(0, stack, wall_ns);
    }
    let functions = Functions::of(&build.profile);
    let lines = Lines::of(&build.profile, &functions);
    let innermost = lines.innermost(&build.profile, &functions);
    let rows = lines.rows().iter().zip(&innermost);
    let told = rows.map(|(row, totals)| (row.line, totals.wall.0, totals.samples));
    let mut told: Vec<_> = told.collect();
    told.sort_unstable();
    let expected = [(12, 7, 3), (13, 8, 1), (14, 0, 0), (31, 31, 5)];
    let expected = expected.map(|(line, wall, samples)| (Some(line), wall, samples));
    assert_eq!(told, expected);
    // The lines of a function add up to its total time.
    for function in functions.rows() {
        let own = lines.rows().iter().zip(&innermost);
        let own = own.filter(|(row, _)| row.function == function.function);
        let sum: u64 = own.map(|(_, totals)| totals.wall.0).sum();
        assert_eq!(sum, function.totals.wall.0, "{}", function.function.name);
    }
}
