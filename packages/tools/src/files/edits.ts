/** Replacements in a text: what they make of it, and whether a text is what they make of another one. Pure. */
import { ToolFailure } from '../failure.ts';
import { LIMITS } from '../limits.ts';

/** `all`: each place where it stands; else the only one. */
export type Edit = { old: string; new: string; all: boolean };

/** Applies the edits, each to what the one before it made. Throws ToolFailure `no_match` or `many_matches`. */
export function applyEdits(text: string, edits: readonly Edit[]): string {
  let edited = text;
  for (const [index, edit] of edits.entries()) {
    const { old, new: fresh, all } = withLineEnds(edit, edited);
    const which = edits.length === 1 ? 'The text to replace' : `The text to replace of edit ${index + 1}`;
    const first = edited.indexOf(old);
    if (first < 0)
      throw new ToolFailure('no_match', `${which} is not in the file: give it exactly as it stands there.`);
    // One step on, so that what overlaps itself counts as well.
    if (!all && edited.indexOf(old, first + 1) >= 0)
      throw new ToolFailure('many_matches', `${which} stands there more than once: give more lines, or set all.`);
    edited = all ? edited.split(old).join(fresh) : edited.slice(0, first) + fresh + edited.slice(first + old.length);
  }
  return edited;
}

/** A model writes lines with LF; in a file whose lines all end with CRLF, CRLF is meant. */
function withLineEnds({ old, new: fresh, all }: Edit, text: string): Edit {
  if (lineEndOf(text) === '\n') return { old, new: fresh, all };
  const crlf = (part: string): string => part.replaceAll(/\r?\n/g, '\r\n');
  return { old: crlf(old), new: crlf(fresh), all };
}

/** CRLF where every line ends so, else LF. */
export function lineEndOf(text: string): '\n' | '\r\n' {
  return text.includes('\n') && !/(^|[^\r])\n/.test(text) ? '\r\n' : '\n';
}

/**
 * Texts of which the edits may have made this one, likely ones first: whoever knows the digest of the text before can
 * tell. So many are tried as the bounds allow; not every text has one.
 */
export function* undoneTexts(text: string, edits: readonly Edit[]): Generator<string> {
  const budget = { tries: LIMITS.undoneTexts, chars: LIMITS.undoneChars };
  yield* undone(text, edits, budget);
}

function* undone(text: string, edits: readonly Edit[], budget: { tries: number; chars: number }): Generator<string> {
  const last = edits.at(-1);
  if (last === undefined) {
    yield text;
    return;
  }
  const { old, new: fresh, all } = withLineEnds(last, text);
  const earlier = edits.slice(0, -1);
  for (let at = text.indexOf(fresh); at >= 0; at = text.indexOf(fresh, at + 1)) {
    budget.tries -= 1;
    budget.chars -= text.length;
    if (budget.tries < 0 || budget.chars < 0) return;
    if (all) {
      yield* undone(fresh === '' ? text : text.split(fresh).join(old), earlier, budget);
      return;
    }
    yield* undone(text.slice(0, at) + old + text.slice(at + fresh.length), earlier, budget);
    if (at >= text.length) return;
  }
}
