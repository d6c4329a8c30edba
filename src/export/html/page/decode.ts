// Turns the data in the page's script tags into a Model, and the data of a process into the runs of its threads.
//
// What is in them, and in which order, is written by src/export/html/*.rs.
import { gunzipSync } from 'fflate';
import type { Block, Counters, Loss, Meta, Model, Process, Source, State, Thread } from './model';

/** The number of the meaning of the data. */
const FORMAT = 4;

/** The page is not whole, or not of this format. */
export class DamagedPage extends Error {}

/** What the tag `meta` holds. */
interface MetaTag extends Meta {
  format: number;
  states: State[];
  processes: Omit<Process, 'threads' | 'counters'>[];
  threads: Thread[];
}

/** Numbers of runs. Two kinds, each with loops of its own: over a mixture of more, a loop is several times slower. */
export type Column = Uint32Array | Float64Array;

/** What runs that are summed have in common: a stack (the number of stacks: none), a state, a set of attributes. */
export interface RowColumns { node: Int32Array; state: Uint8Array; attributes: Uint32Array }

/** The rows of a thread. */
export interface RowsOfThread extends RowColumns {
  /** Those of the whole process, and which of them each row is. */
  all: RowColumns;
  place: Uint32Array;
}

/** The runs of a thread, as they are written. */
export interface PackedRuns {
  /** In ascending order where `isOrdered`. */
  end: Float64Array;
  /** Into `rows`. */
  row: Uint32Array;
  wall: Column;
  /** Without numbers where all are 0, as each of the following. */
  cpu: Column;
  gil: Column;
  samples: Column;
  helpers: Column;
  blockedOthers: Column;
  grown: Column;
  shrunk: Column;
  unsure: Column;
  rows: RowsOfThread;
  /** Whether each run begins where or after the one before ends. */
  isOrdered: boolean;
}

/** Reads columns, one behind the other. */
class Reader {
  private at = 0;
  private static readonly utf8 = new TextDecoder();

  constructor(private readonly bytes: Uint8Array) {}

  number(): number {
    const { bytes } = this;
    let byte = bytes[this.at++];
    if (byte < 128) return byte;
    let value = byte & 127;
    for (let scale = 128; byte >= 128; scale *= 128) {
      byte = bytes[this.at++];
      value += (byte & 127) * scale;
    }
    if (this.at > bytes.length) throw new DamagedPage('a part of the data ends early');
    return value;
  }

  difference(): number {
    const byte = this.bytes[this.at];
    if (byte < 128) {
      this.at++;
      return (byte & 1) === 0 ? byte >> 1 : -((byte + 1) >> 1);
    }
    const number = this.number();
    return number % 2 === 0 ? number / 2 : -(number + 1) / 2;
  }

  /** How many items follow, of at least one byte each. */
  count(): number {
    const count = this.number();
    if (!(count <= this.bytes.length - this.at)) throw new DamagedPage('a part of the data ends early');
    return count;
  }

  raw(count: number): Uint8Array {
    this.at += count;
    if (this.at > this.bytes.length) throw new DamagedPage('a part of the data ends early');
    return this.bytes.subarray(this.at - count, this.at);
  }

  text(): string {
    const length = this.count();
    this.at += length;
    return Reader.utf8.decode(this.bytes.subarray(this.at - length, this.at));
  }

  texts(count: number): string[] {
    return Array.from({ length: count }, () => this.text());
  }

  column<C extends Uint8Array | Uint32Array | Float64Array>(column: C): C {
    for (let i = 0; i < column.length; i++) column[i] = this.number();
    return column;
  }

  /** A column in which 0 is "not known", and other numbers are one more than they are. */
  optional(count: number): Uint32Array {
    const column = new Uint32Array(count);
    for (let i = 0; i < count; i++) column[i] = this.number() - 1;
    return column;
  }

  differences(count: number): Float64Array {
    const column = new Float64Array(count);
    for (let i = 0, before = 0; i < count; i++) column[i] = before += this.difference();
    return column;
  }
}

/** A column whose length is not known before its end. */
class Growing {
  private readonly parts: Float64Array[] = [];
  private length = 0;
  private most = 0;

  push(numbers: Float64Array): void {
    let { most } = this;
    for (let i = 0; i < numbers.length; i++) if (numbers[i] > most) most = numbers[i];
    this.most = most;
    this.length += numbers.length;
    this.parts.push(numbers);
  }

  /** Its numbers. */
  take(): Column {
    const { length } = this;
    if (this.most >= 2 ** 32) return this.into(new Float64Array(length));
    return this.into(new Uint32Array(length));
  }

  /** Its numbers, also those that a smaller kind of column had room for. */
  takeLarge(): Float64Array {
    return this.into(new Float64Array(this.length));
  }

  /** Its numbers; none where all are 0. */
  takeUnlessZero(): Column {
    return this.most === 0 ? new Uint32Array(0) : this.take();
  }

  private into<C extends Column>(column: C): C {
    let at = 0;
    for (const part of this.parts) {
      if (column instanceof Float64Array) column.set(part, at);
      else toSmall(part, column as Uint32Array, at);
      at += part.length;
    }
    return column;
  }
}

// `set` takes many times as long from one kind of array to the other.
function toSmall(from: Float64Array, to: Uint32Array, at: number): void {
  for (let i = 0; i < from.length; i++) to[at + i] = from[i];
}

/** The digits of base 85, from 0 on. */
const DIGITS = '#$%&\'()*+,-./0123456789:;x=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvw';

/** What each character stands for; 255: nothing. */
const VALUES = new Uint8Array(128).fill(255);
for (let i = 0; i < DIGITS.length; i++) VALUES[DIGITS.charCodeAt(i)] = i;

/** The bytes that text in base 85 stands for: four for five characters, of the last ones one less than there are characters. */
function fromBase85(text: string): Uint8Array {
  const whole = Math.floor(text.length / 5), rest = text.length % 5;
  const bytes = new Uint8Array(4 * whole + Math.max(0, rest - 1)), padded = rest > 0 ? text.slice(5 * whole).padEnd(5, 'w') : '';
  let wrong = 0;
  const value = (text: string, at: number) => {
    const code = text.charCodeAt(at), digit = code < 128 ? VALUES[code] : 255;
    wrong |= digit & 128;
    return digit;
  };
  const number = (text: string, at: number) => {
    let sum = value(text, at);
    for (let i = 1; i < 5; i++) sum = 85 * sum + value(text, at + i);
    return sum;
  };
  for (let i = 0, to = 0; i < 5 * whole; i += 5, to += 4) {
    const four = number(text, i);
    bytes[to] = four >>> 24;
    bytes[to + 1] = four >>> 16;
    bytes[to + 2] = four >>> 8;
    bytes[to + 3] = four;
  }
  if (rest > 0) {
    const last = number(padded, 0);
    for (let i = 0; i < rest - 1; i++) bytes[4 * whole + i] = last >>> (24 - 8 * i);
  }
  if (wrong !== 0 || rest === 1) throw new DamagedPage('a part of the data is not base 85');
  return bytes;
}

/** Fewer bytes are unpacked without a stream. */
const SMALL = 1 << 16;

/** The bytes that a packed tag stands for. */
export async function unpack(text: string): Promise<Uint8Array> {
  const bytes = fromBase85(text);
  try {
    // A stream takes a millisecond to start: a job of a thousand ranks has a thousand of these.
    if (typeof DecompressionStream === 'undefined' || bytes.length < SMALL) return gunzipSync(bytes);
    const stream = new Blob([bytes as BlobPart]).stream().pipeThrough(new DecompressionStream('gzip'));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch {
    throw new DamagedPage('a part of the data cannot be unpacked');
  }
}

/** Makes the model of the tags `meta`, `core` and, where there is one, `src`. */
export async function decodeModel(metaText: string, coreText: string, sourceText: string | null): Promise<Model> {
  const { format, states, processes, threads, ...meta } = parseMeta(metaText);
  if (format !== FORMAT) throw new DamagedPage(`the data are of format ${format}, not ${FORMAT}`);
  const core = new Reader(await unpack(coreText));
  const strings = core.texts(core.count());
  const functions = decodeFunctions(core);
  const stacks = decodeStacks(core);
  const counters = decodeCounters(core, processes.length);
  const losses = decodeLosses(core);
  const tasks = core.texts(core.count()), taskOf = core.optional(core.count());
  const classes = core.texts(core.count()), classOf = core.optional(core.count());
  const first = meta.base?.processes ?? 0;
  const blocks = decodeBlocks(core).filter(({ thread }) => threads[thread].process >= first);
  if (meta.base) countAs(stacks, core.column(new Uint32Array(functions.name.length)));
  const sources = sourceText === null ? new Map() : decodeSources(new Reader(await unpack(sourceText)));
  const known = processes.map((process, id): Process => ({ ...process, threads: [], counters: counters[id] }));
  threads.forEach((thread, id) => known[thread.process].threads.push(id));
  const shown = known.map((_, id) => id).slice(first);
  return { meta, shown, strings, functions, stacks, processes: known, threads, states, losses, tasks, taskOf, classes, classOf, blocks, sources };
}

function parseMeta(text: string): MetaTag {
  try {
    return JSON.parse(text);
  } catch {
    throw new DamagedPage('what is said of the recording cannot be read');
  }
}

function decodeFunctions(core: Reader): Model['functions'] {
  const count = core.count();
  return {
    name: core.column(new Uint32Array(count)),
    file: core.optional(count),
    owner: core.optional(count),
    firstLine: core.optional(count),
    origin: core.column(new Uint8Array(count)),
    kind: core.column(new Uint8Array(count)),
  };
}

function decodeStacks(core: Reader): Model['stacks'] {
  const count = core.count();
  const parent = new Int32Array(count);
  for (let id = 0; id < count; id++) {
    const back = core.number();
    parent[id] = back === 0 ? -1 : id - back;
  }
  return {
    parent,
    function: core.column(new Uint32Array(count)),
    line: core.optional(count),
    wait: core.column(new Uint8Array(count)),
  };
}

/** The counters in the order in which they are written. */
const COUNTERS: (keyof Counters)[] = [
  'resident', 'peak', 'anonymous', 'cpu', 'runnable', 'readCalls', 'writeCalls', 'storageRead', 'storageWritten',
  'minorFaults', 'majorFaults', 'voluntarySwitches', 'forcedSwitches',
];

/** By process. */
function decodeCounters(core: Reader, processes: number): Counters[] {
  const count = core.count();
  const process = core.differences(count);
  const columns: [keyof Counters, Float64Array][] = [['at', core.differences(count)]];
  for (const name of COUNTERS) {
    const column = core.differences(count).map((number) => (number === 0 ? NaN : number - 1));
    columns.push([name, column]);
  }
  const readings: number[][] = Array.from({ length: processes }, () => []);
  process.forEach((id, reading) => readings[id].push(reading));
  return readings.map((of) => {
    const picked = columns.map(([name, column]) => [name, Float64Array.from(of, (reading) => column[reading])]);
    return Object.fromEntries(picked) as Counters;
  });
}

function decodeLosses(core: Reader): Loss[] {
  const causes = core.texts(core.count());
  const count = core.count();
  const at = core.differences(count);
  const cause = core.column(new Uint32Array(count));
  const counts = core.column(new Float64Array(count));
  return Array.from(at, (at, i) => ({ at, cause: causes[cause[i]], count: counts[i] }));
}

function decodeSources(reader: Reader): Map<string, Source> {
  const sources = new Map<string, Source>();
  for (let files = reader.count(); files > 0; files--) {
    const [file, note] = [reader.text(), reader.text()];
    const numbers = reader.differences(reader.count());
    const first = numbers[0] ?? 1;
    const lines: (string | undefined)[] = [];
    for (const number of numbers) lines[number - first] = reader.text();
    sources.set(file, { lines, first, note });
  }
  return sources;
}

/** A function of the base counts as the one of the recording that it has become. */
function countAs(stacks: Model['stacks'], counted: Uint32Array): void {
  for (let id = 0; id < stacks.function.length; id++) stacks.function[id] = counted[stacks.function[id]];
}

function decodeBlocks(core: Reader): Block[] {
  const count = core.count(), thread = core.column(new Uint32Array(count));
  const end = core.differences(count), time = core.column(new Float64Array(count));
  return Array.from(thread, (thread, i) => ({ thread, from: Math.max(0, end[i] - time[i]), to: end[i] }));
}

/** The runs of the threads of a process, in the order of its threads; `stacks`: how many stacks there are. */
export function decodeRuns(bytes: Uint8Array, threads: number, stacks: number): PackedRuns[] {
  const reader = new Reader(bytes), moments = reader.differences(reader.count()), rows = new Rows(reader, stacks);
  return Array.from({ length: threads }, () => decodeThread(reader, moments, rows));
}

/** The columns of a run that are sums, in the order in which they are written. */
const SUMS = ['samples', 'wall', 'cpu', 'gil', 'helpers', 'blockedOthers', 'grown', 'shrunk', 'unsure'] as const;

/** The runs come in chunks; an empty one is the end. */
function decodeThread(reader: Reader, moments: Float64Array, rows: Rows): PackedRuns {
  const sums = Object.fromEntries(SUMS.map((name) => [name, new Growing()])) as Record<(typeof SUMS)[number], Growing>;
  const [ends, rowNumbers] = [new Growing(), new Growing()];
  let isOrdered = true;
  for (let count = reader.count(), at = 0; count > 0; count = reader.count()) {
    const end = new Float64Array(count), wall = new Float64Array(count), samples = new Float64Array(count);
    for (let i = 0; i < count; i++) {
      const passed = reader.difference(), before = moments[at];
      at += passed;
      if (!(at >= 0 && at < moments.length)) throw new DamagedPage('a moment is not there');
      end[i] = moments[at];
      wall[i] = end[i] - before;
      samples[i] = passed > 0 ? passed : 0;
    }
    const row = rows.read(reader, count);
    if (reader.number() === 1) for (let i = 0; i < count; i++) samples[i] += reader.difference();
    if (reader.number() === 1) isOrdered = lengthen(reader, wall) && isOrdered;
    for (let i = 0; isOrdered && i < count; i++) isOrdered = wall[i] >= 0;
    sums.samples.push(samples);
    sums.wall.push(wall);
    sums.cpu.push(rows.parts(reader, 0, row, wall));
    sums.gil.push(rows.parts(reader, 1, row, wall));
    for (const name of SUMS.slice(4)) sums[name].push(reader.number() === 1 ? reader.column(new Float64Array(count)) : new Float64Array(count));
    rowNumbers.push(rows.number(row));
    ends.push(end);
  }
  const named = Object.fromEntries(SUMS.map((name) => [name, name === 'wall' ? sums[name].take() : sums[name].takeUnlessZero()]));
  const row = rowNumbers.take() as Uint32Array;
  return {
    ...(named as Record<(typeof SUMS)[number], Column>),
    end: ends.takeLarge(), row, rows: rows.take(row), isOrdered,
  };
}

/** Makes the lengths of runs of the time since the one before, and by how much more that is; tells whether none begins earlier. */
function lengthen(reader: Reader, wall: Float64Array): boolean {
  let isOrdered = true;
  for (let i = 0; i < wall.length; i++) {
    const more = reader.difference();
    isOrdered &&= more <= 0;
    wall[i] += more;
  }
  return isOrdered;
}

/** The rows of a process, and which of them the runs of one thread after another have. */
class Rows {
  private readonly count: number;
  /** How many bytes a row takes. */
  private readonly bytes: number;
  /** Of CPU and GIL time, by row: 1 where it was all of the time in the run before. */
  private readonly isAll: [Uint8Array, Uint8Array];
  /** The number of a row in the thread; -1: it has none. */
  private readonly place: Int32Array;
  private ofThread: number[] = [];
  /** By the place of a row, its number in the order of the thread's nodes. */
  private readonly numberAt: Uint32Array;
  /** All rows in the order of their nodes, and the place of each in it. */
  private readonly all: RowColumns;
  private readonly rank: Uint32Array;

  /** A stack is one more than its number; 0: none. */
  constructor(reader: Reader, stacks: number) {
    const count = reader.count(), stack = reader.column(new Float64Array(count));
    if (stack.some((of) => of > stacks)) throw new DamagedPage('a stack is not there');
    const node = Int32Array.from(stack, (of) => (of === 0 ? stacks : of - 1));
    const state = reader.column(new Uint8Array(count)), attributes = reader.column(new Uint32Array(count));
    this.count = count;
    this.bytes = Math.ceil((count > 1 ? 32 - Math.clz32(count - 1) : 0) / 8);
    this.isAll = [new Uint8Array(count), new Uint8Array(count)];
    this.place = new Int32Array(count).fill(-1);
    const order = Uint32Array.from(stack, (_, row) => row).sort((a, b) => node[a] - node[b]);
    this.rank = new Uint32Array(count);
    this.numberAt = new Uint32Array(count);
    order.forEach((row, at) => { this.rank[row] = at; });
    this.all = { node: node.slice(), state: state.slice(), attributes: attributes.slice() };
    order.forEach((row, at) => {
      this.all.node[at] = node[row];
      this.all.state[at] = state[row];
      this.all.attributes[at] = attributes[row];
    });
  }

  /** Rows as bytes, the lowest of each first. */
  read(reader: Reader, count: number): Uint32Array {
    const rows = new Uint32Array(count);
    for (let byte = 0; byte < this.bytes; byte++) {
      const plane = reader.raw(count);
      for (let i = 0; i < count; i++) rows[i] |= plane[i] << (8 * byte);
    }
    let most = 0;
    for (let i = 0; i < count; i++) if (rows[i] > most) most = rows[i];
    if (most >= this.count) throw new DamagedPage('a row is not there');
    return rows;
  }

  /** Parts of times: 0 as the run of its row before, 1 all, 2 nothing, `3 + n` other `n` nanoseconds. */
  parts(reader: Reader, of: 0 | 1, rows: Uint32Array, whole: Float64Array): Float64Array {
    const parts = new Float64Array(rows.length), isAll = this.isAll[of];
    for (let i = 0; i < parts.length; i++) {
      const code = reader.number();
      if (code === 1 || code === 2) isAll[rows[i]] = code === 1 ? 1 : 0;
      parts[i] = code > 2 ? code - 3 : isAll[rows[i]] ? whole[i] : 0;
    }
    return parts;
  }

  /** Their numbers among those of the thread, in the order in which these first appear. */
  number(rows: Uint32Array): Float64Array {
    const { place, ofThread } = this, numbers = new Float64Array(rows.length);
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i];
      if (place[row] < 0) place[row] = ofThread.push(row) - 1;
      numbers[i] = place[row];
    }
    return numbers;
  }

  /** The rows of the thread that ends here, in the order of their nodes, which is how they are added up; `runs` get these. */
  take(runs: Uint32Array): RowsOfThread {
    const { all, ofThread, rank } = this, count = ofThread.length, number = new Uint32Array(count);
    // Numbers alone are sorted many times as fast as by a function that compares them.
    const place = Uint32Array.from(ofThread);
    for (let i = 0; i < count; i++) place[i] = rank[ofThread[i]];
    place.sort();
    const rows: RowsOfThread = { node: new Int32Array(count), state: new Uint8Array(count), attributes: new Uint32Array(count), all, place };
    for (let at = 0; at < count; at++) {
      this.numberAt[place[at]] = at;
      rows.node[at] = all.node[place[at]];
      rows.state[at] = all.state[place[at]];
      rows.attributes[at] = all.attributes[place[at]];
    }
    for (let i = 0; i < count; i++) {
      number[i] = this.numberAt[rank[ofThread[i]]];
      this.place[ofThread[i]] = -1;
    }
    for (let i = 0; i < runs.length; i++) runs[i] = number[runs[i]];
    this.ofThread = [];
    return rows;
  }
}
