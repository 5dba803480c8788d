import { hash as digestOf } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { StoreError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { type Appender, createAppender } from './append.ts';
import { type Failure, failureOf, messageOf } from './failure.ts';
import type { Headroom } from './headroom.ts';
import { encodeRecord, type Journal } from './journal.ts';
import { writeOther } from './other-writes.ts';
import { receiveGroup } from './group.ts';
import type { Group, OtherWrite, ReceivedAppend, Reply } from './protocol.ts';
import { integer, type Sql, statements } from './schema.ts';

/** A flush failed. What was under way may or may not be stored: only opening the data anew can say. */
export class Stopped extends Error {}

export type Committer = {
  /** Commits a group in one transaction, answers, and records its heads: nobody waits for that. Throws `Stopped`. */
  commit(group: Group, answer: (replies: Reply[]) => void): void;
  /** After opening and after each answer: folds a long write-ahead log into the database. Throws `Stopped`. */
  tidy(): void;
};

type Write = ReceivedAppend | OtherWrite;
const isUrgent = (write: Write): boolean => !('op' in write) && write.urgent;

export function createCommitter(db: DatabaseSync, journal: Journal, headroom: Headroom, epoch: number): Committer {
  const sql = statements(db);
  const appender = createAppender(db, epoch);
  const folding = createFolding(sql, journal, headroom);

  const apply = (write: Write): Reply => {
    if ('op' in write) {
      const value = writeOther(sql, appender.tenant(write.tenant).tid, write);
      if (write.op === 'delete') folding.erased();
      if (write.op === 'delete' || write.op === 'claim' || write.op === 'offer') appender.forget(write.tenant);
      return { value };
    }
    try {
      const refusal = appender.append(write);
      return refusal === null ? 0 : { refusal };
    } catch (error) {
      if (error instanceof StoreError) return { error: error.code, message: error.message };
      throw error;
    }
  };
  const transact = (writes: readonly Write[]): Reply[] => {
    try {
      sql('BEGIN IMMEDIATE').run();
      const replies = writes.map(apply);
      sql('COMMIT').run();
      return replies;
    } catch (error) {
      appender.forgetAll();
      const failure = failureOf(error);
      if (failure === 'stopped') throw new Stopped(messageOf(error), { cause: error });
      if (db.isTransaction) db.exec('ROLLBACK');
      // One write must not take its neighbours with it: each alone, so that only those fail that cannot be stored.
      if (writes.length > 1) return oneByOne(writes);
      if (failure === 'full' && writes.some(isUrgent) && headroom.release()) return transact(writes);
      return writes.map((write) => failedReply(write, failure, messageOf(error)));
    }
  };
  /** From when the kept room was given until it is there again, nothing else may use it. */
  const oneByOne = (writes: readonly Write[]): Reply[] => {
    const full = 'the disk is full';
    return writes.flatMap((write) =>
      isUrgent(write) || headroom.isThere() ? transact([write]) : [failedReply(write, 'full', full)],
    );
  };
  rehearse(db, sql, appender);
  return {
    commit(group, answer) {
      const writes = receiveGroup(group);
      const replies = headroom.isThere() ? transact(writes) : oneByOne(writes);
      answer(replies);
      if (replies.some(saysFull)) folding.full();
      stopping(() => journal.write(recordsOf(writes, replies)));
    },
    tidy: () => folding.tidy(),
  };
}

/** When the write-ahead log is folded into the database, and whether it is cut then. */
function createFolding(sql: Sql, journal: Journal, headroom: Headroom) {
  let erased = false;
  /** The disk was full, and has little room since: the log is kept short, or it would take all that there is. */
  let isTight = false;
  let groups = 0;
  return {
    erased: () => void (erased = true),
    full: () => void (isTight = true),
    tidy() {
      if (!erased && !isTight && groups++ % LIMITS.tidyGroups !== 0) return;
      // The room that is kept is for what is urgent.
      if (isTight && !erased && !headroom.isThere()) return;
      stopping(() => {
        const log = integer(sql('PRAGMA wal_checkpoint(NOOP)').get()?.['log']);
        const longest = isTight ? LIMITS.tightWalPages : LIMITS.walPages;
        if (!erased && log < longest && journal.bytes() < LIMITS.journalBytes) return;
        // What was erased must leave the log too, and that needs the log to be cut.
        const row = sql(`PRAGMA wal_checkpoint(${erased || isTight ? 'TRUNCATE' : 'PASSIVE'})`).get();
        if (row?.['busy'] !== 0 || row['log'] !== row['checkpointed']) return;
        erased = false;
        isTight &&= headroom.isTight();
        journal.startAnew();
      });
    },
  };
}

/**
 * Some appends that are rolled back: the first ones that count find their statements prepared and their code compiled.
 * What fails here fails there as well, where somebody is told.
 */
function rehearse(db: DatabaseSync, sql: Sql, appender: Appender): void {
  try {
    sql('BEGIN IMMEDIATE').run();
    let expected = { seq: 0, hash: '' };
    for (let first = 1; first <= 4; first += 1) {
      const chained = Buffer.from(`${expected.hash}00`, 'hex');
      const hash = digestOf('sha256', chained, 'hex');
      const status = String(first % 2);
      const runs: ReceivedAppend['runs'] = first % 2 === 0 ? null : [['', '', status, '{}']];
      const frame = { expected, first, count: 1, frame: chained.subarray(-1), chained, hash, bodies: '', runs };
      const row = { tenant: '', session: '', agent: '', status, key: null, due: null, doc: '{}' };
      appender.append({ ...row, ...frame, ledger: null, fence: null, urgent: false, origin: null });
      expected = { seq: first, hash };
    }
  } catch {
    // As said.
  } finally {
    appender.forgetAll();
    if (db.isTransaction) db.exec('ROLLBACK');
  }
}

/** Outside a transaction, what fails for want of space or of a moment's peace is done another time. */
function stopping(work: () => void): void {
  try {
    work();
  } catch (error) {
    const failure = failureOf(error);
    if (failure !== 'full' && failure !== 'busy') throw new Stopped(messageOf(error), { cause: error });
  }
}

function recordsOf(writes: readonly Write[], replies: readonly Reply[]): string {
  let records = '';
  for (const [at, write] of writes.entries()) {
    if (replies[at] !== 0 || 'op' in write) continue;
    const { tenant, session, first, count, hash } = write;
    records += encodeRecord({ tenant, session, seq: first + count - 1, hash });
  }
  return records;
}

const saysFull = (reply: Reply): boolean =>
  reply !== 0 && ('refusal' in reply ? reply.refusal.code === 'full' : 'error' in reply && reply.error === 'full');

function failedReply(write: Write, failure: Failure, message: string): Reply {
  if (failure === 'full' && !('op' in write)) return { refusal: { ok: false, code: 'full' } };
  return { error: failure === 'full' || failure === 'damaged' ? failure : 'invalid_append', message };
}
