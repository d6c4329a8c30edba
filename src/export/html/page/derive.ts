// Turns the self times of stack nodes into the rows of tables: functions, lines, callers and callees.

import { byClass, type Classes, classesOf, rollUp } from './aggregate';
import { type Aggregate, Kind, type Model, NONE, Origin } from './model';

/** What holds of the stacks whatever is selected. */
export interface Index {
  functions: Classes;
  /** Lines of source: those of one file and number, in whatever functions, are one. */
  lines: Classes;
  /** What each of them is; the function is the first one found. */
  lineRows: { file: number; line: number; function: number }[];
  /** Their numbers by `file:line`. */
  lineIds: Map<string, number>;
  /** By function: its nodes. */
  nodes: Int32Array[];
  owners: Int32Array;
  insideImports: Uint8Array;
}

export function index(model: Model): Index {
  const { stacks, functions } = model, { parent, function: of, line } = stacks, count = functions.name.length;
  const lineIds = new Map<string, number>(), lineRows: Index['lineRows'] = [], lineOf = new Int32Array(parent.length);
  const sizes = new Uint32Array(count);
  for (let i = 0; i < parent.length; i++) {
    const f = of[i], file = functions.file[f];
    sizes[f]++;
    // Without a file only the function tells a line from others.
    const key = file !== NONE ? `${file}:${line[i]}` : `f${f}:${line[i]}`;
    let id = lineIds.get(key);
    if (id === undefined) {
      id = lineRows.length;
      lineRows.push({ file, line: line[i], function: f });
      lineIds.set(key, id);
    }
    lineOf[i] = id;
  }
  const nodes = Array.from(sizes, size => new Int32Array(size));
  sizes.fill(0);
  for (let i = 0; i < parent.length; i++) nodes[of[i]][sizes[of[i]]++] = i;
  return { functions: classesOf(stacks, of, count), lines: classesOf(stacks, lineOf, lineRows.length), lineRows, lineIds, nodes, owners: ownersOf(model), insideImports: insideImports(model) };
}

export interface Sums { self: Float64Array; total: Float64Array }
export interface Table { time: Sums; cpu: Sums; wall: Sums; samples: Sums; grown: Sums; shrunk: Sums }

/** A table whose columns are made when they are looked at. */
export function table(model: Model, classes: Classes, { self, totals }: Aggregate): Table {
  const once = (column: Float64Array) => {
    let sums: Sums | null = null;
    return () => (sums ??= byClass(model.stacks, classes, column));
  };
  const [time, cpu, wall, samples, grown, shrunk] = [totals.self, self.cpu, self.wall, self.samples, self.grown, self.shrunk].map(once);
  return {
    get time() { return time(); },
    get cpu() { return cpu(); },
    get wall() { return wall(); },
    get samples() { return samples(); },
    get grown() { return grown(); },
    get shrunk() { return shrunk(); },
  };
}

/** By node: the innermost node of the user's own code at or above it; −1: none. */
function ownersOf(model: Model): Int32Array {
  const { parent, function: functions } = model.stacks, owner = new Int32Array(parent.length);
  for (let i = 0; i < owner.length; i++) {
    const isOwn = model.functions.origin[functions[i]] === Origin.Own;
    owner[i] = isOwn ? i : parent[i] >= 0 ? owner[parent[i]] : -1;
  }
  return owner;
}

/** The time of each class of the user's own code, with the libraries that it calls: each moment counts for one class. */
export function ownTimes(owners: Int32Array, classes: Classes, self: Float64Array): Float64Array {
  const times = new Float64Array(classes.count);
  for (let i = 0; i < owners.length; i++) if (owners[i] >= 0) times[classes.of[owners[i]]] += self[i];
  return times;
}

/** The own times of nodes, those of hidden nodes at what called them. */
export function withoutHidden(model: Model, self: Float64Array, hidden: Uint8Array): Float64Array {
  const out = self.slice(), { parent } = model.stacks;
  for (let i = parent.length - 1; i >= 0; i--) {
    if (!hidden[i]) continue;
    out[parent[i]] += out[i];
    out[i] = 0;
  }
  return out;
}

export interface Neighbour { function: number; time: number }

/** Who calls the function, and what it calls, with the time of those calls; the most first. */
export function neighbours(model: Model, known: Index, aggregate: Aggregate, of: number): { callers: Neighbour[]; callees: Neighbour[] } {
  const { parent, function: functions } = model.stacks;
  const callers = new Map<number, number>(), callees = new Map<number, number>();
  const add = (map: Map<number, number>, key: number, time: number) => map.set(key, (map.get(key) ?? 0) + time);
  for (const i of known.nodes[of]) {
    const caller = parent[i] < 0 ? -1 : functions[parent[i]];
    if (caller !== of && known.functions.outermost[i]) add(callers, caller, aggregate.totals.total[i]);
  }
  for (let i = 0; i < parent.length; i++) {
    const p = parent[i];
    if (p < 0 || functions[p] !== of || functions[i] === of || aggregate.totals.total[i] === 0) continue;
    if (isOutermostCall(parent, functions, i)) add(callees, functions[i], aggregate.totals.total[i]);
  }
  const sorted = (map: Map<number, number>) => [...map].map(([f, time]) => ({ function: f, time }))
    .filter(it => it.time > 0).sort((a, b) => b.time - a.time);
  return { callers: sorted(callers), callees: sorted(callees) };
}

/** Whether the same call (caller and callee) is not in progress further up. */
export function isOutermostCall(parent: Int32Array, functions: Uint32Array, node: number): boolean {
  const callee = functions[node], caller = functions[parent[node]];
  for (let i = parent[node]; i >= 0 && parent[i] >= 0; i = parent[i]) {
    if (functions[i] === callee && functions[parent[i]] === caller) return false;
  }
  return true;
}

export interface Call { caller: number; callee: number; time: number }

/** 1 for each node that an import runs, but not for that of the import itself. */
function insideImports(model: Model): Uint8Array {
  const { parent, function: functions } = model.stacks, inside = new Uint8Array(parent.length);
  for (let i = 0; i < parent.length; i++) {
    const p = parent[i];
    if (p >= 0) inside[i] = inside[p] || (model.functions.kind[functions[p]] === Kind.Import ? 1 : 0);
  }
  return inside;
}

/** The calls between the functions chosen, but for those in nodes that are hidden. */
export function calls(model: Model, aggregate: Aggregate, among: Set<number>, hidden: Uint8Array | null): Call[] {
  const { parent, function: functions } = model.stacks, sums = new Map<number, number>();
  const size = model.functions.name.length;
  for (let i = 0; i < parent.length; i++) {
    const p = parent[i];
    if (p < 0 || hidden?.[i] || aggregate.totals.total[i] === 0 || functions[p] === functions[i]) continue;
    if (!among.has(functions[p]) || !among.has(functions[i]) || !isOutermostCall(parent, functions, i)) continue;
    const key = functions[p] * size + functions[i];
    sums.set(key, (sums.get(key) ?? 0) + aggregate.totals.total[i]);
  }
  return [...sums].map(([key, time]) => ({ caller: Math.floor(key / size), callee: key % size, time }));
}

/** For each of the classes: the total by column of cells (by node), each stack counted once for each class in it. */
export function spread(model: Model, classes: Classes, keys: number[], columns: Float64Array[]): Map<number, Float64Array> {
  const rows = new Map(keys.map(key => [key, new Float64Array(columns.length)]));
  if (keys.length === 0) return rows;
  const { of, outermost, count } = classes, rowOf: (Float64Array | undefined)[] = Array.from({ length: count }, (_, key) => rows.get(key));
  columns.forEach((column, c) => {
    if (column.length === 0) return;
    const total = rollUp(model.stacks, column);
    for (let i = 0; i < total.length; i++) {
      const row = outermost[i] && total[i] > 0 ? rowOf[of[i]] : undefined;
      if (row) row[c] += total[i];
    }
  });
  return rows;
}

/** What a text finds among names: a part of it, or `/…/` as a regular expression. `null`: it is no such expression. */
export function matcher(text: string): ((name: string) => boolean) | null {
  if (!text) return () => false;
  const regex = /^\/(.+)\/(i?)$/.exec(text);
  if (!regex) {
    const small = text.toLowerCase();
    return name => name.toLowerCase().includes(small);
  }
  try {
    const expression = new RegExp(regex[1], regex[2]);
    // A name is as long as the target likes, and an expression may take long for each character.
    return name => expression.test(name.slice(0, 1000));
  } catch {
    return null;
  }
}

/** The time of all stacks in which a function is, each counted once. */
export function shareOf(model: Model, aggregate: Aggregate, hit: Uint8Array): number {
  const { parent, function: functions } = model.stacks, inside = new Uint8Array(parent.length);
  let time = 0;
  for (let i = 0; i < parent.length; i++) {
    inside[i] = hit[functions[i]] || (parent[i] >= 0 ? inside[parent[i]] : 0);
    if (inside[i]) time += aggregate.totals.self[i];
  }
  return time;
}
