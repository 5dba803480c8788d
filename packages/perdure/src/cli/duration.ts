/** `90s`, `30m`, `12h`, `7d`: how long. */
import { UsageError } from './exit.ts';

const UNITS: { readonly [unit: string]: number } = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** In ms. Throws UsageError. */
export function durationOf(text: string): number {
  const [, count = '', unit = ''] = /^(\d{1,6})([smhd])$/.exec(text.trim()) ?? [];
  const ms = Number(count) * (UNITS[unit] ?? Number.NaN);
  if (!(ms > 0)) throw new UsageError(`'${text}' is not a time: write 90s, 30m, 12h or 7d`);
  return ms;
}
