/** What people and scripts read: results on standard output, everything else on standard error. */
import { styleText } from 'node:util';

export function print(text: string): void {
  process.stdout.write(text);
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

export function tell(text: string): void {
  process.stderr.write(text);
}

/** What was done and may not be meant: beside the output, on standard error. */
export function tellNotices({ notices = [] }: { notices?: readonly string[] }): void {
  for (const notice of notices) tell(`perdure: ${visible(notice)}\n`);
}

/** A person types here and reads here. */
export const isAtTerminal = (): boolean => process.stdin.isTTY === true && process.stdout.isTTY === true;

type Style = Parameters<typeof styleText>[0];

/** Styled for standard error; plain where that is no terminal or NO_COLOR is set. */
export function styled(style: Style, text: string): string {
  return styleText(style, text, { stream: process.stderr });
}

/** Rows in columns as wide as their longest cell; the last column is as long as it is. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows)
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
  const lines = rows.map((row) =>
    row
      .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

/** Text of models and tools as a terminal may be given it: what would steer the terminal is left out. */
export function visible(text: string): string {
  // oxlint-disable-next-line no-control-regex -- they are what is left out
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '');
}

/** One line of at most `chars` UTF-16 units. */
export function oneLine(text: string, chars: number): string {
  const flat = text.replace(/\s+/g, ' ').trim();
  return flat.length <= chars ? flat : `${flat.slice(0, chars - 1)}…`;
}

/** US dollars of an amount in nano-USD. */
export function dollars(nanoUsd: number): string {
  return `$${(nanoUsd / 1e9).toFixed(nanoUsd === 0 ? 2 : 6)}`;
}

/** Wall time in UTC, to the second. */
export function dateTime(at: number): string {
  return new Date(at).toISOString().replace('T', ' ').slice(0, 19);
}
