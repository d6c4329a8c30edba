//! Turns a snapshot and what the user chose into the rows of a table.

use std::collections::HashMap;

use super::flame::{FlameBox, boxes};
use super::header::Header;
use super::host::Host;
use super::order::arrange;
use super::pane::{Pane, Subject};
use super::state::{Order, Screen, State};
use crate::profile::event::{FrameId, Nanos, ThreadId};
use crate::profile::functions::{Function, FunctionId, Functions};
use crate::profile::lines::Lines;
use crate::profile::origin::{Origin, Origins};
use crate::profile::snapshot::Snapshot;
use crate::profile::states::StateTimes;
use crate::profile::tasks::{TaskRow, tasks};
use crate::profile::{Mode, Profile, Totals, cores};

/// A row with a smaller part of the time is nothing that a user looks for.
const MIN_SHARE: f64 = 0.0005;

/// So many rows are made; no terminal shows more without being scrolled.
const MAX_ROWS: usize = 500;

/// What is shown.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// Above the table.
    pub header: Header,
    /// What the columns are called.
    pub titles: &'static [&'static str],
    /// What the labels are.
    pub label_title: &'static str,
    /// The table.
    pub rows: Vec<Row>,
    /// The boxes of the rows, where these are a flame graph.
    pub flame: Vec<FlameBox>,
    /// What is known of the selected row.
    pub pane: Option<Pane>,
    /// What stands out, in sentences.
    pub findings: Vec<String>,
    /// Why there is no row.
    pub why_empty: Option<String>,
}

/// A row of the table.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// What it stays the same row by.
    pub key: String,
    /// What it is, in words.
    pub label: String,
    /// What more there is to say, behind the label.
    pub detail: String,
    /// Whether it is the user's own code, or else what stands out.
    pub is_own: bool,
    /// Parts of a whole, from 0 to 1; the first is what the row's heat shows.
    pub columns: Vec<Option<f64>>,
    /// Which of the functions or lines it is.
    index: usize,
    /// The file and the line that it is.
    pub source: Option<(String, u32)>,
    /// How many cores it had in each of the last seconds, in the order of time; empty: not told.
    pub trend: Vec<f64>,
}

impl Answer {
    /// Of a snapshot. The rows were in the order of `before` until now.
    #[must_use]
    pub fn of(
        snapshot: &Snapshot,
        state: &State,
        before: &[String],
        host: &mut dyn Host,
    ) -> Answer {
        let shown = shown(snapshot, state);
        let table = Table {
            snapshot,
            state,
            shown: &shown,
            whole: shown.totals().time(state.mode).seconds(),
            elapsed: cores::elapsed(&snapshot.profile).seconds(),
        };
        let mut answer = Answer {
            header: Header::of(snapshot, &shown),
            why_empty: (table.whole <= 0.0).then(|| table.why_empty()),
            ..Answer::default()
        };
        match state.screen {
            _ if table.whole <= 0.0 => {}
            Screen::Functions => {
                let functions = Functions::of(&shown);
                answer.titles = &["self", "total", "cpu", "gil"];
                answer.label_title = "function";
                answer.rows = table.in_order(table.functions(&functions, host), before);
                let lines = Lines::of(&shown, &functions);
                answer.pane = table.pane(&answer, &functions, &lines, host);
            }
            Screen::Lines => {
                let functions = Functions::of(&shown);
                let lines = Lines::of(&shown, &functions);
                answer.titles = &["self", "total", "cpu", "gil"];
                answer.label_title = "line";
                answer.rows = table.in_order(table.lines(&lines, host), before);
                answer.pane = table.pane(&answer, &functions, &lines, host);
                for row in answer.rows.iter_mut().filter(|row| row.is_own) {
                    let source = row.source.as_ref();
                    let text = source.and_then(|(file, line)| host.source(file, *line));
                    if let Some(text) = text.filter(|text| !text.trim().is_empty()) {
                        row.detail = text.trim().to_owned();
                    }
                }
            }
            Screen::Flame => {
                let functions = Functions::of(&shown);
                answer.flame = boxes(&shown, &functions, state.mode);
                answer.rows = table.flame(&answer.flame, &functions, host);
            }
            Screen::Threads => {
                answer.titles = &["time", "cpu", "gil"];
                answer.label_title = "process, threads";
                answer.rows = table.threads(host);
            }
            Screen::Tasks => {
                answer.titles = &["time", "cpu", "gil"];
                answer.label_title = "asyncio task";
                answer.rows = table.tasks(host);
                if answer.rows.is_empty() {
                    answer.why_empty = Some("No asyncio task ran in this time.".to_owned());
                }
            }
            Screen::Findings => answer.findings = host.findings(&shown),
        }
        answer
    }

    /// The keys of the rows.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.rows.iter().map(|row| row.key.clone()).collect()
    }
}

/// What is shown of the samples of a snapshot.
#[must_use]
pub fn shown(snapshot: &Snapshot, state: &State) -> Profile {
    let mut shown = snapshot.profile.clone();
    if state.filter.chooses_samples() {
        shown.keep_rows(|profile, row| state.filter.fits_row(profile, row));
    }
    if state.mode == Mode::Wall && !state.has_idle && !state.filter.has_states() {
        shown.leave_out_idle_waits();
    }
    shown
}

/// What all tables are made of.
struct Table<'t> {
    snapshot: &'t Snapshot,
    state: &'t State,
    shown: &'t Profile,
    /// The time of all threads, in seconds.
    whole: f64,
    /// The length of the span, in seconds.
    elapsed: f64,
}

impl Table<'_> {
    fn why_empty(&self) -> String {
        let time = match self.state.mode {
            Mode::Wall => "No thread ran Python",
            Mode::Cpu => "No thread was on a CPU",
            Mode::Gil => "No thread was seen holding the GIL",
        };
        let advice = match (self.state.filter.is_empty(), self.state.mode) {
            (false, _) => ": Esc takes the filter back",
            (true, Mode::Wall) => "",
            (true, _) => ": m shows other times",
        };
        format!("{time}{advice}")
    }

    fn share(&self, totals: &Totals) -> f64 {
        totals.time(self.state.mode).seconds() / self.whole
    }

    /// Self, total, CPU and GIL: the first two as parts of the time of all threads, the others of the span.
    fn columns(&self, own: &Totals, total: &Totals) -> Vec<Option<f64>> {
        let of_span = |time: Nanos| Some(time.seconds() / self.elapsed.max(1e-9));
        vec![
            Some(self.share(own)),
            Some(self.share(total)),
            of_span(own.cpu + own.helpers_cpu),
            of_span(own.gil),
        ]
    }

    fn functions(&self, functions: &Functions<'_>, host: &dyn Host) -> Vec<Row> {
        let origins = Origins::of(self.shown);
        let trends = self.trends(|frame| functions.of_frame(frame).map(|id| id.0 as usize));
        let rows = functions.rows().iter().enumerate();
        rows.map(|(id, row)| Row {
            index: id,
            key: key(&row.function, None),
            label: host.place(&row.function, row.function.first_line),
            is_own: origins.of_function(&row.function) == Origin::Own,
            columns: self.columns(&row.self_totals, &row.totals),
            trend: trends.get(&id).cloned().unwrap_or_default(),
            ..Row::default()
        })
        .filter(|row| self.is_shown(row))
        .collect()
    }

    fn lines(&self, lines: &Lines<'_>, host: &dyn Host) -> Vec<Row> {
        let origins = Origins::of(self.shown);
        let trends = self.trends(|frame| lines.of_frame(frame));
        let rows = lines.rows().iter().enumerate();
        let rows = rows.map(|(id, row)| {
            let place = match row.function.file {
                Some(file) => host.line_place(file, row.line),
                None => host.place(&row.function, row.line),
            };
            Row {
                index: id,
                key: key(&row.function, row.line),
                label: place,
                detail: format!("in {}", host.name(&row.function)),
                is_own: origins.of_function(&row.function) == Origin::Own,
                columns: self.columns(&row.self_totals, &row.totals),
                trend: trends.get(&id).cloned().unwrap_or_default(),
                source: row.function.file.map(str::to_owned).zip(row.line),
            }
        });
        rows.filter(|row| self.is_shown(row)).collect()
    }

    fn flame(&self, boxes: &[FlameBox], functions: &Functions<'_>, host: &dyn Host) -> Vec<Row> {
        let origins = Origins::of(self.shown);
        let row = |found: &FlameBox| {
            let function = functions.row(found.function).map(|row| row.function);
            let name = function.map(|function| host.name(&function));
            let place = function.map(|it| host.place(&it, it.first_line));
            Row {
                key: found.path.clone(),
                label: name.unwrap_or_default(),
                detail: place.unwrap_or_default(),
                is_own: function.is_some_and(|it| origins.of_function(&it) == Origin::Own),
                ..Row::default()
            }
        };
        boxes.iter().map(row).collect()
    }

    /// What is known of the function of the selected row.
    fn pane(
        &self,
        answer: &Answer,
        functions: &Functions<'_>,
        lines: &Lines<'_>,
        host: &mut dyn Host,
    ) -> Option<Pane> {
        let row = answer.rows.get(self.state.row_in(&answer.keys()))?;
        let (id, line) = match self.state.screen {
            Screen::Lines => {
                let line = lines.rows().get(row.index)?;
                let mut known = functions.rows().iter();
                (
                    known.position(|it| it.function == line.function)?,
                    line.line,
                )
            }
            _ => (row.index, None),
        };
        let subject = Subject {
            profile: self.shown,
            functions,
            lines,
            mode: self.state.mode,
            whole: self.whole,
        };
        Pane::of(&subject, FunctionId(id as u32), line, host)
    }

    fn is_shown(&self, row: &Row) -> bool {
        let column = match self.state.order {
            Order::OwnFirst | Order::SelfTime => 0,
            Order::TotalTime => 1,
        };
        let share = row.columns.get(column).copied().flatten();
        let is_worth = share.is_some_and(|share| share >= MIN_SHARE);
        is_worth && self.state.filter.fits_label(&row.label)
    }

    /// Sorts rows, and leaves those that changed places by chance only where they were.
    fn in_order(&self, mut rows: Vec<Row>, before: &[String]) -> Vec<Row> {
        let (column, own_first) = match self.state.order {
            Order::OwnFirst => (0, true),
            Order::SelfTime => (0, false),
            Order::TotalTime => (1, false),
        };
        let share = |row: &Row| row.columns[column].unwrap_or(0.0);
        rows.sort_by(|a, b| share(b).total_cmp(&share(a)).then(a.key.cmp(&b.key)));
        rows.truncate(MAX_ROWS);
        let samples = self.shown.effective_samples();
        let groups: [Vec<Row>; 2] = match own_first {
            true => rows.into_iter().partition(|row| row.is_own).into(),
            false => [rows, Vec::new()],
        };
        let mut arranged = Vec::new();
        for group in groups {
            let shared: Vec<(&str, f64)> = group
                .iter()
                .map(|row| (row.key.as_str(), share(row)))
                .collect();
            let order = arrange(&shared, before, samples);
            arranged.extend(order.into_iter().map(|row| group[row].clone()));
        }
        arranged
    }

    /// By class, how many cores it had in each second.
    fn trends(&self, class_of: impl Fn(FrameId) -> Option<usize>) -> HashMap<usize, Vec<f64>> {
        let seconds = &self.snapshot.seconds;
        let mut trends: HashMap<usize, Vec<f64>> = HashMap::new();
        for (number, second) in seconds.iter().enumerate() {
            for (frame, time) in second.times(self.state.mode, self.state.has_idle) {
                let Some(class) = class_of(frame) else {
                    continue;
                };
                let trend = trends.entry(class);
                trend.or_insert_with(|| vec![0.0; seconds.len()])[number] += time.seconds();
            }
        }
        trends
    }

    /// Processes, each with its threads below it.
    fn threads(&self, host: &dyn Host) -> Vec<Row> {
        let shown = self.shown;
        let mut states = vec![StateTimes::default(); shown.threads().len()];
        for row in shown.rows() {
            if let Some(times) = states.get_mut(row.thread.0 as usize) {
                *times += StateTimes::from(row);
            }
        }
        let ids = (0..).map(ThreadId).zip(shown.threads());
        let all: Vec<_> = ids
            .zip(shown.thread_totals())
            .zip(&states)
            .filter(|((_, totals), _)| totals.wall > Nanos(0))
            .collect();
        let mut rows = Vec::new();
        for (number, process) in (0..).zip(shown.processes()) {
            let its = all
                .iter()
                .filter(|(((_, thread), _), _)| thread.process.0 == number);
            let sum: Totals = its.clone().map(|((_, totals), _)| **totals).sum();
            if sum.wall == Nanos(0) {
                continue;
            }
            rows.push(Row {
                key: format!("p{number}"),
                label: host.process(process),
                is_own: true,
                columns: self.of_owner(&sum),
                ..Row::default()
            });
            for (((id, thread), totals), times) in its {
                let ranked = times.ranked();
                let words = ranked
                    .iter()
                    .take(2)
                    .map(|(state, _)| format!("{:.0} % {state}", 100.0 * times.share(*state)));
                rows.push(Row {
                    key: format!("t{}", id.0),
                    label: format!("  {}", host.thread(thread)),
                    detail: words.collect::<Vec<_>>().join(", "),
                    columns: self.of_owner(totals),
                    ..Row::default()
                });
            }
        }
        rows.retain(|row| self.state.filter.fits_label(&row.label));
        rows.truncate(MAX_ROWS);
        rows
    }

    /// The asyncio tasks, those with most time first; behind them what belongs to none.
    fn tasks(&self, host: &dyn Host) -> Vec<Row> {
        let row = |of: &TaskRow<'_>| Row {
            key: of
                .name
                .map_or_else(|| "none".to_owned(), |name| format!("t{name}")),
            label: host.task(of),
            detail: match of.count {
                0 | 1 => String::new(),
                count => format!("{count} tasks"),
            },
            is_own: of.name.is_some(),
            columns: self.of_owner(&of.totals),
            ..Row::default()
        };
        let mut rows: Vec<Row> = tasks(self.shown, self.state.mode).iter().map(row).collect();
        rows.retain(|row| self.state.filter.fits_label(&row.label));
        rows.truncate(MAX_ROWS);
        rows
    }

    fn of_owner(&self, totals: &Totals) -> Vec<Option<f64>> {
        let columns = self.columns(totals, totals);
        vec![columns[0], columns[2], columns[3]]
    }
}

fn key(function: &Function<'_>, line: Option<u32>) -> String {
    let (file, first) = (function.file.unwrap_or_default(), function.first_line);
    format!("{file}\n{first:?}\n{}\n{line:?}", function.name)
}
