import type { Append, AppendResult, Origin } from '@perdure/runtime/ports';
import { StoreDamage } from '@perdure/runtime/ports';
import { headAfter } from '../chain.ts';
import { StoreError } from '../errors.ts';
import { messageOf } from './failure.ts';
import { packAppend } from './group.ts';
import type { CommitterData, FromCommitter, Opened, OtherWrite, Reply, TenantDamage, ToCommitter } from './protocol.ts';
import { createQueue, type QueueEvents } from './queue.ts';
import { startThread } from './thread.ts';

/** The main thread's end of the committer: what arrives while a commit is under way goes into the next, as one message. */
export type Writer = {
  readonly epoch: number;
  readonly damage: readonly TenantDamage[];
  /** Damage rejects with `StoreDamage`, a bug of the caller with a `StoreError`; all else is a value. */
  append(tenant: string, request: Append, now: number, origin?: Origin): Promise<AppendResult>;
  /** Rejects with a `StoreError`. */
  write(write: OtherWrite): Promise<unknown>;
  /** Why nothing is accepted any more; null while it is. */
  unavailable(): string | null;
  /** A flush failed: nothing is accepted any more, and what waits is answered so. */
  stop(detail: string): void;
  /** Takes nothing more, commits what waits, flushes the journal. Idempotent. */
  close(): Promise<void>;
};

/** Starts the committer and waits until it has opened the data. Rejects with a `StoreError` when it cannot. */
export async function startWriter(directory: string, events: QueueEvents): Promise<Writer> {
  const bell = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  const worker = startThread('committer', { directory, bell } satisfies CommitterData);
  const post = (message: ToCommitter, transfer: readonly ArrayBuffer[] = []): void => {
    worker.postMessage(message, transfer);
    Atomics.add(bell, 0, 1);
    Atomics.notify(bell, 0);
  };
  const opened = Promise.withResolvers<Opened>();
  const closed = Promise.withResolvers<void>();
  const queue = createQueue({ post, ref: () => worker.ref(), unref: () => worker.unref() }, events);
  worker.on('message', (message: FromCommitter) => {
    if (message.type === 'replies') queue.replied(message.replies);
    else if (message.type === 'opened') opened.resolve(message);
    else if (message.type === 'stopped') queue.stop(message.detail);
    else if (message.type === 'failed') opened.reject(new StoreError(message.code ?? 'unavailable', message.message));
  });
  worker.on('error', (error) => {
    opened.reject(error);
    queue.stop(`the committing thread failed: ${messageOf(error)}`);
  });
  worker.on('exit', () => {
    opened.reject(new StoreError('unavailable', 'the committing thread ended before it had opened the data'));
    queue.stop('the committing thread ended');
    closed.resolve();
  });
  const { epoch, damage } = await opened.promise;
  worker.unref();
  return {
    epoch,
    damage,
    append(tenant, request, now, origin) {
      const { promise, resolve, reject } = Promise.withResolvers<AppendResult>();
      const settle = (reply: Reply): void => settleAppend(request, reply, resolve, reject);
      queue.submit({ tenant, write: packAppend(tenant, request, now, origin ?? null), settle });
      return promise;
    },
    write(write) {
      const { promise, resolve, reject } = Promise.withResolvers<unknown>();
      const settle = (reply: Reply): void => {
        if (reply !== 0 && 'error' in reply) reject(new StoreError(reply.error, reply.message));
        else resolve(reply !== 0 && 'value' in reply ? reply.value : undefined);
      };
      queue.submit({ tenant: write.tenant, write, settle });
      return promise;
    },
    unavailable: queue.unavailable,
    stop: queue.stop,
    async close() {
      await queue.drain('the store is closed');
      worker.ref();
      post({ type: 'close' });
      await closed.promise;
    },
  };
}

function settleAppend(
  request: Append,
  reply: Reply,
  resolve: (result: AppendResult) => void,
  reject: (error: Error) => void,
): void {
  if (reply === 0) resolve({ ok: true, head: headAfter(request.frame) });
  else if ('refusal' in reply) resolve(reply.refusal);
  else if ('value' in reply) reject(new TypeError('an append was answered as another write'));
  else if (reply.error === 'unavailable') resolve({ ok: false, code: 'unavailable', detail: reply.message });
  else if (reply.error === 'damaged') reject(new StoreDamage(unreadable(request, reply.message)));
  else reject(new StoreError(reply.error, reply.message));
}

function unreadable({ session, expectedHead }: Append, detail: string): StoreDamage['report'] {
  return { session, code: 'hash', seq: expectedHead.seq, detail };
}
