/**
 * Unified diffs as `diff -u` and `git diff` write them (POSIX `diff`, section "Diff -u Output Format"), over several
 * files. Pure. The counts in a hunk's head are not believed, because models miscount; a line number is, where the hunk
 * fits there. A hunk must fit exactly: no line of it is passed over.
 */
import { ToolFailure } from '../failure.ts';
import { LIMITS } from '../limits.ts';
import { lineEndOf } from './edits.ts';
import type { Edit } from './edits.ts';

type Line = { mark: ' ' | '+' | '-'; text: string; end: boolean };
/** `from`: the first line in the file before, from 1; of a hunk that only adds, the line it comes after. */
export type Hunk = { from: number | null; lines: Line[]; head: string };
export type FileDiff = { path: string; kind: 'create' | 'update' | 'delete'; hunks: Hunk[] };

type Cursor = { readonly lines: readonly string[]; at: number };

const wrong = ({ at }: Cursor, problem: string): ToolFailure =>
  new ToolFailure('invalid_patch', `Line ${at + 1} of the patch: ${problem}.`);

/** Throws ToolFailure `invalid_patch`. */
export function parsePatch(patch: string): FileDiff[] {
  const cursor: Cursor = { lines: patch.split('\n').map((line) => line.replace(/\r$/, '')), at: 0 };
  const files: FileDiff[] = [];
  let announced = false;
  for (let line = cursor.lines[0]; line !== undefined; line = cursor.lines[cursor.at]) {
    if (isHeader(cursor)) {
      files.push(readFile(cursor));
      announced = false;
      continue;
    }
    if (line.startsWith('diff --git ') && !announced) announced = true;
    else if (line !== '' && !/^(index |new file mode 100644$|deleted file mode )/.test(line))
      throw wrong(cursor, 'expected "--- PATH" and "+++ PATH", then hunks that start with @@');
    cursor.at += 1;
  }
  if (announced || files.length === 0) throw wrong(cursor, 'there are no "--- PATH" and "+++ PATH" lines of a file');
  if (files.length > LIMITS.patchedFiles) throw wrong(cursor, `more than ${LIMITS.patchedFiles} files`);
  return files;
}

const isHeader = ({ lines, at }: Cursor): boolean =>
  lines[at]?.startsWith('--- ') === true && lines[at + 1]?.startsWith('+++ ') === true;

function readFile(cursor: Cursor): FileDiff {
  const file = headed(cursor);
  cursor.at += 2;
  while (cursor.lines[cursor.at]?.startsWith('@@') === true) file.hunks.push(readHunk(cursor));
  checkKind(cursor, file);
  return file;
}

const NONE = '/dev/null';

function headed(cursor: Cursor): FileDiff {
  const named = (line = ''): string => (line.slice(4).split('\t')[0] ?? '').trimEnd();
  let old = named(cursor.lines[cursor.at]);
  let fresh = named(cursor.lines[cursor.at + 1]);
  if ((old === NONE || old.startsWith('a/')) && (fresh === NONE || fresh.startsWith('b/'))) {
    if (old !== NONE) old = old.slice(2);
    if (fresh !== NONE) fresh = fresh.slice(2);
  }
  if (old.startsWith('"') || fresh.startsWith('"')) throw wrong(cursor, 'write the path without quotes');
  if (Math.max(old.length, fresh.length) > LIMITS.pathChars) throw wrong(cursor, 'the path is too long');
  if (old === NONE && fresh !== NONE) return { path: fresh, kind: 'create', hunks: [] };
  if (fresh === NONE && old !== NONE) return { path: old, kind: 'delete', hunks: [] };
  if (old !== fresh || old === NONE) throw wrong(cursor, 'the two paths differ: files are not renamed here');
  return { path: old, kind: 'update', hunks: [] };
}

function readHunk(cursor: Cursor): Hunk {
  const head = cursor.lines[cursor.at] ?? '';
  const numbers = /^@@ -(\d{1,9})(,\d+)? \+\d+(,\d+)? @@/.exec(head);
  const lines: Line[] = [];
  let blank = 0;
  for (cursor.at += 1; cursor.at < cursor.lines.length && !isHeader(cursor); cursor.at += 1) {
    const line = cursor.lines[cursor.at] ?? '';
    if (line.startsWith('@@') || line.startsWith('diff --git ')) break;
    const mark = line[0] ?? ' ';
    const last = lines.at(-1);
    if (mark === '\\' && last !== undefined) last.end = false;
    else if (mark === ' ' || mark === '+' || mark === '-') lines.push({ mark, text: line.slice(1), end: true });
    else throw wrong(cursor, 'a line of a hunk starts with a space, + or -');
    // An empty line within a hunk is an empty line of the file; behind the hunk it is nothing.
    blank = line === '' ? blank + 1 : 0;
  }
  const kept = lines.slice(0, lines.length - blank);
  if (kept.length === 0) throw wrong(cursor, 'the hunk before is empty');
  return { from: numbers === null ? null : Number(numbers[1]), lines: kept, head };
}

function checkKind(cursor: Cursor, { kind, hunks }: FileDiff): void {
  const marks = new Set(hunks.flatMap(({ lines }) => lines.map(({ mark }) => mark)));
  if (kind === 'create' && (marks.has('-') || marks.has(' '))) throw wrong(cursor, 'a new file has only + lines');
  if (kind === 'delete' && (marks.has('+') || marks.has(' '))) throw wrong(cursor, 'a deleted file has only - lines');
  if (kind === 'update' && !marks.has('+') && !marks.has('-')) throw wrong(cursor, 'the hunks change nothing');
}

/** The text of a file that a diff creates. */
export function createdText({ hunks }: FileDiff): string {
  return hunks.flatMap(({ lines }) => lines.map(({ text, end }) => (end ? `${text}\n` : text))).join('');
}

/** Applies the hunks to a text. Throws ToolFailure `no_match` or `many_matches`. */
export function applyHunks(text: string, hunks: readonly Hunk[]): string {
  const lineEnd = lineEndOf(text);
  const lines = text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
  const bare = lines.map((line) => line.replace(/\r?\n$/, ''));
  const made: string[] = [];
  let next = 0;
  for (const hunk of hunks) {
    const start = placeOf(hunk, bare, next);
    made.push(...lines.slice(next, start));
    next = start;
    for (const line of hunk.lines) {
      if (line.mark === '+') made.push(line.end ? line.text + lineEnd : line.text);
      else if (line.mark === ' ') made.push(lines[next++] ?? '');
      else next += 1;
    }
  }
  made.push(...lines.slice(next));
  // Only the last line may be without an end.
  return made.map((line, index) => (index + 1 < made.length && !line.endsWith('\n') ? line + lineEnd : line)).join('');
}

/** The line, from 0, at which a hunk fits: the one it names, else the only one. */
function placeOf({ from, lines, head }: Hunk, file: readonly string[], start: number): number {
  const old = lines.filter(({ mark }) => mark !== '+').map(({ text }) => text);
  if (old.length === 0) {
    const at = file.length === 0 ? 0 : from;
    if (at !== null && at >= start && at <= file.length) return at;
    throw new ToolFailure('no_match', `The hunk "${head}" only adds lines: give lines around them.`);
  }
  const fits = (at: number): boolean => at >= start && old.every((text, index) => file[at + index] === text);
  if (from !== null && fits(from - 1)) return from - 1;
  const found: number[] = [];
  for (let at = start; at + old.length <= file.length && found.length < 2; at += 1) if (fits(at)) found.push(at);
  const [only, other] = found;
  if (only === undefined)
    throw new ToolFailure('no_match', `The hunk "${head}" does not fit: its lines are not in the file as they are.`);
  if (other === undefined) return only;
  throw new ToolFailure(
    'many_matches',
    `The hunk "${head}" fits at lines ${only + 1} and ${other + 1}: give more lines.`,
  );
}

/** The hunks as replacements, to find out whether a text is what they made: see `undoneTexts`. */
export function editsOf(hunks: readonly Hunk[]): Edit[] {
  const side = ({ lines }: Hunk, other: '+' | '-'): string =>
    lines.flatMap(({ mark, text, end }) => (mark === other ? [] : [end ? `${text}\n` : text])).join('');
  return hunks.map((hunk) => ({ old: side(hunk, '+'), new: side(hunk, '-'), all: false }));
}
