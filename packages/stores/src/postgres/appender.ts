/**
 * Appends of many sessions, grouped: while a group is under way the next one gathers, until it is as large. A group is one
 * statement and one transaction; each append in it gets its own answer.
 */
import type { Append, AppendResult, Origin, Timers } from '@perdure/runtime/ports';
import { checkContinuity, headAfter } from '../chain.ts';
import { StoreError } from '../errors.ts';
import { packBodies } from '../frames.ts';
import { LIMITS } from '../limits.ts';
import { dueOf, packIndex, packRun } from '../rows.ts';
import { atEndOfTurn } from '../turn.ts';
import type { Database } from './database.ts';
import { type Failure, failureOf, messageOf } from './failure.ts';
import { text } from './statement.ts';

export type Appender = {
  /** A bug of the caller rejects with a `StoreError`; all else is a value. */
  append(request: Append, origin: Origin | null): Promise<AppendResult>;
  /** The seq that an append of this session, sent and not yet answered, would bring it to. */
  underway: (session: string) => number | undefined;
};

export type AppenderOptions = {
  database: Database;
  tenant: string;
  /** The number of this opening: what it staged is its own. */
  opening: number;
  timers: Timers;
  /** Makes the tenant known before its first append. */
  admit: () => Promise<void>;
  /** Told of each append before it is answered. */
  committed: (request: Append) => void;
  /** A store that is being closed waits for answers, and for no server to come back. */
  isClosing: () => boolean;
  /** Told after a group from which others may want to hear. */
  notify: () => void;
};

type Pending = {
  request: Append;
  item: string;
  frame: Buffer;
  bodies: Buffer;
  settle: (result: AppendResult | StoreError) => void;
};
/** What the function `append` answers to an item (see the migrations). */
type Answer =
  | ['ok']
  | ['conflict', seq: number, hash: string]
  | ['fenced']
  | ['key_taken', session: string]
  | ['no_prefix']
  | ['refused', account: string, limit: 'tokens' | 'money', needed: number, free: number]
  | ['invalid', message: string];

const APPEND = 'SELECT {s}.append($1, $2, $3, $4, $5) AS answer';

export function createAppender(options: AppenderOptions): Appender {
  const waiting: Pending[] = [];
  const underway = new Map<string, number>();
  let lanes = 0;
  const schedule = atEndOfTurn(() => flush());
  const flush = (): void => {
    while (lanes < LIMITS.appendLanes) {
      // Beside a group that is under way only one as large is worth its statements: a smaller one gathers until that is back.
      if (waiting.length < underway.size) return;
      const group = takeGroup(waiting, underway);
      if (group.length === 0) return;
      lanes += 1;
      void settleGroup(options, group, false).then(() => {
        for (const { request } of group) underway.delete(request.session);
        lanes -= 1;
        schedule();
      });
    }
  };
  return {
    underway: (session) => underway.get(session),
    async append(request, origin) {
      checkContinuity(request);
      if (waiting.length >= LIMITS.pendingWrites)
        throw new StoreError('overloaded', `${LIMITS.pendingWrites} appends wait already`);
      const frame = Buffer.from(request.frame.bytes);
      const bodies = Buffer.from(packBodies(request.bodies));
      const item = JSON.stringify(itemOf(request, origin, frame.length, bodies.length));
      const { promise, resolve, reject } = Promise.withResolvers<AppendResult>();
      const settle: Pending['settle'] = (result) => (result instanceof StoreError ? reject(result) : resolve(result));
      waiting.push({ request, item, frame, bodies, settle });
      if (lanes < LIMITS.appendLanes) schedule();
      return promise;
    },
  };
}

function itemOf(request: Append, origin: Origin | null, frameBytes: number, bodiesBytes: number) {
  const { session, expectedHead, frame, index, runs, ledger, fence } = request;
  return {
    id: session,
    seq: expectedHead.seq,
    prev: expectedHead.hash,
    first: frame.first,
    count: frame.count,
    hash: frame.hash,
    frame_bytes: frameBytes,
    bodies_bytes: bodiesBytes,
    agent: index.agent,
    status: index.status,
    key: index.key,
    due: dueOf(index),
    doc: packIndex(index),
    ...(runs.length === 0 ? {} : { runs: runs.map(packRun) }),
    ...(ledger.length === 0 ? {} : { ledger }),
    ...(fence === undefined ? {} : fence),
    ...(origin === null ? {} : 'session' in origin ? { origin: origin.session } : { stage: origin.stage }),
  };
}

/** The oldest that wait, each session once, and none that is under way already: it would only wait there. */
function takeGroup(waiting: Pending[], underway: Map<string, number>): Pending[] {
  const group: Pending[] = [];
  const left: Pending[] = [];
  let bytes = 0;
  for (const one of waiting) {
    const { session, frame } = one.request;
    const size = one.item.length + one.frame.length + one.bodies.length;
    const fits = group.length < LIMITS.groupAppends && (group.length === 0 || bytes + size <= LIMITS.groupBytes);
    if (!fits || underway.has(session)) {
      left.push(one);
      continue;
    }
    underway.set(session, headAfter(frame).seq);
    bytes += size;
    group.push(one);
  }
  waiting.splice(0, waiting.length, ...left);
  // In one order everywhere, in which the database locks them.
  return group.toSorted((a, b) => (a.request.session < b.request.session ? -1 : 1));
}

/** Sends a group until each of it has its answer; `again`: it was sent before, and what came of it is not known. */
async function settleGroup(options: AppenderOptions, group: readonly Pending[], again: boolean): Promise<void> {
  let isAgain = again;
  let pauseMs: number = LIMITS.recoverFirstMs;
  let pausedMs = 0;
  for (let tries = 1; ; tries++) {
    try {
      return answerGroup(options, group, await send(options, group, isAgain));
    } catch (error) {
      const failure = error instanceof StoreError ? connectFailure(error) : failureOf(error);
      if (failure === 'again' && tries < LIMITS.appendTries) continue;
      isAgain ||= failure === 'lost' && !(error instanceof StoreError);
      if (failure === 'lost' && pausedMs < patienceMs(options, isAgain)) {
        await pause(options.timers, pauseMs);
        pausedMs += pauseMs;
        pauseMs = Math.min(pauseMs * 2, LIMITS.recoverLastMs);
        continue;
      }
      // One append must not take its neighbours with it: each alone, so that only those fail that cannot be stored.
      if (failure === 'wrong' && group.length > 1) {
        for (const one of group) await settleGroup(options, [one], isAgain);
        return;
      }
      return refuseGroup(group, failure, messageOf(error));
    }
  }
}

/** What may have happened is looked for longer than what certainly has not. */
function patienceMs({ isClosing }: AppenderOptions, isAgain: boolean): number {
  if (isClosing()) return LIMITS.closingMs;
  return isAgain ? LIMITS.recoverMs : LIMITS.reconnectMs;
}

/** Without a connection nothing was sent: it is tried again as one that was lost, and never was there. */
const connectFailure = (error: StoreError): Failure => (error.code === 'unavailable' ? 'lost' : 'wrong');

async function send(options: AppenderOptions, group: readonly Pending[], again: boolean): Promise<[boolean, Answer[]]> {
  await options.admit();
  const isBooked = group.some(({ request }) => request.ledger.length > 0);
  const items = `[${group.map(({ item }) => item).join(',')}]`;
  const data = Buffer.concat(group.flatMap(({ frame, bodies }) => [frame, bodies]));
  const [row] = await options.database.run(options.tenant, APPEND, [options.opening, again, isBooked, items, data]);
  return JSON.parse(text(row?.['answer']));
}

function answerGroup(
  options: AppenderOptions,
  group: readonly Pending[],
  [company, answers]: [boolean, Answer[]],
): void {
  let stored = 0;
  group.forEach(({ request, settle }, at) => {
    const result = resultOf(request, answers[at] ?? ['invalid', 'the database gave no answer']);
    if (!(result instanceof StoreError) && result.ok) {
      stored += 1;
      options.committed(request);
    }
    settle(result);
  });
  if (company && stored > 0) options.notify();
}

function resultOf(request: Append, answer: Answer): AppendResult | StoreError {
  switch (answer[0]) {
    case 'ok':
      return { ok: true, head: headAfter(request.frame) };
    case 'conflict':
      return { ok: false, code: 'conflict', head: { seq: answer[1], hash: answer[2] } };
    case 'key_taken':
      return { ok: false, code: 'key_taken', session: answer[1] };
    case 'refused': {
      const [, account, limit, needed, free] = answer;
      return { ok: false, code: 'refused', shortage: { account, limit, needed, free } };
    }
    case 'invalid':
      return new StoreError('invalid_append', answer[1]);
    default:
      return { ok: false, code: answer[0] };
  }
}

function refuseGroup(group: readonly Pending[], failure: Failure, detail: string): void {
  for (const { settle } of group) {
    if (failure === 'full') settle({ ok: false, code: 'full' });
    else if (failure === 'wrong') settle(new StoreError('invalid_append', detail));
    else settle({ ok: false, code: 'unavailable', detail });
  }
}

async function pause(timers: Timers, ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  timers.set(ms, resolve);
  await promise;
}
