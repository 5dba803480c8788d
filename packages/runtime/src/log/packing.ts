/**
 * What an entry leaves out in its frame, and how it is put back. Generic over kinds: the run that its effect names,
 * references that its data names, counters that are zero; by kind: what nearly every entry says. Unpacking is total: an
 * entry written in full reads the same.
 */
import type { Cost, EffectId, Entry, Usage } from '@perdure/engine';
import { isCompactionId, runOf, ZERO_USAGE } from '@perdure/engine';

export type Packed = { kind: Entry['kind']; v?: number; run?: string; effect?: string; refs?: string[]; data: object };

const FREE: Cost = { nanoUsd: 0, price: null };

export function packEntry(entry: Entry): Packed {
  const packed: Packed = { kind: entry.kind, data: packData(entry) };
  if (entry.v !== 1) packed.v = entry.v;
  if (entry.effect !== undefined) packed.effect = entry.effect;
  if (entry.run !== undefined && entry.run !== runIn(entry.effect)) packed.run = entry.run;
  if (entry.refs !== undefined && !sameList(entry.refs, refsIn(entry.data))) packed.refs = [...entry.refs];
  return packed;
}

/** `input`: of the frame, which a message's submission mostly is. */
export function unpackEntry(packed: Packed, input: string): Packed {
  const data = withUsual(packed.kind, withInput(packed.kind, unpackData(packed.data), input));
  const entry: Packed = { ...packed, data };
  const run = packed.run ?? runIn(packed.effect as EffectId | undefined);
  if (run !== undefined) entry.run = run;
  if (packed.refs !== undefined) return entry;
  const refs = refsIn(data);
  if (refs.length > 0) entry.refs = refs;
  return entry;
}

/** The run that an effect names; a compaction names none. */
const runIn = (effect: EffectId | undefined): string | undefined =>
  effect === undefined || isCompactionId(effect) ? undefined : runOf(effect);

const MESSAGES: ReadonlySet<Entry['kind']> = new Set(['run.queued', 'run.steered']);

/** Without the submission that the frame names, what nearly every entry of its kind says, and zeros. */
function packData({ kind, data, input }: Entry): object {
  const usual = USUAL[kind] ?? NOTHING;
  const isInput = MESSAGES.has(kind) && 'submission' in data && data.submission === input;
  const isCharged = 'usage' in data && 'cost' in data;
  if (usual === NOTHING && !isInput && !isCharged) return data;
  const members = data as { readonly [member: string]: unknown };
  const packed: { [member: string]: unknown } = {};
  for (const name of Object.keys(members)) {
    const isLeftOut = (isInput && name === 'submission') || (isCharged && (name === 'usage' || name === 'cost'));
    const value = members[name];
    if (!isLeftOut && usual[name] !== value) packed[name] = value;
  }
  if (!isCharged) return packed;
  const { usage, cost } = data as { usage: Usage; cost: Cost };
  packed['usage'] = countsOf(usage);
  // No cost where nothing was charged and no price was known.
  if (cost.nanoUsd !== 0 || cost.price !== null) packed['cost'] = cost;
  return packed;
}

const withInput = (kind: Entry['kind'], data: object, input: string): object =>
  MESSAGES.has(kind) && !('submission' in data) ? { submission: input, ...data } : data;

/** The members of `run.queued` stand in this order, whatever was left out: an entry that is read is the one that was shown. */
function withUsual(kind: Entry['kind'], data: object): object {
  if (kind !== 'run.queued') return { ...USUAL[kind], ...data };
  const { submission, payload, ...rest } = data as { submission?: string; payload?: string };
  return { submission, payload, ...USUAL[kind], ...rest };
}

/** What is meant where it is missing. These never change: frames that lie in stores were written so. */
const USUAL: { readonly [K in Entry['kind']]?: { readonly [member: string]: string | number } } = {
  'run.queued': { mode: 'queue', priority: 0 },
  'turn.settled': { attempt: 1, outcome: 'done' },
  'call.settled': { attempt: 1, outcome: 'done' },
};

const NOTHING: { readonly [member: string]: string | number } = {};

/** Digests of the bodies that data refers to (`{digest, bytes}`), in the order of its members. */
function refsIn(data: object): string[] {
  const refs: string[] = [];
  collectRefs(data, refs);
  return refs;
}

function collectRefs(value: object, refs: string[]): void {
  if ('digest' in value && 'bytes' in value && typeof value.digest === 'string') {
    refs.push(value.digest);
    return;
  }
  for (const name in value) {
    const member = (value as { readonly [name: string]: unknown })[name];
    if (typeof member === 'object' && member !== null) collectRefs(member, refs);
  }
}

const sameList = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((item, index) => item === b[index]);

function countsOf(usage: Usage): object {
  const counts: { [name: string]: unknown } = {};
  for (const name of Object.keys(usage) as (keyof Usage)[])
    if (usage[name] !== ZERO_USAGE[name]) counts[name] = usage[name];
  return counts;
}

function unpackData(data: object): object {
  if (!('usage' in data)) return data;
  return { ...data, usage: { ...ZERO_USAGE, ...(data.usage as object) }, cost: 'cost' in data ? data.cost : FREE };
}
