// The data of the page, as the views see them. decode.ts makes a Model of what rsamp wrote.
//
// Times are nanoseconds since the start of the recording, as float64: exact below 2^53, which is 104 days.

/** What stands for "not known" in a Uint32Array. */
export const NONE = 0xffffffff;

/** What is said of the recording. Names are rsamp's (src/export/html/meta.rs). */
export interface Meta {
  rsamp: string;
  title: string;
  command: string;
  /** Short facts, as "Python 3.11.7" and "100 Hz". */
  facts: string[];
  /** In milliseconds since 1970; 0: not known. */
  started_unix_ms: number;
  duration_ns: number;
  /** The time that the report was asked to show. */
  mode: Mode;
  /** Whether threads, states or stacks were left out of the report. */
  is_part: boolean;
  /** Whether the recording has its end. */
  is_complete: boolean;
  /** Runs are exact within a step of this length; null: to the nanosecond. */
  step_ns: number | null;
  /** Whether it is not known when stacks were seen: each is there once. */
  has_no_times: boolean;
  rates: string | null;
  /** What is wrong with the recording; null: nothing. */
  health: string | null;
  /** Sentences, the one that costs most first. */
  findings: string[];
  lost: Record<string, number>;
  undetermined: Record<string, number>;
  damaged_events: number;
  samples_effective: number;
  pauses: number;
  skipped_processes: number;
  not_measured: { process: number; what: string; why: string }[];
  totals: Sums;
  /** The recording that this one is compared with; it has the first processes. */
  base: { name: string; processes: number } | null;
  /** What rsamp left out of its own totals. */
  idle_waits_ns: number;
}

export interface Sums {
  samples: number;
  wall_ns: number;
  cpu_ns: number;
  gil_ns: number;
}

export type Mode = 'wall' | 'cpu' | 'gil';

/** What a thread may be doing. Its number is its place in Model.states. */
export interface State {
  /** One word, as users name it: "python", "gil", "lock". */
  word: string;
  /** In words: "waiting for the GIL". */
  text: string;
  is_wait: boolean;
  /** Whether a wait in it may cost nobody anything. */
  is_idle_wait: boolean;
}

export const enum Origin {
  Own = 0,
  Package = 1,
  StandardLibrary = 2,
  Native = 3,
  Mark = 4,
}

export const enum Kind {
  Python = 0,
  Native = 1,
  /** Not a function: frames that were left out, time that was not sampled. */
  Mark = 2,
  /** The import of a module. */
  Import = 3,
}

/** Columns of equal length, one row for each function. */
export interface Functions {
  /** Into Model.strings. */
  name: Uint32Array;
  /** Into Model.strings; NONE: not known. */
  file: Uint32Array;
  /** The package, or the path of the native library: into Model.strings; NONE: neither. */
  owner: Uint32Array;
  /** NONE: not known. */
  firstLine: Uint32Array;
  /** Origin */
  origin: Uint8Array;
  /** Kind */
  kind: Uint8Array;
}

/** What a blocked main thread costs at a stack. */
export const enum Wait {
  Counts = 0,
  Idle = 1,
  /** Idle where the thread does nothing else for 99 % of its time. */
  Serves = 2,
}

/** The tree of stacks. A node is a function at a line, called from its parent. */
export interface Stacks {
  /** Less than the node's own number; -1: the outermost frame. */
  parent: Int32Array;
  function: Uint32Array;
  /** NONE: not known. */
  line: Uint32Array;
  /** Wait */
  wait: Uint8Array;
}

export interface Process {
  pid: number;
  /** "process 4242 (node1 rank 3: python run.py)" */
  label: string;
  command: string;
  python: string;
  rank: number | null;
  launch: string | null;
  host: string | null;
  parent: number | null;
  usable_cpus: number | null;
  memory_limit: number | null;
  start_ns: number;
  end_ns: number;
  /** Into Model.threads. */
  threads: number[];
  counters: Counters;
}

/** Readings of a process over time: columns of equal length, in time order. NaN: not known. */
export interface Counters {
  at: Float64Array;
  resident: Float64Array;
  peak: Float64Array;
  anonymous: Float64Array;
  /** CPU time of all threads since the process started. */
  cpu: Float64Array;
  /** Threads that ran or were ready to run. */
  runnable: Float64Array;
  readCalls: Float64Array;
  writeCalls: Float64Array;
  storageRead: Float64Array;
  storageWritten: Float64Array;
  minorFaults: Float64Array;
  majorFaults: Float64Array;
  voluntarySwitches: Float64Array;
  forcedSwitches: Float64Array;
}

export interface Thread {
  process: number;
  tid: number | null;
  name: string;
  is_main: boolean;
  /** null: never sampled. */
  start_ns: number | null;
  end_ns: number;
  totals: Sums;
}

export interface Loss {
  at: number;
  cause: string;
  count: number;
}

export interface Block {
  thread: number;
  from: number;
  to: number;
}

/** The known text of a file. */
export interface Source {
  /** lines[0] is line `first`; undefined: not known. */
  lines: (string | undefined)[];
  first: number;
  /** What rsamp says of the text, as that the file has changed since; empty: nothing. */
  note: string;
}

export interface Model {
  meta: Meta;
  /** The processes that are shown, into `processes`: those of the recording itself, without the ones of its base. */
  shown: number[];
  strings: string[];
  functions: Functions;
  stacks: Stacks;
  processes: Process[];
  threads: Thread[];
  states: State[];
  losses: Loss[];
  /** The names of asyncio tasks. */
  tasks: string[];
  /** By set of attributes: its task, into `tasks`; NONE: it has none. */
  taskOf: Uint32Array;
  /** The classes of native work (BLAS, MPI …), and the one of each set of attributes, as with tasks. */
  classes: string[];
  classOf: Uint32Array;
  /** When a task kept the event loop of its thread from serving others. */
  blocks: Block[];
  /** By name of the file. */
  sources: Map<string, Source>;
}

/** What is shown. */
export interface Selection {
  from: number;
  to: number;
  /** null: all. */
  threads: Set<number> | null;
  processes: Set<number> | null;
  mode: Mode;
  /** Whether idle waits count. */
  idle: boolean;
  states: Set<number> | null;
  /** Into Model.tasks; what belongs to no task is one more than the last. */
  tasks: Set<number> | null;
}

/** The sums over samples, each as a column by stack node, thread, or whatever else. */
export interface Columns {
  samples: Float64Array;
  wall: Float64Array;
  cpu: Float64Array;
  gil: Float64Array;
  /** CPU time of threads without Python frames that worked for these meanwhile. */
  helpers: Float64Array;
  /** Time for which other threads waited for the GIL that these held. */
  blockedOthers: Float64Array;
  grown: Float64Array;
  shrunk: Float64Array;
  /** The part of grown that may be due to another stack. */
  unsure: Float64Array;
}

/** The time of one mode by stack node. */
export interface Totals {
  self: Float64Array;
  total: Float64Array;
  sum: number;
  samples: number;
}

/** What a selection holds. */
export interface Aggregate {
  /** The time of the selection's mode. */
  totals: Totals;
  /** By stack node, and at the end what had no Python frame: what a node holds itself. */
  self: Columns;
  /** Wall time by state, each by stack node as in `self`. */
  states: Float64Array[];
  /** By thread. */
  threads: Columns;
  /** The time of the selection's mode by task, and at the end that of none. */
  tasks: Float64Array;
  /** The time of each class of native work, and at the end of what belongs to none. */
  classes: Float64Array;
  /** Idle waits that were left out: wall time. */
  idle_ns: number;
}
