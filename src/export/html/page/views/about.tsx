// Draws what stands out in the recording, and how it was made: what was lost, how sure the figures are, whose code the page is.

import { model, show, type View } from '../state';
import { count, percent, span, visible } from '../words';

/** The view that shows what a finding is about, by its words. */
export function viewOf(finding: string): View {
  const has = (words: RegExp) => words.test(finding);
  if (has(/^memory/)) return 'memory';
  if (has(/^importing|compil/)) return 'functions';
  if (has(/GIL|core|thread|rank|process|CPU/)) return 'threads';
  return 'source';
}

/** The function that a finding names as `name (file:line)`. */
function functionIn(finding: string): number | null {
  const { functions, strings } = model.value, named = /([\w.<>]+) \(([^()\s]+):(\d+)\)/.exec(finding);
  if (!named) return null;
  const found = functions.name.findIndex((name, f) => strings[name] === named[1] && (strings[functions.file[f]] ?? '').endsWith(named[2]));
  return found < 0 ? null : found;
}

export function Finding({ text }: { text: string }) {
  const view = viewOf(text);
  return <button class="link finding" onClick={() => show(view, functionIn(text))}><bdi>{visible(text)}</bdi> <span class="place">→ {view}</span></button>;
}

export function FindingsView() {
  const { findings, health } = model.value.meta;
  return <div class="columns scroll" tabIndex={0} role="group" aria-label="findings">
    <h2>Findings</h2>
    {findings.length ? <ol class="findings">{findings.map(it => <li key={it}><Finding text={it} /></li>)}</ol>
      : <p>Nothing stands out: no state, thread, import, core or growth of memory takes more than its part. The flame graph shows where the time goes.</p>}
    {health && <><h2>What to know about the figures</h2><p>{visible(health)}</p></>}
  </div>;
}

export function AboutView() {
  const { meta, processes, threads } = model.value, rows: [string, string][] = [
    ['title', meta.title], ['command', meta.command], ['facts', meta.facts.join(' · ')],
    ['started', meta.started_unix_ms ? new Date(meta.started_unix_ms).toISOString() : 'not known'], ['duration', span(meta.duration_ns)],
    ['processes, threads', `${processes.length}, ${threads.length}`],
    ['samples', `${count(meta.totals.samples)}, which say as much as ${count(meta.samples_effective)} independent ones`],
    ['wall, CPU, GIL time', `${span(meta.totals.wall_ns)}, ${span(meta.totals.cpu_ns)}, ${span(meta.totals.gil_ns)}`],
    ['idle waits left out', span(meta.idle_waits_ns)], ['rates', meta.rates ?? 'not known'],
    ['lost', Object.entries(meta.lost).map(([cause, number]) => `${count(number)} ${cause}`).join(', ') || 'nothing'],
    ['undetermined', Object.entries(meta.undetermined).map(([cause, number]) => `${count(number)} ${cause}`).join(', ') || 'nothing'],
    ['times in this page', meta.has_no_times ? 'not known: each stack is shown once' : meta.step_ns === null ? 'exact' : `in steps of ${span(meta.step_ns)}`],
    ['complete', meta.is_complete ? 'yes' : 'no: rsamp was killed, the disk was full, or it is still recording'], ['written by', `rsamp ${meta.rsamp}`],
  ];
  const python = [...new Set(processes.map(it => it.python))].join(', '), notices = document.getElementById('notices') as HTMLTemplateElement | null;
  return <div class="columns scroll" tabIndex={0} role="group" aria-label="about this recording">
    <h2>About this recording</h2>
    <table class="about"><tbody>{[...rows, ['Python', python] as [string, string]].map(([name, value]) => <tr key={name}><th scope="row">{name}</th><td><bdi>{visible(value.slice(0, 2000))}</bdi></td></tr>)}
      {meta.not_measured.map(it => <tr key={`${it.process} ${it.what}`}><th scope="row">not measured</th><td>{visible(`${it.what} of process ${processes[it.process]?.pid}: ${it.why}`)}</td></tr>)}
    </tbody></table>
    <h2>What the words mean</h2>
    <dl class="words">
      <dt>total, self</dt><dd>time in a function with what it calls, and without.</dd>
      <dt>wall, CPU, GIL</dt><dd>time that passed; time on a CPU; time with the global interpreter lock held.</dd>
      <dt>idle waits</dt><dd>waits of threads that had nothing to do. They are left out unless asked for: {percent(meta.idle_waits_ns, meta.idle_waits_ns + meta.totals.wall_ns)} of all threads' time.</dd>
      <dt>± points</dt><dd>half the interval that holds the share with 95 %.</dd>
    </dl>
    <details><summary>Licences of what is in this page</summary><pre class="notices">{notices?.content.textContent ?? ''}</pre></details>
  </div>;
}

/** The keys, as `?` shows them. */
export const KEYS: [string, string][] = [
  ['1 to 9, 0', 'the views, in their order'], ['/', 'search; Enter the next hit, Shift+Enter the one before'], ['n, N', 'next and previous hit in the flame graph'],
  ['arrows', 'walk frames, rows, or the cursor of the time axis'], ['Shift+arrows', 'select a range on the time axis'], ['Enter, Backspace', 'zoom into a frame, and out'],
  ['z', 'zoom the time axis into the range'], ['Esc', 'undo the last narrowing: zoom, range, threads, selection, search'],
  ['i, l, t', 'flame graph: inverted, by line, as a tree table'], ['m', 'flame graph: imports as one frame each, or with what they run'], ['f, h', 'flame graph: only the selected function, or without it'],
  ['s', 'source of the selected function'], ['w', 'wall, CPU or GIL time'], ['[ and ]', 'previous and next hot line'], ['d', 'dark or light'], ['b', 'keep what is shown as the base that Diff compares with'], ['c', 'copy the link'], ['?', 'this list'],
];

