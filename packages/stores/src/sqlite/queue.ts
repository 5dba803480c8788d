import type { Append } from '@perdure/runtime/ports';
import { LIMITS } from '../limits.ts';
import { atQuietTurn } from '../turn.ts';
import { groupOf, isAppend, type Pending } from './group.ts';
import type { Reply, ToCommitter } from './protocol.ts';

/** The writes that wait for the committer. While there are any they keep the process alive. */
export type Queue = {
  /** Settles it at once when nothing is accepted. */
  submit(pending: Pending): void;
  /** The answers to the group that is under way. */
  replied(replies: readonly Reply[]): void;
  /** Why nothing is accepted any more; null while it is. */
  unavailable: () => string | null;
  /** Accepts nothing more and answers what waits with `unavailable`. */
  stop: (detail: string) => void;
  /** Accepts nothing more and waits until what was accepted is answered. */
  drain(detail: string): Promise<void>;
};

/** The thread that commits, as the queue sees it; `ref` and `unref`: whether it keeps the process alive. */
export type Committing = {
  post(message: ToCommitter, transfer: readonly ArrayBuffer[]): void;
  ref(): void;
  unref(): void;
};

export type QueueEvents = {
  /** In commit order, before the append resolves. */
  appended(tenant: string, request: Append): void;
  /** After each group, before its writes resolve. */
  committed(): void;
};

export function createQueue(committer: Committing, events: QueueEvents): Queue {
  let waiting: Pending[] = [];
  let flying: Pending[] = [];
  let ended: string | null = null;
  let drained = (): void => {};

  let lastGroup = 0;
  const schedule = atQuietTurn({
    count: () => waiting.length,
    isBusy: () => lastGroup > LIMITS.busyGroup,
    work: () => flush(),
  });
  const flush = (): void => {
    if (flying.length > 0 || waiting.length === 0) return;
    flying = waiting.splice(0, LIMITS.groupWrites);
    lastGroup = flying.length;
    const group = groupOf(flying);
    committer.post(group, [group.data.buffer as ArrayBuffer]);
  };
  const settle = (settled: readonly Pending[], replyOf: (at: number) => Reply): void => {
    for (const [at, { tenant, write }] of settled.entries()) {
      if (isAppend(write) && replyOf(at) === 0) events.appended(tenant, write.request);
    }
    for (const [at, pending] of settled.entries()) pending.settle(replyOf(at));
    // Where nothing was waited for, somebody else may hold the thread: whoever closes it waits for its end.
    if (settled.length === 0 || waiting.length > 0 || flying.length > 0) return;
    committer.unref();
    drained();
  };
  return {
    submit(pending) {
      if (ended !== null) return pending.settle({ error: 'unavailable', message: ended });
      if (waiting.length >= LIMITS.pendingWrites) {
        return pending.settle({ error: 'overloaded', message: `${LIMITS.pendingWrites} writes wait already` });
      }
      if (waiting.length === 0 && flying.length === 0) committer.ref();
      waiting.push(pending);
      if (flying.length > 0) return;
      // After one that was alone in its group there is most likely nobody to wait for.
      if (lastGroup === 1 && waiting.length === 1) queueMicrotask(flush);
      else schedule();
    },
    replied(replies) {
      const settled = flying;
      // Stopped meanwhile: these writes have their answer.
      if (settled.length === 0) return;
      flying = [];
      events.committed();
      settle(settled, (at) => replies[at] ?? { error: 'unavailable', message: 'the committer gave no answer' });
      if (waiting.length > 0) schedule();
    },
    unavailable: () => ended,
    stop(detail) {
      ended ??= detail;
      const message = ended;
      const left = [...flying, ...waiting];
      flying = [];
      waiting = [];
      settle(left, () => ({ error: 'unavailable', message }));
    },
    async drain(detail) {
      ended ??= detail;
      if (waiting.length === 0 && flying.length === 0) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      drained = resolve;
      await promise;
    },
  };
}
