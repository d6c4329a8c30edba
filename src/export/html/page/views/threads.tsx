// Draws threads, processes and ranks as tables, and the functions by process as a grid of heat.

import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';

import { canvasSurface } from '../paint/surface';
import { aggregate, functionsOf, ground, mode, model, processes, range, select, selected, selection, statesOf, status, tasks, threads } from '../state';
import { heat } from '../theme';
import { bytes, percent, seconds, short } from '../words';
import { processName } from './flame';
import { peakOf } from './memory';
import { className, nameOf, Share, StateBar, Table, taskName, type Column } from './parts';
import { threadName } from './timeline';

/** State bars are asked for so many threads or processes, the ones with most time. */
const MAX_BARS = 200;

/** What a change of the selection gives for each of some rows; empty until it is there. */
function useEach(rows: number[], ask: (row: number) => Promise<Float64Array>): Map<number, Float64Array> {
  const now = aggregate.value, wanted = rows.join(), [all, setAll] = useState({ now, wanted, map: new Map<number, Float64Array>() });
  useEffect(() => {
    let isCurrent = true;
    void Promise.all(rows.map(async row => [row, await ask(row)] as const)).then(list => { if (isCurrent) setAll({ now, wanted, map: new Map(list) }); });
    return () => { isCurrent = false; };
  }, [now, wanted]);
  return all.now === now && all.wanted === wanted ? all.map : new Map();
}

function toggle(now: Set<number> | null, id: number): Set<number> | null {
  return now?.has(id) && now.size === 1 ? null : new Set([id]);
}

export function ThreadsView() {
  return <div class="columns scroll" tabIndex={0} role="group" aria-label="threads and processes">
    <h2>Threads</h2>
    <p class="faint">A click shows one thread in all views; a second click shows all again.</p>
    <Threads />
    {model.value.tasks.length > 0 && <><h2>asyncio tasks</h2><Tasks /></>}
    {model.value.classes.length > 0 && <><h2>Kinds of work</h2><Classes /></>}
    {model.value.shown.length > 1 && <><h2>Processes{model.value.shown.some(p => model.value.processes[p].rank !== null) ? ' and ranks' : ''}</h2><Processes /><Grid /></>}
  </div>;
}

function Threads() {
  const now = aggregate.value, { threads: all, shown, processes: known } = model.value;
  const rows = shown.flatMap(p => known[p].threads).filter(t => all[t].totals.samples > 0 || all[t].is_main);
  const load = (t: number) => now?.threads[mode.value][t] ?? 0;
  const bars = useEach([...rows].sort((a, b) => all[b].totals.wall_ns - all[a].totals.wall_ns).slice(0, MAX_BARS), t => statesOf({ threads: new Set([t]), idle: true }));
  if (!now) return null;
  const span = selection.value.to - selection.value.from;
  const columns: Column<number>[] = [
    { id: 'time', head: mode.value === 'wall' ? 'time' : mode.value, title: 'its time in the selection, idle waits left out', numeric: true, width: '74px', value: load, cell: t => <Share time={load(t)} whole={now.totals.sum} />, text: t => load(t) / 1e9 },
    { id: 'seconds', head: 's', numeric: true, width: '74px', value: load, cell: t => seconds(load(t), now.totals.sum) },
    { id: 'cpu', head: 'CPU s', numeric: true, width: '74px', value: t => now.threads.cpu[t], cell: t => seconds(now.threads.cpu[t], now.totals.sum), text: t => now.threads.cpu[t] / 1e9 },
    { id: 'cores', head: 'cores', title: 'CPU time of the thread and of native threads that worked for it, by time', numeric: true, width: '62px', value: t => (now.threads.cpu[t] + now.threads.helpers[t]) / span, cell: t => ((now.threads.cpu[t] + now.threads.helpers[t]) / span).toFixed(2) },
    { id: 'blocked', head: 'blocked others', title: 'for how long others waited for the GIL that it held', numeric: true, width: '126px', value: t => now.threads.blockedOthers[t], cell: t => seconds(now.threads.blockedOthers[t], now.totals.sum), text: t => now.threads.blockedOthers[t] / 1e9 },
    { id: 'states', head: 'states, with idle waits', width: '186px', value: () => 0, cell: t => <StateBar times={bars.get(t) ?? []} width={150} /> },
    { id: 'name', head: 'thread', value: t => threadName(all[t]), cell: t => <bdi class={all[t].is_main ? 'own' : ''}>{threadName(all[t])}</bdi>, text: t => threadName(all[t]) },
    { id: 'tid', head: 'TID', numeric: true, width: '78px', value: t => all[t].tid ?? 0, cell: t => all[t].tid ?? '?', text: t => all[t].tid ?? '' },
  ];
  return <Table label="threads" file="threads" rows={rows} columns={columns} sortBy="time" keyOf={t => t} isSelected={t => threads.value?.has(t) ?? false} onPick={t => { threads.value = toggle(threads.value, t); }} />;
}

/** The time of asyncio tasks: those of one name are one. */
function Tasks() {
  const now = aggregate.value, { tasks: names } = model.value;
  if (!now) return null;
  const rows = Array.from(now.tasks, (_, task) => task).filter(task => now.tasks[task] > 0);
  const columns: Column<number>[] = [
    { id: 'time', head: 'time', title: 'its time in the selection', numeric: true, width: '74px', value: task => now.tasks[task], cell: task => <Share time={now.tasks[task]} whole={now.totals.sum} />, text: task => now.tasks[task] / 1e9 },
    { id: 'seconds', head: 's', numeric: true, width: '74px', value: task => now.tasks[task], cell: task => seconds(now.tasks[task], now.totals.sum) },
    { id: 'name', head: 'task', value: taskName, cell: task => <bdi class={task < names.length ? 'own' : 'faint'}>{taskName(task)}</bdi>, text: taskName },
  ];
  return <Table label="asyncio tasks" file="tasks" rows={rows} columns={columns} sortBy="time" keyOf={task => task} isSelected={task => tasks.value?.has(task) ?? false} onPick={task => { tasks.value = toggle(tasks.value, task); }} />;
}

/** The time of classes of native work. */
function Classes() {
  const now = aggregate.value;
  if (!now) return null;
  const rows = Array.from(now.classes, (_, c) => c).filter(c => now.classes[c] > 0);
  const columns: Column<number>[] = [
    { id: 'time', head: 'time', title: 'its time in the selection', numeric: true, width: '74px', value: c => now.classes[c], cell: c => <Share time={now.classes[c]} whole={now.totals.sum} />, text: c => now.classes[c] / 1e9 },
    { id: 'seconds', head: 's', numeric: true, width: '74px', value: c => now.classes[c], cell: c => seconds(now.classes[c], now.totals.sum) },
    { id: 'name', head: 'class of work, by library and function', value: className, cell: c => <bdi>{className(c)}</bdi>, text: className },
  ];
  return <Table label="kinds of work" file="classes" rows={rows} columns={columns} sortBy="time" keyOf={c => c} />;
}

function timeOfProcess(p: number, of: Float64Array): number {
  return model.value.processes[p].threads.reduce((sum, t) => sum + of[t], 0);
}

function Processes() {
  const now = aggregate.value, { processes: all, shown: rows } = model.value;
  const bars = useEach(rows.slice(0, MAX_BARS), p => statesOf({ processes: new Set([p]), idle: true }));
  if (!now) return null;
  const load = all.map((_, p) => timeOfProcess(p, now.threads[mode.value])), cpu = all.map((_, p) => timeOfProcess(p, now.threads.cpu));
  const busy = load.filter(it => it > 0), mean = busy.reduce((a, b) => a + b, 0) / Math.max(1, busy.length);
  const columns: Column<number>[] = [
    { id: 'time', head: 'time', numeric: true, width: '74px', value: p => load[p], cell: p => <Share time={load[p]} whole={now.totals.sum} />, text: p => load[p] / 1e9 },
    { id: 'seconds', head: 's', numeric: true, width: '74px', value: p => load[p], cell: p => seconds(load[p], now.totals.sum) },
    { id: 'mean', head: 'of mean', title: 'its time by the mean of the processes with any', numeric: true, width: '74px', value: p => load[p] / mean, cell: p => mean ? `${(load[p] / mean).toFixed(2)} ×` : '' },
    { id: 'cpu', head: 'CPU s', numeric: true, width: '74px', value: p => cpu[p], cell: p => seconds(cpu[p], now.totals.sum), text: p => cpu[p] / 1e9 },
    { id: 'memory', head: 'peak', numeric: true, width: '84px', value: p => peakOf(all[p])?.value ?? 0, cell: p => bytes(peakOf(all[p])?.value ?? NaN), text: p => peakOf(all[p])?.value ?? '' },
    { id: 'states', head: 'states, with idle waits', width: '186px', value: () => 0, cell: p => <StateBar times={bars.get(p) ?? []} width={150} /> },
    { id: 'rank', head: 'rank', numeric: true, width: '54px', value: p => all[p].rank ?? -1, cell: p => all[p].rank ?? '', text: p => all[p].rank ?? '' },
    { id: 'name', head: 'process', value: processName, cell: p => <bdi title={short(all[p].command, 400)}>{processName(p)}{all[p].host ? ` on ${short(all[p].host!, 30)}` : ''}</bdi>, text: processName },
  ];
  return <Table label="processes" file="processes" rows={rows} columns={columns} sortBy="time" keyOf={p => p} isSelected={p => processes.value?.has(p) ?? false} onPick={p => { processes.value = toggle(processes.value, p); }} />;
}

/** The grid has so many functions. */
const GRID_FUNCTIONS = 30;

/** More processes than this are one strip of heat for each function, without numbers. */
const MAX_CELLS = 64;

/** The own time of functions in each process or rank: one row for a function, one column for a process. */
function Grid() {
  const now = aggregate.value, { processes: all, shown } = model.value;
  const columns = shown.filter(p => all[p].threads.length).sort((a, b) => (all[a].rank ?? a) - (all[b].rank ?? b));
  const times = useEach(columns, p => functionsOf({ processes: new Set([p]) }));
  if (!now || times.size === 0) return null;
  const rows = rowsOf(columns, times);
  const most = Math.max(1, ...rows.map(it => it.max));
  return <section aria-label="functions by process">
    <h2>Functions by {all.some(it => it.rank !== null) ? 'rank' : 'process'}</h2>
    <p class="faint">Own time{range.value ? ' in the range' : ''}. Imbalance is the longest divided by the mean, less 1: how much shorter the function would be if all took the mean.</p>
    <div class="scroll" tabIndex={0} role="group" aria-label="grid"><table class="grid">
      <thead><tr><th scope="col" class="number">imbalance</th><th scope="col" class="number">mean s</th><th scope="col">longest</th><th scope="col">function</th>{columns.length > MAX_CELLS ? <th scope="col">{columns.length} from left to right</th> : columns.map(p => <th key={p} scope="col" class="cell">{all[p].rank ?? all[p].pid}</th>)}</tr></thead>
      <tbody>{rows.map(row => <tr key={row.of} class={selected.value === row.of ? 'selected' : ''} onClick={() => select(row.of)}>
        <td class="number">{percent(row.max / row.mean - 1, 1)}</td><td class="number">{seconds(row.mean, most)}</td><td>{all[row.top].rank !== null ? `rank ${all[row.top].rank}` : all[row.top].pid}</td>
        <th scope="row"><bdi>{short(nameOf(row.of), 40)}</bdi></th>
        {columns.length > MAX_CELLS ? <td><Strip times={row.times} most={most} name={c => `${nameOf(row.of)}: ${seconds(row.times[c], most)} s in ${all[columns[c]].rank !== null ? `rank ${all[columns[c]].rank}` : `process ${all[columns[c]].pid}`}`} /></td> : row.times.map((time, c) => <td key={c} class="cell" title={`${nameOf(row.of)}: ${seconds(time, most)} s`} style={time > 0 ? cellStyle(time / most) : undefined}>{columns.length <= 16 && time > 0 ? seconds(time, Math.max(most, 1e10)) : ''}</td>)}
      </tr>)}</tbody>
    </table></div>
  </section>;
}

const STRIP_WIDTH = 800;

/** The heat of each process, from left to right. */
function Strip({ times, most, name }: { times: number[]; most: number; name(column: number): string }) {
  const canvas = useRef<HTMLCanvasElement>(null), step = STRIP_WIDTH / times.length;
  useLayoutEffect(() => {
    const on = canvasSurface(canvas.current!, STRIP_WIDTH, 16);
    times.forEach((time, c) => { if (time > 0) on.rect(c * step, 0, Math.max(1, step), 16, heat(time / most, ground.value).fill); });
  });
  return <canvas ref={canvas} role="img" aria-label="its time in each process" onPointerMove={event => { status.value = name(Math.min(times.length - 1, Math.max(0, Math.floor(event.offsetX / step)))); }} />;
}

function cellStyle(part: number): { background: string; color: string } {
  const { fill, ink } = heat(part, ground.value);
  return { background: fill, color: ink };
}

function rowsOf(columns: number[], times: Map<number, Float64Array>) {
  return Array.from(model.value.functions.name, (_, of) => {
    const row = columns.map(p => times.get(p)?.[of] ?? 0), max = Math.max(...row), sum = row.reduce((a, b) => a + b, 0);
    return { of, times: row, max, sum, mean: sum / Math.max(1, columns.length), top: columns[row.indexOf(max)] };
  }).filter(row => row.sum > 0).sort((a, b) => b.max - a.max).slice(0, GRID_FUNCTIONS);
}
