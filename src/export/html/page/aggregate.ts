// Turns runs and a selection into sums by stack, thread and state: the figures of `rsamp report`, to the nanosecond.
import type { Column, PackedRuns, RowColumns } from './decode';
import {
  NONE, Wait, type Aggregate, type Columns, type Mode, type Model, type Selection, type Stacks, type Totals,
} from './model';

/** The columns that are sums over samples. */
const SUMS = [
  'samples', 'wall', 'cpu', 'gil', 'helpers', 'blockedOthers', 'grown', 'shrunk', 'unsure',
] as const satisfies (keyof Columns)[];

/** A main thread that waits for this part of its time only serves the others. */
const SERVING_SHARE = 0.99;

/** A wait in which native threads worked for this part of the time is not idle. */
const HELPED_SHARE = 0.1;

/** What aggregate() needs of a model. */
export type Tables = Pick<Model, 'stacks' | 'threads' | 'states' | 'tasks' | 'taskOf' | 'classes' | 'classOf'> & { duration_ns: number };

/** A span of time; `to` may be Infinity. */
export interface Span {
  from: number;
  to: number;
}

type Sum = (typeof SUMS)[number];

/** Columns of zeros; those that are not used are one and the same. */
function columns(length: number, used: readonly Sum[] = SUMS): Columns {
  const unused = new Float64Array(used.length < SUMS.length ? length : 0);
  const named = SUMS.map((name) => [name, used.includes(name) ? new Float64Array(length) : unused]);
  return Object.fromEntries(named) as unknown as Columns;
}

/** Columns that are used again and again, for what is looked at once: those of a thread after those of another stay in the cache. */
export class Room {
  private held = columns(0);
  private zeros = new Float64Array(0);

  /** Columns of at least so many rows, with whatever numbers where they are used, and zeros where not. */
  of(rows: number, used: readonly Sum[]): Columns {
    if (this.zeros.length < rows) {
      this.held = columns(rows);
      this.zeros = new Float64Array(rows);
    }
    const of = { ...this.held };
    for (const name of SUMS) if (!used.includes(name)) of[name] = this.zeros;
    return of;
  }
}

/** The span that a selection stands for: its end may be the recording's, after which there is nothing. */
function spanOf(selection: Selection, duration_ns: number): Span {
  // A drag ends between two nanoseconds.
  const [from, to] = [Math.round(selection.from), Math.round(selection.to)];
  return { from: Math.max(0, from), to: to >= duration_ns ? Infinity : to };
}

function seconds(ns: number): number {
  return ns / 1e9;
}

/** What the first `of` nanoseconds of `wall` hold of `sum`. */
function share(sum: number, of: number, wall: number): number {
  if (sum === 0 || of === 0) return 0;
  if (of === wall) return sum;
  const product = sum * of;
  if (product <= Number.MAX_SAFE_INTEGER) return Math.floor(product / wall);
  return Number((BigInt(sum) * BigInt(of)) / BigInt(wall));
}

/** The part of a run that is in a span: from and to since its start; null: none of it is. A run without length is whole. */
function cut(end: number, wall: number, span: Span): [number, number] | null {
  if (wall === 0) {
    return (end > span.from || span.from === 0) && end <= span.to ? [0, 0] : null;
  }
  const start = Math.max(0, end - wall);
  const [first, last] = [Math.max(span.from, start), Math.min(span.to, end)];
  if (first >= last) return null;
  return [first === start ? 0 : wall - (end - first), wall - (end - last)];
}

/** The first index from which on `test` holds, in a range in which it does so from some index on. */
function firstWhere(from: number, to: number, test: (index: number) => boolean): number {
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (test(middle)) to = middle;
    else from = middle + 1;
  }
  return from;
}

/** Which runs of a thread, in order, may have a part in a span. */
function runsIn(runs: PackedRuns, span: Span): [number, number] {
  const { end, wall } = runs;
  const count = end.length;
  if (!runs.isOrdered) return [0, count];
  const first = span.from === 0 ? 0 : firstWhere(0, count, (i) => end[i] > span.from);
  let last = firstWhere(first, count, (i) => end[i] - wall[i] >= span.to);
  // A run without length belongs to the span that it ends.
  while (last < count && wall[last] === 0 && end[last] <= span.to) last++;
  return [first, last];
}

/** Adds whole runs to the sums of their rows, or takes them away again. */
function addWhole(runs: PackedRuns, used: readonly Sum[], from: number, to: number, sums: Columns): void {
  for (const name of used) {
    const column = runs[name];
    if (column instanceof Uint32Array) addSmall(column, runs.row, from, to, sums[name], 1);
    else addLarge(column, runs.row, from, to, sums[name], 1);
  }
}

function takeWhole(runs: PackedRuns, used: readonly Sum[], from: number, to: number, sums: Columns): void {
  for (const name of used) {
    const column = runs[name];
    if (column instanceof Uint32Array) addSmall(column, runs.row, from, to, sums[name], -1);
    else addLarge(column, runs.row, from, to, sums[name], -1);
  }
}

// A function that sees one kind of column is several times faster than one that sees both.
function addSmall(column: Uint32Array, row: Uint32Array, from: number, to: number, sums: Float64Array, times: number): void {
  for (let i = from; i < to; i++) sums[row[i]] += times * column[i];
}

function addLarge(column: Float64Array, row: Uint32Array, from: number, to: number, sums: Float64Array, times: number): void {
  for (let i = from; i < to; i++) sums[row[i]] += times * column[i];
}

/** Adds to rows elsewhere; gives the sum of what is kept: of those rows for which that is 1. */
function addPlaced(column: Column, row: Uint32Array, place: Uint32Array, from: number, to: number, sums: Float64Array, isKept: Uint8Array): number {
  return column instanceof Uint32Array ? placeSmall(column, row, place, from, to, sums, isKept) : placeLarge(column, row, place, from, to, sums, isKept);
}

function placeSmall(column: Uint32Array, row: Uint32Array, place: Uint32Array, from: number, to: number, sums: Float64Array, isKept: Uint8Array): number {
  let kept = 0;
  for (let i = from; i < to; i++) {
    const at = place[row[i]], number = column[i];
    sums[at] += number;
    if (isKept[at] === 1) kept += number;
  }
  return kept;
}

function placeLarge(column: Float64Array, row: Uint32Array, place: Uint32Array, from: number, to: number, sums: Float64Array, isKept: Uint8Array): number {
  let kept = 0;
  for (let i = from; i < to; i++) {
    const at = place[row[i]], number = column[i];
    sums[at] += number;
    if (isKept[at] === 1) kept += number;
  }
  return kept;
}

/** What of a sum of a run is in a span; what is cut has at least one sample. */
function partOf(runs: PackedRuns, name: Sum, i: number, span: Span): number {
  const wall = runs.wall[i];
  const part = cut(runs.end[i], wall, span);
  if (!part) return 0;
  const [from, to] = part, sum = runs[name][i];
  const held = from === 0 && to === wall ? sum : name === 'wall' ? to - from : share(sum, to, wall) - share(sum, from, wall);
  return name === 'samples' ? Math.max(1, held) : held;
}

/** Adds the part of a run in a span. */
function addPart(runs: PackedRuns, used: readonly Sum[], i: number, span: Span, sums: Columns): void {
  for (const name of used) sums[name][runs.row[i]] += partOf(runs, name, i, span);
}

/** Sums are kept at so many places of a thread at most, and so many runs apart at least. */
const MAX_MARKS = 64;
const MIN_APART = 4096;

/** A mark is worth as many runs as the thread has rows, times this. */
const RUNS_PER_ROW = 4;

/**
 * A thread with the sums of its rows before some of its runs. Those of a range are the difference of two of them, and of
 * the runs between these and its ends. They take no more memory than the runs.
 */
export class ThreadRuns {
  /** The columns that are not all zeros. */
  readonly used: readonly Sum[];
  /** How many runs are between one mark and the next. */
  private readonly apart: number;
  /** The sums of all runs before each mark; the last is behind all runs. */
  private readonly before: Columns[] = [];

  constructor(readonly runs: PackedRuns) {
    this.used = SUMS.filter((name) => runs[name].length > 0);
    const [count, rows] = [runs.end.length, runs.rows.node.length];
    const marks = Math.floor(Math.min(MAX_MARKS, count / MIN_APART, count / Math.max(1, RUNS_PER_ROW * rows)));
    this.apart = Math.max(1, Math.ceil(count / Math.max(1, marks)));
    // Adding up all runs is as fast.
    if (marks < 2) return;
    let sums = columns(rows, this.used);
    for (let from = 0; from < count; from += this.apart) {
      this.before.push(sums);
      sums = copied(sums, this.used);
      addWhole(runs, this.used, from, Math.min(count, from + this.apart), sums);
    }
    this.before.push(sums);
  }

  private linear: boolean | null = null;

  /**
   * Whether what counts of the thread in a span can be told run by run: its waits are idle whatever their sums are, and have
   * neither CPU nor GIL time. Where sums are kept, to add up rows is faster.
   */
  isLinear(isWait: Uint8Array, isMain: boolean): boolean {
    const { runs: { isOrdered, helpers, cpu, gil, row, rows: { state } } } = this;
    if (isMain || !isOrdered || this.before.length > 0 || helpers.length > 0) return false;
    if (this.linear !== null) return this.linear;
    this.linear = true;
    for (const column of [cpu, gil]) {
      for (let i = 0; i < column.length && this.linear; i++) this.linear = column[i] === 0 || isWait[state[row[i]]] === 0;
    }
    return this.linear;
  }

  /** Adds what is in a span to rows of the process; `each` is told of each column how much of it counts. */
  addPlaced(span: Span, { sums, isKept, isAll }: Shared, each: (name: Sum, kept: number) => void): void {
    const { runs, used } = this, { row, rows: { place } } = runs, [first, last] = runsIn(runs, span);
    const from = Math.min(first + 1, last), to = Math.max(last - 1, from);
    for (const name of used) {
      // Of an idle wait, time and samples are left out.
      const counts = name === 'wall' || name === 'samples' ? isKept : isAll;
      let kept = addPlaced(runs[name], row, place, from, to, sums[name], counts);
      for (const i of [first, to]) {
        if (i === first ? first >= from : to >= last) continue;
        const at = place[row[i]], part = partOf(runs, name, i, span);
        sums[name][at] += part;
        if (counts[at] === 1) kept += part;
      }
      each(name, kept);
    }
  }

  /** The sums of each row in a span. They are in the room until something else is. */
  sums(span: Span, room: Room): Columns {
    const { runs, used } = this, count = runs.end.length, rows = runs.rows.node.length;
    const sums = room.of(rows, used);
    if (!runs.isOrdered) {
      this.clear(sums);
      for (let i = 0; i < count; i++) addPart(runs, used, i, span, sums);
      return sums;
    }
    const [first, last] = runsIn(runs, span);
    // The runs at the ends may be cut; those between are whole.
    const from = Math.min(first + 1, last);
    const to = Math.max(last - 1, from);
    this.whole(from, to, sums);
    if (first < from) addPart(runs, used, first, span, sums);
    if (to < last) addPart(runs, used, to, span, sums);
    return sums;
  }

  /** The sums of whole runs. */
  private whole(from: number, to: number, sums: Columns): void {
    const { runs, used, apart } = this, hasMarks = this.before.length > 0;
    const [low, high] = hasMarks ? [this.nearest(from), this.nearest(to)] : [0, 0];
    if (low === high) {
      this.clear(sums);
      addWhole(runs, used, from, to, sums);
      return;
    }
    for (const name of used) subtract(this.before[high][name], this.before[low][name], sums[name]);
    const [start, end] = [low * apart, Math.min(high * apart, runs.end.length)];
    if (from < start) addWhole(runs, used, from, start, sums);
    else takeWhole(runs, used, start, from, sums);
    if (end < to) addWhole(runs, used, end, to, sums);
    else takeWhole(runs, used, to, end, sums);
  }

  private clear(sums: Columns): void {
    for (const name of this.used) sums[name].fill(0, 0, this.runs.rows.node.length);
  }

  /** The mark that is nearest to a run. */
  private nearest(run: number): number {
    const last = this.before.length - 1, count = this.runs.end.length;
    // The last mark may be nearer to the one before.
    const mark = Math.min(last, Math.round(run / this.apart));
    return mark < last && count - run < Math.abs(run - mark * this.apart) ? last : mark;
  }
}

function copied(sums: Columns, used: readonly Sum[]): Columns {
  const copy = columns(sums.wall.length, used);
  for (const name of used) copy[name].set(sums[name]);
  return copy;
}

function subtract(from: Float64Array, what: Float64Array, into: Float64Array): void {
  for (let i = 0; i < from.length; i++) into[i] = from[i] - what[i];
}

/** Which rows of a thread are idle waits; `idle` has room for them. The rules are those of src/profile/idle.rs. */
function idleRows(tables: Tables, isWait: Uint8Array, thread: number, { rows: { node, state } }: PackedRuns, sums: Columns, idle: Uint8Array): void {
  const { stacks, threads } = tables, none = stacks.parent.length, isMain = threads[thread].is_main;
  const { wall, helpers } = sums, rows = node.length;
  let [served, whole] = [0, 0];
  for (let row = 0; row < rows; row++) {
    const time = wall[row];
    whole += time;
    idle[row] = 0;
    if (isWait[state[row]] === 0) continue;
    const helped = helpers[row];
    if (helped > 0 && seconds(helped) >= HELPED_SHARE * seconds(time)) continue;
    idle[row] = !isMain ? Wait.Idle : node[row] === none ? Wait.Counts : stacks.wait[node[row]];
    if (idle[row] !== Wait.Counts) served += time;
  }
  // On other threads every wait is idle, or counts.
  if (!isMain) return;
  const serves = whole > 0 && seconds(served) >= SERVING_SHARE * seconds(whole);
  for (let row = 0; row < rows; row++) idle[row] = idle[row] === Wait.Idle || (idle[row] === Wait.Serves && serves) ? 1 : 0;
}

/** By state: 1 for a wait that may be idle. */
const idleWaits = ({ states }: Tables) => Uint8Array.from(states, (state) => (state.is_idle_wait ? 1 : 0));

/** What counts of an idle wait: what it used nevertheless. */
function wallWithoutWait(sums: Columns, row: number): number {
  return Math.min(Math.max(sums.cpu[row], sums.gil[row]), sums.wall[row]);
}

/** Leaves the idle waits of a thread out of its sums; tells how much that is. */
function leaveOutIdle(sums: Columns, idle: Uint8Array, rows: number): number {
  const { wall, samples } = sums;
  let leftOut = 0;
  for (let row = 0; row < rows; row++) {
    if (idle[row] === 0) continue;
    const left = wallWithoutWait(sums, row);
    samples[row] = share(samples[row], left, Math.max(1, wall[row]));
    leftOut += wall[row] - left;
    wall[row] = left;
  }
  return leftOut;
}

/** Which rows of each thread are idle waits over the whole recording. */
export function idleOfAll(tables: Tables, threads: Map<number, ThreadRuns>): Map<number, Uint8Array> {
  const whole = { from: 0, to: Infinity }, room = new Room(), isWait = idleWaits(tables);
  const idle = Array.from(threads, ([thread, of]): [number, Uint8Array] => {
    const rows = new Uint8Array(of.runs.rows.node.length);
    idleRows(tables, isWait, thread, of.runs, of.sums(whole, room), rows);
    return [thread, rows];
  });
  return new Map(idle);
}

/** Sums over the runs of a selection. Idle waits are left out, unless nothing else would be left. */
export function aggregate(tables: Tables, threads: Map<number, ThreadRuns>, selection: Selection): Aggregate {
  const countsIdle = selection.idle || selection.mode !== 'wall' || selection.states !== null;
  const sums = sumThreads(tables, threads, selection, !countsIdle);
  return countsIdle || sums.totals.samples > 0 ? sums : sumThreads(tables, threads, selection, false);
}

export function isSelected(tables: Tables, selection: Selection, thread: number): boolean {
  const isOfProcess = selection.processes?.has(tables.threads[thread].process) ?? true;
  return isOfProcess && (selection.threads?.has(thread) ?? true);
}

/** Whether rows of a state and a set of attributes are shown; null: all are. */
function rowFilter(tables: Tables, { states, tasks }: Selection): ((state: number, attributes: number) => boolean) | null {
  if (!states && !tasks) return null;
  return (state, attributes) => (states?.has(state) ?? true) && (tasks?.has(taskOf(tables, attributes)) ?? true);
}

/** The task of a set of attributes, which is one more than its number; one more than the last: none. */
function taskOf({ tasks, taskOf }: Tables, attributes: number): number {
  return valueOf(taskOf, tasks.length, attributes);
}

/** The class of native work of a set of attributes. */
function classOf({ classes, classOf }: Tables, attributes: number): number {
  return valueOf(classOf, classes.length, attributes);
}

function valueOf(of: Uint32Array, none: number, attributes: number): number {
  const value = attributes === 0 ? NONE : of[attributes - 1];
  return value < none ? value : none;
}

/** Leaves nothing of the rows that are not shown. */
function leaveRows(tables: Tables, { rows }: PackedRuns, sums: Columns, selection: Selection): void {
  const isShown = rowFilter(tables, selection);
  if (!isShown) return;
  rows.state.forEach((state, row) => {
    if (!isShown(state, rows.attributes[row])) for (const name of SUMS) sums[name][row] = 0;
  });
}

function sumThreads(tables: Tables, threads: Map<number, ThreadRuns>, selection: Selection, leavesOut: boolean): Aggregate {
  const span = spanOf(selection, tables.duration_ns), count = tables.stacks.parent.length;
  const self = columns(count + 1), ofThreads = columns(tables.threads.length);
  // State by state, node by node.
  const states = new Float64Array(tables.states.length * (count + 1));
  const tasks = new Float64Array(tables.tasks.length + 1), classes = new Float64Array(tables.classes.length + 1);
  const room = new Room(), isWait = idleWaits(tables), isFiltered = rowFilter(tables, selection) !== null;
  const shared = new Map<RowColumns, Shared>();
  let idle = new Uint8Array(0), idle_ns = 0;
  const add = (rows: RowColumns, sums: Columns, used: readonly Sum[], each: (name: Sum, sum: number) => void) => {
    addByAttributes(rows, sums[selection.mode], tasks, (set) => taskOf(tables, set));
    addByAttributes(rows, sums[selection.mode], classes, (set) => classOf(tables, set));
    for (const name of used) each(name, addRows(sums[name], rows.node, self[name]));
    addStates(sums.wall, rows.node, rows.state, count + 1, states);
  };
  for (const [thread, of] of threads) {
    if (!isSelected(tables, selection, thread)) continue;
    const { runs, used } = of, { rows } = runs, tell = (name: Sum, sum: number) => { ofThreads[name][thread] = sum; };
    if (!isFiltered && of.isLinear(isWait, tables.threads[thread].is_main)) {
      of.addPlaced(span, shared.get(rows.all) ?? shareOf(rows.all), tell);
      continue;
    }
    const sums = of.sums(span, room);
    leaveRows(tables, runs, sums, selection);
    if (leavesOut) {
      if (idle.length < rows.node.length) idle = new Uint8Array(rows.node.length);
      idleRows(tables, isWait, thread, runs, sums, idle);
      idle_ns += leaveOutIdle(sums, idle, rows.node.length);
    }
    add(rows, sums, used, tell);
  }
  for (const [rows, { sums, isKept }] of shared) {
    idle_ns += leaveOut(sums, isKept);
    add(rows, sums, SUMS, () => {});
  }
  const byState = tables.states.map((_, state) => held(states.subarray(state * (count + 1), (state + 1) * (count + 1))));
  return { self, states: byState, threads: ofThreads, tasks, classes, totals: totalsOf(tables.stacks, self, selection.mode), idle_ns };

  function shareOf(rows: RowColumns): Shared {
    const made = {
      sums: columns(rows.node.length),
      isKept: rows.state.map((state) => (leavesOut && isWait[state] === 1 ? 0 : 1)),
      isAll: new Uint8Array(rows.node.length).fill(1),
    };
    shared.set(rows, made);
    return made;
  }
}

/** The sums of several threads by rows of their process, which of these rows are no idle waits, and as many ones. */
interface Shared {
  sums: Columns;
  isKept: Uint8Array;
  isAll: Uint8Array;
}

/** Leaves out the time of idle waits, which have neither CPU nor GIL time; tells how much that is. */
function leaveOut({ wall, samples }: Columns, isKept: Uint8Array): number {
  let leftOut = 0;
  for (let row = 0; row < isKept.length; row++) {
    if (isKept[row] === 1) continue;
    leftOut += wall[row];
    wall[row] = samples[row] = 0;
  }
  return leftOut;
}

/** The times of a state; none where all are 0. */
function held(times: Float64Array): Float64Array {
  for (let i = 0; i < times.length; i++) if (times[i] > 0) return times.slice();
  return new Float64Array(0);
}

function addStates(wall: Float64Array, node: Int32Array, state: Uint8Array, nodes: number, states: Float64Array): void {
  for (let row = 0; row < node.length; row++) states[state[row] * nodes + node[row]] += wall[row];
}

/** Adds what each row holds to what its attributes stand for: its task, its class. */
function addByAttributes({ attributes }: RowColumns, times: Float64Array, sums: Float64Array, of: (attributes: number) => number): void {
  // Where there are none, nothing is shown of them.
  if (sums.length === 1) return;
  for (let row = 0; row < attributes.length; row++) sums[of(attributes[row])] += times[row];
}

/** Adds what each row holds to its node; gives the sum of all. */
function addRows(rows: Float64Array, node: Int32Array, sums: Float64Array): number {
  let sum = 0;
  for (let row = 0; row < node.length; row++) {
    sums[node[row]] += rows[row];
    sum += rows[row];
  }
  return sum;
}

/** The time of one mode by stack node. */
export function totalsOf(stacks: Stacks, self: Columns, mode: Mode): Totals {
  const count = stacks.parent.length;
  const sum = (column: Float64Array) => {
    let sum = 0;
    for (let i = 0; i < column.length; i++) sum += column[i];
    return sum;
  };
  const own = self[mode].slice(0, count);
  return { self: own, total: rollUp(stacks, own), sum: sum(self[mode]), samples: sum(self.samples) };
}

/** What each node and all that it called hold. */
export function rollUp(stacks: Stacks, self: Float64Array): Float64Array {
  const { parent } = stacks;
  const total = self.slice(0, parent.length);
  for (let id = parent.length - 1; id >= 0; id--) if (parent[id] >= 0) total[parent[id]] += total[id];
  return total;
}

/** Nodes sorted into classes: functions, lines, or whatever else a table has one row for. */
export interface Classes {
  count: number;
  /** By node. */
  of: ArrayLike<number>;
  /** By node: 1 where no node between it and the root has its class. */
  outermost: Uint8Array;
}

export function classesOf(stacks: Stacks, of: ArrayLike<number>, count: number): Classes {
  const { parent } = stacks;
  const nodes = parent.length;
  // Children by parent, as lists: node, then its next sibling.
  const [child, sibling] = [new Int32Array(nodes + 1).fill(-1), new Int32Array(nodes).fill(-1)];
  for (let id = nodes - 1; id >= 0; id--) {
    const above = parent[id] < 0 ? nodes : parent[id];
    [sibling[id], child[above]] = [child[above], id];
  }
  const outermost = new Uint8Array(nodes);
  const open = new Uint32Array(count);
  for (let id = child[nodes]; id >= 0; ) {
    outermost[id] = open[of[id]]++ === 0 ? 1 : 0;
    if (child[id] >= 0) {
      id = child[id];
      continue;
    }
    open[of[id]]--;
    while (id >= 0 && sibling[id] < 0) {
      id = parent[id];
      if (id >= 0) open[of[id]]--;
    }
    if (id >= 0) id = sibling[id];
  }
  return { count, of, outermost };
}

/** A column's self and total sums by class: a class counts once in a stack, however often it recurs. */
export function byClass(stacks: Stacks, classes: Classes, self: Float64Array): { self: Float64Array; total: Float64Array } {
  const sums = { self: new Float64Array(classes.count), total: new Float64Array(classes.count) };
  const total = rollUp(stacks, self);
  for (let id = 0; id < total.length; id++) {
    sums.self[classes.of[id]] += self[id];
    if (classes.outermost[id]) sums.total[classes.of[id]] += total[id];
  }
  return sums;
}

/** The lines of functions that are in any stack, each once. */
export interface Lines {
  function: Uint32Array;
  /** NONE: not known. */
  line: Uint32Array;
  classes: Classes;
}

export function linesOf(stacks: Stacks): Lines {
  const known = new Map<number, number>();
  const functions: number[] = [];
  const lines: number[] = [];
  const of = new Uint32Array(stacks.parent.length);
  for (let id = 0; id < of.length; id++) {
    const key = stacks.function[id] * 2 ** 32 + stacks.line[id];
    let number = known.get(key);
    if (number === undefined) {
      known.set(key, (number = functions.length));
      functions.push(stacks.function[id]);
      lines.push(stacks.line[id]);
    }
    of[id] = number;
  }
  return {
    function: Uint32Array.from(functions),
    line: Uint32Array.from(lines),
    classes: classesOf(stacks, of, functions.length),
  };
}

/** How the time of a selection is spread over its span. */
export interface SeriesRequest {
  selection: Selection;
  bins: number;
  /** By stack node, and at the end for no Python frame, the group that its time counts for; -1: none. */
  group: Int32Array | 'state' | 'class';
  groups: number;
}

/** Group by group, the time in each bin, in nanoseconds. Not exact to the nanosecond: it is for drawing. */
export function series(
  tables: Tables, threads: Map<number, ThreadRuns>, idle: Map<number, Uint8Array>, request: SeriesRequest,
): Float64Array {
  const { selection, bins, group, groups } = request;
  const times = new Float64Array(groups * bins);
  const [from, to] = [Math.max(0, selection.from), Math.min(selection.to, tables.duration_ns)];
  const length = (to - from) / bins;
  if (!(length > 0)) return times;
  const countsIdle = selection.idle || selection.mode !== 'wall' || selection.states !== null;
  const isShown = rowFilter(tables, selection);
  for (const [thread, { runs }] of threads) {
    if (!isSelected(tables, selection, thread)) continue;
    const { node, state, attributes } = runs.rows;
    const idleOf = countsIdle ? undefined : idle.get(thread), groupOf = new Int32Array(node.length);
    for (let row = 0; row < groupOf.length; row++) {
      if (idleOf?.[row] || isShown?.(state[row], attributes[row]) === false) groupOf[row] = -1;
      else groupOf[row] = group === 'state' ? state[row] : group === 'class' ? classOf(tables, attributes[row]) : group[node[row]];
    }
    addToBins(runs, groupOf, runs[selection.mode], { from, to }, length, bins, times);
  }
  return times;
}

function addToBins(
  runs: PackedRuns, groupOf: Int32Array, time: Column, span: Span, length: number, bins: number, times: Float64Array,
): void {
  if (time.length === 0) return;
  const { end, wall, row } = runs;
  const [first, last] = runsIn(runs, span);
  for (let i = first; i < last; i++) {
    const group = groupOf[row[i]], held = time[i];
    if (group < 0 || held === 0) continue;
    const start = Math.max(end[i] - wall[i], span.from), stop = Math.min(end[i], span.to);
    if (!(stop > start)) continue;
    const bin = Math.floor((start - span.from) / length), lastBin = Math.min(bins - 1, Math.floor((stop - span.from) / length));
    // Most runs are short.
    if (bin === lastBin && stop - start === wall[i]) times[group * bins + bin] += held;
    else spreadOver(times, group * bins, bin, lastBin, start - span.from, stop - span.from, length, held / wall[i]);
  }
}

/** Adds a time to all bins in which it is; `from` and `to` since the start of the first bin. */
function spreadOver(
  times: Float64Array, place: number, first: number, last: number, from: number, to: number, length: number, density: number,
): void {
  for (let bin = first; bin <= last; bin++) {
    const held = Math.min(to, (bin + 1) * length) - Math.max(from, bin * length);
    if (held > 0) times[place + bin] += held * density;
  }
}
