/**
 * A group of writes on its way to the committer, and how it is read there. What crosses threads is cloned value by value,
 * and that costs more than all else: so the texts and frames of all appends lie one behind the other in one buffer, which
 * only changes its owner, and their numbers in one short text.
 */
import type { Append, LedgerOp, Origin } from '@perdure/runtime/ports';
import { packBodies } from '../frames.ts';
import { dueOf, packIndex, packRun, type RunTuple } from '../rows.ts';
import type { Group, OriginTuple, OtherWrite, ReceivedAppend, Reply } from './protocol.ts';

/** An append as it is sent: its numbers as they stand in a JSON list, its texts joined, the bytes of both. */
export type PackedAppend = { numbers: string; text: string; textBytes: number; request: Append };

/** A write on its way. */
export type Pending = {
  tenant: string;
  write: PackedAppend | OtherWrite;
  settle(reply: Reply): void;
};

export const isAppend = (write: PackedAppend | OtherWrite): write is PackedAppend => !('op' in write);

const HASH_BYTES = 32;
/** How many numbers an append has; another write has one, which is `OTHER`. */
const NUMBERS = 15;
const OTHER = -1;

/** What most appends have none of, as one JSON text; '' where none is there. */
type Rest = [
  runs: RunTuple[] | null,
  ledger: readonly LedgerOp[] | null,
  fence: [holder: string, epoch: number, now: number] | null,
  origin: OriginTuple | null,
];

export function packAppend(tenant: string, request: Append, now: number, origin: Origin | null = null): PackedAppend {
  const { session, expectedHead, frame, index, urgent = false } = request;
  const { agent, status, key } = index;
  const bodies = packBodies(request.bodies);
  const doc = packIndex(index);
  const rest = restOf(request, now, origin);
  const text = tenant + session + frame.hash + agent + status + (key ?? '') + bodies + doc + rest;
  const textBytes = Buffer.byteLength(text);
  // Most texts are ASCII: then each of their parts is, too.
  const size =
    textBytes === text.length
      ? (part: string): number => part.length
      : (part: string): number => Buffer.byteLength(part);
  const previousBytes = expectedHead.hash === '' ? 0 : HASH_BYTES;
  const keyBytes = key === null ? -1 : size(key);
  const numbers =
    `${expectedHead.seq},${previousBytes},${frame.bytes.length},${frame.first},${frame.count},${dueOf(index)},` +
    `${urgent ? 1 : 0},${size(tenant)},${size(session)},${size(frame.hash)},${size(agent)},${size(status)},` +
    `${keyBytes},${size(bodies)},${size(doc)}`;
  return { numbers, text, textBytes, request };
}

function restOf({ runs, ledger, fence }: Append, now: number, origin: Origin | null): string {
  if (runs.length === 0 && ledger.length === 0 && fence === undefined && origin === null) return '';
  const from: OriginTuple | null =
    origin === null ? null : 'session' in origin ? ['session', origin.session] : ['stage', origin.stage];
  const rest: Rest = [
    runs.length === 0 ? null : runs.map(packRun),
    ledger.length === 0 ? null : ledger,
    fence === undefined ? null : [fence.holder, fence.epoch, now],
    from,
  ];
  return JSON.stringify(rest);
}

/** The message of one group. Of each append its previous hash, its frame, its texts, one behind the other. */
export function groupOf(pending: readonly Pending[]): Group {
  let size = 0;
  let numbers = '';
  const others: OtherWrite[] = [];
  for (const { write } of pending) {
    if (!isAppend(write)) {
      others.push(write);
      numbers += `,${OTHER}`;
      continue;
    }
    const { expectedHead, frame } = write.request;
    size += (expectedHead.hash === '' ? 0 : HASH_BYTES) + frame.bytes.length + write.textBytes;
    numbers += `,${write.numbers},${write.textBytes}`;
  }
  // Not from the pool: the buffer goes over to the committer.
  const data = Buffer.allocUnsafeSlow(size);
  let at = 0;
  for (const { write } of pending) if (isAppend(write)) at = place(data, at, write);
  return { type: 'group', numbers: `[${numbers.slice(1)}]`, others, data };
}

function place(data: Buffer, from: number, { request, text }: PackedAppend): number {
  const { expectedHead, frame } = request;
  let at = from;
  if (expectedHead.hash !== '') {
    const written = data.write(expectedHead.hash, at, HASH_BYTES, 'hex');
    // What is no hash matches none.
    data.fill(0, at + written, at + HASH_BYTES);
    at += HASH_BYTES;
  }
  data.set(frame.bytes, at);
  at += frame.bytes.length;
  return at + data.write(text, at, 'utf8');
}

/** The writes of a group, in their order. */
export function receiveGroup(group: Group): (ReceivedAppend | OtherWrite)[] {
  const data = Buffer.from(group.data.buffer, group.data.byteOffset, group.data.byteLength);
  const numbers = JSON.parse(group.numbers) as (number | null)[];
  const writes: (ReceivedAppend | OtherWrite)[] = [];
  let others = 0;
  let from = 0;
  for (let at = 0; at < numbers.length;) {
    if (numbers[at] === OTHER) {
      const other = group.others[others++];
      if (other !== undefined) writes.push(other);
      at += 1;
      continue;
    }
    const [append, end] = receiveAppend(data, from, numbers.slice(at, at + NUMBERS + 1));
    writes.push(append);
    from = end;
    at += NUMBERS + 1;
  }
  return writes;
}

function receiveAppend(data: Buffer, from: number, numbers: (number | null)[]): [ReceivedAppend, end: number] {
  const [seq, previousBytes, frameBytes, first, count] = numbers as [number, number, number, number, number];
  const due = numbers[5] ?? null;
  const sizes = numbers.slice(6) as number[];
  const [urgent, tenant = 0, session = 0, hash = 0, agent = 0, status = 0, key = 0, bodies = 0, doc = 0, all = 0] =
    sizes;
  const chained = data.subarray(from, from + previousBytes + frameBytes);
  let at = from + chained.length;
  const end = at + all;
  const next = (bytes: number): string => data.toString('utf8', at, (at += bytes));
  const append: Omit<ReceivedAppend, 'runs' | 'ledger' | 'fence' | 'origin'> = {
    tenant: next(tenant),
    session: next(session),
    hash: next(hash),
    agent: next(agent),
    status: next(status),
    key: key < 0 ? null : next(key),
    bodies: next(bodies),
    doc: next(doc),
    expected: { seq, hash: chained.toString('hex', 0, previousBytes) },
    first,
    count,
    frame: chained.subarray(previousBytes),
    chained,
    due,
    urgent: urgent === 1,
  };
  const rest: Rest = at === end ? [null, null, null, null] : JSON.parse(data.toString('utf8', at, end));
  const [runs, ledger, fence, origin] = rest;
  return [{ ...append, runs, ledger, fence, origin }, end];
}
