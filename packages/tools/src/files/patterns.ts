/**
 * Patterns that a model wrote, over names and lines that anyone wrote. A backtracking matcher can be kept busy for ever
 * by a few such characters, and no list of bad shapes is complete; so both kinds are run by RE2, whose time grows with
 * the text alone, times the compiled size, which is bounded here. Look-around and back-references do not exist in it.
 */
import { RE2JS } from 're2js';
import { ToolFailure } from '../failure.ts';
import { LIMITS } from '../limits.ts';

export type Expression = {
  test(text: string): boolean;
  /** Where the first match starts, in UTF-16 units; -1 for none. */
  indexIn(text: string): number;
};

/** Throws ToolFailure `invalid_pattern`. */
export function compileExpression(source: string, ignoreCase: boolean): Expression {
  const compiled = compile(source, ignoreCase ? RE2JS.CASE_INSENSITIVE : 0, 'regular expression (RE2)', source);
  return {
    test: (text) => compiled.test(text),
    indexIn(text) {
      const matcher = compiled.matcher(text);
      return matcher.find() ? matcher.start() : -1;
    },
  };
}

/**
 * Matches paths with `/` between names. `*` and `?` stay within a name, `**` as a whole name stands for any number of
 * folders, `[a-z]` and `[!a-z]` for a character, `{a,b}` for either, `\` takes the next character as it is; a leading dot
 * is nothing special. A glob without `/` is matched against the last name alone. What would be read differently
 * elsewhere (negation, extended globs, ranges in braces) is refused. Throws ToolFailure `invalid_pattern`.
 */
export function compileGlob(glob: string): (path: string) => boolean {
  if (glob.startsWith('!')) throw invalid('glob', glob, 'it cannot start with "!"; write what to find');
  if (glob.startsWith('/')) throw invalid('glob', glob, 'it is relative; set path to choose the folder');
  if (/(?<!\\)[?*+@!]\(/.test(glob)) throw invalid('glob', glob, 'extended globs are not known; put "\\" before "("');
  const plain = glob.replace(/^(?:\.\/)+/, '');
  const compiled = compile(`^(?:${expressionOf(plain, glob)})$`, RE2JS.DOTALL, 'glob', glob);
  if (glob.includes('/')) return (path) => compiled.test(path);
  return (path) => compiled.test(path.slice(path.lastIndexOf('/') + 1));
}

function expressionOf(glob: string, whole: string): string {
  let out = '';
  let braces = 0;
  for (let at = 0; at < glob.length;) {
    const char = glob.charAt(at);
    const token = starsAt(glob, at) ?? classAt(glob, at, whole);
    if (token !== null) {
      out += token.expression;
      at += token.length;
      continue;
    }
    if (char === '\\' && at + 1 < glob.length) {
      const next = String.fromCodePoint(glob.codePointAt(at + 1) ?? 0);
      out += RE2JS.quote(next);
      at += 1 + next.length;
      continue;
    }
    if (char === '{') {
      if (/^\{[^{},/]*\.\.[^{},/]*\}/.test(glob.slice(at)))
        throw invalid('glob', whole, 'ranges in braces are not known; list what to find');
      braces += 1;
      out += '(?:';
    } else if (char === '}' && braces > 0) {
      braces -= 1;
      out += ')';
    } else if (char === ',' && braces > 0) out += '|';
    else out += char === '?' ? '[^/]' : RE2JS.quote(char);
    at += 1;
  }
  if (braces > 0) throw invalid('glob', whole, 'a brace is not closed');
  return out;
}

type Token = { expression: string; length: number };

/** A run of stars: `**` counts for folders only as a whole name. */
function starsAt(glob: string, at: number): Token | null {
  const stars = /^\*+/.exec(glob.slice(at))?.[0].length ?? 0;
  if (stars === 0) return null;
  const before = at === 0 ? '' : glob.charAt(at - 1);
  const after = glob.charAt(at + stars);
  const startsName = before === '' || '/{,'.includes(before);
  if (stars > 1 && startsName && after === '/') return { expression: '(?:[^/]+/)*', length: stars + 1 };
  if (stars > 1 && startsName && (after === '' || '},'.includes(after)))
    return { expression: '(?:[^/]+/)*[^/]+', length: stars };
  // Alone in its place a star stands for a name, and no name is empty.
  const alone = startsName && (after === '' || '/},'.includes(after));
  return { expression: alone ? '[^/]+' : '[^/]*', length: stars };
}

function classAt(glob: string, at: number, whole: string): Token | null {
  if (glob.charAt(at) !== '[') return null;
  const found = /^\[([!^]?)(\]?(?:\\.|[^\]\\/])*)\]/su.exec(glob.slice(at));
  if (found === null)
    throw invalid('glob', whole, 'a "[" is not closed; put "\\" before it if it is a part of the name');
  const [text, negation, members = ''] = found;
  if (members.includes('[:')) throw invalid('glob', whole, 'named classes are not known; list the characters');
  const escaped = members.replaceAll(/\\(.)|^-|[[\]^&~]/gsu, (own, quoted: string | undefined) => {
    const character = quoted ?? own;
    return `\\x{${(character.codePointAt(0) ?? 0).toString(16)}}`;
  });
  return { expression: negation === '' ? `[${escaped}]` : `[^/${escaped}]`, length: text.length };
}

function compile(source: string, flags: number, kind: string, written: string): RE2JS {
  let compiled: RE2JS;
  try {
    compiled = RE2JS.compile(source, flags);
  } catch (error) {
    throw invalid(kind, written, error instanceof Error ? error.message : 'it does not parse');
  }
  if (compiled.programSize() > LIMITS.patternInstructions)
    throw invalid(kind, written, 'it is too big; use smaller repeat counts or fewer alternatives');
  return compiled;
}

function invalid(kind: string, written: string, why: string): ToolFailure {
  return new ToolFailure('invalid_pattern', `${JSON.stringify(written)} is not a usable ${kind}: ${why}.`);
}
