/** The thread that commits: it owns the writing connection and the heads journal, and takes one group at a time. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { StoreError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { checkAtOpening } from './check.ts';
import { createCommitter, Stopped, type Committer } from './commit.ts';
import { failureOf, messageOf } from './failure.ts';
import { type Headroom, openHeadroom } from './headroom.ts';
import { type Journal, openJournal, readJournal } from './journal.ts';
import type { CommitterData, FromCommitter, ToCommitter } from './protocol.ts';
import { configureWriter, DATABASE, prepareSchema, raiseEpoch } from './schema.ts';

type Open = { db: DatabaseSync; journal: Journal; headroom: Headroom; committer: Committer };

function open(directory: string): Open {
  const db = new DatabaseSync(join(directory, DATABASE), { timeout: LIMITS.busyMs });
  try {
    configureWriter(db);
    prepareSchema(db);
    const damage = checkAtOpening(db, readJournal(directory));
    const epoch = raiseEpoch(db);
    const journal = openJournal(directory);
    const headroom = openHeadroom(directory);
    const committer = createCommitter(db, journal, headroom, epoch);
    committer.tidy();
    send({ type: 'opened', epoch, damage });
    return { db, journal, headroom, committer };
  } catch (error) {
    db.close();
    throw error;
  }
}

function serve({ db, journal, headroom, committer }: Open, bell: CommitterData['bell']): void {
  let stopped = false;
  const guard = (work: () => void): void => {
    try {
      if (!stopped) work();
    } catch (error) {
      stopped = true;
      send({ type: 'stopped', detail: messageOf(error) });
      if (!(error instanceof Stopped)) throw error;
    }
  };
  for (const message of messages(bell)) {
    if (message.type === 'close') {
      // First the room: at its end the log is folded into the database, which may need some.
      headroom.close();
      guard(() => journal.close());
      db.close();
      send({ type: 'closed' });
      parentPort?.close();
      return;
    }
    guard(() => {
      committer.commit(message, (replies) => send({ type: 'replies', replies }));
      committer.tidy();
    });
  }
}

/**
 * What is sent to this thread, as it comes. The thread sleeps on the bell and not in an event loop: that wakes it sooner,
 * and there is nothing else that it could do meanwhile.
 */
function* messages(bell: Int32Array<SharedArrayBuffer>): Generator<ToCommitter> {
  if (parentPort === null) return;
  for (;;) {
    // Read before the look: what is sent in between rings the bell anew, and the wait returns at once.
    const rung = Atomics.load(bell, 0);
    for (let next = receiveMessageOnPort(parentPort); next !== undefined; next = receiveMessageOnPort(parentPort))
      yield next.message as ToCommitter;
    Atomics.wait(bell, 0, rung);
  }
}

function send(message: FromCommitter): void {
  parentPort?.postMessage(message);
}

try {
  const { directory, bell } = workerData as CommitterData;
  serve(open(directory), bell);
} catch (error) {
  const code = failureOf(error) === 'damaged' ? 'damaged' : failureOf(error) === 'full' ? 'full' : null;
  send({ type: 'failed', code: error instanceof StoreError ? error.code : code, message: messageOf(error) });
}
