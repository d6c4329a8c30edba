// Turns values into the small things that all views are made of: names, bars, sparklines, sortable tables.

import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';

import { Kind, NONE } from '../model';
import { copy, csv, download, tsv } from '../save';
import { aggregate, ground, hits, model, range, select, selected, show } from '../state';
import { originColour, ORIGIN_WORDS, stateColour } from '../theme';
import { baseName, percent, plural, seconds, short, span, visible } from '../words';

/** The text at a place of the strings; none for NONE. */
const textAt = (id: number) => model.value.strings[id] ?? '';

export function nameOf(of: number): string {
  const { name, kind } = model.value.functions, text = textAt(name[of]);
  // The file of an extension module names Python, the machine and the system.
  return short(kind[of] === Kind.Native ? text.replace(/\.cpython-[\w-]+(?=\.so)/, '') : text);
}

/** `scatter.py:68`; empty where there is no file. */
export function placeOf(of: number, line = model.value.functions.firstLine[of]): string {
  const file = fileOf(of);
  return file && short(baseName(file), 60) + (line !== NONE ? `:${line}` : '');
}

export function fileOf(of: number): string {
  return textAt(model.value.functions.file[of]);
}

export function taskName(of: number): string {
  const { tasks } = model.value;
  return of < tasks.length ? `task ${short(tasks[of], 60)}` : 'no task';
}

export function labelOf(of: number): string {
  const place = placeOf(of);
  return place ? `${nameOf(of)} (${place})` : nameOf(of);
}

/** A class of native work; one behind the last: none is known. */
export function className(of: number): string {
  const { classes } = model.value;
  return of < classes.length ? short(classes[of], 40) : 'not known';
}

export function Swatch({ of }: { of: number }) {
  const { origin, file } = model.value.functions;
  return <i class="swatch" title={ORIGIN_WORDS[origin[of]]} style={{ background: originColour(origin[of], file[of]) }} />;
}

export function Name({ of, where = true }: { of: number; where?: boolean }) {
  const place = placeOf(of), hit = hits.value?.[of];
  return <span class="name" title={visible(`${nameOf(of)} · ${fileOf(of).slice(0, 500)}`)}>
    <Swatch of={of} />
    <bdi class={`${model.value.functions.origin[of] === 0 ? 'own ' : ''}${hit ? 'hit' : ''}`}>{nameOf(of)}</bdi>
    {where && place && <bdi class="place">{place}</bdi>}
  </span>;
}

/** The part of the time in each state, as one bar. */
export function StateBar({ times, width = 64 }: { times: ArrayLike<number>; width?: number }) {
  let sum = 0;
  for (let i = 0; i < times.length; i++) sum += times[i];
  if (sum <= 0) return null;
  const { states } = model.value;
  const parts = states.map((state, i) => ({ state, part: times[i] / sum })).filter(it => it.part > 0.002).sort((a, b) => b.part - a.part);
  let x = 0;
  return <svg class="bar" width={width} height="10" role="img" aria-label={parts.map(it => `${it.state.text} ${percent(it.part, 1)}`).join(', ')}>
    <title>{parts.map(it => `${it.state.text} ${percent(it.part, 1)}`).join('\n')}</title>
    {parts.map(({ state, part }) => {
      const left = x;
      x += part * width;
      return <rect x={left} y="0" width={part * width} height="10" fill={stateColour(state.word, ground.value)} />;
    })}
  </svg>;
}

/** Values over time, from nothing to the most. */
export function Spark({ values, width = 96, height = 14, title }: { values: ArrayLike<number>; width?: number; height?: number; title?: string }) {
  let most = 0;
  for (let i = 0; i < values.length; i++) most = Math.max(most, values[i]);
  const step = width / Math.max(1, values.length);
  let path = `M0 ${height}`;
  for (let i = 0; i < values.length; i++) {
    const y = most > 0 ? height - values[i] / most * (height - 1) : height;
    path += `L${(i * step).toFixed(1)} ${y.toFixed(1)}L${((i + 1) * step).toFixed(1)} ${y.toFixed(1)}`;
  }
  const from = range.value?.from ?? 0, to = range.value?.to ?? model.value.meta.duration_ns;
  return <svg class="spark" width={width} height={height} aria-hidden="true">
    <title>{title ?? `time from ${span(from)} to ${span(to)}; the highest column is ${percent(most, (to - from) / values.length)} of its span`}</title>
    <path d={`${path}L${width} ${height}Z`} />
  </svg>;
}

/** A time with its part of the whole and a bar behind it. */
export function Share({ time, whole }: { time: number; whole: number }) {
  return <span class="share" style={`--part: ${whole > 0 ? Math.min(100, 100 * time / whole).toFixed(2) : 0}%`}>
    <span>{percent(time, whole)}</span>
  </span>;
}

export interface Column<R> {
  id: string; head: string; title?: string; numeric?: boolean; width?: string;
  /** What is sorted by; text or number. */
  value(row: R): number | string;
  /** What is drawn; the value where it is left out. */
  cell?(row: R): ComponentChildren;
  /** A column without is not copied. */
  text?(row: R): string | number;
}

const ROW_HEIGHT = 24;

/** The rows by their values, which are asked for once each. */
function sortedBy<R>(rows: R[], value: (row: R) => number | string, up: boolean): R[] {
  const values = rows.map(value), order = Uint32Array.from(rows.keys()), sign = up ? 1 : -1;
  const numbers = values.every(it => typeof it === 'number') ? Float64Array.from(values as number[]) : null;
  if (numbers) order.sort(up ? (a, b) => numbers[a] - numbers[b] : (a, b) => numbers[b] - numbers[a]);
  else order.sort((a, b) => sign * String(values[a]).localeCompare(String(values[b])) || a - b);
  return Array.from(order, at => rows[at]);
}

interface TableProps<R> {
  label: string; file: string; rows: R[]; columns: Column<R>[]; sortBy: string;
  keyOf(row: R): string | number;
  isSelected?(row: R): boolean; onPick?(row: R): void; onOpen?(row: R): void;
}

/** A table of which only the rows in sight are made; sorted by a click on a head, walked with the arrow keys. */
export function Table<R>({ label, file, rows, columns, sortBy, keyOf, isSelected, onPick, onOpen }: TableProps<R>) {
  const [sort, setSort] = useState({ by: sortBy, up: false });
  const [top, setTop] = useState(0), [height, setHeight] = useState(400);
  const box = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const watch = new ResizeObserver(() => setHeight(box.current?.clientHeight ?? 400));
    watch.observe(box.current!);
    return () => watch.disconnect();
  }, []);
  const column = columns.find(it => it.id === sort.by) ?? columns[0];
  const sorted = sortedBy(rows, column.value, sort.up);
  const first = Math.max(0, Math.floor(top / ROW_HEIGHT) - 4), last = Math.min(sorted.length, Math.ceil((top + height) / ROW_HEIGHT) + 4);
  const order = (by: Column<R>) => setSort({ by: by.id, up: sort.by === by.id ? !sort.up : !by.numeric });
  const sheet = () => [columns.filter(it => it.text).map(it => it.head), ...sorted.map(row => columns.filter(it => it.text).map(it => it.text!(row)))];
  const walk = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15, Home: -1e9, End: 1e9 }[event.key];
    const now = isSelected ? sorted.findIndex(isSelected) : -1;
    if (event.key === 'Enter' && now >= 0 && onOpen) return onOpen(sorted[now]);
    if (!step || !onPick || !sorted.length) return;
    event.preventDefault();
    const next = Math.max(0, Math.min(sorted.length - 1, now + step));
    onPick(sorted[next]);
    const at = next * ROW_HEIGHT, view = box.current!;
    if (at < view.scrollTop) view.scrollTop = at;
    else if (at + 3 * ROW_HEIGHT > view.scrollTop + height) view.scrollTop = at + 3 * ROW_HEIGHT - height;
  };
  return <div class="tablebox" style={`--rows: ${rows.length}`}>
    <div class="scroll" ref={box} tabIndex={0} role="group" aria-label={`${label}, ${rows.length} rows`} onScroll={event => setTop(event.currentTarget.scrollTop)} onKeyDown={walk}>
      <table aria-label={label} aria-rowcount={rows.length + 1}>
        <thead><tr aria-rowindex={1}>{columns.map(it => <th key={it.id} scope="col" class={it.numeric ? 'number' : ''} style={{ width: it.width }}
          aria-sort={sort.by === it.id ? (sort.up ? 'ascending' : 'descending') : 'none'}>
          <button title={it.title} onClick={() => order(it)}>{it.head}{sort.by === it.id ? (sort.up ? ' ▴' : ' ▾') : ''}</button>
        </th>)}</tr></thead>
        <tbody>
          {first > 0 && <tr class="space" aria-hidden="true" style={{ height: `${first * ROW_HEIGHT}px` }} />}
          {sorted.slice(first, last).map((row, i) => <tr key={keyOf(row)} aria-rowindex={first + i + 2} class={isSelected?.(row) ? 'selected' : ''}
            aria-current={isSelected?.(row) ? "true" : undefined} onClick={() => onPick?.(row)} onDblClick={() => onOpen?.(row)}>
            {columns.map(it => <td key={it.id} class={it.numeric ? 'number' : ''}>{it.cell ? it.cell(row) : it.value(row)}</td>)}
          </tr>)}
          {last < sorted.length && <tr class="space" aria-hidden="true" style={{ height: `${(sorted.length - last) * ROW_HEIGHT}px` }} />}
        </tbody>
      </table>
      {rows.length === 0 && <p class="empty">nothing in this selection</p>}
    </div>
    <div class="tools">
      <span class="faint">{plural(rows.length, 'row')}</span>
      <button onClick={() => void copy(tsv(sheet()), plural(rows.length, 'row'))}>copy table</button>
      <button onClick={() => download(`${file}.csv`, 'text/csv', csv(sheet()))}>CSV</button>
    </div>
  </div>;
}

/** What a table picks and opens where its rows are functions. */
export const pickFunction = (of: number) => select(selected.peek() === of ? null : of);
export const openFunction = (of: number) => show('source', of);

/** The whole that shares are of. */
export const whole = () => aggregate.value?.totals.sum ?? 0;

export const secondsOf = (time: number) => seconds(time, whole());

/** A canvas that is painted again whenever its size changes, or what `paint` reads. */
export function useSize<E extends HTMLElement>(): [{ current: E | null }, number, number] {
  const box = useRef<E>(null), [size, setSize] = useState([0, 0]);
  useLayoutEffect(() => {
    const measure = () => setSize([box.current?.clientWidth ?? 0, box.current?.clientHeight ?? 0]);
    const watch = new ResizeObserver(measure);
    watch.observe(box.current!);
    measure();
    return () => watch.disconnect();
  }, []);
  return [box, size[0], size[1]];
}
