import { inflateRawSync } from 'node:zlib';
import type { Doc, DocStore, Fence, LeaseStore, Snapshot, SnapshotStore } from '@perdure/runtime/ports';
import { LIMITS } from '../limits.ts';
import { searchText, wordsOf } from '../words.ts';
import { listLeases } from './lease-rows.ts';
import type { Scope } from './log.ts';
import { reading } from './reader.ts';
import { blob, integer, type Row, text } from './schema.ts';

export function sqliteDocs({ tenant, writer, reader, checkOpen }: Scope): DocStore {
  const { sql } = reader;
  const rows = (query: string, ...values: (string | number | null)[]): Row[] => {
    checkOpen();
    return reading(() => sql(query).all(reader.tenantId(tenant), ...values));
  };
  return {
    async get(kind, id) {
      const [row] = rows('SELECT id, revision, doc FROM docs WHERE tid = ? AND kind = ? AND id = ?', kind, id);
      return row === undefined ? null : docOf(row);
    },
    async put(kind, id, doc, expectedRevision) {
      checkOpen();
      const written = doc === null ? null : JSON.stringify(doc);
      const words = written === null ? '' : searchText(JSON.parse(written));
      const write = { op: 'doc', tenant, kind, id, doc: written, words, expectedRevision } as const;
      return (await writer.write(write)) as Awaited<ReturnType<DocStore['put']>>;
    },
    async list(kind, { after, limit }) {
      const query = 'SELECT id, revision, doc FROM docs WHERE tid = ? AND kind = ? AND id > ? ORDER BY id LIMIT ?';
      return rows(query, kind, after ?? '', limit).map(docOf);
    },
    async search(kind, query, limit) {
      const wanted = wordsOf(query).map((word) => ` ${word} `);
      const found: Doc[] = [];
      const all = rows(
        'SELECT id, revision, doc, words FROM docs WHERE tid = ? AND kind = ? ORDER BY id LIMIT ?',
        kind,
        LIMITS.searchedDocs,
      );
      for (const row of all) {
        if (found.length >= limit) break;
        const words = text(row['words']);
        if (wanted.every((word) => words.includes(word))) found.push(docOf(row));
      }
      return found;
    },
  };
}

function docOf(row: Row): Doc {
  return { id: text(row['id']), revision: integer(row['revision']), doc: JSON.parse(text(row['doc'])) };
}

export function sqliteSnapshots({ tenant, writer, reader, checkOpen }: Scope): SnapshotStore {
  return {
    async save(session, snapshot) {
      checkOpen();
      await writer.write({ op: 'snapshot', tenant, session, snapshot });
    },
    async load(session) {
      checkOpen();
      const row = reading(() =>
        reader
          .sql(
            `SELECT seq, hash, engine, checksum, state, prefix FROM snapshots
             WHERE sid = (SELECT sid FROM sessions WHERE tid = ? AND id = ?)`,
          )
          .get(reader.tenantId(tenant), session),
      );
      return row === undefined ? null : snapshotOf(row);
    },
    async drop(session) {
      checkOpen();
      await writer.write({ op: 'snapshot', tenant, session, snapshot: null });
    },
  };
}

/** A snapshot that cannot be read any more is none: it is a cache, and the log is folded instead. */
function snapshotOf(row: Row): Snapshot | null {
  try {
    return {
      seq: integer(row['seq']),
      hash: text(row['hash']),
      engine: text(row['engine']),
      checksum: text(row['checksum']),
      state: inflateRawSync(blob(row['state'])).toString(),
      prefix: inflateRawSync(blob(row['prefix'])).toString(),
    };
  } catch {
    return null;
  }
}

export function sqliteLeases({ tenant, writer, reader, now, checkOpen }: Scope): LeaseStore {
  return {
    async claim(name, holder, ttlMs, address) {
      checkOpen();
      const write = { op: 'claim', tenant, name, holder, now: now(), ttlMs, address: address ?? null } as const;
      const answer = await writer.write(write);
      return answer as Awaited<ReturnType<LeaseStore['claim']>>;
    },
    async renew(name, holder, epoch, ttlMs) {
      checkOpen();
      return (await writer.write({ op: 'renew', tenant, name, holder, epoch, now: now(), ttlMs })) === true;
    },
    async release(name, holder, epoch) {
      checkOpen();
      await writer.write({ op: 'release', tenant, name, holder, epoch });
    },
    async offer(name, unused) {
      checkOpen();
      return (await writer.write({ op: 'offer', tenant, name, unused: unused ?? null, now: now() })) as Fence;
    },
    async list(prefix) {
      checkOpen();
      return reading(() => listLeases(reader.sql, reader.tenantId(tenant), prefix, now()));
    },
  };
}
