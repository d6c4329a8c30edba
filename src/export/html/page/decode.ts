// Turns the data in the page's script tags into a Model, and the data of a process into the runs of its threads.
//
// What is in them, and in which order, is written by src/export/html/*.rs.
import { gunzipSync } from 'fflate';
import type { Block, Counters, Loss, Meta, Model, Process, Source, State, Thread } from './model';

/** The number of the meaning of the data. */
const FORMAT = 2;

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

  signed(count: number): Float64Array {
    const column = new Float64Array(count);
    for (let i = 0; i < count; i++) column[i] = this.difference();
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

/** The bytes that a packed tag stands for. */
export async function unpack(text: string): Promise<Uint8Array> {
  const bytes = fromBase64(text);
  try {
    if (typeof DecompressionStream === 'undefined') return gunzipSync(bytes);
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
  const reader = new Reader(bytes), numbering = new Rows(stacks);
  return Array.from({ length: threads }, () => decodeThread(reader, numbering));
}

/** The columns of a run behind those of which its row is made, in the order in which they are written. */
const SUMS = ['samples', 'wall', 'cpu', 'gil', 'helpers', 'blockedOthers', 'grown', 'shrunk', 'unsure'] as const;

/** The runs come in chunks; an empty one is the end. */
function decodeThread(reader: Reader, numbering: Rows): PackedRuns {
  const sums = SUMS.map((name) => ({ name, column: new Growing() }));
  const [ends, rowNumbers] = [new Growing(new Float64Array(0)), new Growing()];
  let isOrdered = true;
  for (let count = reader.count(), before = 0; count > 0; count = reader.count()) {
    const column = () => reader.column(new Float64Array(count));
    const late = reader.signed(count);
    rowNumbers.push(numbering.number(column(), column(), column()), count);
    let wall = late;
    for (const { name, column: into } of sums) {
      const numbers = column();
      if (name === 'wall') wall = numbers;
      if (name === 'cpu' || name === 'gil') decodeParts(numbers, wall);
      into.push(numbers, count);
    }
    for (let i = 0; i < count; i++) {
      isOrdered &&= late[i] >= 0;
      before = late[i] += before + wall[i];
    }
    ends.push(late, count);
  }
  const named = Object.fromEntries(sums.map(({ name, column }) => [name, column.takeUnlessZero()]));
  return {
    ...(named as Record<(typeof SUMS)[number], Column>),
    end: ends.take() as Float64Array, row: rowNumbers.take() as Uint32Array, rows: numbering.take(), isOrdered,
  };
}

/** Makes times of parts of a whole: 0 is all of it, 1 nothing, `2 + n` other `n` nanoseconds. */
function decodeParts(codes: Float64Array, whole: Float64Array): void {
  for (let i = 0; i < codes.length; i++) codes[i] = codes[i] === 0 ? whole[i] : codes[i] === 1 ? 0 : codes[i] - 2;
}

/** Numbers the runs of one thread after another: those of one stack, state and set of attributes are one row. */
class Rows {
  /** By stack, that without one first: the newest row; -1: none. */
  private readonly newest: Int32Array;
  private node: number[] = [];
  private state: number[] = [];
  private attributes: number[] = [];
  /** By row: an earlier one of the same stack; -1: none. */
  private earlier: number[] = [];

  constructor(private readonly stacks: number) {
    this.newest = new Int32Array(stacks + 1).fill(-1);
  }

  /** Brings stacks (one more than their number; 0: none) to rows, in the order in which these first appear. */
  number(stack: Float64Array, state: Float64Array, attributes: Float64Array): Float64Array {
    for (let i = 0; i < stack.length; i++) {
      const of = stack[i];
      if (of > this.stacks) throw new DamagedPage('a stack is not there');
      let row = this.newest[of];
      while (row >= 0 && (this.state[row] !== state[i] || this.attributes[row] !== attributes[i])) row = this.earlier[row];
      if (row < 0) {
        row = this.node.push(of === 0 ? this.stacks : of - 1) - 1;
        this.state.push(state[i]);
        this.attributes.push(attributes[i]);
        this.earlier.push(this.newest[of]);
        this.newest[of] = row;
      }
      stack[i] = row;
    }
    return stack;
  }

  /** The rows of the thread that ends here. */
  take(): PackedRuns['rows'] {
    for (const node of this.node) this.newest[node === this.stacks ? 0 : node + 1] = -1;
    const { node, state, attributes } = this;
    [this.node, this.state, this.attributes, this.earlier] = [[], [], [], []];
    return { node: Int32Array.from(node), state: Uint8Array.from(state), attributes: Uint32Array.from(attributes) };
  }
}
