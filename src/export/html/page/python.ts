// Turns lines of Python source into words with a class each, for colours.

export type WordKind = 'keyword' | 'string' | 'comment' | 'number' | 'definition' | 'plain';
export interface Word { kind: WordKind; text: string }

const KEYWORDS = new Set(('False None True and as assert async await break class continue def del elif else except '
  + 'finally for from global if import in is lambda nonlocal not or pass raise return try while with yield match '
  + 'case self cls').split(' '));

/** A longer line is not looked at: it is shown in one colour. */
const MAX_LINE = 2000;

const WORD = /(#.*)|([rRbBuUfFtT]{0,2}(?:"""|'''))|([rRbBuUfFtT]{0,2}(?:"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?))|(\b\d[\w.]*)|([^\W\d]\w*)|([^\w#"']+)/gu;

/** The quotes of a string that goes on from lines that are not known: a lone end before any begin. */
function openBefore(lines: (string | undefined)[], from: number): string {
  const gap = lines.indexOf(undefined, from), known = lines.slice(from, gap < 0 ? undefined : gap).join('\n');
  for (const quotes of ['"""', "'''"]) {
    const parts = known.split(quotes);
    if (parts.length % 2 === 0 && /(^|\n)[ \t]*$/.test(parts[0]) && /^[ \t]*(\n|$)/.test(parts[1])) return quotes;
  }
  return '';
}

/** The words of each line; a string in triple quotes may go over several lines. `undefined`: a line that is not known. */
export function highlight(lines: (string | undefined)[]): Word[][] {
  let open = '';
  return lines.map((line, i) => {
    if (line === undefined) return [];
    if (i === 0 || lines[i - 1] === undefined) open = openBefore(lines, i);
    if (line.length > MAX_LINE) return [{ kind: 'plain', text: line }];
    const words: Word[] = [];
    let rest = line;
    if (open) {
      const end = rest.indexOf(open);
      if (end < 0) return [{ kind: 'string', text: rest }];
      words.push({ kind: 'string', text: rest.slice(0, end + 3) });
      rest = rest.slice(end + 3);
      open = '';
    }
    let defines = false;
    WORD.lastIndex = 0;
    for (let match; (match = WORD.exec(rest)) !== null;) {
      const [text, comment, triple, quoted, number, name] = match;
      if (triple !== undefined) {
        const quotes = triple.slice(-3);
        const end = rest.indexOf(quotes, WORD.lastIndex);
        if (end < 0) {
          open = quotes;
          words.push({ kind: 'string', text: rest.slice(match.index) });
          break;
        }
        words.push({ kind: 'string', text: rest.slice(match.index, end + 3) });
        WORD.lastIndex = end + 3;
        continue;
      }
      let kind: WordKind = 'plain';
      if (comment !== undefined) kind = 'comment';
      else if (quoted !== undefined) kind = 'string';
      else if (number !== undefined) kind = 'number';
      else if (name !== undefined) {
        kind = defines ? 'definition' : KEYWORDS.has(name) ? 'keyword' : 'plain';
        defines = name === 'def' || name === 'class';
      }
      const last = words[words.length - 1];
      if (kind === 'plain' && last?.kind === 'plain') last.text += text;
      else words.push({ kind, text });
    }
    return words;
  });
}
