// Turns the frames of a flame graph that are in sight into rectangles with names.

import { firstBehind, type Flame } from '../flame';
import { FONT_SIZE, type Surface } from './surface';

export const ROW = 18;

/** Narrower frames are drawn as one grey block with their neighbours. */
const MIN_WIDTH = 1.2;

export interface FlameView {
  /** What fills the width, in the unit of totals. */
  from: number; to: number;
  width: number; height: number;
  /** So many points are scrolled out of sight. */
  top: number;
}

export interface FlameStyle {
  fill(frame: number): string;
  ink(frame: number): string;
  label(frame: number): string;
  isBold(frame: number): boolean;
  outline(frame: number): string | undefined;
  block: string;
}

export function paintFlame(on: Surface, flame: Flame, view: FlameView, style: FlameStyle): void {
  const scale = view.width / Math.max(1e-9, view.to - view.from);
  const last = Math.min(flame.levels.length - 1, Math.ceil((view.top + view.height) / ROW));
  for (let level = Math.max(0, Math.floor(view.top / ROW)); level <= last; level++) {
    const row = flame.levels[level], y = level * ROW - view.top;
    let blockFrom = -1, blockTo = -1;
    const endBlock = () => {
      if (blockFrom >= 0) on.rect(blockFrom, y, Math.max(0.6, blockTo - blockFrom), ROW - 1, style.block);
      blockFrom = -1;
    };
    for (let at = firstBehind(flame, level, view.from); at < row.length && flame.start[row[at]] < view.to; at++) {
      const frame = row[at];
      const left = Math.max(0, (flame.start[frame] - view.from) * scale);
      const right = Math.min(view.width, (flame.start[frame] + flame.total[frame] - view.from) * scale);
      if (right - left < MIN_WIDTH) {
        if (blockFrom >= 0 && left > blockTo + 1) endBlock();
        if (blockFrom < 0) blockFrom = left;
        blockTo = right;
        continue;
      }
      endBlock();
      on.rect(left, y, right - left - 0.6, ROW - 1, style.fill(frame), style.outline(frame));
      if (right - left > 22) on.text(left + 4, y + ROW / 2 + FONT_SIZE * 0.34, style.label(frame), style.ink(frame), right - left - 8, style.isBold(frame));
    }
    endBlock();
  }
}
