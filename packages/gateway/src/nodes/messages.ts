/**
 * What processes that share data say to each other over one WebSocket: which sessions one listens to, and what the other
 * hears of them. Between builds of different age what is not understood is passed over: nothing here is more than live.
 */
import type { Told } from '@perdure/runtime';
import { deltaSchema } from '@perdure/contract';

export const NODE_PATH = '/internal/live';

export type Wanted = { want?: readonly string[]; drop?: readonly string[] };

export function readWanted(text: string): { want: string[]; drop: string[] } {
  const { want, drop } = objectOf(text);
  return { want: strings(want), drop: strings(drop) };
}

/** Null for what this build does not know. */
export function readTold(text: string): Told | null {
  const { session, head, delta } = objectOf(text);
  if (typeof session !== 'string') return null;
  if (typeof head === 'number' && Number.isSafeInteger(head)) return { session, head };
  const read = deltaSchema.safeParse(delta);
  return read.success ? { session, delta: read.data } : null;
}

type Members = { readonly [name: string]: unknown };

function objectOf(text: string): Members {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Members) : {};
  } catch {
    return {};
  }
}

const strings = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string') : [];
