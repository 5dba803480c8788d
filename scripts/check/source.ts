// Reads TypeScript just far enough to tell code from comments and strings, and to list what a file imports.

export type Import = {
  readonly specifier: string;
  readonly line: number;
  /** `import type` or `export type`: nothing of it is left at run time. */
  readonly typeOnly: boolean;
  /** The imported names; `*` stands for a namespace, a default or a dynamic import. */
  readonly names: readonly string[];
};

const STATEMENT =
  /\b(?:import|export)\b\s*(type\b(?!\s*(?:,|from\b)))?\s*([\w$*{},\s]*?)\s*(?:\bfrom\s*)?(['"])( *)\3/g;
const CALL = /\b(?:import|require)\s*\(\s*(['"`])( *)\1/g;
const REGEX_AFTER = /(?:^|[(,=:[!&|?{};+\-*%<>~^]|\b(?:return|typeof|case|in|of|yield|await|default))\s*$/;

export function listImports(source: string): Import[] {
  const code = blank(source);
  const found: Import[] = [];
  for (const match of code.matchAll(STATEMENT)) {
    const [whole, type, clause = '', , gap = ''] = match;
    const specifier = source.slice(match.index + whole.length - 1 - gap.length, match.index + whole.length - 1);
    found.push({ specifier, line: lineAt(source, match.index), typeOnly: type !== undefined, names: namesOf(clause) });
  }
  for (const match of code.matchAll(CALL)) {
    const end = match.index + match[0].length - 1;
    const specifier = source.slice(end - (match[2] ?? '').length, end);
    found.push({ specifier, line: lineAt(source, match.index), typeOnly: false, names: ['*'] });
  }
  return found;
}

/** Finds a pattern in the code proper; the pattern must be global. */
export function findInCode(source: string, pattern: RegExp): number[] {
  return [...blank(source).matchAll(pattern)].map((match) => lineAt(source, match.index));
}

/** The same text with comments and the insides of strings and regular expressions turned into spaces. */
export function blank(source: string): string {
  const out = source.split('');
  const holes: number[] = [];
  let at = 0;
  let depth = 0;
  const wipe = (from: number, to: number): void => {
    for (let i = from; i < to && i < out.length; i++) if (out[i] !== '\n') out[i] = ' ';
  };
  while (at < source.length) {
    const char = source[at];
    const pair = source.slice(at, at + 2);
    let end = at + 1;
    if (pair === '//' || pair === '/*') {
      end = endOfComment(source, at, pair);
      wipe(at, end);
    } else if (char === '"' || char === "'") {
      end = endOfQuoted(source, at, char);
      wipe(at + 1, end - 1);
    } else if (char === '/' && REGEX_AFTER.test(out.slice(Math.max(0, at - 40), at).join(''))) {
      end = endOfRegex(source, at);
      wipe(at + 1, end - 1);
    } else if (char === '`' || (char === '}' && holes.at(-1) === depth)) {
      if (char === '}') holes.pop();
      end = endOfTemplate(source, at);
      const opensHole = source[end - 1] === '{';
      wipe(at + 1, opensHole ? end - 2 : end - 1);
      if (opensHole) holes.push(depth);
    } else if (char === '{') {
      depth += 1;
    } else if (char === '}') {
      depth -= 1;
    }
    at = end;
  }
  return out.join('');
}

function endOfComment(source: string, at: number, opening: string): number {
  const closing = opening === '//' ? '\n' : '*/';
  const end = source.indexOf(closing, at + 2);
  return end === -1 ? source.length : end + (closing === '*/' ? 2 : 0);
}

function endOfQuoted(source: string, at: number, quote: string): number {
  let end = at + 1;
  while (end < source.length && source[end] !== quote && source[end] !== '\n') end += source[end] === '\\' ? 2 : 1;
  return end + 1;
}

function endOfRegex(source: string, at: number): number {
  let end = at + 1;
  let inClass = false;
  while (end < source.length && source[end] !== '\n' && (inClass || source[end] !== '/')) {
    if (source[end] === '[') inClass = true;
    else if (source[end] === ']') inClass = false;
    end += source[end] === '\\' ? 2 : 1;
  }
  return end + 1;
}

/** From a backquote, or from the brace that closes a hole, to past the closing backquote or the next `${`. */
function endOfTemplate(source: string, at: number): number {
  let end = at + 1;
  while (end < source.length && source[end] !== '`') {
    if (source[end] === '$' && source[end + 1] === '{') return end + 2;
    end += source[end] === '\\' ? 2 : 1;
  }
  return end + 1;
}

function namesOf(clause: string): string[] {
  const braces = /\{([^}]*)\}/.exec(clause);
  const listed = (braces?.[1] ?? '').split(',').map((name) => name.trim().replace(/^type\s+/, ''));
  const names = listed.map((name) => name.split(/\s+/)[0] ?? '').filter((name) => name !== '');
  const outside = clause.replace(/\{[^}]*\}/, '').replace(/[\s,]/g, '');
  return outside === '' ? names : ['*', ...names];
}

function lineAt(source: string, index: number): number {
  let line = 1;
  for (let i = source.indexOf('\n'); i !== -1 && i < index; i = source.indexOf('\n', i + 1)) line += 1;
  return line;
}
