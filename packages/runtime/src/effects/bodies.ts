/** Content on its way into the log. Everything that becomes a body comes by here, and is clean from then on (P13). */
import type { BodyRef } from '@perdure/engine';
import { saltedBody, sha256 } from '../log/digest.ts';
import { LIMITS } from '../limits.ts';
import type { Body, Digest, Random } from '../ports.ts';
import type { Redactor } from '../secrets/redact.ts';

export type Stored = { bodies: Body[]; blobs: Uint8Array[] };
export type Bodies = {
  /** What an input carries: small bodies go with its append, the blobs are flushed before it. */
  readonly stored: Stored;
  /** The value without secrets. */
  clean<T>(value: T): T;
  /** The same with its JSON text; null: it was changed. */
  looked<T extends object>(value: T): { value: T; json: string | null };
  /** A JSON value, cleaned; `json`: its text, where that is known and clean. */
  add(value: unknown, json?: string | null): BodyRef;
  /** A text that is clean, beside the bodies. */
  keep(text: string): Digest;
  /** A blob that is there and is referred to from now on: written anew, so that it is young. */
  renew(bytes: Uint8Array, digest: Digest): Digest;
};

/** Collects the content of one input. Nothing is written here: the step writes, and can be asked to again. */
export function createBodies(options: { random: Random; redactor: Redactor }): Bodies {
  const { random, redactor } = options;
  const stored: Stored = { bodies: [], blobs: [] };
  const keep = (text: string): Digest => {
    stored.blobs.push(Buffer.from(text));
    return sha256(text);
  };
  return {
    stored,
    keep,
    renew(bytes, digest) {
      stored.blobs.push(bytes);
      return digest;
    },
    clean: (value) => redactor.value(value),
    looked(value) {
      const json = redactor.cleanJson(value);
      return json === null ? { value: redactor.value(value), json } : { value, json };
    },
    add(value, json = null) {
      const text = json ?? redactor.json(value);
      const bytes = Buffer.byteLength(text);
      if (bytes > LIMITS.inlineBodyBytes) return { digest: keep(text), bytes };
      const body = saltedBody(text, random);
      stored.bodies.push(body);
      return { digest: body.digest, bytes };
    },
  };
}
