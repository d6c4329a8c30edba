// Turns the data in the page's script tags into a Model, and the data of a process into the runs of its threads.
//
// What is in them, and in which order, is written by src/export/html/*.rs.
import { gunzipSync } from 'fflate';
import type { Counters, Loss, Meta, Model, Process, Source, State, Thread } from './model';

/** The number of the meaning of the data. */
const FORMAT = 1;

/** The page is not whole, or not of this format. */
export class DamagedPage extends Error {}

/** What the tag `meta` holds. */
interface MetaTag extends Meta {
  format: number;
  states: State[];
  processes: Omit<Process, 'threads' | 'counters'>[];
  threads: Thread[];
}

/** Numbers in narrow columns: most take one or two bytes. */
export type Column = Uint8Array | Uint16Array | Uint32Array | Float64Array;

/** The runs of a thread, as they are written. */
export interface PackedRuns {
  /** In ascending order where `isOrdered`. */
  end: Float64Array;
  wall: Column;
  cpu: Column;
  gil: Column;
  samples: Column;
  /** Into `rows`. */
  row: Column;
  helpers: Column;
  blockedOthers: Column;
  grown: Column;
  shrunk: Column;
  unsure: Column;
  /** What runs that are summed have in common: a stack (-1: none), a state, a set of attributes. */
  rows: { stack: Int32Array; state: Uint8Array; attributes: Uint32Array };
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

  differences(count: number): Float64Array {
    const column = new Float64Array(count);
    for (let i = 0, before = 0; i < count; i++) column[i] = before += this.difference();
    return column;
  }
}

/** As narrow as the numbers allow. */
function narrow(numbers: Float64Array): Column {
  let max = 0;
  for (const number of numbers) if (number > max) max = number;
  if (max < 1 << 8) return Uint8Array.from(numbers);
  if (max < 1 << 16) return Uint16Array.from(numbers);
  return max < 2 ** 32 ? Uint32Array.from(numbers) : numbers.slice();
}

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
  const sources = sourceText === null ? new Map() : decodeSources(new Reader(await unpack(sourceText)));
  const known = processes.map((process, id): Process => ({ ...process, threads: [], counters: counters[id] }));
  threads.forEach((thread, id) => known[thread.process].threads.push(id));
  return { meta, strings, functions, stacks, processes: known, threads, states, losses, sources };
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

/** The runs of the threads of a process, in the order of its threads. */
export function decodeRuns(bytes: Uint8Array, threads: number): PackedRuns[] {
  const reader = new Reader(bytes);
  return Array.from({ length: threads }, () => decodeThread(reader));
}

/** How many columns a run has. */
const COLUMNS = 13;

/** The runs come in chunks; an empty one is the end. */
function decodeThread(reader: Reader): PackedRuns {
  const chunks: Float64Array[][] = [];
  for (let count = reader.count(); count > 0; count = reader.count()) {
    const late = Float64Array.from({ length: count }, () => reader.difference());
    const others = Array.from({ length: COLUMNS - 1 }, () => reader.column(new Float64Array(count)));
    chunks.push([late, ...others]);
  }
  const columns = Array.from({ length: COLUMNS }, (_, column) => joined(chunks.map((chunk) => chunk[column])));
  const [late, stack, state, attributes, samples, wall, cpu, gil, helpers, blocked, grown, shrunk, unsure] = columns;
  const end = new Float64Array(late.length);
  let isOrdered = true;
  for (let i = 0, before = 0; i < end.length; i++) {
    isOrdered &&= late[i] >= 0;
    before = end[i] = before + wall[i] + late[i];
  }
  const part = (codes: Float64Array) => codes.map((code, i) => (code === 0 ? wall[i] : code === 1 ? 0 : code - 2));
  return {
    end, samples: narrow(samples), wall: narrow(wall), cpu: narrow(part(cpu)), gil: narrow(part(gil)),
    ...rowsOf(stack, state, attributes), helpers: narrow(helpers), blockedOthers: narrow(blocked),
    grown: narrow(grown), shrunk: narrow(shrunk), unsure: narrow(unsure), isOrdered,
  };
}

function joined(chunks: Float64Array[]): Float64Array {
  if (chunks.length === 1) return chunks[0];
  const whole = new Float64Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

/** Numbers what is equal, in the order in which it first appears. A stack is one more than its number; 0: none. */
function rowsOf(
  stack: Float64Array, state: Float64Array, attributes: Float64Array,
): Pick<PackedRuns, 'row' | 'rows'> {
  const known = new Map<string | number, number>();
  const row = new Float64Array(stack.length);
  const first: number[] = [];
  for (let i = 0; i < stack.length; i++) {
    // There are fewer than 32 states.
    const short = stack[i] * 32 + state[i];
    const key = attributes[i] === 0 ? short : `${short} ${attributes[i]}`;
    let number = known.get(key);
    if (number === undefined) {
      known.set(key, (number = first.length));
      first.push(i);
    }
    row[i] = number;
  }
  return {
    row: narrow(row),
    rows: {
      stack: Int32Array.from(first, (i) => stack[i] - 1),
      state: Uint8Array.from(first, (i) => state[i]),
      attributes: Uint32Array.from(first, (i) => attributes[i]),
    },
  };
}
