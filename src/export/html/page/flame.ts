// Turns the self times of stack nodes into the frames of a flame graph: merged, inverted, grouped, and where they lie.

import { rollUp } from './aggregate';
import type { Index } from './derive';
import type { Model } from './model';

export interface Transforms {
  byLine: boolean; inverted: boolean; collapse: boolean;
  /** An import is one frame, without what it runs. */
  foldImports: boolean; hidden: Set<number>;
  /** Only what this function does, from there on down. */
  focus: number | null;
}

/** `self` by stack node, and at the end what had no Python frame; `before`: the same of what it is compared with. */
export interface Group { label: string; self: Float64Array; before?: Float64Array }

/** What a frame is that is no function. */
export const WHOLE = -1;
export const GROUP = -2;
export const DEEPER = -3;
export const NO_FRAMES = -4;

export interface Flame {
  /** By frame, parent before child; frame 0 is the whole. */
  parent: Int32Array; function: Int32Array; line: Uint32Array; self: Float64Array; total: Float64Array; depth: Int32Array;
  /** The total of what it is compared with; 0 where it is with nothing. */
  before: Float64Array;
  /** Where it begins, in the unit of `total`. */
  start: Float64Array;
  /** The children of a frame, from the longest to the shortest. */
  children(frame: number): Int32Array;
  /** The frames of each depth, from left to right. */
  levels: Int32Array[];
  labels: string[];
}

/** Frames of which more and more are found, column by column. */
class Frames {
  count = 0;
  parent = new Int32Array(1 << 10);
  function = new Int32Array(1 << 10);
  line = new Uint32Array(1 << 10);
  depth = new Int32Array(1 << 10);
  self = new Float64Array(1 << 10);
  before = new Float64Array(1 << 10);
  readonly labels = ['all'];

  constructor() {
    this.add(-1, WHOLE, 0);
  }

  add(parent: number, of: number, line: number): number {
    if (this.count === this.parent.length) this.grow();
    const id = this.count++;
    this.parent[id] = parent;
    this.function[id] = of;
    this.line[id] = line;
    this.depth[id] = parent < 0 ? 0 : this.depth[parent] + 1;
    return id;
  }

  private grow(): void {
    const room = 2 * this.count, longer = <C extends Int32Array | Uint32Array | Float64Array>(column: C, into: C): C => { into.set(column); return into; };
    this.parent = longer(this.parent, new Int32Array(room));
    this.function = longer(this.function, new Int32Array(room));
    this.line = longer(this.line, new Uint32Array(room));
    this.depth = longer(this.depth, new Int32Array(room));
    this.self = longer(this.self, new Float64Array(room));
    this.before = longer(this.before, new Float64Array(room));
  }
}

/** More frames than this are not made of an inverted tree. */
const MAX_FRAMES = 300_000;

/** A frame that is a smaller part of the whole is drawn as a part of its parent in the inverted tree. */
const MIN_SHARE = 1e-4;

export function flame(model: Model, known: Index, groups: Group[], transforms: Transforms): Flame {
  const out = new Frames(), builder = new Builder(model, known, out, transforms);
  for (const group of groups) {
    const root = groups.length === 1 ? 0 : builder.group(group.label);
    if (transforms.inverted) builder.inverted(root, group.self);
    else builder.upright(root, group);
    if (transforms.focus === null) builder.withoutFrames(root, group.self[model.stacks.parent.length] ?? 0);
  }
  return laidOut(out);
}

/** Numbers by two others, none of which is negative. */
class Pairs {
  private size = 1 << 12;
  private count = 0;
  /** Place by place: the two, and one more than what they stand for; 0: nothing is there. */
  private cells = new Int32Array(3 * this.size);

  get(a: number, b: number): number | undefined {
    const found = this.cells[this.place(a, b) + 2];
    return found > 0 ? found - 1 : undefined;
  }

  set(a: number, b: number, value: number): void {
    if (++this.count * 2 > this.size) this.grow();
    const at = this.place(a, b);
    this.cells[at] = a;
    this.cells[at + 1] = b;
    this.cells[at + 2] = value + 1;
  }

  /** Where the two are, or may be put. */
  private place(a: number, b: number): number {
    const { cells, size } = this;
    let at = (Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca6b)) >>> 0;
    at = (at ^ (at >>> 15)) & (size - 1);
    while (cells[3 * at + 2] > 0 && (cells[3 * at] !== a || cells[3 * at + 1] !== b)) at = (at + 1) & (size - 1);
    return 3 * at;
  }

  private grow(): void {
    const { cells } = this;
    this.size *= 4;
    this.cells = new Int32Array(3 * this.size);
    for (let i = 0; i < cells.length; i += 3) if (cells[i + 2] > 0) this.cells.set(cells.subarray(i, i + 3), this.place(cells[i], cells[i + 1]));
  }
}

class Builder {
  private readonly known = new Pairs();
  private readonly keys: number;

  /** What frames of one parent are told apart by: the function or the line of a node. */
  private readonly keyOf: ArrayLike<number>;

  constructor(private readonly model: Model, private readonly index: Index, private readonly out: Frames, private readonly transforms: Transforms) {
    this.keyOf = (transforms.byLine ? index.lines : index.functions).of;
    // The last key is that of deeper callers.
    this.keys = 1 + (transforms.byLine ? index.lines : index.functions).count;
  }

  group(label: string): number {
    const id = this.out.add(0, GROUP, 0);
    this.out.labels[id] = label;
    return id;
  }

  /** The frame of a stack node below another frame. */
  private child(parent: number, node: number): number {
    const { function: functions, line } = this.model.stacks;
    return this.keyed(parent, this.keyOf[node], functions[node], line[node]);
  }

  private keyed(parent: number, key: number, of: number, line: number): number {
    let id = this.known.get(parent, key);
    if (id === undefined) {
      id = this.out.add(parent, of, line);
      this.known.set(parent, key, id);
    }
    return id;
  }

  upright(root: number, { self, before }: Group): void {
    const { parent, function: functions } = this.model.stacks, { out, transforms } = this;
    const all = before ? self.map((time, i) => time + before[i]) : self;
    const total = rollUp(this.model.stacks, all), frames = new Int32Array(parent.length).fill(-1);
    const inFocus = transforms.focus === null;
    for (let i = 0; i < frames.length; i++) {
      if (total[i] <= 0) continue;
      const above = parent[i] >= 0 ? frames[parent[i]] : inFocus ? root : -1;
      const begins = above < 0 && functions[i] === transforms.focus;
      if (above < 0 && !begins) continue;
      const under = begins ? root : above;
      const same = transforms.collapse && out.function[under] === functions[i];
      frames[i] = same || this.isHidden(i) ? under : this.child(under, i);
      out.self[frames[i]] += self[i];
      if (before) out.before[frames[i]] += before[i];
    }
  }

  inverted(root: number, self: Float64Array): void {
    const { parent, function: functions } = this.model.stacks, { out, transforms } = this;
    const least = self.reduce((sum, it) => sum + it, 0) * MIN_SHARE;
    for (let i = 0; i < parent.length; i++) {
      if (self[i] <= 0 || (transforms.focus !== null && !this.isUnder(i, transforms.focus))) continue;
      let at = root;
      for (let node = i; node >= 0; node = parent[node]) {
        const of = functions[node];
        if (this.isHidden(node) || (transforms.collapse && out.function[at] === of)) continue;
        if (out.count >= MAX_FRAMES || (self[i] < least && out.depth[at] > 2)) {
          at = this.keyed(at, this.keys - 1, DEEPER, 0);
          break;
        }
        at = this.child(at, node);
      }
      out.self[at] += self[i];
    }
  }

  private isHidden(node: number): boolean {
    const { hidden, foldImports } = this.transforms;
    return (foldImports && this.index.insideImports[node] === 1) || hidden.has(this.model.stacks.function[node]);
  }

  withoutFrames(root: number, time: number): void {
    if (time > 0) this.out.self[this.out.add(root, NO_FRAMES, 0)] += time;
  }

  private isUnder(node: number, focus: number): boolean {
    for (let at = node; at >= 0; at = this.model.stacks.parent[at]) if (this.model.stacks.function[at] === focus) return true;
    return false;
  }
}

/** Totals, and where each frame lies: children from the longest to the shortest. */
function laidOut({ count, labels, ...of }: Frames): Flame {
  const parent = of.parent.subarray(0, count), depth = of.depth.subarray(0, count), self = of.self.subarray(0, count), before = of.before.subarray(0, count);
  const total = self.slice(), start = new Float64Array(count), children = new Int32Array(count), first = new Int32Array(count);
  for (let i = count - 1; i > 0; i--) {
    total[parent[i]] += total[i];
    before[parent[i]] += before[i];
    children[parent[i]]++;
  }
  const byDepth = inBuckets(depth), levels = [Int32Array.of(0)], filled = new Int32Array(count);
  for (let level = 1; level < byDepth.length; level++) {
    const above = levels[level - 1], row = new Int32Array(byDepth[level].length);
    for (let i = 0, at = 0; i < above.length; at += children[above[i]], i++) first[above[i]] = at;
    for (const frame of byDepth[level]) row[first[parent[frame]] + filled[parent[frame]]++] = frame;
    for (const frame of above) {
      const [from, to] = [first[frame], first[frame] + children[frame]];
      if (to - from > 1) longestFirst(row, from, to, total);
      for (let i = from, at = start[frame]; i < to; at += total[row[i]], i++) start[row[i]] = at;
    }
    levels.push(row);
  }
  return {
    parent, depth, self, before, total, start, levels, labels, function: of.function.subarray(0, count), line: of.line.subarray(0, count),
    children: (frame) => levels[depth[frame] + 1]?.subarray(first[frame], first[frame] + children[frame]) ?? new Int32Array(0),
  };
}

/** The frames of each depth, in their order. */
function inBuckets(depth: Int32Array): Int32Array[] {
  const sizes: number[] = [];
  for (let i = 0; i < depth.length; i++) sizes[depth[i]] = (sizes[depth[i]] ?? 0) + 1;
  const buckets = sizes.map((size) => new Int32Array(size)), filled = new Int32Array(sizes.length);
  for (let i = 0; i < depth.length; i++) buckets[depth[i]][filled[depth[i]]++] = i;
  return buckets;
}

/** Fewer frames than this are sorted one by one. */
const FEW = 16;

function longestFirst(row: Int32Array, from: number, to: number, total: Float64Array): void {
  if (to - from > FEW) {
    row.subarray(from, to).sort((a, b) => total[b] - total[a]);
    return;
  }
  for (let i = from + 1; i < to; i++) {
    const frame = row[i];
    let at = i;
    for (; at > from && total[row[at - 1]] < total[frame]; at--) row[at] = row[at - 1];
    row[at] = frame;
  }
}

/** The frame of a level in which `at` lies; −1: none. */
export function frameAt(of: Flame, level: number, at: number): number {
  const row = of.levels[level];
  if (!row) return -1;
  let low = 0, high = row.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1, frame = row[middle];
    if (at < of.start[frame]) high = middle - 1;
    else if (at >= of.start[frame] + of.total[frame]) low = middle + 1;
    else return frame;
  }
  return -1;
}

/** The first place of a level whose frame ends behind `at`. */
export function firstBehind(of: Flame, level: number, at: number): number {
  const row = of.levels[level];
  let low = 0, high = row.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (of.start[row[middle]] + of.total[row[middle]] > at) high = middle;
    else low = middle + 1;
  }
  return low;
}
