// Draws memory: over time for each process, the highest point, and the lines that it grew in.

import { useLayoutEffect, useMemo, useRef } from 'preact/hooks';

import { canvasSurface, type Surface } from '../paint/surface';
import type { Process } from '../model';
import { savePicture } from '../save';
import { known, lines, model, paper, range, select, selected, selectedLine, show } from '../state';
import { bytes, span, ticks } from '../words';
import { textOf } from './functions';
import { processName } from './flame';
import { fileOf, nameOf, placeOf, Swatch, Table, useSize, type Column } from './parts';

const HEIGHT = 190;
const LEFT = 70;

/** The largest value and when it was; `null`: nothing is known. */
export function peakOf(process: Process): { at: number; value: number } | null {
  let peak: { at: number; value: number } | null = null;
  process.counters.resident.forEach((value, i) => {
    if (!Number.isNaN(value) && (!peak || value > peak.value)) peak = { at: process.counters.at[i], value };
  });
  return peak;
}

const shownProcesses = () => model.value.shown.map(p => ({ p, process: model.value.processes[p] }));

function paintCurves(on: Surface, width: number): void {
  const { meta } = model.value, processes = shownProcesses().map(it => it.process), colours = paper.value, to = meta.duration_ns;
  const peak = Math.max(1, ...processes.map(it => peakOf(it)?.value ?? 0));
  const limits = processes.map(it => it.memory_limit).filter(it => it !== null && it < 3 * peak) as number[];
  const most = Math.max(peak, ...limits) * 1.05, yOf = (value: number) => HEIGHT - 20 - value / most * (HEIGHT - 34), xOf = (at: number) => LEFT + at / to * (width - LEFT - 8);
  for (const value of ticks(0, most, 4)) {
    on.rect(LEFT, yOf(value), width - LEFT, 1, colours.rule);
    on.text(4, yOf(value) + 4, bytes(value), colours.faint, LEFT - 8);
  }
  for (const at of ticks(0, to, width / 110)) on.text(xOf(at), HEIGHT - 4, span(at), colours.faint, 80);
  if (range.value) on.rect(xOf(range.value.from), 6, xOf(range.value.to) - xOf(range.value.from), HEIGHT - 26, `${colours.rule}`);
  for (const process of processes) {
    const points: number[] = [];
    process.counters.at.forEach((at, i) => { if (!Number.isNaN(process.counters.resident[i])) points.push(xOf(at), yOf(process.counters.resident[i])); });
    on.path(points, colours.accent, processes.length > 8 ? 0.7 : 1.6);
    const top = peakOf(process);
    if (top && processes.length < 4) {
      on.rect(xOf(top.at) - 3, yOf(top.value) - 3, 6, 6, colours.ink);
      const label = `${bytes(top.value)} at ${span(top.at)}`, x = xOf(top.at);
      on.text(x > width - 160 ? x - 150 : x + 7, yOf(top.value) - 4, label, colours.ink);
    }
  }
  for (const limit of new Set(limits)) {
    on.path([LEFT, yOf(limit), width, yOf(limit)], colours.ink, 1, undefined, [5, 4]);
    on.text(LEFT + 6, yOf(limit) - 4, `limit ${bytes(limit)}`, colours.ink);
  }
}

export function MemoryView() {
  const [box, width] = useSize<HTMLDivElement>(), canvas = useRef<HTMLCanvasElement>(null), processes = shownProcesses();
  useLayoutEffect(() => { if (width > LEFT) paintCurves(canvasSurface(canvas.current!, width, HEIGHT), width); });
  const table = lines.value, all = known.value.lineRows;
  const rows = useMemo(() => {
    const list: number[] = [];
    table?.grown.self.forEach((_, id) => { if (net(id) !== 0 || table.grown.self[id] > 0) list.push(id); });
    return list;
    function net(id: number): number { return table!.grown.self[id] - table!.shrunk.self[id]; }
  }, [table]);
  if (!table) return null;
  const net = (id: number) => table.grown.self[id] - table.shrunk.self[id];
  const column = (id: string, head: string, title: string, of: (id: number) => number): Column<number> => ({ id, head, title, numeric: true, width: '92px', value: of, cell: row => bytes(of(row)), text: of });
  const columns = [
    column('net', 'retained', 'growth less shrinkage while the line ran', net),
    column('grown', 'grown', 'by how much resident memory grew while the line ran', id => table.grown.self[id]),
    column('total', 'with calls', 'growth less shrinkage, with what the line calls', id => table.grown.total[id] - table.shrunk.total[id]),
    {
      id: 'line', head: 'line', value: (id: number) => placeOf(all[id].function, all[id].line),
      cell: (id: number) => <span class="name"><Swatch of={all[id].function} /><bdi class="place">{placeOf(all[id].function, all[id].line)}</bdi> <code>{textOf(fileOf(all[id].function), all[id].line) || `in ${nameOf(all[id].function)}`}</code></span>,
      text: (id: number) => `${placeOf(all[id].function, all[id].line)} ${textOf(fileOf(all[id].function), all[id].line)}`,
    },
  ];
  const peaks = processes.map(({ process, p }) => ({ p, peak: peakOf(process) })).filter(it => it.peak).sort((a, b) => b.peak!.value - a.peak!.value);
  return <div class="memory">
    <div ref={box} class="curves"><canvas ref={canvas} role="img" aria-label={peaks.length ? `resident memory over time; the peak is ${bytes(peaks[0].peak!.value)} at ${span(peaks[0].peak!.at)}` : 'resident memory is not known'} /></div>
    <p class="tools">
      {peaks.slice(0, 3).map(({ p, peak }) => <button key={p} title="show the second before the peak" onClick={() => { range.value = { from: Math.max(0, peak!.at - 1e9), to: Math.min(model.value.meta.duration_ns, peak!.at + 1e6) }; }}>
        peak {bytes(peak!.value)} at {span(peak!.at)}{processes.length > 1 ? ` of ${processName(p)}` : ''}</button>)}
      <span class="faint">Resident memory; growth is attributed to the line that ran. A range shows its lines only.</span><span class="grow" />
      <button onClick={() => savePicture({ name: 'memory', width: 1000, height: HEIGHT, back: paper.value.back, paint: on => paintCurves(on, 1000) }, 'svg')}>SVG</button>
      <button onClick={() => savePicture({ name: 'memory', width: 1000, height: HEIGHT, back: paper.value.back, paint: on => paintCurves(on, 1000) }, 'png')}>PNG</button>
    </p>
    <Table label="memory by line" file="memory" rows={rows} columns={columns} sortBy="net" keyOf={id => id} isSelected={id => selected.value === all[id].function && selectedLine.value === all[id].line}
      onPick={id => select(all[id].function, all[id].line)} onOpen={id => show('source', all[id].function, all[id].line)} />
  </div>;
}
