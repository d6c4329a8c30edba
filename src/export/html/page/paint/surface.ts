// Turns rectangles, lines and letters into pixels of a canvas or into SVG: what paints does not know which.

export interface Surface {
  rect(x: number, y: number, width: number, height: number, fill: string, stroke?: string): void;
  /** A line through points, x and y in turn; filled down to `base` where that is given. */
  path(points: ArrayLike<number>, colour: string, width: number, base?: number, dash?: number[]): void;
  /** Letters, cut with `…` where they are wider than `most`. */
  text(x: number, y: number, text: string, colour: string, most?: number, bold?: boolean): void;
}

export const FONT_SIZE = 11.5;
export const FONT = `system-ui, "Segoe UI", "DejaVu Sans", "Liberation Sans", sans-serif`;

/** A canvas in points of CSS, as sharp as the screen. */
export function canvasSurface(canvas: HTMLCanvasElement, width: number, height: number): Surface {
  const scale = Math.max(1, globalThis.devicePixelRatio || 1), ctx = canvas.getContext('2d')!;
  const [w, h] = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
  if (canvas.width !== w) canvas.width = w;
  if (canvas.height !== h) canvas.height = h;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  ctx.setTransform(scale, 0, 0, scale, 0, 0);
  ctx.clearRect(0, 0, width, height);
  ctx.textBaseline = 'alphabetic';
  const fonts = [`${FONT_SIZE}px ${FONT}`, `600 ${FONT_SIZE}px ${FONT}`];
  ctx.font = fonts[0];
  return {
    rect(x, y, rectWidth, rectHeight, fill, stroke) {
      ctx.fillStyle = fill;
      ctx.fillRect(x, y, rectWidth, rectHeight);
      if (!stroke) return;
      ctx.strokeStyle = stroke;
      ctx.lineWidth = 2;
      ctx.strokeRect(x + 1, y + 1, Math.max(0, rectWidth - 2), rectHeight - 2);
    },
    path(points, colour, lineWidth, base, dash) {
      if (points.length < 4) return;
      ctx.beginPath();
      ctx.moveTo(points[0], points[1]);
      for (let i = 2; i < points.length; i += 2) ctx.lineTo(points[i], points[i + 1]);
      if (base !== undefined) {
        ctx.lineTo(points[points.length - 2], base);
        ctx.lineTo(points[0], base);
        ctx.fillStyle = colour;
        ctx.fill();
        return;
      }
      ctx.setLineDash(dash ?? []);
      ctx.strokeStyle = colour;
      ctx.lineWidth = lineWidth;
      ctx.stroke();
      ctx.setLineDash([]);
    },
    text(x, y, text, colour, most, bold) {
      ctx.font = fonts[bold ? 1 : 0];
      const shown = most === undefined ? text : cut(text, most, it => ctx.measureText(it).width);
      ctx.fillStyle = colour;
      if (shown) ctx.fillText(shown, x, y);
    },
  };
}

/** No more than so many letters of a text are measured. */
const MAX_LETTERS = 300;

/** As many letters as fit, with `…` where some don't. */
export function cut(text: string, most: number, measure: (text: string) => number): string {
  if (most < 14) return '';
  const all = text.length > MAX_LETTERS ? text.slice(0, MAX_LETTERS) + '…' : text;
  const width = measure(all);
  if (width <= most) return all;
  let letters = Math.floor(all.length * most / width);
  while (letters > 0 && measure(all.slice(0, letters) + '…') > most) letters--;
  return letters > 0 ? all.slice(0, letters) + '…' : '';
}

/** Text of an SVG, without what XML can't hold. */
export function escapeXml(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])/g, '\ufffd')
    .replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;');
}

const round = (value: number) => Math.round(value * 100) / 100;

export interface SvgSurface extends Surface { finish(): string }

export function svgSurface(width: number, height: number, back: string): SvgSurface {
  const parts: string[] = [];
  // No canvas measures here: letters of this font are about so wide.
  const measure = (text: string) => text.length * FONT_SIZE * 0.56;
  return {
    rect(x, y, w, h, fill, stroke) {
      const line = stroke ? ` stroke="${stroke}" stroke-width="2"` : '';
      parts.push(`<rect x="${round(x)}" y="${round(y)}" width="${round(Math.max(0, w))}" height="${round(h)}" fill="${fill}"${line}/>`);
    },
    path(points, colour, lineWidth, base, dash) {
      const list: string[] = [];
      for (let i = 0; i + 1 < points.length; i += 2) list.push(`${round(points[i])},${round(points[i + 1])}`);
      if (list.length < 2) return;
      if (base !== undefined) {
        list.push(`${round(points[points.length - 2])},${round(base)}`, `${round(points[0])},${round(base)}`);
        parts.push(`<polygon points="${list.join(' ')}" fill="${colour}"/>`);
        return;
      }
      const dashes = dash ? ` stroke-dasharray="${dash.join(' ')}"` : '';
      parts.push(`<polyline points="${list.join(' ')}" fill="none" stroke="${colour}" stroke-width="${lineWidth}"${dashes}/>`);
    },
    text(x, y, text, colour, most, bold) {
      const shown = most === undefined ? text : cut(text, most, measure);
      const weight = bold ? ' font-weight="600"' : '';
      if (shown) parts.push(`<text x="${round(x)}" y="${round(y)}" fill="${colour}"${weight}>${escapeXml(shown)}</text>`);
    },
    finish() {
      return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" `
        + `font-family="${escapeXml(FONT)}" font-size="${FONT_SIZE}"><rect width="100%" height="100%" fill="${back}"/>`
        + `${parts.join('')}</svg>\n`;
    },
  };
}
