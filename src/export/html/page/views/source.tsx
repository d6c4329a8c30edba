// Draws source with the time of each line: whole functions, the hottest first, lines without time folded.

import { useEffect, useMemo, useRef, useState } from 'preact/hooks';

import { NONE, Origin } from '../model';
import { highlight, type Word } from '../python';
import { functions, ground, known, lines, model, ownFunctions, select, selected, selectedLine } from '../state';
import { heat } from '../theme';
import { bytes, percent, plural, short, visible, visibleLine } from '../words';
import { FlameView } from './flame';
import { useSpread } from './functions';
import { fileOf, Name, nameOf, secondsOf, Share, Spark, StateBar, useSize, whole } from './parts';

/** So many lines around a line with time are shown. */
const CONTEXT = 2;

/** Fewer lines than this are not folded. */
const MIN_FOLD = 5;

/** Functions on one page; the list beside it leads to the others. */
const MAX_FUNCTIONS = 8;

/** A part of a file on the page. */
interface Block { of: number; from: number; to: number }

/** The lines that a function's samples lie in, and its whole text as far as its indentation tells. */
function blockOf(of: number): Block | null {
  const { functions: { firstLine }, stacks, sources } = model.value, first = firstLine[of];
  let from = first === NONE ? Infinity : first, to = from === Infinity ? 0 : from;
  for (const node of known.value.nodes[of]) {
    const line = stacks.line[node];
    if (line !== NONE) { from = Math.min(from, line); to = Math.max(to, line); }
  }
  if (from === Infinity) return null;
  const source = sources.get(fileOf(of));
  if (!source) return { of, from, to };
  const text = (line: number) => source.lines[line - source.first];
  const indent = (line: number) => /^\s*/.exec(text(line) ?? '')![0].length;
  if (nameOf(of) === '<module>') return { of, from, to };
  // The end: before the next line that is indented no more than `def`.
  let def = from;
  while (def < to && /^\s*@/.test(text(def) ?? '')) def++;
  while (text(to + 1) !== undefined && to - from < 400 && (text(to + 1)!.trim() === '' || indent(to + 1) > indent(def))) to++;
  while (to > from && (text(to) ?? '').trim() === '') to--;
  return { of, from, to };
}

/** Functions with a text, by their own time; those of the user by that and the libraries that they call. */
function hot(): number[] {
  const table = functions.value, { functions: { origin } } = model.value;
  if (!table) return [];
  const list: number[] = [];
  table.time.total.forEach((time, f) => { if (time > whole() * 0.002 && model.value.sources.has(fileOf(f))) list.push(f); });
  const weight = (f: number) => origin[f] === Origin.Own ? ownFunctions.value![f] : table.time.self[f];
  return list.sort((a, b) => weight(b) - weight(a));
}

export function SourceView() {
  const list = hot(), chosen = selected.value;
  const shown = chosen !== null ? [chosen] : list.slice(0, MAX_FUNCTIONS), [box, width] = useSize<HTMLDivElement>();
  const scroll = useRef<HTMLDivElement>(null);
  useEffect(() => { scroll.current?.querySelector('tr.chosen')?.scrollIntoView({ block: 'center' }); }, [chosen, selectedLine.value]);
  const isWide = width >= 1400;
  return <div class={`source ${isWide ? 'wide' : ''}`} ref={box}>
    <nav class="scroll" aria-label="functions with source" tabIndex={0}>
      <button class="link" aria-pressed={chosen === null} onClick={() => select(null)}>hottest functions</button>
      {list.slice(0, 200).map(f => <button key={f} class="link" aria-pressed={chosen === f} onClick={() => select(f)}>
        <Share time={functions.value!.time.total[f]} whole={whole()} /><Name of={f} where={false} />
      </button>)}
      {!list.length && <p class="faint">no source is in this page</p>}
    </nav>
    <div class="scroll code" ref={scroll} tabIndex={0} role="group" aria-label="source" onKeyDown={event => { if (event.key === ']' || event.key === '[') nextHot(scroll.current!, event.key === ']' ? 1 : -1); }}>
      <p class="tools top"><button onClick={() => nextHot(scroll.current!, 1)} title="]">next hot line</button><button onClick={() => nextHot(scroll.current!, -1)} title="[">previous</button></p>
      {shown.map(f => <Code key={f} of={f} />)}
    </div>
    {isWide && <FlameView />}
  </div>;
}

/** Lines with more than so much of the whole are hot. */
const HOT = 0.01;

function nextHot(box: HTMLElement, by: 1 | -1): void {
  const rows = [...box.querySelectorAll<HTMLElement>('tr[data-hot]')], middle = box.getBoundingClientRect().top + box.clientHeight / 2;
  const offset = (row: HTMLElement) => row.getBoundingClientRect().top + row.clientHeight / 2 - middle;
  const next = by > 0 ? rows.find(row => offset(row) > 12) : rows.reverse().find(row => offset(row) < -12);
  next?.scrollIntoView({ block: 'center' });
}

function Code({ of }: { of: number }) {
  const block = useMemo(() => blockOf(of), [of]), table = lines.value, file = fileOf(of), source = model.value.sources.get(file);
  const [open, setOpen] = useState(new Set<number>());
  const { ids, texts, folds } = useMemo(() => {
    if (!block) return { ids: [] as (number | undefined)[], texts: [] as Word[][], folds: [] as Fold[] };
    const numbers = Array.from({ length: Math.min(5000, block.to - block.from + 1) }, (_, i) => block.from + i);
    const key = model.value.functions.file[of];
    const ids = numbers.map(line => known.value.lineIds.get(`${key}:${line}`));
    const texts = numbers.map(line => source?.lines[line - source.first]);
    const hasTime = ids.map(id => id !== undefined && (table?.time.total[id] ?? 0) > 0);
    return { ids, texts: highlight(texts.map(text => text === undefined ? text : visibleLine(text.slice(0, 3000)))), folds: foldsOf(texts, hasTime) };
  }, [block, table]);
  const spreads = useSpread(known.value.lines, ids.filter(id => id !== undefined));
  if (!table || !functions.value) return null;
  const head = <h2><Name of={of} /> <span class="faint">total {secondsOf(functions.value.time.total[of])} s, {percent(functions.value.time.total[of], whole())}</span></h2>;
  if (!block || !source) return <article>{head}<p class="note">The source of {file ? short(file, 200) : 'this function'} is missing: it is not Python, was not found, or was left out (--no-source).</p></article>;
  const most = ids.reduce<number>((most, id) => Math.max(most, id === undefined ? 0 : table.time.total[id]), 1);
  const rows = [];
  for (let i = 0; i < texts.length; i++) {
    const fold = folds.find(it => i >= it.from && i < it.to && !open.has(it.from));
    if (fold) {
      const lines = `⋯ ${plural(fold.to - fold.from, 'line')}`;
      rows.push(<tr key={`fold${fold.from}`} class="fold"><td colSpan={7}>{fold.isKnown ? <button class="link" onClick={() => setOpen(new Set([...open, fold.from]))}>{lines} without time</button> : `${lines} not in this page`}</td></tr>);
      i = fold.to - 1;
      continue;
    }
    const id = ids[i], line = block.from + i, total = id === undefined ? 0 : table.time.total[id], grown = id === undefined ? 0 : table.grown.self[id] - table.shrunk.self[id];
    const colour = total > 0 ? heat(Math.sqrt(total / most), ground.value) : null;
    rows.push(<tr key={line} class={selectedLine.value === line ? 'chosen' : ''} data-hot={total > HOT * whole() ? '' : undefined} onClick={() => select(of, line)}>
      <td class="number heat" style={colour ? { background: colour.fill, color: colour.ink } : undefined}>{total > 0 ? percent(total, whole()) : ''}</td>
      <td class="number">{id !== undefined && table.time.self[id] > 0 ? secondsOf(table.time.self[id]) : ''}</td>
      <td>{id !== undefined && total > 0 && <StateBar times={spreads.states.get(id) ?? []} width={40} />}</td>
      <td>{id !== undefined && total > 0 && <Spark values={spreads.over.get(id) ?? []} width={60} />}</td>
      <td class="number">{Math.abs(grown) >= 1e5 ? bytes(grown) : ''}</td>
      <th scope="row" class="number">{line}</th>
      <td class="text"><code>{texts[i].map((word, w) => word.kind === 'plain' ? word.text : <span key={w} class={word.kind}>{word.text}</span>)}</code></td>
    </tr>);
  }
  return <article>{head}
    {source.note && <p class="note">{visible(source.note)}</p>}
    <table class="codelines" aria-label={`source of ${nameOf(of)}, ${plural(texts.length, 'line')}`}>
      <thead><tr><th scope="col" class="number">total</th><th scope="col" class="number">self s</th><th scope="col">states</th><th scope="col">over time</th><th scope="col" class="number">memory</th><th scope="col" class="number">line</th><th scope="col">{visible(file.slice(0, 300))}</th></tr></thead>
      <tbody>{rows}</tbody>
    </table>
  </article>;
}

/** Lines that are not shown, from the first to behind the last: they are without time, or not known. */
interface Fold { from: number; to: number; isKnown: boolean }

/** The runs of lines that are far from any with time, and those that are not known. */
function foldsOf(texts: (string | undefined)[], hasTime: boolean[]): Fold[] {
  const keep = hasTime.slice(), folds: Fold[] = [];
  keep[0] = true;
  hasTime.forEach((it, i) => { if (it) keep.fill(true, Math.max(0, i - CONTEXT), i + CONTEXT + 1); });
  texts.forEach((text, i) => { if (text === undefined && !hasTime[i]) keep[i] = false; });
  const isKnown = (i: number) => texts[i] !== undefined;
  for (let i = 0; i < keep.length;) {
    let end = i;
    while (end < keep.length && !keep[end] && isKnown(end) === isKnown(i)) end++;
    if (end > i && (end - i >= MIN_FOLD || !isKnown(i))) folds.push({ from: i, to: end, isKnown: isKnown(i) });
    i = Math.max(end, i + 1);
  }
  return folds;
}
