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
  parent: number[]; function: number[]; line: number[]; self: number[]; total: number[]; depth: number[];
  /** The total of what it is compared with; 0 where it is with nothing. */
  before: number[];
  /** Where it begins, in the unit of `total`. */
  start: number[];
  children: number[][];
  /** The frames of each depth, from left to right. */
  levels: number[][];
  labels: string[];
}

/** More frames than this are not made of an inverted tree. */
const MAX_FRAMES = 300_000;

/** A frame that is a smaller part of the whole is drawn as a part of its parent in the inverted tree. */
const MIN_SHARE = 1e-4;

export function flame(model: Model, known: Index, groups: Group[], transforms: Transforms): Flame {
  const out: Flame = { parent: [-1], function: [WHOLE], line: [0], self: [0], total: [0], before: [0], depth: [0], start: [0], children: [], levels: [], labels: ['all'] };
  const builder = new Builder(model, known, out, transforms);
  for (const group of groups) {
    const root = groups.length === 1 ? 0 : builder.group(group.label);
    if (transforms.inverted) builder.inverted(root, group.self);
    else builder.upright(root, group);
    if (transforms.focus === null) builder.withoutFrames(root, group.self[model.stacks.parent.length] ?? 0);
  }
  layOut(out);
  return out;
}

class Builder {
  private readonly known = new Map<number, number>();
  private readonly keys: number;

  /** What frames of one parent are told apart by: the function or the line of a node. */
  private readonly keyOf: ArrayLike<number>;

  constructor(private readonly model: Model, private readonly index: Index, private readonly out: Flame, private readonly transforms: Transforms) {
    this.keyOf = (transforms.byLine ? index.lines : index.functions).of;
    // The last key is that of deeper callers.
    this.keys = 1 + (transforms.byLine ? index.lines : index.functions).count;
  }

  group(label: string): number {
    const id = this.add(0, GROUP, 0);
    this.out.labels[id] = label;
    return id;
  }

  private add(parent: number, of: number, line: number): number {
    const { out } = this, id = out.parent.length;
    out.parent.push(parent);
    out.function.push(of);
    out.line.push(line);
    out.self.push(0);
    out.total.push(0);
    out.before.push(0);
    out.depth.push(out.depth[parent] + 1);
    return id;
  }

  /** The frame of a stack node below another frame. */
  private child(parent: number, node: number): number {
    const { function: functions, line } = this.model.stacks;
    return this.keyed(parent, this.keyOf[node], functions[node], line[node]);
  }

  private keyed(parent: number, key: number, of: number, line: number): number {
    const place = parent * this.keys + key;
    let id = this.known.get(place);
    if (id === undefined) {
      id = this.add(parent, of, line);
      this.known.set(place, id);
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
        if (out.parent.length >= MAX_FRAMES || (self[i] < least && out.depth[at] > 2)) {
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
    if (time > 0) this.out.self[this.add(root, NO_FRAMES, 0)] += time;
  }

  private isUnder(node: number, focus: number): boolean {
    for (let at = node; at >= 0; at = this.model.stacks.parent[at]) if (this.model.stacks.function[at] === focus) return true;
    return false;
  }
}

/** Totals, and the children of each frame from the longest to the shortest. */
function layOut(out: Flame): void {
  const n = out.parent.length;
  for (let i = 0; i < n; i++) out.total[i] = out.self[i];
  for (let i = n - 1; i > 0; i--) {
    out.total[out.parent[i]] += out.total[i];
    out.before[out.parent[i]] += out.before[i];
  }
  out.children = Array.from({ length: n }, () => []);
  for (let i = 1; i < n; i++) out.children[out.parent[i]].push(i);
  let level = [0];
  out.start[0] = 0;
  while (level.length) {
    out.levels.push(level);
    const next: number[] = [];
    for (const frame of level) {
      let at = out.start[frame];
      const children = out.children[frame];
      if (children.length > 1) children.sort((a, b) => out.total[b] - out.total[a]);
      for (const child of children) {
        out.start[child] = at;
        at += out.total[child];
        next.push(child);
      }
    }
    level = next;
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
