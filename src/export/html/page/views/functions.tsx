// Draws the tables of functions and of lines, and what is known of the function that is selected.

import { useMemo } from 'preact/hooks';

import type { Classes } from '../aggregate';
import { neighbours, spread } from '../derive';
import { NONE } from '../model';
import { copy } from '../save';
import { aggregate, functions, hits, known, lines, model, overTime, ownLines, search, select, selected, selectedLine, show } from '../state';
import { ORIGIN_WORDS } from '../theme';
import { accuracy, bytes, count, percent, visible, visibleLine } from '../words';
import { fileOf, labelOf, Name, nameOf, openFunction, pickFunction, placeOf, secondsOf, Share, Spark, StateBar, Swatch, Table, whole, type Column } from './parts';

/** The times over time and by state of the rows in sight, each with what it calls. */
export function useSpread(classes: Classes, keys: number[]): { over: Map<number, Float64Array>; states: Map<number, Float64Array> } {
  const now = aggregate.value, times = overTime.value, wanted = keys.join();
  const over = useMemo(() => times ? spread(model.value, classes, keys, times) : new Map<number, Float64Array>(), [times, wanted]);
  const states = useMemo(() => now ? spread(model.value, classes, keys, now.states) : new Map<number, Float64Array>(), [now, wanted]);
  return { over, states };
}

/** Sparklines are drawn of so many rows, those with most time. */
const MOST_SPREAD = 400;

function found(of: number): boolean {
  return !search.value || !hits.value || hits.value[of] === 1;
}

export function FunctionsView({ isCompact = false }: { isCompact?: boolean }) {
  const table = functions.value;
  const rows = useMemo(() => {
    const list: number[] = [];
    const total = table?.time.total ?? [];
    for (let f = 0; f < total.length; f++) if (total[f] > 0) list.push(f);
    return isCompact ? list : list.sort((a, b) => total[b] - total[a]);
  }, [table, isCompact]);
  const spreads = useSpread(known.value.functions, isCompact ? [] : rows.slice(0, MOST_SPREAD));
  if (!table) return <p class="empty">…</p>;
  const { self: selfTime, total: totalTime } = table.time;
  const self: Column<number> = { id: 'self', head: 'self', numeric: true, width: '74px', title: 'time in the function itself', value: f => selfTime[f], cell: f => <Share time={table.time.self[f]} whole={whole()} />, text: f => table.time.self[f] / 1e9 };
  const total: Column<number> = { id: 'total', head: 'total', numeric: true, width: '74px', title: 'time in the function and in what it calls', value: f => totalTime[f], cell: f => <Share time={table.time.total[f]} whole={whole()} />, text: f => table.time.total[f] / 1e9 };
  const name: Column<number> = { id: 'name', head: 'function', value: nameOf, cell: f => <Name of={f} />, text: labelOf };
  const inSeconds = (id: string, head: string, title: string, of: Float64Array): Column<number> => ({ id, head, title, numeric: true, width: '78px', value: f => of[f], cell: f => secondsOf(of[f]), text: f => of[f] / 1e9 });
  const columns: Column<number>[] = isCompact ? [self, total, name] : [
    self, inSeconds('selfs', 'self s', 'seconds in the function itself', table.time.self), total, inSeconds('totals', 'total s', 'seconds in the function and in what it calls', table.time.total),
    inSeconds('cpu', 'CPU s', 'CPU time of the function and what it calls', table.cpu.total),
    { id: 'error', head: '± points', title: 'half the interval that holds the share with 95 %', numeric: true, width: '84px', value: f => accuracyOf(f) ?? 100, cell: f => accuracyOf(f)?.toFixed(1) ?? '–' },
    { id: 'states', head: 'states', width: '76px', value: () => 0, cell: f => <StateBar times={spreads.states.get(f) ?? []} /> },
    { id: 'over', head: 'over time', width: '108px', value: () => 0, cell: f => <Spark values={spreads.over.get(f) ?? []} /> },
    name,
  ];
  return <Table label="functions" file="functions" rows={rows.filter(found)} columns={columns} sortBy="self" keyOf={f => f}
    isSelected={f => selected.value === f} onPick={pickFunction} onOpen={openFunction} />;
}

function accuracyOf(of: number): number | null {
  const now = aggregate.value, share = (functions.value?.time.total[of] ?? 0) / Math.max(1, whole());
  const part = now && model.value.meta.totals.samples ? now.totals.samples / model.value.meta.totals.samples : 0;
  return accuracy(Math.min(1, share), model.value.meta.samples_effective * Math.min(1, part));
}

/** The known text of a line, without the space before it. */
export function textOf(file: string, line: number): string {
  const source = model.value.sources.get(file);
  return visibleLine((source?.lines[line - source.first] ?? '').slice(0, 500).trim());
}

export function LinesView({ isCompact = false }: { isCompact?: boolean }) {
  const table = lines.value, all = known.value.lineRows;
  const rows = useMemo(() => {
    const list: number[] = [];
    const total = table?.time.total ?? [], own = isCompact ? ownLines.value! : null;
    for (let id = 0; id < total.length; id++) if (total[id] > 0 && all[id].line !== NONE && (!own || own[id] > 0)) list.push(id);
    return isCompact ? list : list.sort((a, b) => total[b] - total[a]);
  }, [table, isCompact]);
  const spreads = useSpread(known.value.lines, isCompact ? [] : rows.slice(0, MOST_SPREAD));
  if (!table) return <p class="empty">…</p>;
  const place = (id: number) => placeOf(all[id].function, all[id].line), text = (id: number) => textOf(fileOf(all[id].function), all[id].line);
  const total: Column<number> = { id: 'total', head: 'total', numeric: true, width: '74px', title: 'time in the line and in what it calls', value: id => table.time.total[id], cell: id => <Share time={table.time.total[id]} whole={whole()} />, text: id => table.time.total[id] / 1e9 };
  const line: Column<number> = { id: 'line', head: 'line', value: place, cell: id => <span class="name" title={visible(fileOf(all[id].function))}><Swatch of={all[id].function} /><bdi class="place">{place(id)}</bdi> <code>{text(id) || `in ${nameOf(all[id].function)}`}</code></span>, text: id => `${place(id)}  ${text(id)}` };
  const ownTime = ownLines.value!;
  const own: Column<number> = { id: 'own', head: 'time', title: 'time in the line and in the libraries that it calls, without your own code that it calls', numeric: true, width: '74px', value: id => ownTime[id], cell: id => <Share time={ownLines.value![id]} whole={whole()} />, text: id => ownLines.value![id] / 1e9 };
  const columns: Column<number>[] = isCompact ? [own, { ...line, head: 'your lines, with the libraries they call' }] : [
    { id: 'self', head: 'self', numeric: true, width: '74px', title: 'time in the line itself', value: id => table.time.self[id], cell: id => <Share time={table.time.self[id]} whole={whole()} />, text: id => table.time.self[id] / 1e9 },
    total,
    { id: 'totals', head: 'total s', numeric: true, width: '78px', value: id => table.time.total[id], cell: id => secondsOf(table.time.total[id]) },
    { id: 'cpu', head: 'CPU s', numeric: true, width: '78px', value: id => table.cpu.total[id], cell: id => secondsOf(table.cpu.total[id]), text: id => table.cpu.total[id] / 1e9 },
    { id: 'states', head: 'states', width: '76px', value: () => 0, cell: id => <StateBar times={spreads.states.get(id) ?? []} /> },
    { id: 'over', head: 'over time', width: '108px', value: () => 0, cell: id => <Spark values={spreads.over.get(id) ?? []} /> },
    line,
  ];
  return <Table label={isCompact ? 'your lines' : 'lines'} file="lines" rows={rows.filter(id => found(all[id].function))} columns={columns} sortBy={isCompact ? 'own' : 'total'} keyOf={id => id}
    isSelected={id => selected.value === all[id].function && selectedLine.value === all[id].line}
    onPick={id => select(all[id].function, all[id].line)} onOpen={id => show('source', all[id].function, all[id].line)} />;
}

/** The function that is selected: its times, who calls it and what it calls. */
export function Details() {
  const of = selected.value, now = aggregate.value, table = functions.value;
  const around = useMemo(() => of !== null && now ? neighbours(model.value, known.value, now, of) : null, [of, now]);
  const spreads = useSpread(known.value.functions, of === null ? [] : [of]);
  if (of === null || !table || !around || !now) return <p class="faint hint">Select a frame or a row: its callers, what it calls and its source are shown here.</p>;
  const { origin, firstLine } = model.value.functions, error = accuracyOf(of), grown = table.grown.total[of] - table.shrunk.total[of];
  return <section class="details" aria-label="selected function">
    <h2><Swatch of={of} /><bdi>{nameOf(of)}</bdi> <button class="close" aria-label="select nothing" onClick={() => select(null)}>✕</button></h2>
    <p class="faint"><bdi>{visible(fileOf(of).slice(0, 400))}{firstLine[of] !== NONE ? `:${firstLine[of]}` : ''}</bdi> · {ORIGIN_WORDS[origin[of]]}</p>
    <dl>
      <dt>total</dt><dd>{secondsOf(table.time.total[of])} s · {percent(table.time.total[of], whole())}{error !== null && ` ± ${error.toFixed(1)}`}</dd>
      <dt>self</dt><dd>{secondsOf(table.time.self[of])} s · {percent(table.time.self[of], whole())}</dd>
      <dt>CPU</dt><dd>{secondsOf(table.cpu.total[of])} s</dd>
      <dt>samples</dt><dd>{count(table.samples.total[of])}</dd>
      {Math.abs(grown) > 1e5 && <><dt>memory</dt><dd>{bytes(grown)} retained</dd></>}
      <dt>states</dt><dd><StateBar times={spreads.states.get(of) ?? []} width={180} /></dd>
      <dt>over time</dt><dd><Spark values={spreads.over.get(of) ?? []} width={180} height={22} /></dd>
    </dl>
    <p class="buttons">
      <button onClick={() => show('source', of)}>source</button><button onClick={() => show('graph', of)}>call graph</button>
      <button onClick={() => void copy(labelOf(of), 'the name')}>copy name</button>
      <button onClick={() => void copy(location.href, 'the link')}>copy link</button>
    </p>
    <Neighbours title="callers" list={around.callers} of={of} /><Neighbours title="calls" list={around.callees} of={of} />
  </section>;
}

const MAX_NEIGHBOURS = 12;

function Neighbours({ title, list, of }: { title: string; list: { function: number; time: number }[]; of: number }) {
  const total = functions.value!.time.total[of];
  if (!list.length) return null;
  return <table class="neighbours" aria-label={`${title} of ${nameOf(of)}`}>
    <thead><tr><th scope="col" class="number">part</th><th scope="col" class="number">s</th><th scope="col">{title}</th></tr></thead>
    <tbody>{list.slice(0, MAX_NEIGHBOURS).map(it => <tr key={it.function}>
      <td class="number"><Share time={it.time} whole={total} /></td><td class="number">{secondsOf(it.time)}</td>
      <td>{it.function < 0 ? <span class="faint">nobody: it is outermost</span> : <button class="link" onClick={() => select(it.function)}><Name of={it.function} /></button>}</td>
    </tr>)}</tbody>
    {list.length > MAX_NEIGHBOURS && <tfoot><tr><td colSpan={3} class="faint">{list.length - MAX_NEIGHBOURS} more</td></tr></tfoot>}
  </table>;
}
