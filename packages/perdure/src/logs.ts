/** How log lines look: JSON as they are, one short line each, or in colours for people. */
import type { LogFormat } from '@perdure/runtime';

export type LogSink = { write(line: string): void };
export type LogStream = { write(text: string): unknown; isTTY?: boolean };

/** Where finished JSON lines go. `pretty` has colours on a terminal, unless NO_COLOR is set. */
export async function logSink(
  format: LogFormat,
  stream: LogStream,
  env: Readonly<Record<string, string | undefined>>,
): Promise<LogSink> {
  if (format === 'json') return { write: (line) => void stream.write(line) };
  if (format === 'compact') return { write: (line) => void stream.write(compact(line)) };
  const { prettyFactory } = await import('pino-pretty');
  const colorize = stream.isTTY === true && (env['NO_COLOR'] ?? '') === '';
  const pretty = prettyFactory({ colorize, translateTime: 'HH:MM:ss.l', singleLine: true });
  return { write: (line) => void stream.write(pretty(line)) };
}

const LEVELS: { readonly [level: number]: string } = { 20: 'debug', 30: 'info', 40: 'warn', 50: 'error' };

/** `12:00:01 warn  a run failed session=ses_1 run=r2`; what is no JSON line stays as it is. */
export function compact(line: string): string {
  let fields: { [name: string]: unknown };
  try {
    fields = JSON.parse(line) as { [name: string]: unknown };
  } catch {
    return line;
  }
  const { level, time, msg, ...rest } = fields;
  const clock = typeof time === 'string' ? time.slice(11, 19) : '';
  const pairs = Object.entries(rest).map(([name, value]) => `${name}=${plain(value)}`);
  return `${[clock, (LEVELS[Number(level)] ?? String(level)).padEnd(5), String(msg), ...pairs].join(' ')}\n`;
}

function plain(value: unknown): string {
  if (typeof value === 'string') return /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
  return JSON.stringify(value) ?? 'null';
}
