// Turns the data in the page's script tags into a Model, and the data of a process into the runs of its threads.
//
// What is in them, and in which order, is written by src/export/html/*.rs.
import { gunzipSync } from 'fflate';
import type { Block, Counters, Loss, Meta, Model, Process, Source, State, Thread } from './model';

/** The number of the meaning of the data. */
const FORMAT = 3;

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
  /** What runs that are summed have in common: a stack (the number of stacks: none), a state, a set of attributes. */
  rows: { node: Int32Array; state: Uint8Array; attributes: Uint32Array };
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
  private length = 0;
  private isZero = true;

  constructor(private column: Column = new Uint32Array(0)) {}

  /** Appends the first numbers of some. */
  push(numbers: Float64Array, count: number): void {
    let most = 0;
    for (let i = 0; i < count; i++) if (numbers[i] > most) most = numbers[i];
    this.isZero &&= most === 0;
    const needed = this.length + count, isLarge = this.column instanceof Float64Array || most >= 2 ** 32;
    if (needed > this.column.length || isLarge !== this.column instanceof Float64Array) {
      const room = Math.max(needed, Math.min(2 * needed, needed + MOST_SPARE)), before = this.column;
      this.column = isLarge ? new Float64Array(room) : new Uint32Array(room);
      this.column.set(before.subarray(0, this.length));
    }
    this.column.set(count < numbers.length ? numbers.subarray(0, count) : numbers, this.length);
    this.length = needed;
  }

  take(): Column {
    return this.column.slice(0, this.length);
  }

  /** The numbers; none where all are 0. */
  takeUnlessZero(): Column {
    return this.isZero ? new Uint32Array(0) : this.take();
  }
}

/** A growing column has room for no more numbers than this that are not there yet. */
const MOST_SPARE = 1 << 18;

/** The bytes that text in base64 stands for. */
function fromBase64(text: string): Uint8Array {
  const native = Uint8Array as unknown as { fromBase64?: (text: string) => Uint8Array };
  try {
    if (native.fromBase64) return native.fromBase64(text);
    const binary = atob(text);
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
    return bytes;
  } catch {
    throw new DamagedPage('a part of the data is not base64');
  }
}

/** Fewer bytes are unpacked without a stream. */
const SMALL = 1 << 16;

/** The bytes that a packed tag stands for. */
export async function unpack(text: string): Promise<Uint8Array> {
  const bytes = fromBase64(text);
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
  const blocks = decodeBlocks(core);
  const first = meta.base?.processes ?? 0;
  if (meta.base) countAs(stacks, core.column(new Uint32Array(functions.name.length)));
  const sources = sourceText === null ? new Map() : decodeSources(new Reader(await unpack(sourceText)));
  const known = processes.map((process, id): Process => ({ ...process, threads: [], counters: counters[id] }));
  threads.forEach((thread, id) => known[thread.process].threads.push(id));
  const shown = known.map((_, id) => id).slice(first);
  return { meta, shown, strings, functions, stacks, processes: known, threads, states, losses, tasks, taskOf, blocks, sources };
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
  const [ends, rowNumbers] = [new Growing(new Float64Array(0)), new Growing()];
  let isOrdered = true;
  for (let count = reader.count(), at = 0; count > 0; count = reader.count()) {
    const end = new Float64Array(count), wall = new Float64Array(count);
    for (let i = 0; i < count; i++) {
      const before = moments[at];
      at += reader.difference();
      end[i] = moments[at];
      if (end[i] === undefined || Number.isNaN(end[i])) throw new DamagedPage('a moment is not there');
      wall[i] = end[i] - before;
    }
    const row = rows.read(reader, count);
    const column = (name: (typeof SUMS)[number], numbers: Float64Array) => sums[name].push(numbers, count);
    column('samples', reader.column(new Float64Array(count)));
    if (reader.number() === 1) isOrdered = lengthen(reader, wall) && isOrdered;
    isOrdered &&= wall.every((time) => time >= 0);
    column('wall', wall);
    column('cpu', rows.parts(reader, 0, row, wall));
    column('gil', rows.parts(reader, 1, row, wall));
    for (const name of SUMS.slice(4)) column(name, reader.number() === 1 ? reader.column(new Float64Array(count)) : new Float64Array(count));
    rowNumbers.push(rows.number(row), count);
    ends.push(end, count);
  }
  const named = Object.fromEntries(SUMS.map((name) => [name, name === 'wall' ? sums[name].take() : sums[name].takeUnlessZero()]));
  const row = rowNumbers.take() as Uint32Array;
  return {
    ...(named as Record<(typeof SUMS)[number], Column>),
    end: ends.take() as Float64Array, row, rows: rows.take(row), isOrdered,
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
  private readonly node: Int32Array;
  private readonly state: Uint8Array;
  private readonly attributes: Uint32Array;
  /** How many bytes a row takes. */
  private readonly bytes: number;
  /** Of CPU and GIL time, by row: 1 where it was all of the time in the run before. */
  private readonly isAll: [Uint8Array, Uint8Array];
  /** The number of a row in the thread; -1: it has none. */
  private readonly place: Int32Array;
  private ofThread: number[] = [];

  /** A stack is one more than its number; 0: none. */
  constructor(reader: Reader, stacks: number) {
    const count = reader.count(), stack = reader.column(new Float64Array(count));
    if (stack.some((of) => of > stacks)) throw new DamagedPage('a stack is not there');
    this.node = Int32Array.from(stack, (of) => (of === 0 ? stacks : of - 1));
    this.state = reader.column(new Uint8Array(count));
    this.attributes = reader.column(new Uint32Array(count));
    this.bytes = Math.ceil((count > 1 ? 32 - Math.clz32(count - 1) : 0) / 8);
    this.isAll = [new Uint8Array(count), new Uint8Array(count)];
    this.place = new Int32Array(count).fill(-1);
  }

  /** Rows as bytes, the lowest of each first. */
  read(reader: Reader, count: number): Uint32Array {
    const rows = new Uint32Array(count);
    for (let byte = 0; byte < this.bytes; byte++) {
      const plane = reader.raw(count);
      for (let i = 0; i < count; i++) rows[i] += plane[i] * 2 ** (8 * byte);
    }
    if (rows.some((row) => row >= this.node.length)) throw new DamagedPage('a row is not there');
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
  take(runs: Uint32Array): PackedRuns['rows'] {
    const { node, state, attributes, ofThread } = this;
    const order = Uint32Array.from(ofThread, (_, number) => number).sort((a, b) => node[ofThread[a]] - node[ofThread[b]]);
    const place = new Uint32Array(order.length);
    order.forEach((number, at) => { place[number] = at; });
    for (let i = 0; i < runs.length; i++) runs[i] = place[runs[i]];
    for (const row of ofThread) this.place[row] = -1;
    this.ofThread = [];
    const rows = order.map((number) => ofThread[number]);
    return { node: Int32Array.from(rows, (row) => node[row]), state: Uint8Array.from(rows, (row) => state[row]), attributes: Uint32Array.from(rows, (row) => attributes[row]) };
  }
}
