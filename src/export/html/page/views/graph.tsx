// Draws the call graph: functions as boxes, calls as arrows as wide as their time.

import dagre from '@dagrejs/dagre';
import { useMemo, useRef, useState } from 'preact/hooks';

import { byClass } from '../aggregate';
import { calls, type Call, withoutHidden } from '../derive';
import { savePng, download } from '../save';
import { cut, escapeXml, FONT, FONT_SIZE } from '../paint/surface';
import { aggregate, ground, known, model, paper, select, selected, show } from '../state';
import { heat } from '../theme';
import { percent } from '../words';
import { nameOf, placeOf, secondsOf, whole } from './parts';

/** The layout of more boxes takes too long. */
const MAX_BOXES = 80;

const WIDTH = 190;
const HEIGHT = 46;

interface Box { of: number; self: number; total: number; x: number; y: number }
interface Arrow { call: Call; points: { x: number; y: number }[] }
interface Graph { boxes: Box[]; arrows: Arrow[]; width: number; height: number; leftOut: number }

/** The functions with the least share or more, those with most time first; with one selected, those near it. */
function graphOf(share: number, around: number | null, foldsImports: boolean): Graph {
  const now = aggregate.value!, at = model.value, sum = now.totals.sum, hidden = foldsImports ? known.value.insideImports : null;
  const times = byClass(at.stacks, known.value.functions, hidden ? withoutHidden(at, now.totals.self, hidden) : now.totals.self);
  let list: number[] = [];
  times.total.forEach((time, f) => { if (time >= share * sum && time > 0) list.push(f); });
  list.sort((a, b) => times.total[b] - times.total[a]);
  let edges = calls(at, now, new Set(list), hidden).filter(it => it.time >= share * sum / 4);
  if (around !== null && list.includes(around)) {
    const near = new Set([around]);
    reach(edges, near, around, it => it.caller, it => it.callee);
    reach(edges, near, around, it => it.callee, it => it.caller);
    list = list.filter(f => near.has(f));
  }
  const chosen = new Set(list.slice(0, MAX_BOXES));
  edges = edges.filter(it => chosen.has(it.caller) && chosen.has(it.callee));
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: 'TB', nodesep: 16, ranksep: 34, marginx: 12, marginy: 12 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const f of chosen) graph.setNode(String(f), { width: WIDTH, height: HEIGHT });
  for (const { caller, callee } of edges) graph.setEdge(String(caller), String(callee));
  dagre.layout(graph);
  const { width = 0, height = 0 } = graph.graph();
  return {
    boxes: [...chosen].map(of => ({ of, self: times.self[of], total: times.total[of], ...(graph.node(String(of)) as { x: number; y: number }) })),
    arrows: edges.map(call => ({ call, points: graph.edge(String(call.caller), String(call.callee)).points as Arrow['points'] })),
    width, height, leftOut: list.length - chosen.size,
  };
}

function reach(edges: Call[], near: Set<number>, from: number, start: (it: Call) => number, end: (it: Call) => number): void {
  const todo = [from], seen = new Set([from]);
  while (todo.length) {
    const at = todo.pop()!;
    for (const edge of edges) {
      if (start(edge) !== at || seen.has(end(edge))) continue;
      seen.add(end(edge));
      near.add(end(edge));
      todo.push(end(edge));
    }
  }
}

export function GraphView() {
  const [share, setShare] = useState(2), [near, setNear] = useState(false), [folds, setFolds] = useState(true), now = aggregate.value, svg = useRef<SVGSVGElement>(null);
  const around = near ? selected.value : null;
  const graph = useMemo(() => now && graphOf(share / 100, around, folds), [now, share, around, folds]);
  if (!graph || !now) return null;
  const text = () => svgText(svg.current!, graph);
  return <div class="graph">
    <div class="tools top">
      <label>functions from <input type="range" min="0.5" max="20" step="0.5" value={share} aria-valuetext={`${share} %`} onInput={event => setShare(Number(event.currentTarget.value))} /> {share} % on</label>
      <button aria-pressed={near} disabled={selected.value === null} onClick={() => setNear(!near)}>only callers and callees of the selected one</button>
      <button aria-pressed={folds} title="an import is one box, without what it runs" onClick={() => setFolds(!folds)}>fold imports</button>
    <span class="faint">fill: own time; bar: with calls; arrow: time of the call{graph.leftOut > 0 ? `; ${graph.leftOut} functions with less time are left out` : ''}</span>
      <span class="grow" />
      <button onClick={() => download('calls.svg', 'image/svg+xml', text())}>SVG</button><button onClick={() => savePng(text(), 'calls', graph.width, graph.height)}>PNG</button>
      <button onClick={() => download('calls.dot', 'text/vnd.graphviz', dot(graph))}>DOT</button>
    </div>
    <div class="scroll" tabIndex={0} role="group" aria-label="call graph; the table Functions and the callers and calls of each say the same">
      <svg ref={svg} width={graph.width} height={graph.height} viewBox={`0 0 ${graph.width} ${graph.height}`} role="img" aria-label={`call graph of ${graph.boxes.length} functions`} font-size={FONT_SIZE} font-family={FONT}>
        {graph.arrows.map(it => <Edge key={`${it.call.caller} ${it.call.callee}`} arrow={it} />)}
        {graph.boxes.map(it => <Node key={it.of} box={it} />)}
      </svg>
    </div>
  </div>;
}

function Edge({ arrow: { call, points } }: { arrow: Arrow }) {
  const part = call.time / whole(), last = points[points.length - 1], before = points[points.length - 2] ?? points[0];
  const angle = Math.atan2(last.y - before.y, last.x - before.x), size = 5 + 5 * Math.sqrt(part), colour = paper.value.faint;
  const tip = (turn: number) => `${last.x - size * Math.cos(angle + turn)},${last.y - size * Math.sin(angle + turn)}`;
  const middle = points[Math.floor(points.length / 2)];
  return <g>
    <path d={curve(points)} fill="none" stroke={colour} stroke-opacity={0.35 + 0.5 * part} stroke-width={1 + 7 * part} />
    <polygon points={`${last.x},${last.y} ${tip(0.45)} ${tip(-0.45)}`} fill={colour} />
    {part > 0.005 && <text x={middle.x + 5} y={middle.y + 3} fill={paper.value.faint}>{percent(call.time, whole())}</text>}
  </g>;
}

/** A smooth line through the middles of the points' sections. */
function curve(points: { x: number; y: number }[]): string {
  let path = `M${points[0].x} ${points[0].y}`;
  for (let i = 1; i < points.length - 1; i++) path += `Q${points[i].x} ${points[i].y} ${(points[i].x + points[i + 1].x) / 2} ${(points[i].y + points[i + 1].y) / 2}`;
  return `${path}L${points[points.length - 1].x} ${points[points.length - 1].y}`;
}

function Node({ box: { of, self, total, x, y } }: { box: Box }) {
  const sum = whole();
  const { fill, ink } = heat(Math.sqrt(self / sum), ground.value), left = x - WIDTH / 2, top = y - HEIGHT / 2, isChosen = selected.value === of;
  return <g class="node" onClick={() => select(of)} onDblClick={() => show('source', of)}>
    <title>{`${nameOf(of)} ${placeOf(of)}\ntotal ${secondsOf(total)} s, ${percent(total, sum)}\nself ${secondsOf(self)} s, ${percent(self, sum)}`}</title>
    <rect x={left} y={top} width={WIDTH} height={HEIGHT} rx="4" fill={fill} stroke={isChosen ? paper.value.accent : paper.value.faint} stroke-width={isChosen ? 3 : 1} />
    <rect x={left} y={top + HEIGHT - 4} width={WIDTH * Math.min(1, total / sum)} height="4" fill={isChosen ? paper.value.accent : paper.value.faint} />
    <text x={left + 8} y={top + 16} fill={ink} font-weight="600">{cut(nameOf(of), WIDTH - 16, it => it.length * FONT_SIZE * 0.6)}</text>
    <text x={left + 8} y={top + 32} fill={ink}>{`${percent(total, sum)}, self ${percent(self, sum)}`}</text>
  </g>;
}

function svgText(svg: SVGSVGElement, { width, height }: Graph): string {
  const copy = svg.cloneNode(true) as SVGSVGElement;
  copy.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  return copy.outerHTML.replace('>', `><rect width="${width}" height="${height}" fill="${paper.value.back}"/>`);
}

function dot(graph: Graph): string {
  const quote = (text: string) => `"${escapeXml(text).replace(/\\/g, '\\\\')}"`;
  const nodes = graph.boxes.map(({ of, total }) => `  f${of} [label=${quote(`${nameOf(of)} ${percent(total, whole())}`)}];`);
  const edges = graph.arrows.map(({ call }) => `  f${call.caller} -> f${call.callee} [label=${quote(percent(call.time, whole()))}];`);
  return `digraph calls {\n  node [shape=box];\n${[...nodes, ...edges].join('\n')}\n}\n`;
}
