// Turns names, times and sizes of a recording into the words that the page shows.

/** A longer name loses its middle: generated code has names of any length. */
const MAX_NAME = 160;

/** Controls, and the characters that hide or reorder text (Unicode UTR 36). */
// eslint-disable-next-line no-control-regex
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;

/** The same text, in which every character that hides or reorders others is written as `\u{…}`. */
export function visible(text: string): string {
  return text.replace(UNSAFE, c => `\\u{${c.codePointAt(0)!.toString(16)}}`);
}

/** A line of source: tabs stay. */
export function visibleLine(text: string): string {
  return text.replace(UNSAFE, c => c === '\t' ? c : '\ufffd');
}

/** A name that fits in a row of a table. */
export function short(text: string, most = MAX_NAME): string {
  const part = text.length > 4 * most ? text.slice(0, 2 * most) + text.slice(-2 * most) : text;
  const shown = visible(part);
  if (shown.length <= most) return shown || '<no name>';
  const half = Math.floor((most - 1) / 2);
  return `${shown.slice(0, half)}…${shown.slice(-half)}`;
}

/** The last component of a path. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** A command without the folders of what it names; no more of it than is shown anywhere. */
export function withoutFolders(command: string): string {
  return command.slice(0, 4000).split(' ').map(word => /^\/.*[^/]$/.test(word) ? baseName(word) : word).join(' ');
}

/** Seconds with as many digits as the whole deserves. Both in ns. */
export function seconds(time: number, whole: number): string {
  const decimals = whole < 1e9 ? 4 : whole < 1e10 ? 3 : whole < 1e12 ? 2 : 1;
  return (time / 1e9).toFixed(decimals);
}

/** A span or moment for a sentence: `12.3 s`, `450 ms`, `80 µs`. In ns. */
export function span(time: number): string {
  const size = Math.abs(time);
  if (size === 0) return '0 s';
  if (size < 1e6) return `${Math.round(time / 1e3)} µs`;
  if (size < 1e9) return `${(time / 1e6).toFixed(size < 1e7 ? 1 : 0)} ms`;
  return `${(time / 1e9).toFixed(size < 1e11 ? 2 : 1)} s`;
}

/** `39 %`, with a digit where it is small. */
export function percent(part: number, whole: number): string {
  const share = whole > 0 ? 100 * part / whole : 0;
  if (share === 0) return '0 %';
  if (share < 0.1) return '<0.1 %';
  return `${share.toFixed(share < 10 ? 1 : 0)} %`;
}

/** `1.2 GB`, as the summary writes sizes: powers of 1000. */
export function bytes(size: number): string {
  if (!Number.isFinite(size)) return '?';
  const sign = size < 0 ? '−' : '';
  let value = Math.abs(size);
  for (const unit of ['B', 'kB', 'MB', 'GB', 'TB']) {
    if (value < 999.5 || unit === 'TB') {
      return `${sign}${value.toFixed(unit === 'B' || value >= 99.95 ? 0 : 1)} ${unit}`;
    }
    value /= 1000;
  }
  return '?';
}

/** `6,750`. */
export function count(number: number): string {
  return Math.round(number).toString().replace(/\B(?=(\d{3})+$)/g, ',');
}

/** `1 thread`, `3 threads`, `2 processes`. */
export function plural(number: number, word: string): string {
  const many = word.endsWith('s') ? `${word}es` : `${word}s`;
  return `${count(number)} ${number === 1 ? word : many}`;
}

/**
 * Half the width of the interval that holds a share with 95 % (Wilson), in points, of `samples`
 * independent samples; `null` where there are too few.
 */
export function accuracy(share: number, samples: number): number | null {
  if (samples < 4) return null;
  const z = 1.96, n = samples;
  return 100 * z / (1 + z * z / n) * Math.sqrt(share * (1 - share) / n + z * z / (4 * n * n));
}

/** Values at round numbers: at most `most` ticks over `from..to`. */
export function ticks(from: number, to: number, most: number): number[] {
  const rough = (to - from) / Math.max(1, most);
  if (!(rough > 0)) return [];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(it => it * power).find(it => it >= rough) ?? 10 * power;
  const list = [];
  for (let at = Math.ceil(from / step) * step; at <= to && list.length <= most + 1; at += step) list.push(at);
  return list;
}
