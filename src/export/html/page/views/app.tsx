// Draws the frame of the page: the head, the answer in words, the time axis, the tabs, and the view that is chosen.

import { useEffect, useRef } from 'preact/hooks';

import { shareOf } from '../derive';
import type { Mode } from '../model';
import { copy } from '../save';
import {
  aggregate, axis, back, failure, functions, ground, help, hits, hitStep, idle, mode, model, processes, range, search, selected, setBase, show, states, status, tasks, theme, threads, view, VIEWS, type View,
} from '../state';
import { count, percent, short, span, visible, withoutFolders } from '../words';
import { AboutView, Finding, FindingsView, KEYS } from './about';
import { DiffView } from './diff';
import { asTree, change, FlameView, processName, transforms } from './flame';
import { Details, FunctionsView, LinesView } from './functions';
import { GraphView } from './graph';
import { MemoryView } from './memory';
import { labelOf, taskName, whole } from './parts';
import { SourceView } from './source';
import { ThreadsView } from './threads';
import { threadName, TimelineView } from './timeline';

const TITLES: Record<View, string> = {
  overview: 'Overview', functions: 'Functions', lines: 'Lines', source: 'Source', graph: 'Call graph', memory: 'Memory', threads: 'Threads', findings: 'Findings', about: 'About', diff: 'Diff',
};

export function App() {
  useKeys();
  return <>
    <Head />
    <Words />
    <TimelineView />
    <Tabs />
    <div class="view" role="tabpanel" aria-label={TITLES[view.value]} id="view"><CurrentView /></div>
    <footer><span role="status" aria-live="polite"><bdi>{status.value}</bdi></span><span class="grow" /><span class="faint">{footnote()}</span></footer>
    {help.value && <Help />}
  </>;
}

function CurrentView() {
  if (failure.value) return <p class="note" role="alert">This can't be shown: {failure.value}</p>;
  if (!aggregate.value) return <p class="empty">adding up…</p>;
  switch (view.value) {
    case 'functions': return <Beside><FunctionsView /></Beside>;
    case 'lines': return <Beside><LinesView /></Beside>;
    case 'source': return <SourceView />;
    case 'graph': return <Beside><GraphView /></Beside>;
    case 'memory': return <MemoryView />;
    case 'threads': return <ThreadsView />;
    case 'findings': return <FindingsView />;
    case 'about': return <AboutView />;
    case 'diff': return <DiffView />;
    default: return <Overview />;
  }
}

/** A view with what is selected beside it. */
function Beside({ children }: { children: preact.ComponentChildren }) {
  return <div class="beside"><div class="mainside">{children}</div>{selected.value !== null && <aside class="scroll" tabIndex={0} aria-label="details"><Details /></aside>}</div>;
}

function Overview() {
  const hasLines = model.value.functions.origin.some(it => it === 0);
  return <div class="overview">
    <FlameView />
    <div class="answers">
      {selected.value !== null ? <aside class="scroll" tabIndex={0} aria-label="details"><Details /></aside> : hasLines && <div class="half"><LinesView isCompact /></div>}
      <div class="half"><FunctionsView isCompact /></div>
    </div>
  </div>;
}

function Head() {
  const { meta } = model.value, box = useRef<HTMLInputElement>(null), hit = hits.value, now = aggregate.value;
  const found = hit && now ? `${count(hit.reduce((sum, it) => sum + it, 0))} functions, ${percent(shareOf(model.value, now, hit), now.totals.sum)}` : search.value ? 'not an expression' : '';
  return <header>
    <h1><bdi>{short(meta.title, 60)}</bdi></h1>
    <span class="faint command" title={visible(meta.command.slice(0, 1000))}><bdi>{[short(withoutFolders(meta.command), 120), span(meta.duration_ns), ...meta.facts.map(it => short(it, 60))].filter(Boolean).join(' · ')}</bdi></span>
    <span class="grow" />
    <label class="search"><span class="sr">search functions and files; /…/ is a regular expression</span>
      <input ref={box} id="search" type="search" placeholder="search  /" value={search.value} spellcheck={false} maxLength={200}
        onInput={event => { search.value = event.currentTarget.value; }}
        onKeyDown={event => { if (event.key === 'Enter') hitStep.value = { by: event.shiftKey ? -1 : 1 }; }} /></label>
    <output class="faint found" for="search">{found}</output>
    <label><span class="sr">time</span><select id="mode" value={mode.value} onChange={event => { mode.value = event.currentTarget.value as Mode; }}>
      <option value="wall">wall time</option><option value="cpu">CPU time</option><option value="gil">GIL time</option></select></label>
    <label class="check"><input type="checkbox" checked={idle.value} onChange={event => { idle.value = event.currentTarget.checked; }} />idle waits</label>
    <button aria-label="dark or light (d)" title="dark or light (d)" onClick={toggleTheme}>{ground.value === 'dark' ? '☀' : '☾'}</button>
    <button aria-label="keys (?)" title="keys (?)" onClick={() => { help.value = true; }}>?</button>
  </header>;
}

function toggleTheme(): void {
  theme.value = ground.value === 'dark' ? 'light' : 'dark';
}

/** Findings in the head of the page; the view Findings has all. */
const MAX_FINDINGS = 3;

/** Where the time goes, in words. */
function Words() {
  const { meta } = model.value;
  return <section class="words" aria-label="summary">
    <Breadcrumb />
    <p>{statesInWords()}</p>
    {meta.findings.length > 0 && <ul>{meta.findings.slice(0, MAX_FINDINGS).map(it => <li key={it}><Finding text={it} /></li>)}</ul>}
    {meta.health && <p class="health">{visible(meta.health)}</p>}
  </section>;
}

function sumOf(times: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < times.length; i++) sum += times[i];
  return sum;
}

/** The states of the selection, the most first; and its hottest line and function. */
function statesInWords() {
  const now = aggregate.value, { states: all } = model.value;
  if (!now) return 'adding up…';
  const sums = all.map((state, s) => ({ state, time: sumOf(now.states[s]) })), wall = sums.reduce((sum, it) => sum + it.time, 0);
  const parts = sums.filter(it => it.time > 0.005 * wall).sort((a, b) => b.time - a.time).map(it => `${percent(it.time, wall)} ${it.state.text}`);
  const table = functions.value!, top = table.time.self.reduce((best, time, f) => time > table.time.self[best] ? f : best, 0);
  return <>
    <b>{span(now.totals.sum)}</b> of {mode.value === 'wall' ? "threads' time" : mode.value === 'cpu' ? 'CPU time' : 'GIL time'}{range.value ? ` in this range of ${span(range.value.to - range.value.from)}` : ''}: {parts.join(', ') || 'nothing'}
    {table.time.self[top] > 0 && <>; most in <button class="link" onClick={() => show(view.value, top)}><bdi>{labelOf(top)}</bdi></button>, {percent(table.time.self[top], whole())} by itself</>}
    {now.idle_ns > 0 && <span class="faint">; {span(now.idle_ns)} of idle waits left out</span>}
  </>;
}

/** What the views are narrowed to, and the way back. */
function Breadcrumb() {
  const all = model.value, parts: [string, () => void][] = [];
  const some = (of: Set<number>, name: (id: number) => string, word: string) => of.size === 1 ? name([...of][0]) : `${of.size} ${word}`;
  if (range.value) parts.push([`${span(range.value.from)} to ${span(range.value.to)}`, () => { range.value = null; }]);
  if (axis.value) parts.push(['axis zoomed', () => { axis.value = null; }]);
  if (processes.value) parts.push([some(processes.value, processName, 'processes'), () => { processes.value = null; }]);
  if (threads.value) parts.push([some(threads.value, t => threadName(all.threads[t]), 'threads'), () => { threads.value = null; }]);
  if (tasks.value) parts.push([some(tasks.value, taskName, 'tasks'), () => { tasks.value = null; }]);
  if (states.value) parts.push([some(states.value, s => all.states[s].text, 'states'), () => { states.value = null; }]);
  if (!parts.length) return null;
  return <p class="crumbs">showing {parts.map(([text, undo]) => <button key={text} aria-label={`${text}: show all again`} onClick={undo}>{text} ✕</button>)}
    <button onClick={() => void copy(location.href, 'the link')}>copy link</button></p>;
}

function Tabs() {
  const list = VIEWS;
  const walk = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    view.value = list[(list.indexOf(view.value) + step + list.length) % list.length];
    document.getElementById(`tab-${view.value}`)?.focus();
  };
  return <div class="tabs" role="tablist" aria-label="views" onKeyDown={walk}>{list.map((it, i) =>
    <button key={it} id={`tab-${it}`} role="tab" aria-selected={view.value === it} aria-controls="view" tabIndex={view.value === it ? 0 : -1} onClick={() => { view.value = it; }}>
      {TITLES[it]}{it === 'findings' && model.value.meta.findings.length ? ` ${model.value.meta.findings.length}` : ''} <kbd aria-hidden="true">{(i + 1) % 10}</kbd>
    </button>)}</div>;
}

/** How exact the figures are. */
function footnote(): string {
  const { meta } = model.value, now = aggregate.value, parts = [];
  if (now) parts.push(`${count(now.totals.samples)} samples`);
  // Of a late sample no time is lost: the next one covers it.
  const { late = 0, ...causes } = meta.lost;
  const lost = Object.values(causes).reduce((sum, it) => sum + it, 0);
  if (lost) parts.push(`${count(lost)} lost`);
  if (late) parts.push(`${count(late)} late`);
  if (meta.step_ns) parts.push(`steps of ${span(meta.step_ns)}`);
  return parts.join(' · ');
}

function Help() {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => { if (!box.current!.open) box.current!.showModal(); }, []);
  return <dialog ref={box} aria-label="keys" onClose={() => { help.value = false; }} onClick={event => { if (event.target === box.current) help.value = false; }}>
    <h2>Keys</h2>
    <table><tbody>{KEYS.map(([key, what]) => <tr key={key}><th scope="row"><kbd>{key}</kbd></th><td>{what}</td></tr>)}</tbody></table>
    <p class="faint">Drag over the time axis to select a range; Ctrl and the wheel zoom it. Click a frame to select it, double-click to zoom.</p>
    <button onClick={() => { help.value = false; }}>close</button>
  </dialog>;
}

function useKeys(): void {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement, isTyping = /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName) && (target as HTMLInputElement).type !== 'checkbox';
      if (event.key === 'Escape') { back(); if (isTyping) target.blur(); return; }
      if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
      const act = ACTIONS[event.key], number = /^\d$/.test(event.key) ? VIEWS[(Number(event.key) + 9) % 10] : undefined;
      if (number) view.value = number;
      else if (act) act();
      else return;
      event.preventDefault();
    };
    addEventListener('keydown', press);
    return () => removeEventListener('keydown', press);
  }, []);
}

const MODES: Mode[] = ['wall', 'cpu', 'gil'];

const ACTIONS: Record<string, () => void> = {
  '/': () => document.getElementById('search')?.focus(),
  '?': () => { help.value = true; },
  n: () => { hitStep.value = { by: 1 }; },
  N: () => { hitStep.value = { by: -1 }; },
  z: () => { axis.value = range.value; },
  i: () => change({ inverted: !transforms.value.inverted }),
  l: () => change({ byLine: !transforms.value.byLine }),
  m: () => change({ foldImports: !transforms.value.foldImports }),
  t: () => { asTree.value = !asTree.value; },
  f: () => { if (selected.value !== null) change({ focus: transforms.value.focus === selected.value ? null : selected.value }); },
  h: () => { if (selected.value !== null) change({ hidden: new Set([...transforms.value.hidden, selected.value]) }); },
  s: () => show('source'),
  w: () => { mode.value = MODES[(MODES.indexOf(mode.value) + 1) % MODES.length]; },
  d: toggleTheme,
  b: setBase,
  c: () => void copy(location.href, 'the link'),
};
