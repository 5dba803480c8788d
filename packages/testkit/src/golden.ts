/**
 * Golden logs: sessions as an earlier build stored them, byte for byte, with what its folds made of them. Every later build
 * must read the same out of the same bytes (P3). Files are added with each release and never changed.
 */
import assert from 'node:assert/strict';
import { applyTrace, applyTranscript, emptyTrace, emptyTranscript, viewTrace, viewTranscript } from '@perdure/contract';
import type { Entry, State } from '@perdure/engine';
import { fold, freshState } from '@perdure/engine';
import { chainHash, decodeFrame, wireFrame } from '@perdure/runtime';
import type { Body, StoredFrame } from '@perdure/runtime/ports';

export type Golden = {
  /** The version that wrote it. */
  made: string;
  frames: { first: number; count: number; hash: string; text: string; bodies: readonly Body[] }[];
  /** What the version that wrote it read out of it. */
  expect: unknown;
};

export function goldenOf(made: string, frames: readonly StoredFrame[]): Golden {
  const kept = frames.map(({ first, count, hash, bytes, bodies }) => ({
    first,
    count,
    hash,
    text: Buffer.from(bytes).toString(),
    bodies: [...bodies],
  }));
  return { made, frames: kept, expect: readGolden({ frames: kept }) };
}

/** Checks the chain, folds, and gives what people and programs are shown of the session. */
export function readGolden({ frames }: Pick<Golden, 'frames'>): unknown {
  let hash = '';
  const stored = frames.map(({ text, ...frame }): StoredFrame => {
    const bytes = Buffer.from(text);
    assert.equal(frame.hash, chainHash(hash, bytes), `the frame at seq ${frame.first} is chained to the one before`);
    hash = frame.hash;
    return { ...frame, bytes, erased: false };
  });
  const entries = stored.flatMap((frame) => decodeFrame(frame));
  const transcript = emptyTranscript(() => undefined);
  const trace = emptyTrace();
  for (const entry of stored.flatMap((frame) => wireFrame(frame))) {
    applyTranscript(transcript, entry);
    applyTrace(trace, entry);
  }
  return JSON.parse(
    JSON.stringify({
      entries: entries.map(({ seq, kind, v }) => `${seq} ${kind}@${v}`),
      state: stateOf(fold(entries, freshState())),
      messages: viewTranscript(transcript),
      spans: viewTrace(trace),
    }),
  );
}

/** What of a state is a promise to its users; how it is held is each build's own affair. */
function stateOf(state: State): object {
  const { id, agent, key, phase, head, revision, queue, active, usage, cost, spent, reserved, context } = state;
  return {
    id,
    agent,
    key,
    phase,
    head,
    revision,
    queue,
    active,
    usage,
    cost,
    spent,
    reserved,
    runs: [...state.runs.values()].map((run) => ({ id: run.id, phase: run.phase, held: run.held, turns: run.turns })),
    waits: [...state.waits.values()].map(({ id: wait, kind, run, call, digest }) => ({
      id: wait,
      kind,
      run,
      call,
      digest,
    })),
    submissions: [...state.submissions].map(([submission, { receipt }]) => [submission, receipt]),
    items: context.items.map(({ kind, body }) => [kind, body?.digest ?? null]),
    slots: context.slots.map(({ key: slot, digest }) => [slot, digest]),
  };
}

/** Whether everything the older reading says is said by the newer one; it may say more. Gives the first place where not. */
export function differsAt(older: unknown, newer: unknown, at = ''): string | null {
  if (typeof older !== 'object' || older === null) return Object.is(older, newer) ? null : at;
  if (typeof newer !== 'object' || newer === null || Array.isArray(older) !== Array.isArray(newer)) return at;
  if (Array.isArray(older) && older.length !== (newer as unknown[]).length) return `${at}.length`;
  for (const [name, value] of Object.entries(older)) {
    const place = differsAt(value, (newer as { [name: string]: unknown })[name], `${at}.${name}`);
    if (place !== null) return place;
  }
  return null;
}

/** What tells one entry from another of its kind: which members its data has, and the words that say which case it is. */
export function shapeOf({ kind, v, data }: Entry): string {
  const words = Object.entries(data).map(([name, value]) =>
    typeof value === 'string' && CASES.has(name) ? `${name}=${value}` : name,
  );
  return `${kind}@${v} ${words.toSorted().join(' ')}`;
}

const CASES = new Set(['status', 'reason', 'kind', 'how', 'outcome', 'stop', 'decision', 'class', 'mode', 'limit']);
