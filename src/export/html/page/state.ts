// Turns what the user does into what all views show: one range, one selection, one search; kept in the URL's hash.

import { batch, computed, effect, signal } from '@preact/signals';

import { type Index, index, matcher, ownTimes, table } from './derive';
import type { Engine } from './engine';
import { type Aggregate, type Mode, type Model, NONE, type Selection } from './model';
import { PAPER, type Ground } from './theme';

export const VIEWS = ['overview', 'functions', 'lines', 'source', 'graph', 'memory', 'threads', 'findings', 'about', 'diff'] as const;
export type View = typeof VIEWS[number];

export interface Range { from: number; to: number }

/** Columns of a sparkline, and fewer where stacks are so many that all columns of all nodes were more than `MAX_CELLS` numbers. */
const SPARK_BINS = 48;
const MIN_BINS = 8;
const MAX_CELLS = 8e6;

export const model = signal<Model>(null!);
export const known = signal<Index>(null!);
let engine: Engine;

export const view = signal<View>('overview');
export const range = signal<Range | null>(null);
/** What the view Diff compares the selection with. */
export interface Base { range: Range | null; threads: Set<number> | null; processes: Set<number> | null; states: Set<number> | null; tasks: Set<number> | null }
export const base = signal<Base | null>(null);
/** What the timeline's axis shows; `null`: all. */
export const axis = signal<Range | null>(null);
export const threads = signal<Set<number> | null>(null);
export const processes = signal<Set<number> | null>(null);
export const states = signal<Set<number> | null>(null);
/** asyncio tasks; that behind the last is what belongs to none. */
export const tasks = signal<Set<number> | null>(null);
export const mode = signal<Mode>('wall');
export const idle = signal(false);
/** The function that is selected everywhere. */
export const selected = signal<number | null>(null);
/** The line that is selected in it. */
export const selectedLine = signal<number | null>(null);
export const search = signal('');
export const theme = signal<'auto' | Ground>('auto');
export const help = signal(false);
/** Asks the flame graph for the next or the previous hit; a new object for each step. */
export const hitStep = signal<{ by: 1 | -1 } | null>(null);
/** What the line at the bottom says; screen readers read it out. */
export const status = signal('');
/** What the activity on the time axis is told apart by. */
export const activityBy = signal<'state' | 'class'>('state');
/** Where the pointer is on the time axis. */
export const cursor = signal<number | null>(null);

const prefersDark = signal(false);
export const ground = computed<Ground>(() => theme.value === 'auto' ? (prefersDark.value ? 'dark' : 'light') : theme.value);
export const paper = computed(() => PAPER[ground.value]);

export const aggregate = signal<Aggregate | null>(null);
/** The time by stack node in each part of the selection's span, one after another. It comes after the sums. */
export const overTime = signal<Float64Array[] | null>(null);
export const timeline = signal<Timeline | null>(null);
export const failure = signal<string | null>(null);

export const functions = computed(() => aggregate.value && table(model.value, known.value.functions, aggregate.value));
export const lines = computed(() => aggregate.value && table(model.value, known.value.lines, aggregate.value));

/** The time of the user's own functions and lines, with the libraries that they call. */
export const ownFunctions = computed(() => aggregate.value && ownTimes(known.value.owners, known.value.functions, aggregate.value.totals.self));
export const ownLines = computed(() => aggregate.value && ownTimes(known.value.owners, known.value.lines, aggregate.value.totals.self));

/** What the base holds. */
export const baseAggregate = signal<Aggregate | null>(null);

/** 1 for each function that the search finds; `null`: nothing is searched, or the expression is wrong. */
export const hits = computed(() => {
  const test = matcher(search.value);
  if (!search.value || !test) return null;
  const { functions: { name, file }, strings } = model.value, hit = new Uint8Array(name.length);
  for (let i = 0; i < hit.length; i++) hit[i] = test(strings[name[i]]) || (file[i] !== NONE && test(strings[file[i]])) ? 1 : 0;
  return hit;
});

/** The processes that there are to be shown; `null`: all. */
const shownProcesses = computed(() => (model.value.meta.base ? new Set(model.value.shown) : null));

/** The whole of what the recording is compared with, where the page holds one. */
const wholeBase = (): Base | null => {
  const { meta, processes: all } = model.peek(), first = all.map((_, p) => p).slice(0, meta.base?.processes);
  return meta.base && { range: null, threads: null, processes: new Set(first), states: null, tasks: null };
};

export const selection = computed<Selection>(() => ({
  from: range.value?.from ?? 0, to: range.value?.to ?? model.value.meta.duration_ns,
  threads: threads.value, processes: processes.value ?? shownProcesses.value, mode: mode.value, idle: idle.value, states: states.value, tasks: tasks.value,
}));

export function start(by: Engine): void {
  const of = by.model;
  model.value = of;
  known.value = index(of);
  engine = by;
  mode.value = of.meta.mode;
  const dark = matchMedia('(prefers-color-scheme: dark)');
  prefersDark.value = dark.matches;
  dark.addEventListener('change', () => { prefersDark.value = dark.matches; });
  readHash();
  addEventListener('hashchange', readHash);
  effect(() => { document.documentElement.dataset.ground = ground.value; });
  effect(writeHash);
  effect(() => { void recompute(selection.value); });
  effect(() => { void recomputeBase(base.value); });
  effect(() => { void redraw(axis.value ?? { from: 0, to: of.meta.duration_ns }); });
}

/** Nodes by their number, and what has no frame behind them. */
const byNode = () => new Int32Array(model.peek().stacks.parent.length + 1).map((_, i) => i);

/** When what was changed is on the screen, or would be, were the page in sight. */
const painted = () => new Promise<void>(then => { setTimeout(then, 100); requestAnimationFrame(() => setTimeout(then)); });

let newest = 0;
async function recompute(of: Selection): Promise<void> {
  const mine = ++newest;
  try {
    const sums = await engine.aggregate(of);
    if (mine !== newest) return;
    batch(() => { aggregate.value = sums; overTime.value = null; });
    await painted();
    if (mine !== newest) return;
    const group = byNode(), bins = Math.max(MIN_BINS, Math.min(SPARK_BINS, Math.floor(MAX_CELLS / group.length)));
    const times = await engine.series({ selection: of, bins, group, groups: group.length });
    if (mine !== newest) return;
    const columns = Array.from({ length: bins }, () => new Float64Array(group.length));
    for (let i = 0, at = 0; i < group.length; i++) for (let bin = 0; bin < bins; bin++, at++) if (times[at] > 0) columns[bin][i] = times[at];
    overTime.value = columns;
  } catch (error) {
    failure.value = (error as Error).message;
  }
}

/** What the selection is compared with, in the time that is chosen. */
async function recomputeBase(of: Base | null): Promise<void> {
  if (!of) { baseAggregate.value = null; return; }
  const { mode: time, idle: all } = selection.value, whole = { from: 0, to: model.peek().meta.duration_ns };
  const sums = await engine.aggregate({ ...(of.range ?? whole), threads: of.threads, processes: of.processes ?? shownProcesses.value, states: of.states, tasks: of.tasks, mode: time, idle: all });
  if (of === base.peek()) baseAggregate.value = sums;
}

/** Compares with what is shown now from here on. */
export function setBase(): void {
  base.value = { range: range.value, threads: threads.value, processes: processes.value, states: states.value, tasks: tasks.value };
}

/** What another selection would show. */
export function aggregateOf(change: Partial<Selection>): Promise<Aggregate> {
  return engine.aggregate({ ...selection.peek(), ...change });
}

/** The wall time of a thread or process in each state, in the selection's span. */
export function statesOf(change: Partial<Selection>): Promise<Float64Array> {
  return engine.series({ selection: { ...selection.peek(), mode: 'wall', ...change }, bins: 1, group: 'state', groups: model.peek().states.length });
}

/** The own time of each function in another selection. */
export function functionsOf(change: Partial<Selection>): Promise<Float64Array> {
  const { stacks, functions: all } = model.peek(), group = new Int32Array(stacks.parent.length + 1).fill(-1);
  group.set(stacks.function);
  return engine.series({ selection: { ...selection.peek(), ...change }, bins: 1, group, groups: all.name.length });
}

/** What all threads did over time, whatever is selected. */
export interface Timeline {
  from: number;
  to: number;
  bins: number;
  /** Wall time that is no idle wait: state by state, bin by bin. */
  states: Float64Array;
  /** CPU time of all threads, and time in which the GIL was held, by bin. */
  cpu: Float64Array;
  gil: Float64Array;
  /** The same by class of native work, and what belongs to none; null: the recording knows none. */
  classes: Float64Array | null;
}

/** The bins of the timeline: about one for two points of a wide screen. */
const TIMELINE_BINS = 600;

const everything = (of: Range) => ({ ...of, threads: null, processes: shownProcesses.peek(), states: null, tasks: null, idle: false });

/** The sum of all rows, by bin. */
function summed(rows: Float64Array, bins: number): Float64Array {
  const out = new Float64Array(bins);
  for (let i = 0; i < rows.length; i++) out[i % bins] += rows[i];
  return out;
}

/** The time that is no idle wait by class of native work, class by class, bin by bin. */
async function classesOver(of: Range, bins: number): Promise<Float64Array | null> {
  const { classes } = model.peek();
  if (!classes.length) return null;
  return engine.series({ selection: { ...everything(of), mode: 'wall' }, bins, group: 'class', groups: classes.length + 1 });
}

let newestAxis = 0;
async function redraw(of: Range): Promise<void> {
  const mine = ++newestAxis, bins = TIMELINE_BINS;
  const ask = (mode: Mode) => engine.series({ selection: { ...everything(of), mode }, bins, group: 'state', groups: model.peek().states.length });
  try {
    const [states, cpu, gil, classes] = await Promise.all([ask('wall'), ask('cpu'), ask('gil'), classesOver(of, bins)]);
    if (mine === newestAxis) timeline.value = { ...of, bins, states, cpu: summed(cpu, bins), gil: summed(gil, bins), classes };
  } catch (error) {
    failure.value = (error as Error).message;
  }
}

/** The lane of one thread: wall time with idle waits, state by state, bin by bin. */
export function laneOf(thread: number, of: Range, bins: number): Promise<Float64Array> {
  return engine.series({ selection: { ...everything(of), threads: new Set([thread]), idle: true, mode: 'wall' }, bins, group: 'state', groups: model.peek().states.length });
}

// The hash. A change of view, range or selection is a step of the browser's history; a search is none.

let isReading = false;
let written = '';
let searchBefore = '';

const textOf = (of: Range) => `${Math.round(of.from)}-${Math.round(of.to)}`;

function hashOf(): string {
  const parts = new URLSearchParams(), set = (name: string, value: string | null) => { if (value) parts.set(name, value); };
  const ids = (of: Set<number> | null) => of && [...of].join('.');
  set('view', view.value === firstView() ? null : view.value);
  set('range', range.value && textOf(range.value));
  set('axis', axis.value && textOf(axis.value));
  set('threads', ids(threads.value));
  set('processes', ids(processes.value));
  set('states', ids(states.value));
  set('tasks', ids(tasks.value));
  set('base', base.value && [base.value.range && textOf(base.value.range), ids(base.value.threads), ids(base.value.processes), ids(base.value.states), ids(base.value.tasks)].map(it => it ?? '').join('_'));
  set('mode', mode.value === model.value.meta.mode ? null : mode.value);
  set('idle', idle.value ? '1' : null);
  set('function', selected.value === null ? null : String(selected.value));
  set('line', selectedLine.value === null ? null : String(selectedLine.value));
  set('search', search.value);
  set('activity', activityBy.value === 'class' ? 'class' : null);
  set('theme', theme.value === 'auto' ? null : theme.value);
  return parts.toString();
}

function writeHash(): void {
  const hash = hashOf();
  if (isReading || hash === written) return;
  const isStep = search.peek() === searchBefore;
  searchBefore = search.peek();
  written = hash;
  if (hash === location.hash.slice(1)) return;
  if (isStep) location.hash = hash;
  // In a frame without an address of its own, `#…` alone would be a part of the page around it.
  else history.replaceState(null, '', `${location.href.split('#')[0]}#${hash}`);
}

/** What is shown first: the answer, or what differs. */
const firstView = (): View => (model.peek().meta.base ? 'diff' : 'overview');

/** A number of the hash below a bound; anybody may have written it. */
function numberOf(text: string | null, below: number): number | null {
  const number = text && /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  return number < below ? number : null;
}

function rangeOf(text: string | null): Range | null {
  const match = /^(\d{1,16})-(\d{1,16})$/.exec(text ?? ''), end = model.value.meta.duration_ns;
  if (!match) return null;
  const [from, to] = [Number(match[1]), Math.min(end, Number(match[2]))];
  return from < to ? { from, to } : null;
}

function idsOf(text: string | null, below: number): Set<number> | null {
  const list = (text ?? '').split('.').map(it => numberOf(it, below)).filter(it => it !== null);
  return list.length ? new Set(list) : null;
}

function baseOf(text: string | null): Base | null {
  if (text === null) return wholeBase();
  const [span, ...lists] = text.split('_'), of = model.value;
  const counts = [of.threads.length, of.processes.length, of.states.length, of.tasks.length + 1];
  const [threads, processes, states, tasks] = counts.map((count, i) => idsOf(lists[i] ?? null, count));
  return { range: rangeOf(span), threads, processes, states, tasks };
}

function readHash(): void {
  const hash = location.hash.slice(1);
  if (hash === written && hash) return;
  const parts = new URLSearchParams(hash), of = model.value;
  isReading = true;
  batch(() => {
    view.value = VIEWS.find(it => it === parts.get('view')) ?? firstView();
    range.value = rangeOf(parts.get('range'));
    axis.value = rangeOf(parts.get('axis'));
    threads.value = idsOf(parts.get('threads'), of.threads.length);
    processes.value = idsOf(parts.get('processes'), of.processes.length);
    states.value = idsOf(parts.get('states'), of.states.length);
    tasks.value = idsOf(parts.get('tasks'), of.tasks.length + 1);
    base.value = baseOf(parts.get('base'));
    mode.value = (['wall', 'cpu', 'gil'] as Mode[]).find(it => it === parts.get('mode')) ?? of.meta.mode;
    idle.value = parts.get('idle') === '1';
    selected.value = numberOf(parts.get('function'), of.functions.name.length);
    selectedLine.value = numberOf(parts.get('line'), 2 ** 32);
    search.value = parts.get('search') ?? '';
    activityBy.value = parts.get('activity') === 'class' && of.classes.length ? 'class' : 'state';
    const wanted = parts.get('theme');
    theme.value = wanted === 'dark' || wanted === 'light' ? wanted : 'auto';
  });
  searchBefore = search.peek();
  written = hashOf();
  isReading = false;
}

export function select(of: number | null, line: number | null = null): void {
  batch(() => { selected.value = of; selectedLine.value = line; });
}

/** Shows a function in another view. */
export function show(where: View, of: number | null = selected.peek(), line: number | null = null): void {
  batch(() => { view.value = where; select(of, line); });
}

/** Undoes the last narrowing: the zoom of the axis, the range, the threads, the selection. */
export function back(): void {
  if (help.value) help.value = false;
  else if (axis.value) axis.value = null;
  else if (range.value) range.value = null;
  else if (threads.value || processes.value || states.value || tasks.value) batch(() => { threads.value = processes.value = states.value = tasks.value = null; });
  else if (selected.value !== null) select(null);
  else search.value = '';
}
