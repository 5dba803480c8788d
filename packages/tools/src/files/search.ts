import { ToolFailure } from '../failure.ts';
import { LIMITS } from '../limits.ts';
import type { Expression } from './patterns.ts';
import { showName, type FileSpace, type Opened } from './space.ts';
import { cutText, readText, splitLines } from './text.ts';

/** A search for lines over many files: what it asks, what it has found, and what it could not look at. */
export type Search = {
  readonly expression: Expression;
  readonly context: number;
  /** The answer: matching lines, context, and `--` between groups that do not touch. */
  readonly lines: string[];
  readonly matches: { path: string; line: number }[];
  readonly passedOver: { binary: number; tooLarge: number; hardLinked: number; unreadable: number };
  files: number;
  bytes: number;
  chars: number;
  /** Lines of which only the start was searched. */
  longLines: number;
  /** Which limit ended it; null while none has. */
  end: 'matches' | 'answer' | 'bytes' | null;
};

export function startSearch(expression: Expression, context: number): Search {
  const passedOver = { binary: 0, tooLarge: 0, hardLinked: 0, unreadable: 0 };
  return {
    expression,
    context,
    lines: [],
    matches: [],
    passedOver,
    files: 0,
    bytes: 0,
    chars: 0,
    longLines: 0,
    end: null,
  };
}

/** Searches one file that a walk found; one that cannot be searched is counted and passed over. */
export async function searchFound(space: FileSpace, at: string, search: Search, signal: AbortSignal): Promise<void> {
  try {
    await using file = await space.openFound(at, 'file');
    await searchFile(file, search, signal);
  } catch (error) {
    signal.throwIfAborted();
    const code = error instanceof ToolFailure ? error.code : 'not_readable';
    if (code === 'binary') search.passedOver.binary += 1;
    else if (code === 'too_large') search.passedOver.tooLarge += 1;
    else if (code === 'hard_linked') search.passedOver.hardLinked += 1;
    else search.passedOver.unreadable += 1;
  }
}

/** Searches one file until its end or until a limit ends the whole search. Throws ToolFailure as `readText` does. */
export async function searchFile(file: Opened, search: Search, signal: AbortSignal): Promise<void> {
  if (search.bytes + file.bytes > LIMITS.searchedBytes) {
    search.end = 'bytes';
    return;
  }
  search.bytes += file.bytes;
  search.files += 1;
  const path = showName(file.shown);
  let last = 0;
  for await (const { number, text, match } of findLines(readText(file, signal), search)) {
    if (match && search.matches.length === LIMITS.grepMatches) search.end = 'matches';
    const mark = match ? ':' : '-';
    const shown = [`${path}${mark}${number}${mark}${text}`];
    if (search.context > 0 && search.lines.length > 0 && number !== last + 1) shown.unshift('--');
    search.chars += shown.join('\n').length + 1;
    if (search.chars > LIMITS.answerChars) search.end ??= 'answer';
    if (search.end !== null) return;
    search.lines.push(...shown);
    if (match) search.matches.push({ path: file.shown, line: number });
    last = number;
  }
}

/** What must be said of a search beside what it found. */
export function notesOnSearch({ passedOver, longLines, end, matches }: Search): string[] {
  const counts: [number, string][] = [
    [passedOver.tooLarge, 'files are too large and were not searched'],
    [passedOver.hardLinked, 'files have a second name on the disk and were passed over'],
    [passedOver.unreadable, 'files could not be read'],
    [longLines, `lines are long: only their first ${LIMITS.searchedLineChars} characters were searched`],
  ];
  const notes = counts.filter(([count]) => count > 0).map(([count, text]) => `[${count} ${text}]`);
  if (end === 'bytes') notes.push(`[stopped after ${LIMITS.searchedBytes / 1024 / 1024} MiB: narrow path or include]`);
  else if (end !== null)
    notes.push(`[up to here, ${matches.length} matches; there are more: narrow the pattern, path or include]`);
  return notes;
}

type FoundLine = { number: number; text: string; match: boolean };

/** The matching lines and those around them, in order, each once. */
async function* findLines(texts: AsyncIterable<string>, search: Search): AsyncGenerator<FoundLine> {
  const { expression, context } = search;
  const before: string[] = [];
  let after = 0;
  let number = 0;
  for await (const lines of splitLines(texts, LIMITS.searchedLineChars)) {
    for (const line of lines) {
      number += 1;
      const text = cutText(line, LIMITS.searchedLineChars);
      if (text.length < line.length) search.longLines += 1;
      // Finding the place costs more than finding that there is one.
      const long = text.length > LIMITS.shownLineChars;
      if (expression.test(text)) {
        for (const [index, earlier] of before.entries())
          yield { number: number - before.length + index, text: showLine(earlier, 0), match: false };
        before.length = 0;
        after = context;
        yield { number, text: showLine(text, long ? expression.indexIn(text) : 0), match: true };
      } else if (after > 0) {
        after -= 1;
        yield { number, text: showLine(text, 0), match: false };
      } else if (before.push(text) > context) before.shift();
    }
  }
}

/** As much of a line as an answer shows, with what was found in it. */
function showLine(line: string, found: number): string {
  const lead = LIMITS.shownLineChars / 4;
  const from = line.length <= LIMITS.shownLineChars || found <= lead ? 0 : found - lead;
  const shown = cutText(line.slice(from), LIMITS.shownLineChars);
  const cut = from + shown.length < line.length;
  return `${from > 0 ? '…' : ''}${shown}${cut ? '…' : ''}`.toWellFormed();
}
