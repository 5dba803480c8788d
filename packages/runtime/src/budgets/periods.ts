/**
 * Periods of budgets, in UTC. A period is part of its account's name, so that a new one begins with nothing spent and what
 * is still under way is settled where it was reserved.
 */
import type { Budget, BudgetAccount, Caps } from '@perdure/engine';
import { z } from 'zod';

export const PERIODS = ['day', 'month', 'total'] as const;
export type Period = (typeof PERIODS)[number];
/** What may be spent in each period; a missing one is not capped. */
export type PeriodCaps = { [P in Period]?: Caps };

const capsSchema = z.strictObject({
  tokens: z.int().min(0).optional(),
  nanoUsd: z.int().min(0).optional(),
});
/** Budgets as people write them. */
export const periodCapsSchema = z.strictObject({
  day: capsSchema.optional(),
  month: capsSchema.optional(),
  total: capsSchema.optional(),
});

/** Whose budget: `tenant`, `agent/NAME` or `session/ID`. */
export type Scope = string;

const DAY_MS = 24 * 60 * 60_000;

/** The accounts of a budget at a time, the lowest first: what counts on a day counts on its month, and on all. */
export function budgetAt(scope: Scope, caps: PeriodCaps, at: number): Budget {
  const { year, month, day } = dateOf(at);
  const ofMonth = `${year}-${two(month)}`;
  const account = (name: string, period: Period, endsAt: number | null): BudgetAccount => ({
    id: `${scope}@${name}`,
    caps: caps[period] ?? {},
    endsAt,
  });
  const accounts = [
    account(`${ofMonth}-${two(day)}`, 'day', (Math.floor(at / DAY_MS) + 1) * DAY_MS),
    account(ofMonth, 'month', daysTo(month === 12 ? year + 1 : year, (month % 12) + 1) * DAY_MS),
    account('total', 'total', null),
  ];
  return { account: accounts[0]?.id ?? '', accounts };
}

/** What a document says over the configuration: null lifts a cap, what is not named stays as it was. */
export type PeriodPatch = { [P in Period]?: { tokens?: number | null; nanoUsd?: number | null } };

export function patched(caps: PeriodCaps, patch: PeriodPatch): PeriodCaps {
  const result: PeriodCaps = {};
  for (const period of PERIODS) {
    const { tokens, nanoUsd } = { ...caps[period], ...patch[period] };
    const kept: Caps = {};
    if (typeof tokens === 'number') kept.tokens = tokens;
    if (typeof nanoUsd === 'number') kept.nanoUsd = nanoUsd;
    if (Object.keys(kept).length > 0) result[period] = kept;
  }
  return result;
}

/** One change after another. */
export function joined(patch: PeriodPatch, then: PeriodPatch): PeriodPatch {
  const result: PeriodPatch = { ...patch };
  for (const period of PERIODS) if (then[period] !== undefined) result[period] = { ...patch[period], ...then[period] };
  return result;
}

/** Whether anything is capped in it at all. */
export const isCapping = (caps: PeriodCaps | undefined): boolean =>
  PERIODS.some((period) => (caps?.[period]?.tokens ?? caps?.[period]?.nanoUsd) !== undefined);

const two = (value: number): string => String(value).padStart(2, '0');
const FEBRUARY = 2;

/** Days from 1970-01-01 to the first of a month, Gregorian: years are counted from March, so that a leap day is the last one. */
function daysTo(year: number, month: number): number {
  const shifted = month <= FEBRUARY ? year - 1 : year;
  const fromMarch = (month + 9) % 12;
  const leaps = Math.floor(shifted / 4) - Math.floor(shifted / 100) + Math.floor(shifted / 400);
  return shifted * 365 + leaps + Math.floor((153 * fromMarch + 2) / 5) - EPOCH_DAYS;
}
/** The same count for 1970-01-01. */
const EPOCH_DAYS = 719_468;

function dateOf(at: number): { year: number; month: number; day: number } {
  const days = Math.floor(at / DAY_MS);
  let year = 1970 + Math.floor(days / 365.2425);
  if (daysTo(year + 1, 1) <= days) year += 1;
  else if (daysTo(year, 1) > days) year -= 1;
  let month = 12;
  while (daysTo(year, month) > days) month -= 1;
  return { year, month, day: days - daysTo(year, month) + 1 };
}
