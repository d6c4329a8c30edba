// Draws the flame graph: who called whom, the width is the time; and the same as a tree table.

import { signal } from '@preact/signals';
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';

import { DEEPER, flame, frameAt, NO_FRAMES, type Flame, type Group, type Transforms } from '../flame';
import { type Aggregate, NONE } from '../model';
import { paintFlame, ROW, type FlameStyle } from '../paint/flame';
import { canvasSurface } from '../paint/surface';
import { copy, folded, download, savePicture, speedscope } from '../save';
import { aggregate, aggregateOf, ground, hits, hitStep, known, mode, model, paper, processes, select, selected, status, threads } from '../state';
import { change as changeColour, INK, originColour, ORIGIN_WORDS } from '../theme';
import { percent, plural, short, visible, withoutFolders } from '../words';
import { threadName } from './timeline';
import { fileOf, labelOf, nameOf, placeOf, secondsOf, taskName, useSize } from './parts';

export const transforms = signal<Transforms>({ byLine: false, inverted: false, collapse: true, foldImports: true, hidden: new Set(), focus: null });
export const change = (part: Partial<Transforms>) => { transforms.value = { ...transforms.value, ...part }; };
export const asTree = signal(false);
type By = 'none' | 'thread' | 'process' | 'task';
const groupBy = signal<By>('none');

/** Frames are grouped by no more threads or processes than this, the ones with most time. */
const MAX_GROUPS = 64;

/** By node, and at the end what had no frame. */
const withoutFrames = (of: Aggregate) => of.self[mode.value];

/** The totals that the graph is made of: one, or one of each thread or process. */
function useGroups(against: Aggregate | null): Group[] {
  const now = aggregate.value, by = against ? 'none' : groupBy.value, [groups, setGroups] = useState<{ of: unknown; list: Group[] }>({ of: null, list: [] });
  useEffect(() => {
    if (!now || by === 'none') return;
    let isCurrent = true;
    void grouped(by).then(list => { if (isCurrent) setGroups({ of: now, list }); });
    return () => { isCurrent = false; };
  }, [now, by]);
  if (!now) return [];
  return by === 'none' || groups.of !== now ? [{ label: 'all', self: withoutFrames(now), before: against ? withoutFrames(against) : undefined }] : groups.list;
}

async function grouped(by: By): Promise<Group[]> {
  if (by === 'task') return groupedByTask();
  const { threads: all, processes: list } = model.value, now = aggregate.value!;
  const load = (t: number) => now.threads[mode.value][t];
  const isIn = (t: number) => (!threads.value || threads.value.has(t)) && (!processes.value || processes.value.has(all[t].process));
  const shown = all.map((_, t) => t).filter(t => isIn(t) && load(t) > 0);
  const sets = by === 'thread'
    ? shown.map(t => ({ label: threadName(all[t]), members: new Set([t]) }))
    : list.map((process, p) => ({ label: processName(p), members: new Set(shown.filter(t => all[t].process === p)), process })).filter(it => it.members.size);
  const time = (members: Set<number>) => [...members].reduce((sum, t) => sum + load(t), 0);
  const chosen = sets.sort((a, b) => time(b.members) - time(a.members)).slice(0, MAX_GROUPS);
  return Promise.all(chosen.map(async ({ label, members }) => ({ label, self: withoutFrames(await aggregateOf({ threads: members })) })));
}

async function groupedByTask(): Promise<Group[]> {
  const times = aggregate.value!.tasks, there = Array.from(times, (_, task) => task).filter(task => times[task] > 0);
  const chosen = there.sort((a, b) => times[b] - times[a]).slice(0, MAX_GROUPS);
  return Promise.all(chosen.map(async task => ({ label: taskName(task), self: withoutFrames(await aggregateOf({ tasks: new Set([task]) })) })));
}

export function processName(of: number): string {
  const process = model.value.processes[of];
  return `${process.rank !== null ? `rank ${process.rank}, ` : ''}process ${process.pid} ${short(withoutFolders(process.command), 40)}`;
}

/** `against`: frames are coloured by how their share of the time differs from that of another selection. */
export function FlameView({ against = null }: { against?: Aggregate | null }) {
  const groups = useGroups(against), shown = against ? { ...transforms.value, inverted: false } : transforms.value;
  const of = useMemo(() => flame(model.value, known.value, groups, shown), [groups[0]?.self, groups[0]?.before, groups.length, transforms.value]);
  return <div class="flame">
    <FlameTools of={of} isDiff={against !== null} />
    {asTree.value ? <TreeTable of={of} /> : <Canvas of={of} isDiff={against !== null} />}
  </div>;
}

function labelOfFrame(of: Flame, frame: number): string {
  const f = of.function[frame];
  if (f === DEEPER) return '[more callers]';
  if (f === NO_FRAMES) return '<no Python frames>';
  if (f < 0) return of.labels[frame] ?? 'all';
  return transforms.value.byLine && of.line[frame] !== NONE ? `${nameOf(f)} (${placeOf(f, of.line[frame])})` : nameOf(f);
}

function Canvas({ of, isDiff }: { of: Flame; isDiff: boolean }) {
  const [box, width, height] = useSize<HTMLDivElement>(), canvas = useRef<HTMLCanvasElement>(null);
  const [top, setTop] = useState(0), [zoomed, setZoomed] = useState(0), [over, setOver] = useState<{ frame: number; x: number; y: number } | null>(null);
  const [focused, setFocused] = useState(0);
  useEffect(() => { setZoomed(0); setFocused(0); setOver(null); }, [of]);
  const at = zoomed < of.parent.length ? zoomed : 0, view = { from: of.start[at], to: of.start[at] + of.total[at], width, height, top };
  const style = styleOf(of, focused, isDiff);
  useLayoutEffect(() => { if (width > 0) paintFlame(canvasSurface(canvas.current!, width, height), of, view, style); });
  const frameOf = (event: MouseEvent): number => {
    const place = canvas.current!.getBoundingClientRect();
    const level = Math.floor((event.clientY - place.top + top) / ROW);
    return frameAt(of, level, view.from + (event.clientX - place.left) / width * (view.to - view.from));
  };
  const choose = (frame: number) => {
    setFocused(frame);
    const f = of.function[frame];
    status.value = told(of, frame);
    if (f >= 0) select(f, transforms.value.byLine ? of.line[frame] : null);
    const y = of.depth[frame] * ROW, scroll = box.current!;
    if (y < scroll.scrollTop || y + ROW > scroll.scrollTop + height) scroll.scrollTop = y - height / 2;
  };
  useEffect(() => { if (hitStep.value) jump(of, focused, hitStep.value.by, choose); }, [hitStep.value]);
  const keys = (event: KeyboardEvent) => {
    const next = step(of, focused, event.key);
    if (event.key === 'Enter') setZoomed(focused);
    else if (event.key === 'Backspace') setZoomed(of.parent[at] < 0 ? 0 : of.parent[at]);
    else if (next !== null) choose(next);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return <div class="flamebox">
    <div class="scroll" ref={box} onScroll={event => setTop(event.currentTarget.scrollTop)} tabIndex={0} role="group" onKeyDown={keys}
      aria-label="flame graph: arrow keys walk its frames, Enter zooms in, Backspace out; the button Tree shows the same as a table">
      <div style={{ height: `${of.levels.length * ROW}px`, minHeight: '100%' }}>
        <canvas class="sticky" ref={canvas} role="img" aria-label={`flame graph of ${plural(of.parent.length - 1, 'frame')}`}
          onPointerMove={event => {
            const frame = frameOf(event);
            setOver(frame < 0 ? null : { frame, x: event.offsetX, y: event.offsetY });
            if (frame >= 0) status.value = told(of, frame);
          }}
          onPointerLeave={() => setOver(null)}
          onClick={event => { const frame = frameOf(event); if (frame >= 0) { setFocused(frame); const f = of.function[frame]; select(f >= 0 ? f : null, transforms.value.byLine && f >= 0 ? of.line[frame] : null); } }}
          onDblClick={event => { const frame = frameOf(event); setZoomed(frame < 0 || frame === at ? 0 : frame); }} />
      </div>
    </div>
    {over && over.frame < of.parent.length && <Tooltip of={of} {...over} width={width} height={height} />}
    <div class="floating">
      {focused !== 0 && <button onClick={() => void copy(stackOf(of, focused), 'the stack')}>copy stack</button>}
      {at !== 0 && <button class="zoomout" onClick={() => setZoomed(0)}>⤢ whole graph</button>}
    </div>
  </div>;
}

/** The frames from the outermost to this one, a line each. */
function stackOf(of: Flame, frame: number): string {
  const names = [];
  for (let at = frame; at > 0; at = of.parent[at]) names.push(of.function[at] >= 0 ? labelOf(of.function[at]) : labelOfFrame(of, at));
  return `${names.reverse().join('\n')}\n`;
}

/** The frame that an arrow key leads to; `null`: another key. */
function step(of: Flame, frame: number, key: string): number | null {
  const parent = of.parent[frame], row = parent < 0 ? Int32Array.of(frame) : of.children(parent), at = row.indexOf(frame);
  switch (key) {
    case 'ArrowDown': return of.children(frame)[0] ?? frame;
    case 'ArrowUp': return parent < 0 ? frame : parent;
    case 'ArrowRight': return row[at + 1] ?? frame;
    case 'ArrowLeft': return row[at - 1] ?? frame;
    default: return null;
  }
}

/** Chooses the next or previous frame that the search finds. */
function jump(of: Flame, from: number, by: 1 | -1, choose: (frame: number) => void): void {
  const hit = hits.value;
  if (!hit) return;
  const found = of.levels.flatMap(row => [...row].filter(frame => of.function[frame] >= 0 && hit[of.function[frame]]));
  const at = found.indexOf(from), next = at < 0 ? (by > 0 ? 0 : found.length - 1) : (at + by + found.length) % found.length;
  if (found.length) choose(found[next]);
}

/** By how much the frame's share of the whole is larger than before: from −1 to 1. */
export const gainOf = (of: Flame, frame: number) => of.total[frame] / Math.max(1, of.total[0]) - of.before[frame] / Math.max(1, of.before[0]);

/** Changes of more points than this have the full colour. */
const FULL_CHANGE = 0.2;

function styleOf(of: Flame, focused: number, isDiff: boolean): FlameStyle {
  const byChange = (frame: number) => { const gain = gainOf(of, frame); return changeColour(Math.sign(gain) * Math.sqrt(Math.min(1, Math.abs(gain) / FULL_CHANGE)), ground.value); };
  const { functions } = model.value, hit = hits.value, colours = paper.value, chosen = selected.value;
  const isPale = (f: number) => hit !== null && !(f >= 0 && hit[f]);
  return {
    fill: frame => {
      const f = of.function[frame];
      if (isDiff && frame > 0) return byChange(frame);
      return f < 0 ? colours.rule : originColour(functions.origin[f], functions.file[f], isPale(f));
    },
    ink: frame => isDiff ? colours.ink : of.function[frame] < 0 || isPale(of.function[frame]) ? colours.ink : INK,
    label: frame => labelOfFrame(of, frame),
    isBold: frame => of.function[frame] >= 0 && functions.origin[of.function[frame]] === 0,
    outline: frame => frame === focused && frame !== 0 ? colours.select : chosen !== null && of.function[frame] === chosen ? colours.accent : undefined,
    block: colours.rule,
  };
}

function told(of: Flame, frame: number): string {
  const sum = of.total[0], before = of.before[0] > 0 ? ` · before ${percent(of.before[frame], of.before[0])}` : '';
  return `${labelOfFrame(of, frame)} · total ${secondsOf(of.total[frame])} s, ${percent(of.total[frame], sum)} · self ${secondsOf(of.self[frame])} s, ${percent(of.self[frame], sum)}${before}`;
}

function Tooltip({ of, frame, x, y, width, height }: { of: Flame; frame: number; x: number; y: number; width: number; height: number }) {
  const f = of.function[frame], sum = of.total[0];
  let all = 0;
  if (f >= 0) {
    // Totals of all frames of the function, those inside of one another once.
    const inside = new Uint8Array(of.parent.length);
    for (let i = 1; i < inside.length; i++) {
      if (of.function[i] === f) { if (!inside[of.parent[i]]) all += of.total[i]; inside[i] = 1; } else inside[i] = inside[of.parent[i]];
    }
  }
  const left = Math.max(0, Math.min(x + 14, width - 330)), below = y + 120 < height || y < 110;
  return <div class="tooltip" aria-hidden="true" style={{ left: `${left}px`, ...(below ? { top: `${y + 18}px` } : { bottom: `${height - y + 8}px` }) }}>
    <b>{labelOfFrame(of, frame)}</b>
    {f >= 0 && fileOf(f) && <div class="faint">{visible(fileOf(f).slice(0, 300))} · {ORIGIN_WORDS[model.value.functions.origin[f]]}</div>}
    <table><tbody>
      <tr><td>total here</td><td>{secondsOf(of.total[frame])} s</td><td>{percent(of.total[frame], sum)}</td></tr>
      <tr><td>self here</td><td>{secondsOf(of.self[frame])} s</td><td>{percent(of.self[frame], sum)}</td></tr>
      {of.before[0] > 0 && <tr><td>before</td><td /><td>{percent(of.before[frame], of.before[0])}</td></tr>}
      {f >= 0 && all > of.total[frame] && <tr><td>total, all its frames</td><td>{secondsOf(all)} s</td><td>{percent(all, sum)}</td></tr>}
    </tbody></table>
  </div>;
}

function FlameTools({ of, isDiff }: { of: Flame; isDiff: boolean }) {
  const now = transforms.value, at = model.value, chosen = selected.value, name = 'flame';
  const save = (as: 'svg' | 'png') => {
    const width = 1200, height = of.levels.length * ROW;
    savePicture({ name, width, height, back: paper.value.back, paint: on => paintFlame(on, of, { from: 0, to: of.total[0], width, height, top: 0 }, styleOf(of, 0, isDiff)) }, as);
  };
  return <div class="tools top">
    {!isDiff && <button aria-pressed={now.inverted} title="callers below what runs (i)" onClick={() => change({ inverted: !now.inverted })}>inverted</button>}
    <button aria-pressed={now.byLine} title="one frame for each line (l)" onClick={() => change({ byLine: !now.byLine })}>lines</button>
    <button aria-pressed={now.collapse} title="a function that calls itself is one frame" onClick={() => change({ collapse: !now.collapse })}>fold recursion</button>
    {known.value.insideImports.includes(1) && <button aria-pressed={now.foldImports} title="an import is one frame, without what it runs (m)" onClick={() => change({ foldImports: !now.foldImports })}>fold imports</button>}
    {(!isDiff && (at.threads.length > 1 || at.tasks.length > 0)) && <label>by <select value={groupBy.value} onChange={event => { groupBy.value = event.currentTarget.value as By; }}>
      <option value="none">nothing</option><option value="thread">thread</option>{at.shown.length > 1 && <option value="process">process</option>}{at.tasks.length > 0 && <option value="task">task</option>}
    </select></label>}
    {chosen !== null && <>
      <button title={`only ${nameOf(chosen)} and what it calls (f)`} aria-pressed={now.focus === chosen} onClick={() => change({ focus: now.focus === chosen ? null : chosen })}>focus</button>
      <button title={`without ${nameOf(chosen)}: its time goes to its callers (h)`} onClick={() => change({ hidden: new Set([...now.hidden, chosen]) })}>hide</button>
    </>}
    {(now.focus !== null || now.hidden.size > 0) && <button onClick={() => change({ focus: null, hidden: new Set() })}>✕ {now.focus !== null ? `only ${short(nameOf(now.focus), 24)}` : `${now.hidden.size} hidden`}</button>}
    <span class="grow" />
    {isDiff ? <Changes /> : <Origins of={of} />}
    <button aria-pressed={asTree.value} title="the same as a table (t)" onClick={() => { asTree.value = !asTree.value; }}>tree</button>
    <details class="menu"><summary>save</summary><div>
      <button onClick={() => save('svg')}>SVG</button><button onClick={() => save('png')}>PNG</button>
      <button onClick={() => download('stacks.folded', 'text/plain', folded(at, aggregate.value!))}>folded stacks</button>
      <button onClick={() => download('stacks.speedscope.json', 'application/json', speedscope(at, aggregate.value!))}>speedscope</button>
      <button onClick={() => void copy(folded(at, aggregate.value!), 'all stacks')}>copy as text</button>
    </div></details>
  </div>;
}

/** What the colours of a comparison stand for. */
function Changes() {
  return <span class="legend">{([[-1, 'less than in the base'], [0, 'equal'], [1, 'more']] as const).map(([t, word]) =>
    <span key={word}><i class="swatch" style={{ background: changeColour(t, ground.value) }} />{word}</span>)}</span>;
}

/** Whose code the colours stand for, as far as it is in the graph. */
function Origins({ of }: { of: Flame }) {
  const { origin } = model.value.functions, there = new Set<number>();
  for (let i = 0; i < of.function.length; i++) if (of.function[i] >= 0) there.add(origin[of.function[i]]);
  return <span class="legend">{ORIGIN_WORDS.map((word, o) => there.has(o) && <span key={o}><i class="swatch" style={{ background: originColour(o, 0) }} />{word}</span>)}</span>;
}

/** Rows of the tree that are made at most; deeper ones are opened by hand. */
const MAX_ROWS = 3000;

/** The frames as rows; those with less than 1 % of the whole are closed at first. */
function TreeTable({ of }: { of: Flame }) {
  const [toggled, setToggled] = useState(new Set<number>()), sum = of.total[0];
  const [cursorRow, setCursorRow] = useState(0), body = useRef<HTMLTableSectionElement>(null);
  const isOpen = (frame: number) => (of.total[frame] > sum * 0.02 && of.depth[frame] < 60) !== toggled.has(frame);
  const rows: number[] = [], todo = [0];
  while (todo.length && rows.length < MAX_ROWS) {
    const frame = todo.pop()!;
    rows.push(frame);
    if (isOpen(frame)) for (let i = of.children(frame).length - 1; i >= 0; i--) todo.push(of.children(frame)[i]);
  }
  const at = Math.min(cursorRow, rows.length - 1), focus = (row: number) => {
    setCursorRow(row);
    (body.current?.children[row] as HTMLElement | undefined)?.focus();
    const f = of.function[rows[row]];
    if (f >= 0) select(f);
  };
  const toggle = (frame: number) => { const next = new Set(toggled); if (!next.delete(frame)) next.add(frame); setToggled(next); };
  const keys = (event: KeyboardEvent) => {
    const frame = rows[at];
    if (event.key === 'ArrowDown' && at + 1 < rows.length) focus(at + 1);
    else if (event.key === 'ArrowUp' && at > 0) focus(at - 1);
    else if (event.key === 'ArrowRight' && of.children(frame).length) { if (isOpen(frame)) focus(at + 1); else toggle(frame); }
    else if (event.key === 'ArrowLeft') { if (isOpen(frame) && of.children(frame).length) toggle(frame); else if (of.parent[frame] >= 0) focus(rows.indexOf(of.parent[frame])); }
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return <div class="scroll treebox">
    <table role="treegrid" aria-label="call tree" onKeyDown={keys}>
      <thead><tr><th scope="col">function</th><th scope="col" class="number">total s</th><th scope="col" class="number">total</th><th scope="col" class="number">self s</th></tr></thead>
      <tbody ref={body}>{rows.map((frame, row) => <tr key={frame} role="row" aria-level={of.depth[frame] + 1} tabIndex={row === at ? 0 : -1}
        aria-expanded={of.children(frame).length ? isOpen(frame) : undefined} class={of.function[frame] >= 0 && of.function[frame] === selected.value ? 'selected' : ''}
        onClick={() => focus(row)} onDblClick={() => toggle(frame)}>
        <th scope="row" style={{ paddingLeft: `${6 + Math.min(of.depth[frame], 40) * 12}px` }}>
          <span class="twist" aria-hidden="true" onClick={event => { event.stopPropagation(); toggle(frame); }}>{of.children(frame).length ? (isOpen(frame) ? '▾' : '▸') : ''}</span>
          {of.function[frame] >= 0 ? <bdi class={model.value.functions.origin[of.function[frame]] === 0 ? 'own' : ''}>{transforms.value.byLine ? labelOfFrame(of, frame) : labelOf(of.function[frame])}</bdi> : labelOfFrame(of, frame)}
        </th>
        <td class="number">{secondsOf(of.total[frame])}</td><td class="number">{percent(of.total[frame], sum)}</td><td class="number">{secondsOf(of.self[frame])}</td>
      </tr>)}</tbody>
    </table>
    {todo.length > 0 && <p class="faint">more rows: close some to see them</p>}
  </div>;
}

