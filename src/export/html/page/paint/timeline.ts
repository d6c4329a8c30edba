// Turns what threads, memory and cores did over time into lanes on one axis.

import type { Counters, Model } from '../model';
import type { Timeline } from '../state';
import { classColour, stateColour, type Paper } from '../theme';
import { bytes, span, ticks } from '../words';
import { FONT_SIZE, type Surface } from './surface';

/** Left of the lanes, for their names. */
export const GUTTER = 168;
export const AXIS_HEIGHT = 30;
export const LANE_HEIGHT = 16;
const GAP = 5;

export interface Lane { id: 'activity' | 'memory' | 'cores' | 'gil' | 'io'; name: string; height: number }

/** Values over time of one process, or of several as the least, the mean and the most. */
export interface Band { low: Float64Array; mean: Float64Array; high: Float64Array; top: number; sum: Float64Array }

/** What a band is made of: the level of a counter, or how fast two that only grow do. */
const COUNTERS = {
  resident: { values: (of: Counters) => of.resident, isRate: false },
  cpu: { values: (of: Counters) => of.cpu, isRate: true },
  io: { values: (of: Counters) => of.readCalls.map((read, i) => (read || 0) + (of.writeCalls[i] || 0)), isRate: true },
};

/** Brings a counter of all processes to bins; NaN where nothing is known. Of a rate, what was added in each bin. */
export function band(model: Model, which: keyof typeof COUNTERS, from: number, to: number, bins: number): Band {
  const low = new Float64Array(bins).fill(NaN), high = low.slice(), mean = low.slice(), sum = new Float64Array(bins), known = new Uint32Array(bins);
  const { values: valuesOf, isRate } = COUNTERS[which];
  let top = 0, topValue = -1;
  for (const p of model.shown) {
    const { counters } = model.processes[p];
    const values = (isRate ? added : levels)(counters.at, valuesOf(counters), from, to, bins);
    let whole = 0;
    for (let b = 0; b < bins; b++) {
      const value = values[b];
      if (Number.isNaN(value)) continue;
      known[b]++;
      sum[b] += value;
      if (!(value >= low[b])) low[b] = value;
      if (!(value <= high[b])) high[b] = value;
      whole = isRate ? whole + value : Math.max(whole, value);
    }
    if (whole > topValue) [top, topValue] = [p, whole];
  }
  for (let b = 0; b < bins; b++) if (known[b]) mean[b] = sum[b] / known[b];
  return { low, mean, high, top, sum };
}

/** The largest value in each bin; that of the reading before where a bin has none, up to the last reading. */
function levels(time: Float64Array, values: Float64Array, from: number, to: number, bins: number): Float64Array {
  const out = new Float64Array(bins).fill(NaN), width = (to - from) / bins;
  let last = NaN, at = 0;
  for (let b = 0; b < bins; b++) {
    const end = from + (b + 1) * width;
    let most = NaN;
    while (at < time.length && time[at] <= end) {
      last = values[at];
      if (time[at] >= from && !(last <= most)) most = last;
      at++;
    }
    if (at < time.length || !Number.isNaN(most)) out[b] = Number.isNaN(most) ? last : most;
  }
  return out;
}

/** What a counter grew by in each bin: growth is even between two readings. */
function added(time: Float64Array, values: Float64Array, from: number, to: number, bins: number): Float64Array {
  const out = new Float64Array(bins).fill(NaN), width = (to - from) / bins;
  for (let i = 1; i < time.length; i++) {
    const [start, end, growth] = [Math.max(from, time[i - 1]), Math.min(to, time[i]), values[i] - values[i - 1]];
    if (!(end > start) || !(growth >= 0)) continue;
    const last = Math.min(bins - 1, Math.floor((end - from) / width));
    for (let b = Math.floor((start - from) / width); b <= last; b++) {
      const held = Math.min(end, from + (b + 1) * width) - Math.max(start, from + b * width);
      if (held > 0) out[b] = (out[b] || 0) + growth * held / (time[i] - time[i - 1]);
    }
  }
  return out;
}

export interface TimelineInput { model: Model; timeline: Timeline; width: number; paper: Paper; memory: Band; cores: Band | null; io: Band | null; lanes: Lane[]; byClass: boolean }

/** Whole points: else there are seams between bins. */
const xOf = (input: TimelineInput, bin: number) => Math.round(GUTTER + bin / input.timeline.bins * (input.width - GUTTER));

/** Ticks with their times, and below them the lanes of the whole. */
export function paintOverview(on: Surface, input: TimelineInput): void {
  const { timeline, width, paper, lanes } = input, scale = (width - GUTTER) / (timeline.to - timeline.from);
  for (const at of ticks(timeline.from, timeline.to, (width - GUTTER) / 90)) {
    const x = GUTTER + (at - timeline.from) * scale;
    on.rect(x, AXIS_HEIGHT - 8, 1, 8, paper.faint);
    on.text(x + 3, AXIS_HEIGHT - 6, span(at), paper.faint, 80);
  }
  paintMarks(on, input);
  let y = AXIS_HEIGHT;
  for (const lane of lanes) {
    on.rect(GUTTER, y + lane.height - 1, width - GUTTER, 1, paper.rule);
    on.text(8, y + FONT_SIZE + 3, lane.name, paper.ink, GUTTER - 14);
    if (lane.id === 'activity') paintActivity(on, input, y, lane.height);
    if (lane.id === 'memory') paintMemory(on, input, y, lane.height);
    if (lane.id === 'cores' && input.cores) paintCores(on, input, y, lane.height, input.cores);
    if (lane.id === 'gil') paintPart(on, input, y, lane.height, timeline.gil);
    if (lane.id === 'io' && input.io) paintIo(on, input, y, lane.height, input.io);
    y += lane.height + GAP;
  }
}

export function overviewHeight(lanes: Lane[]): number {
  return AXIS_HEIGHT + lanes.reduce((sum, lane) => sum + lane.height + GAP, 0);
}

/** The colours of the marks above the lanes. */
export const MARKS = {
  lost: ({ ground }: Paper) => stateColour('gil', ground),
  blocked: ({ ink }: Paper) => ink,
  collecting: ({ ground }: Paper) => stateColour('collecting', ground),
};

/** The time in which threads collected garbage, by bin. */
export function collecting(model: Model, { states, bins }: Timeline): Float64Array {
  const state = model.states.findIndex(({ word }) => word === 'collecting');
  return states.subarray(state * bins, (state + 1) * bins);
}

/** From top to bottom: losses, blocked event loops, garbage collection; starts and ends of processes over all of them. */
function paintMarks(on: Surface, input: TimelineInput): void {
  const { timeline, width, paper, model } = input, scale = (width - GUTTER) / (timeline.to - timeline.from);
  for (const loss of model.losses) {
    if (loss.at < timeline.from || loss.at > timeline.to) continue;
    on.rect(GUTTER + (loss.at - timeline.from) * scale, 0, 2, 4, MARKS.lost(paper));
  }
  for (const { from, to } of model.blocks) {
    const [start, end] = [Math.max(from, timeline.from), Math.min(to, timeline.to)];
    if (end > start) on.rect(GUTTER + (start - timeline.from) * scale, 5, Math.max(2, (end - start) * scale), 3, MARKS.blocked(paper));
  }
  collecting(model, timeline).forEach((time, b) => {
    if (time > 0) on.rect(xOf(input, b), 9, Math.max(2, xOf(input, b + 1) - xOf(input, b)), 3, MARKS.collecting(paper));
  });
  if (model.shown.length === 1) return;
  for (const process of model.shown.map(p => model.processes[p])) {
    for (const at of [process.start_ns, process.end_ns]) {
      const isEnd = at === process.end_ns;
      if (at <= timeline.from || at >= timeline.to) continue;
      on.rect(GUTTER + (at - timeline.from) * scale, isEnd ? 2 : 0, isEnd ? 3 : 1.5, isEnd ? 3 : 7, paper.accent);
    }
  }
}

/** Threads by state, stacked, and the cores in use as a line over them. */
function paintActivity(on: Surface, input: TimelineInput, y: number, height: number): void {
  const { timeline, model, paper } = input, { bins, cpu } = timeline, times = input.byClass && timeline.classes ? timeline.classes : timeline.states;
  const isByClass = times === timeline.classes, states = times.length / bins, binWidth = (timeline.to - timeline.from) / bins;
  const colour = (s: number) => isByClass ? classColour(s, model.classes.length, paper.ground) : stateColour(model.states[s].word, paper.ground);
  let most = 1;
  for (let b = 0; b < bins; b++) {
    let sum = 0;
    for (let s = 0; s < states; s++) sum += times[s * bins + b];
    most = Math.max(most, sum / binWidth, cpu[b] / binWidth);
  }
  const base = y + height - 1, unit = (height - 3) / most;
  for (let b = 0; b < bins; b++) {
    const x = xOf(input, b), next = xOf(input, b + 1);
    let top = base;
    for (let s = 0; s < states; s++) {
      const part = times[s * bins + b] / binWidth * unit;
      if (part < 0.05) continue;
      on.rect(x, top - part, next - x, part, colour(s));
      top -= part;
    }
  }
  const points: number[] = [];
  const group = Math.max(1, Math.round(bins / 200));
  for (let b = 0; b < bins; b += group) {
    let sum = 0;
    const end = Math.min(bins, b + group);
    for (let i = b; i < end; i++) sum += cpu[i];
    const level = base - sum / binWidth / (end - b) * unit;
    points.push(xOf(input, b), level, xOf(input, end), level);
  }
  on.path(points, paper.ink, 1.3);
  on.text(8, y + 2 * FONT_SIZE + 6, `up to ${most <= 1.05 ? '1 thread' : `${Number(most.toFixed(1))} threads`}`, paper.faint, GUTTER - 14);
  on.text(8, y + 3 * FONT_SIZE + 9, '— cores busy', paper.faint, GUTTER - 14);
}

/** The lowest limit of a process, where memory came within a third of it. */
function limitOf(model: Model, peak: number): number | null {
  const limits = model.shown.map(p => model.processes[p].memory_limit).filter(it => it !== null && it < 3 * peak);
  return limits.length ? Math.min(...limits as number[]) : null;
}

function paintMemory(on: Surface, input: TimelineInput, y: number, height: number): void {
  const { memory, paper, model } = input, many = model.shown.length > 1, base = y + height - 1;
  const known = (many ? memory.high : memory.mean).filter(it => !Number.isNaN(it)), peak = known.reduce((a, b) => Math.max(a, b), 0);
  const limit = limitOf(model, peak);
  const unit = (height - 4) / Math.max(1, limit ?? 0, peak), line = (values: Float64Array) => {
    const points: number[] = [];
    values.forEach((value, b) => { if (!Number.isNaN(value)) points.push(xOf(input, b + 0.5), base - value * unit); });
    return points;
  };
  if (many) {
    memory.high.forEach((high, b) => {
      if (!Number.isNaN(high)) on.rect(xOf(input, b), base - high * unit, xOf(input, b + 1) - xOf(input, b), (high - memory.low[b]) * unit + 1, paper.rule);
    });
  } else on.path(line(memory.mean), paper.rule, 1, base);
  on.path(line(memory.mean), paper.accent, 1.4);
  if (limit !== null) on.path([GUTTER, base - limit * unit, input.width, base - limit * unit], paper.ink, 1, undefined, [4, 3]);
  on.text(8, y + 2 * FONT_SIZE + 6, peak ? `peak ${bytes(peak)}${limit ? ` of ${bytes(limit)}` : ''}` : 'not known', paper.faint, GUTTER - 14);
}

/** A part of each bin, from nothing to all of it, or of several processes to the most. */
function paintPart(on: Surface, input: TimelineInput, y: number, height: number, values: Float64Array): void {
  const { timeline, paper } = input, binWidth = values.reduce((most, it) => Math.max(most, it), (timeline.to - timeline.from) / timeline.bins);
  for (let b = 0; b < timeline.bins; b++) {
    const part = values[b] / binWidth * (height - 2);
    if (part > 0.2) on.rect(xOf(input, b), y + height - 1 - part, xOf(input, b + 1) - xOf(input, b), part, stateColour('python', paper.ground));
  }
}

/** Cores that each process uses: the least, the mean and the most. */
function paintCores(on: Surface, input: TimelineInput, y: number, height: number, { low, mean, high }: Band): void {
  const { timeline, paper } = input, width = (timeline.to - timeline.from) / timeline.bins, points: number[] = [];
  const unit = (height - 2) / high.reduce((most, it) => Math.max(most, it || 0), width), base = y + height - 1;
  high.forEach((most, b) => {
    if (Number.isNaN(most)) return;
    on.rect(xOf(input, b), base - most * unit, xOf(input, b + 1) - xOf(input, b), Math.max(1, (most - low[b]) * unit), stateColour('native', paper.ground));
    points.push(xOf(input, b), base - mean[b] * unit, xOf(input, b + 1), base - mean[b] * unit);
  });
  on.path(points, paper.ink, 1.2);
}

function paintIo(on: Surface, input: TimelineInput, y: number, height: number, io: Band): void {
  const most = io.sum.reduce((a, b) => Math.max(a, b), 1), { paper } = input;
  io.sum.forEach((value, b) => {
    const part = value / most * (height - 2);
    if (part > 0.2) on.rect(xOf(input, b), y + height - 1 - part, xOf(input, b + 1) - xOf(input, b), part, stateColour('network', paper.ground));
  });
}

/** A lane of one thread: in each bin the states, stacked by how long each was. `times`: state by state, bin by bin. */
export function paintThread(on: Surface, input: TimelineInput, times: Float64Array | undefined, y: number, thread: number, name: string, isChosen: boolean): void {
  const { timeline, model, paper } = input;
  on.text(8, y + FONT_SIZE + 1, name, isChosen ? paper.ink : paper.faint, GUTTER - 14, isChosen);
  if (!times) return;
  const bins = times.length / model.states.length, height = LANE_HEIGHT - 3;
  const edge = (bin: number) => Math.round(GUTTER + bin / bins * (input.width - GUTTER));
  const length = (timeline.to - timeline.from) / bins;
  for (let b = 0; b < bins; b++) {
    let top = y + height + 1;
    model.states.forEach((state, s) => {
      const tall = times[s * bins + b] / length * height;
      if (tall < 0.05) return;
      on.rect(edge(b), top - tall, edge(b + 1) - edge(b), tall, stateColour(state.word, paper.ground));
      top -= tall;
    });
  }
  const scale = (input.width - GUTTER) / (timeline.to - timeline.from);
  for (const block of model.blocks) {
    const [start, end] = [Math.max(block.from, timeline.from), Math.min(block.to, timeline.to)];
    if (block.thread === thread && end > start) on.rect(GUTTER + (start - timeline.from) * scale, y, Math.max(2, (end - start) * scale), 2, MARKS.blocked(paper));
  }
}
