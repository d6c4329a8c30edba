// Turns what a rectangle stands for into its colour, on light and on dark ground.
//
// Whose code: the hues of Okabe and Ito, as in the flame graph that rsamp writes as SVG. Work is blue, contention is
// orange, waiting is sand and grey: those stay apart for people who see few colours. Nothing is told by red and green.

export type Ground = 'light' | 'dark';

/** By Origin. */
const ORIGINS: [number, number, number][] = [
  [236, 160, 20], [96, 182, 233], [84, 192, 160], [212, 138, 178], [200, 200, 200],
];
export const ORIGIN_WORDS = ['your code', 'packages', 'standard library', 'native code', 'marks'];

/** Letters on the colours of origins. */
export const INK = '#16181d';

const SHADES = 4;

/** The colour of a function: the hue says whose code it is, the lightness its module. */
export function originColour(origin: number, module: number, dim = false): string {
  const [r, g, b] = ORIGINS[Math.min(origin, ORIGINS.length - 1)];
  const part = (Math.imul(module, 2654435761) >>> 24) % SHADES * 0.14;
  const lighter = (c: number) => Math.round(c + (255 - c) * part);
  return `rgb(${lighter(r)},${lighter(g)},${lighter(b)}${dim ? ',0.28' : ''})`;
}

/** Classes of native work, those that are named first. */
const CLASSES: [string, string][] = [
  ['#0b5cad', '#5596dd'], ['#e69f00', '#ffc25c'], ['#5b3f8c', '#a585d6'], ['#56b4e9', '#8fd0f7'],
  ['#8d8a4a', '#a3a05c'], ['#d55e00', '#ee7f2d'], ['#b9a3c9', '#cdb8dc'], ['#a98d66', '#bda27c'],
];

/** The colour of a class; one behind the last is what belongs to none. */
export function classColour(of: number, classes: number, ground: Ground): string {
  if (of >= classes) return stateColour('waiting', ground);
  return CLASSES[of % CLASSES.length][ground === 'dark' ? 1 : 0];
}

const STATES: Record<string, [string, string]> = {
  python: ['#2a6fb5', '#5596dd'], collecting: ['#7a5ba8', '#a585d6'], native: ['#6db9ea', '#8fd0f7'],
  gil: ['#d55e00', '#ee7f2d'], ready: ['#eda52a', '#ffc25c'], lock: ['#a98d66', '#9d835f'],
  disk: ['#8d8a4a', '#a3a05c'], network: ['#b9a3c9', '#8f7ba2'], pipe: ['#cbbfae', '#7d7263'],
  child: ['#d8cbb0', '#6b6250'], waiting: ['#bdbdbd', '#6c6f75'], sleep: ['#dedede', '#4c5057'],
  unknown: ['#ececec', '#3b3f46'],
};

export function stateColour(name: string, ground: Ground): string {
  return (STATES[name] ?? STATES.unknown)[ground === 'dark' ? 1 : 0];
}

/** Cividis (Nuñez, Anderton and Renslow, 2018), at five points: equal steps look equal to most kinds of eyes. */
const CIVIDIS = [[0, 32, 76], [64, 77, 107], [124, 123, 120], [187, 174, 107], [255, 234, 70]];

/** On light ground little is nearly white: the yellow end would look like much. */
const HEAT: Record<Ground, number[][]> = {
  light: [[253, 251, 243], [247, 236, 178], [199, 186, 118], ...CIVIDIS.slice(0, 3).reverse()],
  dark: [[44, 48, 56], ...CIVIDIS.slice(1)],
};

function between(points: number[][], t: number): number[] {
  const at = Math.max(0, Math.min(1, t)) * (points.length - 1), i = Math.min(points.length - 2, Math.floor(at));
  return points[i].map((c, k) => Math.round(c + (points[i + 1][k] - c) * (at - i)));
}

/** Heat from 0 to 1: darker is more on light ground, brighter on dark ground; and letters to be read on it. */
export function heat(t: number, ground: Ground): { fill: string; ink: string } {
  const [r, g, b] = between(HEAT[ground], t);
  const light = 0.299 * r + 0.587 * g + 0.114 * b > 140;
  return { fill: `rgb(${r},${g},${b})`, ink: light ? INK : '#ffffff' };
}

/** −1: less than before, blue; 1: more than before, orange. */
export function change(t: number, ground: Ground): string {
  const end = t < 0 ? [44, 123, 182] : [230, 120, 20], middle = ground === 'dark' ? [74, 78, 86] : [236, 236, 236];
  const [r, g, b] = between([middle, end], Math.min(1, Math.abs(t)));
  return `rgb(${r},${g},${b})`;
}

export interface Paper { ground: Ground; back: string; ink: string; faint: string; rule: string; accent: string; select: string }

export const PAPER: Record<Ground, Paper> = {
  light: { ground: 'light', back: '#ffffff', ink: '#16181d', faint: '#5c6370', rule: '#d9dce1', accent: '#0b5cad', select: '#0b3a75' },
  dark: { ground: 'dark', back: '#1b1e24', ink: '#e8eaed', faint: '#a4abb6', rule: '#3a3f48', accent: '#7db8f5', select: '#ffffff' },
};
