// Draws the time axis on top of the page: what everything did, and the range that all other views show.

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';

import type { Thread } from '../model';
import { canvasSurface } from '../paint/surface';
import { band, collecting, GUTTER, MARKS, LANE_HEIGHT, overviewHeight, paintOverview, paintThread, type Lane, type TimelineInput } from '../paint/timeline';
import { savePicture } from '../save';
import { activityBy, axis, cursor, ground, laneOf, model, paper, range, states, status, threads, timeline } from '../state';
import { classColour, stateColour } from '../theme';
import { bytes, percent, plural, short, span } from '../words';
import { className, useSize } from './parts';

/** Rows of threads that are in sight before anybody scrolls. */
const ROWS = 5;

/** A saved picture has the lanes of so many threads, those with most CPU time. */
const MAX_SAVED = 200;

/** A drag that is shorter, in points, is a click. */
const MIN_DRAG = 4;

export function threadName(of: Thread): string {
  const { processes, shown } = model.value, process = processes[of.process];
  const where = shown.length === 1 ? '' : process.rank !== null ? `rank ${process.rank} ` : `${process.pid} `;
  return where + short(of.name || (of.is_main ? 'MainThread' : `thread ${of.tid ?? '?'}`), 40);
}

/** `rank 3`, or `process 4242`. */
function processWord(of: number): string {
  const process = model.value.processes[of];
  return process.rank !== null ? `rank ${process.rank}` : `process ${process.pid}`;
}

/** Threads from the most to the least CPU time; the main thread of equal ones first. */
function byLoad(): number[] {
  const { threads: all, processes, shown } = model.value;
  // Threads that never ran Python have no runs, and no lane.
  return shown.flatMap(p => processes[p].threads).filter(t => all[t].totals.samples > 0 || all[t].is_main).sort((a, b) => all[b].totals.cpu_ns - all[a].totals.cpu_ns || Number(all[b].is_main) - Number(all[a].is_main) || a - b);
}

/** The bins of a lane. */
const LANE_BINS = 300;

/** The lanes of the threads that are in sight, as they come. */
function useLanes(wanted: number[]): Map<number, Float64Array> {
  const of = timeline.value, [lanes, setLanes] = useState({ of, map: new Map<number, Float64Array>() });
  const map = lanes.of === of ? lanes.map : new Map<number, Float64Array>();
  const missing = wanted.filter(thread => !map.has(thread));
  useEffect(() => {
    if (!of || !missing.length) return;
    let isCurrent = true;
    void Promise.all(missing.map(async thread => [thread, await laneOf(thread, of, LANE_BINS)] as const)).then(list => {
      if (isCurrent) setLanes({ of, map: new Map([...map, ...list]) });
    });
    return () => { isCurrent = false; };
  }, [of, missing.join()]);
  return map;
}

export function TimelineView() {
  const [box, width] = useSize<HTMLDivElement>();
  const lanesBox = useRef<HTMLDivElement>(null), overview = useRef<HTMLCanvasElement>(null), rows = useRef<HTMLCanvasElement>(null);
  const [top, setTop] = useState(0), [isTall, setTall] = useState(false);
  const of = timeline.value, at = model.value;
  const memory = useMemo(() => of && band(at, 'resident', of.from, of.to, of.bins), [of]);
  const cores = useMemo(() => of && at.shown.length > 1 ? band(at, 'cpu', of.from, of.to, of.bins) : null, [of]);
  const io = useMemo(() => of && band(at, 'io', of.from, of.to, of.bins), [of]);
  const order = useMemo(byLoad, [at]);
  const lanes = useMemo<Lane[]>(() => {
    const list: Lane[] = [{ id: 'activity', name: 'activity', height: 58 }, { id: 'memory', name: at.shown.length > 1 ? 'memory, min to max' : 'memory', height: 32 }];
    if (cores?.high.some(it => it > 0)) list.push({ id: 'cores', name: `cores per ${at.processes.some(it => it.rank !== null) ? 'rank' : 'process'}`, height: 20 });
    if (of && of.gil.some(it => it > 0)) list.push({ id: 'gil', name: 'GIL held', height: 16 });
    if (io?.sum.some(it => it > 0)) list.push({ id: 'io', name: 'bytes read, written', height: 16 });
    return list;
  }, [of, io, cores]);
  const height = overviewHeight(lanes), shown = Math.min(order.length, isTall ? 20 : ROWS);
  const input: TimelineInput | null = of && memory && width > GUTTER ? { model: at, timeline: of, width, paper: paper.value, memory, cores, io, lanes, byClass: activityBy.value === 'class' } : null;

  const first = Math.floor(top / LANE_HEIGHT), times = useLanes(order.slice(first, first + shown + 1));
  useLayoutEffect(() => { if (input) paintOverview(canvasSurface(overview.current!, width, height), input); });
  useLayoutEffect(() => {
    if (!input) return;
    const on = canvasSurface(rows.current!, width, shown * LANE_HEIGHT);
    for (let row = first; row < Math.min(order.length, first + shown + 1); row++) {
      const thread = order[row];
      paintThread(on, input, times.get(thread), row * LANE_HEIGHT - top, thread, threadName(at.threads[thread]), threads.value?.has(thread) ?? false);
    }
  });
  const save = async (as: 'svg' | 'png') => {
    if (!input || !of) return;
    const saved = order.slice(0, MAX_SAVED), all = await Promise.all(saved.map(thread => laneOf(thread, of, LANE_BINS)));
    savePicture({
      name: 'timeline', width, height: height + saved.length * LANE_HEIGHT, back: paper.value.back,
      paint: on => {
        paintOverview(on, input);
        saved.forEach((thread, row) => paintThread(on, input, all[row], height + row * LANE_HEIGHT, thread, threadName(at.threads[thread]), false));
      },
    }, as);
  };
  /** What the thread does whose lane is at a height of the window. */
  const laneAt = (time: number, y: number | null): string => {
    const row = y === null || !of ? -1 : Math.floor((y - lanesBox.current!.getBoundingClientRect().top + top) / LANE_HEIGHT), lane = times.get(order[row]);
    if (row < Math.floor(top / LANE_HEIGHT) || !lane || !of) return '';
    const bin = Math.min(LANE_BINS - 1, Math.max(0, Math.floor((time - of.from) / (of.to - of.from) * LANE_BINS))), length = (of.to - of.from) / LANE_BINS;
    const parts = at.states.map(({ word }, s) => ({ word, part: lane[s * LANE_BINS + bin] / length })).filter(it => it.part > 0.02).sort((a, b) => b.part - a.part);
    return `${threadName(at.threads[order[row]])}: ${parts.slice(0, 3).map(it => `${percent(it.part, 1)} ${it.word}`).join(', ') || 'not there'}`;
  };
  return <section class="timeline" aria-label="timeline">
    <div class="axisbox" ref={box}>
      <Drag width={width} describe={(time, y) => [describe(input, time), laneAt(time, y)].filter(Boolean).join(' · ')}>
        <canvas ref={overview} role="img" aria-label={`activity, memory and cores over ${span(at.meta.duration_ns)}; the view Threads has the figures as a table`} />
        <div class="scroll lanes" ref={lanesBox} style={{ height: `${shown * LANE_HEIGHT}px` }} tabIndex={0} role="group" aria-label={`${plural(order.length, 'thread')}, one lane each`}
          onScroll={event => setTop(event.currentTarget.scrollTop)} onClick={event => pickThread(event, order)}>
          <div style={{ height: `${order.length * LANE_HEIGHT}px` }}><canvas class="sticky" ref={rows} aria-hidden="true" /></div>
        </div>
      </Drag>
    </div>
    <div class="tools">
      <Legend />
      <span class="grow" />
      {order.length > ROWS && <button aria-expanded={isTall} onClick={() => setTall(!isTall)}>{isTall ? 'fewer' : `all ${order.length} threads`}</button>}
      <button onClick={() => void save('svg')}>SVG</button><button onClick={() => void save('png')}>PNG</button>
    </div>
  </section>;
}

/** A click on the name of a thread shows that thread alone; another one, all again. */
function pickThread(event: MouseEvent, order: number[]): void {
  const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
  if (event.clientX - box.left > GUTTER) return;
  const row = Math.floor((event.clientY - box.top + (event.currentTarget as HTMLElement).scrollTop) / LANE_HEIGHT), thread = order[row];
  if (thread === undefined) return;
  const now = new Set(event.ctrlKey || event.shiftKey ? threads.value : []);
  if (threads.value?.has(thread)) now.delete(thread); else now.add(thread);
  threads.value = now.size && !(threads.value?.size === 1 && threads.value.has(thread)) ? now : null;
}

/** What the colours stand for. */
function Legend() {
  const { classes } = model.value, isByClass = activityBy.value === 'class';
  return <>
    {isByClass ? <Classes /> : <States />}
    {classes.length > 0 && <button aria-pressed={isByClass} title="the activity by class of native work instead of by state" onClick={() => { activityBy.value = isByClass ? 'state' : 'class'; }}>by class of work</button>}
  </>;
}

/** The classes of work that there are, most time first. */
function Classes() {
  const of = timeline.value, { classes } = model.value;
  if (!of?.classes) return null;
  const { bins, classes: times } = of, sums = [...classes, ''].map((_, c) => times.subarray(c * bins, (c + 1) * bins).reduce((a, b) => a + b, 0));
  const whole = sums.reduce((a, b) => a + b, 0), list = sums.map((sum, c) => ({ sum, c })).filter(it => it.sum > whole * 0.001).sort((a, b) => b.sum - a.sum);
  return <div class="legend" role="group" aria-label="classes of work">{list.map(({ sum, c }) =>
    <span key={c}><i class="swatch" style={{ background: classColour(c, classes.length, ground.value) }} />{className(c)} {percent(sum, whole)}</span>)}<Marks /></div>;
}

/** The states that there are, most time first; a click leaves the others out. */
function States() {
  const of = timeline.value, { states: all } = model.value;
  const sums = useMemo(() => {
    const sums = new Float64Array(all.length);
    of?.states.forEach((time, i) => { sums[Math.floor(i / of.bins)] += time; });
    return sums;
  }, [of]);
  const whole = sums.reduce((a, b) => a + b, 0);
  const list = all.map((state, s) => ({ state, s })).filter(it => sums[it.s] > whole * 0.001).sort((a, b) => sums[b.s] - sums[a.s]);
  return <div class="legend" role="group" aria-label="states">{list.map(({ state, s }) =>
    <button key={s} aria-pressed={states.value?.has(s) ?? false} title={`show the time of this state only: ${state.text}`}
      onClick={() => { states.value = states.value?.has(s) ? null : new Set([s]); }}>
      <i class="swatch" style={{ background: stateColour(state.word, ground.value) }} />{state.word}
    </button>)}<Marks /></div>;
}

/** What the marks above the lanes stand for, as far as there are any. */
function Marks() {
  const at = model.value, of = timeline.value, list: [keyof typeof MARKS, string][] = [];
  if (at.losses.length) list.push(['lost', 'lost']);
  if (at.blocks.length) list.push(['blocked', 'loop blocked']);
  if (of && collecting(at, of).some(time => time > 0)) list.push(['collecting', 'garbage collection']);
  return <>{list.map(([mark, words]) => <span key={mark} class="faint"><i class="swatch mark" style={{ background: MARKS[mark](paper.value) }} />{words}</span>)}</>;
}

/** What every lane says of a moment. */
function describe(input: TimelineInput | null, time: number): string {
  if (!input) return '';
  const { timeline: of, model: at, memory } = input, bin = Math.min(of.bins - 1, Math.max(0, Math.floor((time - of.from) / (of.to - of.from) * of.bins)));
  const width = (of.to - of.from) / of.bins, parts = [span(time)];
  const doing = at.states.map((state, s) => ({ word: state.word, number: of.states[s * of.bins + bin] / width }));
  for (const it of doing.filter(it => it.number > 0.05).sort((a, b) => b.number - a.number).slice(0, 3)) parts.push(`${it.number.toFixed(1)} ${it.word}`);
  parts.push(`${(of.cpu[bin] / width).toFixed(1)} cores`);
  if (input.cores && !Number.isNaN(input.cores.mean[bin])) {
    parts.push(`${(input.cores.low[bin] / width).toFixed(1)} to ${(input.cores.high[bin] / width).toFixed(1)} a process, most in ${processWord(input.cores.top)}`);
  }
  if (!Number.isNaN(memory.mean[bin])) {
    parts.push(at.shown.length > 1 ? `memory ${bytes(memory.low[bin])} to ${bytes(memory.high[bin])} a process, the peak in ${processWord(memory.top)}` : `memory ${bytes(memory.mean[bin])}`);
  }
  if (of.gil[bin] > 0) parts.push(`GIL held ${percent(of.gil[bin], width)}`);
  if (input.io && input.io.sum[bin] > 0) parts.push(`${bytes(input.io.sum[bin] / width * 1e9)} read and written a second`);
  const lost = at.losses.filter(loss => Math.abs(loss.at - time) <= width).slice(0, 2);
  const blocks = at.blocks.filter(block => block.from <= time && time <= block.to).slice(0, 2);
  parts.push(...blocks.map(block => `the loop of ${threadName(at.threads[block.thread])} blocked for ${span(block.to - block.from)}`));
  return [...parts, ...lost.map(loss => `lost: ${loss.count} ${loss.cause}`)].join(' · ');
}

/** The cursor through all lanes, and the range that a drag selects. Ctrl and the wheel zoom; arrow keys do both. */
function Drag({ width, describe, children }: { width: number; describe(time: number, y: number | null): string; children: preact.ComponentChildren }) {
  const box = useRef<HTMLDivElement>(null), [drag, setDrag] = useState<[number, number] | null>(null);
  const shown = axis.value ?? { from: 0, to: model.value.meta.duration_ns }, lanes = Math.max(1, width - GUTTER);
  const timeAt = (x: number) => shown.from + Math.max(0, Math.min(1, (x - box.current!.getBoundingClientRect().left - GUTTER) / lanes)) * (shown.to - shown.from);
  const xOf = (time: number) => GUTTER + Math.max(0, Math.min(1, (time - shown.from) / (shown.to - shown.from))) * lanes;
  const isInLanes = (x: number) => x - box.current!.getBoundingClientRect().left >= GUTTER;
  const move = (event: PointerEvent) => {
    cursor.value = isInLanes(event.clientX) || drag ? timeAt(event.clientX) : null;
    if (cursor.value !== null) status.value = describe(cursor.value, event.clientY);
    if (drag) setDrag([drag[0], event.clientX]);
  };
  const end = (event: PointerEvent) => {
    if (!drag) return;
    setDrag(null);
    const [from, to] = [drag[0], event.clientX].sort((a, b) => a - b);
    if (to - from >= MIN_DRAG) range.value = { from: timeAt(from), to: timeAt(to) };
  };
  useEffect(() => {
    // Only a listener that is not passive may keep the page from zooming.
    const wheel = (event: WheelEvent) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      zoom(timeAt(event.clientX), event.deltaY > 0 ? 1.4 : 1 / 1.4);
    };
    box.current!.addEventListener('wheel', wheel, { passive: false });
    return () => box.current?.removeEventListener('wheel', wheel);
  });
  const keys = (event: KeyboardEvent) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = Math.max(0, Math.min(model.value.meta.duration_ns, (cursor.value ?? shown.from) + step * (shown.to - shown.from) / 50));
    if (event.shiftKey) {
      const anchor = range.value ? (step > 0 ? range.value.from : range.value.to) : cursor.value ?? shown.from;
      const [from, to] = [anchor, next].sort((a, b) => a - b);
      if (to > from) range.value = { from, to };
    }
    cursor.value = next;
    status.value = describe(next, null);
  };
  const live = drag && [drag[0], drag[1]].sort((a, b) => a - b).map(timeAt), marked = live ? { from: live[0], to: live[1] } : range.value;
  return <div ref={box} class="drag" tabIndex={0} role="group" aria-label="time axis: arrow keys move the cursor, with Shift they select a range"
    onPointerDown={event => {
      if (event.button !== 0 || !isInLanes(event.clientX)) return;
      event.currentTarget.setPointerCapture(event.pointerId);
      setDrag([event.clientX, event.clientX]);
    }}
    onPointerMove={move} onPointerUp={end} onPointerCancel={() => setDrag(null)} onPointerLeave={() => { cursor.value = null; }}
    onDblClick={() => { if (range.value) axis.value = range.value; else axis.value = null; }} onKeyDown={keys}>
    {children}
    {marked && <>
      <div class="outside" style={{ left: `${GUTTER}px`, width: `${xOf(marked.from) - GUTTER}px` }} />
      <div class="outside" style={{ left: `${xOf(marked.to)}px`, right: '0' }} />
      <div class="edge" style={{ left: `${xOf(marked.from)}px` }} /><div class="edge" style={{ left: `${xOf(marked.to)}px` }} />
      <div class="rangelabel" style={{ left: `${xOf(marked.from) + 4}px` }}>{span(marked.to - marked.from)}</div>
    </>}
    {cursor.value !== null && <div class="cursor" style={{ left: `${xOf(cursor.value)}px` }} />}
  </div>;
}

export function zoom(around: number, factor: number): void {
  const end = model.value.meta.duration_ns, now = axis.value ?? { from: 0, to: end };
  const from = Math.max(0, around - (around - now.from) * factor), to = Math.min(end, around + (now.to - around) * factor);
  if (to - from < 1e5) return;
  axis.value = from === 0 && to === end ? null : { from, to };
}
