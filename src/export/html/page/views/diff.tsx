// Draws how the selection differs from another one: of a range, a thread, a process or a rank.

import { batch } from '@preact/signals';
import { useMemo } from 'preact/hooks';

import { table } from '../derive';
import { aggregate, base, baseAggregate, functions, ground, known, model, range, selected, setBase } from '../state';
import { change } from '../theme';
import { accuracy, percent, short, span } from '../words';
import { processName, FlameView } from './flame';
import { labelOf, Name, nameOf, openFunction, pickFunction, Table, taskName, type Column } from './parts';
import { threadName } from './timeline';

export function DiffView() {
  const before = baseAggregate.value;
  if (!base.value || !before) return <Choose />;
  return <div class="overview">
    <FlameView against={before} />
    <div class="answers"><Base /><div class="half"><Changes /></div></div>
  </div>;
}

function Choose() {
  const end = model.value.meta.duration_ns, half = { from: end / 2, to: end };
  const halves = () => batch(() => {
    base.value = { range: { from: 0, to: end / 2 }, threads: null, processes: null, states: null, tasks: null };
    range.value = half;
  });
  return <div class="columns">
    <h2>Compare two parts of the recording</h2>
    <p>Choose a range, a thread, a process or a rank, and keep it as the base. Then choose another: blue is less than in the base, orange is more.</p>
    <p class="buttons"><button onClick={setBase}>keep what is shown now as the base</button> <button onClick={halves}>compare the second half with the first</button></p>
    <p class="faint">Two recordings are compared on one page by: rsamp diff BASE NEW -o diff.html</p>
  </div>;
}

/** What it is compared with. */
function Base() {
  const of = base.value!, { threads, states } = model.value, parts: string[] = [];
  if (of.range) parts.push(`${span(of.range.from)} to ${span(of.range.to)}`);
  const { meta } = model.value, isBase = meta.base && [...of.processes ?? []].every(p => p < meta.base!.processes);
  if (isBase && of.processes?.size === meta.base!.processes) parts.push(short(meta.base!.name, 60));
  else if (of.processes) parts.push([...of.processes].slice(0, 3).map(processName).join(', '));
  if (of.threads) parts.push([...of.threads].slice(0, 3).map(t => threadName(threads[t])).join(', '));
  if (of.states) parts.push([...of.states].map(s => states[s].text).join(', '));
  if (of.tasks) parts.push([...of.tasks].slice(0, 3).map(taskName).join(', '));
  return <p class="tools top base"><span>compared with {parts.join(', ') || 'the whole recording'}</span><span class="grow" />
    <button onClick={setBase}>what is shown as the base</button><button aria-label="compare with nothing" onClick={() => { base.value = null; }}>✕</button></p>;
}

/** Shares are of each part's own time: parts of different length are compared. */
function Changes() {
  const before = baseAggregate.value!, now = aggregate.value!, after = functions.value!;
  const earlier = useMemo(() => table(model.value, known.value.functions, before), [before]);
  const [sumBefore, sumNow] = [Math.max(1, before.totals.sum), Math.max(1, now.totals.sum)];
  const shareBefore = (f: number) => earlier.time.self[f] / sumBefore, shareNow = (f: number) => after.time.self[f] / sumNow;
  const points = (f: number) => 100 * (shareNow(f) - shareBefore(f));
  const { meta } = model.value, independent = (samples: number) => meta.samples_effective * samples / Math.max(1, meta.totals.samples);
  /** Whether the change is more than chance makes, with 95 %. */
  const isSure = (f: number) => {
    const [a, b] = [accuracy(shareBefore(f), independent(before.totals.samples)), accuracy(shareNow(f), independent(now.totals.samples))];
    return a !== null && b !== null && Math.abs(points(f)) > Math.hypot(a, b);
  };
  const rows: number[] = [];
  after.time.self.forEach((time, f) => { if (time > 0 || earlier.time.self[f] > 0) rows.push(f); });
  const columns: Column<number>[] = [
    { id: 'change', head: 'points', title: 'change of the own time, in points of the share; faint: chance alone may make it', numeric: true, width: '84px', value: f => Math.abs(points(f)), cell: f => <Points value={points(f)} isSure={isSure(f)} />, text: points },
    { id: 'before', head: 'base', numeric: true, width: '62px', value: shareBefore, cell: f => percent(shareBefore(f), 1), text: f => 100 * shareBefore(f) },
    { id: 'now', head: 'shown', numeric: true, width: '64px', value: shareNow, cell: f => percent(shareNow(f), 1), text: f => 100 * shareNow(f) },
    { id: 'name', head: 'function, self', value: nameOf, cell: f => <Name of={f} />, text: labelOf },
  ];
  return <Table label="changes of functions" file="changes" rows={rows} columns={columns} sortBy="change" keyOf={f => f} isSelected={f => selected.value === f} onPick={pickFunction} onOpen={openFunction} />;
}

function Points({ value, isSure }: { value: number; isSure: boolean }) {
  const text = `${value > 0 ? '+' : value < 0 ? '−' : ''}${Math.abs(value).toFixed(1)}`;
  return <span class={isSure ? 'own' : 'faint'}><i class="swatch" style={{ background: change(Math.max(-1, Math.min(1, value / 10)), ground.value) }} />{text}</span>;
}
