import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { BlobStore, Doc, DocStore, Fence, LeaseStore, Snapshot, SnapshotStore } from '@perdure/runtime/ports';
import { blobDigest } from '../chain.ts';
import { LIMITS } from '../limits.ts';
import { searchText, wordsOf } from '../words.ts';
import { gathered } from './gathered.ts';
import type { Scope } from './scope.ts';
import { bytes, integer, type Row, text } from './statement.ts';

const GET = `SELECT w.n, d.id, d.revision, d.doc FROM jsonb_array_elements($2::jsonb) WITH ORDINALITY w(wanted, n)
  JOIN {s}.docs d ON d.tenant = $1 AND d.kind = w.wanted ->> 0 AND d.id = w.wanted ->> 1`;

const docOf = (row: Row): Doc => ({
  id: text(row['id']),
  revision: integer(row['revision']),
  doc: JSON.parse(text(row['doc'])),
});

export function postgresDocs(scope: Scope): DocStore {
  const { tenant, read, write } = scope;
  const SELECT = 'SELECT id, revision, doc, words FROM {s}.docs WHERE tenant = $1 AND kind = $2';
  const get = gathered(async (wanted: readonly [kind: string, id: string][]) => {
    const rows = await read(GET, [tenant, JSON.stringify(wanted)]);
    const found = new Map(rows.map((row) => [integer(row['n']), docOf(row)]));
    return wanted.map((_, at) => found.get(at + 1) ?? null);
  });
  return {
    get: async (kind, id) => get([kind, id]),
    async put(kind, id, doc, expectedRevision) {
      const written = doc === null ? null : JSON.stringify(doc);
      const words = written === null ? '' : searchText(JSON.parse(written));
      const [row] = await write('SELECT {s}.put_doc($1, $2, $3, $4, $5) AS put', [
        kind,
        id,
        expectedRevision,
        written,
        words,
      ]);
      const [ok, revision]: [boolean, number] = JSON.parse(text(row?.['put']));
      return ok ? { ok, revision } : { ok, code: 'conflict', revision };
    },
    async list(kind, { after, limit }) {
      return (await read(`${SELECT} AND id > $3 ORDER BY id LIMIT $4`, [tenant, kind, after ?? '', limit])).map(docOf);
    },
    async search(kind, query, limit) {
      const wanted = wordsOf(query).map((word) => ` ${word} `);
      const rows = await read(`${SELECT} ORDER BY id LIMIT $3`, [tenant, kind, LIMITS.searchedDocs]);
      return rows
        .filter((row) => wanted.every((word) => text(row['words']).includes(word)))
        .slice(0, limit)
        .map(docOf);
    },
  };
}

export function postgresSnapshots({ tenant, read, write }: Scope): SnapshotStore {
  const SID = '(SELECT sid FROM {s}.sessions WHERE tenant = $1 AND id = $2 AND NOT deleted)';
  return {
    async save(session, { seq, hash, engine, checksum, state, prefix }) {
      await write(
        `INSERT INTO {s}.snapshots
         SELECT $1, sid, $3, $4, $5, $6, $7, $8 FROM {s}.sessions WHERE tenant = $1 AND id = $2 AND NOT deleted FOR SHARE
         ON CONFLICT (tenant, sid) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, engine = excluded.engine,
           checksum = excluded.checksum, state = excluded.state, prefix = excluded.prefix`,
        [tenant, session, seq, hash, engine, checksum, squeeze(state), squeeze(prefix)],
      );
    },
    async load(session) {
      const query = `SELECT seq, hash, engine, checksum, state, prefix FROM {s}.snapshots WHERE tenant = $1 AND sid = ${SID}`;
      const [row] = await read(query, [tenant, session]);
      return row === undefined ? null : snapshotOf(row);
    },
    async drop(session) {
      await write(`DELETE FROM {s}.snapshots WHERE tenant = $1 AND sid = ${SID}`, [tenant, session]);
    },
  };
}

/** A fold repeats itself; the fastest level takes most of it out. */
const squeeze = (whole: string): Buffer => deflateRawSync(whole, { level: 1 });

/** A snapshot that cannot be read any more is none: it is a cache, and the log is folded instead. */
function snapshotOf(row: Row): Snapshot | null {
  try {
    return {
      seq: integer(row['seq']),
      hash: text(row['hash']),
      engine: text(row['engine']),
      checksum: text(row['checksum']),
      state: inflateRawSync(bytes(row['state'])).toString(),
      prefix: inflateRawSync(bytes(row['prefix'])).toString(),
    };
  } catch {
    return null;
  }
}

/** A row each: what is larger than a body and smaller than an upload may be. Aged by the database's clock. */
export function postgresBlobs({ tenant, read, write }: Scope): BlobStore {
  return {
    async put(given) {
      const digest = blobDigest(given);
      await write(
        `INSERT INTO {s}.blobs VALUES ($1, $2, $3, {s}.now_ms())
         ON CONFLICT (tenant, digest) DO UPDATE SET renewed_at = excluded.renewed_at`,
        [tenant, digest, Buffer.from(given)],
      );
      return digest;
    },
    async get(digest) {
      const [row] = await read('SELECT bytes FROM {s}.blobs WHERE tenant = $1 AND digest = $2', [tenant, digest]);
      const found = row === undefined ? null : bytes(row['bytes']);
      return found !== null && blobDigest(found) === digest ? found : null;
    },
    async has(digest) {
      return (await read('SELECT FROM {s}.blobs WHERE tenant = $1 AND digest = $2', [tenant, digest])).length > 0;
    },
    async list({ after, limit }) {
      const rows = await read(
        `SELECT digest, octet_length(bytes) AS size, renewed_at FROM {s}.blobs WHERE tenant = $1 AND digest > $2
         ORDER BY digest LIMIT $3`,
        [tenant, after ?? '', limit],
      );
      return rows.map((row) => ({
        digest: text(row['digest']),
        bytes: integer(row['size']),
        renewedAt: integer(row['renewed_at']),
      }));
    },
    async delete(digest) {
      await write('DELETE FROM {s}.blobs WHERE tenant = $1 AND digest = $2', [tenant, digest]);
    },
  };
}

const OFFER = `SELECT {s}.offer(w.given ->> 0, w.given ->> 1, (w.given ->> 2)::bigint) AS fence
  FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY w(given, n) ORDER BY w.n`;

export function postgresLeases({ tenant, read, write }: Scope): LeaseStore {
  // A process that was busy lets many sessions go at once.
  const offer = gathered(async (given: readonly Offered[]) => {
    // In one order everywhere, in which the database locks them.
    const places = given.map((_, at) => at).toSorted((a, b) => (nameOf(given[a]) < nameOf(given[b]) ? -1 : 1));
    const rows = await write(OFFER, [JSON.stringify(places.map((at) => given[at]))]);
    const fences = new Map(places.map((at, n) => [at, fenceOf(rows[n])]));
    return given.map((_, at) => fences.get(at) ?? fenceOf(undefined));
  });
  return {
    async claim(name, holder, ttlMs, address) {
      const [row] = await write('SELECT {s}.claim($1, $2, $3, $4) AS claim', [name, holder, ttlMs, address ?? null]);
      const claim: [true, number] | [false, string] = JSON.parse(text(row?.['claim']));
      return claim[0] ? { ok: true, epoch: claim[1] } : { ok: false, holder: claim[1] };
    },
    async renew(name, holder, epoch, ttlMs) {
      const [row] = await write('SELECT {s}.renew($1, $2, $3, $4) AS renewed', [name, holder, epoch, ttlMs]);
      return row?.['renewed'] === 't';
    },
    async release(name, holder, epoch) {
      await write(
        'UPDATE {s}.leases SET holder = NULL, address = NULL WHERE tenant = $1 AND name = $2 AND holder = $3 AND epoch = $4',
        [tenant, name, holder, epoch],
      );
    },
    offer: async (name, unused) => offer([name, unused?.holder ?? null, unused?.epoch ?? null]),
    async list(prefix) {
      const rows = await read(
        `SELECT l.name, l.holder, l.epoch, l.address FROM {s}.leases l
         WHERE l.tenant = $1 AND starts_with(l.name, $2) AND l.name >= $2 AND {s}.lives(l) ORDER BY l.name`,
        [tenant, prefix],
      );
      return rows.map((row) => ({
        name: text(row['name']),
        holder: text(row['holder']),
        epoch: integer(row['epoch']),
        address: row['address'] ?? null,
      }));
    },
  };
}

type Offered = readonly [name: string, holder: string | null, epoch: number | null];
const nameOf = (offered: Offered | undefined): string => offered?.[0] ?? '';

/** Throws where there is none. */
function fenceOf(row: Row | undefined): Fence {
  const [holder, epoch]: [string, number] = JSON.parse(text(row?.['fence']));
  return { holder, epoch };
}
