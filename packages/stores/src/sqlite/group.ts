import type { Append, Origin } from '@perdure/runtime/ports';
import { packBodies } from '../frames.ts';
import { dueOf, packRun } from '../rows.ts';
import { type AppendTuple, bytesOf, type Group, type OtherWrite, type Reply } from './protocol.ts';

/** A write on its way; `request` is its append, whose bytes go into the group's buffer. */
export type Pending = {
  tenant: string;
  write: AppendTuple | OtherWrite;
  request: Append | null;
  settle(reply: Reply): void;
};

const HASH_BYTES = 32;

export function appendTuple(tenant: string, request: Append, now: number, origin: Origin | null = null): AppendTuple {
  const { session, expectedHead, frame, bodies, ledger, index, runs, fence, urgent = false } = request;
  return [
    tenant,
    session,
    expectedHead.seq,
    expectedHead.hash === '' ? 0 : HASH_BYTES,
    frame.bytes.length,
    frame.first,
    frame.count,
    frame.hash,
    packBodies(bodies),
    index.agent,
    index.status,
    index.key,
    dueOf(index),
    JSON.stringify(index),
    runs.length === 0 ? null : runs.map(packRun),
    ledger.length === 0 ? null : [...ledger],
    fence === undefined ? null : [fence.holder, fence.epoch, now],
    urgent,
    origin === null ? null : 'session' in origin ? ['session', origin.session] : ['stage', origin.stage],
  ];
}

/** The message of one group: previous hash and frame of each append lie one behind the other in one buffer. */
export function groupOf(pending: readonly Pending[]): Group {
  let size = 0;
  for (const { write } of pending) if (Array.isArray(write)) size += bytesOf(write);
  // Not from the pool: the buffer goes over to the committer.
  const data = Buffer.allocUnsafeSlow(size);
  let at = 0;
  for (const { request } of pending) {
    if (request === null) continue;
    const { expectedHead, frame } = request;
    if (expectedHead.hash !== '') {
      const written = data.write(expectedHead.hash, at, HASH_BYTES, 'hex');
      // What is no hash matches none.
      data.fill(0, at + written, at + HASH_BYTES);
      at += HASH_BYTES;
    }
    data.set(frame.bytes, at);
    at += frame.bytes.length;
  }
  return { type: 'group', writes: pending.map(({ write }) => write), data };
}
