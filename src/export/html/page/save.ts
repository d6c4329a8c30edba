// Turns what is shown into files to keep and text to paste.

import { type Aggregate, type Model, NONE } from './model';
import { status } from './state';
import { svgSurface, type Surface } from './paint/surface';
import { visible } from './words';

/** Hands a file to the browser. */
export function download(name: string, type: string, content: string | Blob): void {
  const url = URL.createObjectURL(typeof content === 'string' ? new Blob([content], { type }) : content);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // A browser that asks where to save reads it later.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  status.value = `saved ${name}`;
}

/** Puts text into the clipboard, also where a page from a file may not (`NotAllowedError`). */
export async function copy(text: string, what: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
  status.value = `copied ${what}`;
}

/** What a painter draws, as a picture of any size. */
export interface Picture { name: string; width: number; height: number; back: string; paint(on: Surface): void }

export function svgOf(picture: Picture): string {
  const surface = svgSurface(picture.width, picture.height, picture.back);
  picture.paint(surface);
  return surface.finish();
}

export function savePicture(picture: Picture, as: 'svg' | 'png'): void {
  const svg = svgOf(picture);
  if (as === 'svg') return download(`${picture.name}.svg`, 'image/svg+xml', svg);
  savePng(svg, picture.name, picture.width, picture.height);
}

/** A browser draws no canvas that is longer, in pixels. */
const MAX_PIXELS = 16_000;

export function savePng(svg: string, name: string, width: number, height: number): void {
  const image = new Image(), scale = Math.min(2, MAX_PIXELS / width, MAX_PIXELS / height);
  image.onload = () => {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [width * scale, height * scale];
    canvas.getContext('2d')!.drawImage(image, 0, 0, canvas.width, canvas.height);
    canvas.toBlob(blob => { if (blob) download(`${name}.png`, 'image/png', blob); });
  };
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
}

/** Comma-separated values, RFC 4180. A cell that a spreadsheet would run as a formula begins with an apostrophe. */
export function csv(rows: (string | number)[][]): string {
  const cell = (value: string | number) => {
    if (typeof value === 'number') return String(value);
    const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
    return /[",\r\n]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
  };
  return rows.map(row => row.map(cell).join(',')).join('\r\n') + '\r\n';
}

export function tsv(rows: (string | number)[][]): string {
  return rows.map(row => row.map(cell => visible(String(cell))).join('\t')).join('\n') + '\n';
}

/** The names of a stack's functions, outermost first. */
export function stackNames(model: Model, node: number, withLines = false): string[] {
  const { stacks, functions, strings } = model, names = [];
  for (let at = node; at >= 0; at = stacks.parent[at]) {
    const f = stacks.function[at], name = visible(strings[functions.name[f]]), file = strings[functions.file[f]];
    const line = withLines ? stacks.line[at] : functions.firstLine[f];
    names.push(file ? `${name} (${visible(file)}${line === NONE ? '' : `:${line}`})` : name);
  }
  return names.reverse();
}

/** What stands for a stack without a Python frame. */
const NO_FRAMES = '<no Python frames>';

/** The stacks with a time of their own: the node, −1 for what had none. */
function* timed(model: Model, aggregate: Aggregate): Generator<[number, number]> {
  const { self, sum } = aggregate.totals;
  let rest = sum;
  for (let node = 0; node < model.stacks.parent.length; node++) {
    if (self[node] <= 0) continue;
    rest -= self[node];
    yield [node, self[node]];
  }
  if (rest > 0) yield [-1, rest];
}

/** Brendan Gregg's collapsed stacks, in microseconds. */
export function folded(model: Model, aggregate: Aggregate): string {
  const sums = new Map<string, number>();
  for (const [node, time] of timed(model, aggregate)) {
    const names = node < 0 ? [NO_FRAMES] : stackNames(model, node);
    const key = names.map(name => name.replace(/;/g, ':')).join(';');
    sums.set(key, (sums.get(key) ?? 0) + time);
  }
  return [...sums].map(([key, time]) => `${key} ${Math.round(time / 1e3)}\n`).join('');
}

/** The file format of speedscope: one profile of the stacks that are shown, by time. */
export function speedscope(model: Model, aggregate: Aggregate): string {
  const { stacks, functions, strings, meta } = model;
  const lineOf = (f: number) => functions.firstLine[f] === NONE ? undefined : functions.firstLine[f];
  const frames = Array.from(functions.name, (name, f) => (
    { name: visible(strings[name]), file: strings[functions.file[f]], line: lineOf(f) } as { name: string; file?: string; line?: number }));
  frames.push({ name: NO_FRAMES });
  const samples: number[][] = [], weights: number[] = [];
  for (const [node, time] of timed(model, aggregate)) {
    const stack = node < 0 ? [frames.length - 1] : [];
    for (let at = node; at >= 0; at = stacks.parent[at]) stack.push(stacks.function[at]);
    samples.push(stack.reverse());
    weights.push(time);
  }
  const end = weights.reduce((sum, weight) => sum + weight, 0);
  return JSON.stringify({
    $schema: 'https://www.speedscope.app/file-format-schema.json', exporter: `rsamp ${meta.rsamp}`, name: meta.title,
    shared: { frames },
    profiles: [{ type: 'sampled', name: meta.title, unit: 'nanoseconds', startValue: 0, endValue: end, samples, weights }],
  });
}
