/** Entries as clients read them: upcast, in their envelope, small bodies beside their references. */
import type { Entry as WireEntry } from '@perdure/contract';
import type { Entry } from '@perdure/engine';
import { decodeFrame } from './frame.ts';
import type { Body, StoredFrame } from '../ports.ts';

/** The text of a body by digest; undefined where it is large, erased or not at hand. */
export type BodyText = (digest: string) => string | undefined;

export function toWire(entry: Entry, hash: string, body: BodyText): WireEntry {
  const wire: Record<string, unknown> = { seq: entry.seq, at: entry.at, kind: entry.kind, v: entry.v };
  if (entry.run !== undefined) wire['run'] = entry.run;
  if (entry.effect !== undefined) wire['effect'] = entry.effect;
  wire['by'] = entry.by;
  wire['data'] = entry.refs === undefined ? entry.data : withBodies(entry.data, body);
  wire['hash'] = hash;
  return wire as unknown as WireEntry;
}

/** A stored frame's entries on the wire. */
export function wireFrame(frame: StoredFrame): WireEntry[] {
  const body = textOf(frame.bodies);
  return decodeFrame(frame).map((entry) => toWire(entry, frame.hash, body));
}

/** Only what stands beside the entry's own frame: an entry reads the same live and from the log. */
export function textOf(bodies: readonly Body[]): BodyText {
  const texts = new Map(bodies.map(({ digest, text }) => [digest, text]));
  return (digest) => texts.get(digest);
}

function withBodies(data: object, body: BodyText): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(data))
    out[name] = isRef(value) ? inline(value, body) : isNested(value) ? withBodies(value, body) : value;
  return out;
}

const isNested = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isRef = (value: unknown): value is { digest: string; bytes: number } =>
  isNested(value) && 'digest' in value && typeof value.digest === 'string' && 'bytes' in value;

function inline(ref: { digest: string; bytes: number }, body: BodyText): object {
  const text = body(ref.digest);
  if (text === undefined) return ref;
  const content = JSON.parse(text) as unknown;
  return { ...ref, body: isNested(content) ? withoutNative(content) : content };
}

/** A provider's own items stay between the log and the provider. */
function withoutNative(content: object): object {
  if (!('native' in content)) return content;
  const { native: _native, ...rest } = content;
  return rest;
}
