import type { Append, AppendResult, Change, DamageReport, LogStore, Origin, SessionRow } from '@perdure/runtime/ports';
import { bodyDigest, frameHash } from '../chain.ts';
import { decodeCursor, encodeCursor } from '../cursors.ts';
import { openedRows } from '../ledger.ts';
import { type Lease, lives, sessionLease } from '../leases.ts';
import { announce } from '../watch.ts';
import { appendTo } from './append.ts';
import type { MemorySession, MemoryTenant, MemoryWatcher } from './disk.ts';
import { memoryTexts } from './texts.ts';

/** What the parts of an open memory store share. `peek` and `keep` throw `unavailable` once it is closed. */
export type MemoryScope = {
  epoch: number;
  shared: boolean;
  /** All ears at this tenant's commits, of whichever opening. */
  watchers: Set<MemoryWatcher>;
  now(): number;
  /** The tenant's data to read. */
  peek(): MemoryTenant;
  /** The tenant's data to write; the tenant exists from then on. */
  keep(): MemoryTenant;
  unavailable(): string | null;
};

export function memoryLog(scope: MemoryScope): LogStore {
  const live = (id: string): MemorySession | null => visible(scope.peek().sessions.get(id));
  const commit = (request: Append, origin: Origin | null): AppendResult => {
    const detail = scope.unavailable();
    if (detail !== null) return { ok: false, code: 'unavailable', detail };
    const result = appendTo(scope.keep(), request, { ...scope, now: scope.now() }, origin);
    if (result.ok) tellOf(scope, request, result.head.seq);
    return result;
  };
  return {
    append: async (request) => commit(request, null),
    fork: async (origin, request) =>
      commit(request, 'stage' in origin ? { stage: stageOf(scope, origin.stage) } : origin),
    async stage(name, frames) {
      const { staged } = scope.keep();
      const stage = stageOf(scope, name);
      if (frames === null) staged.delete(stage);
      else staged.set(stage, [...(staged.get(stage) ?? []), ...structuredClone(frames)]);
    },
    async openAccounts(accounts, { keep }) {
      const tenant = scope.keep();
      for (const row of openedRows(accounts, keep, (id) => tenant.accounts.get(id))) tenant.accounts.set(row.id, row);
    },
    async accounts(ids) {
      const { accounts } = scope.peek();
      return structuredClone(ids.flatMap((id) => accounts.get(id) ?? []));
    },
    async read(session, { after, limit }) {
      const frames = live(session)?.frames ?? [];
      return frames.slice(firstAfter(frames, after)).slice(0, limit);
    },
    async get(session) {
      return rowOf(live(session));
    },
    async find(key) {
      return rowOf(visible(scope.peek().keys.get(key)));
    },
    async body(session, seq, digest) {
      const frames = live(session)?.frames ?? [];
      const frame = frames[firstAfter(frames, seq - 1)];
      if (frame === undefined || frame.first > seq) return null;
      return frame.bodies.find((body) => body.digest === digest) ?? null;
    },
    watch(changed) {
      scope.peek();
      const watcher: MemoryWatcher = { owner: scope.epoch, tell: (change) => changed(change) };
      scope.watchers.add(watcher);
      return () => void scope.watchers.delete(watcher);
    },
    async delete(session) {
      const found = live(session);
      if (found !== null) erase(scope.keep(), found);
      return found !== null;
    },
    async verify(session) {
      const { sessions } = scope.peek();
      const chosen = session === undefined ? [...sessions.values()] : [sessions.get(session)];
      return chosen.flatMap((one) => (one === undefined ? [] : verifySession(one)));
    },
    texts: memoryTexts(scope),
    ...memoryLists(scope),
  };
}

/** What one opening of shared data stages is none of the others' business. */
const stageOf = ({ shared, epoch }: MemoryScope, name: string): string => (shared ? `${epoch} ${name}` : name);

/** Its own ears hear of a commit, and those of others where the data is shared. */
function tellOf({ watchers, shared, epoch }: MemoryScope, { session, index }: Append, head: number): void {
  const { agent, status, activeRun, outstanding } = index;
  for (const watcher of watchers) {
    const own = watcher.owner === epoch;
    if (!own && !shared) continue;
    announce([(change) => watcher.tell(change)], { session, agent, head, status, activeRun, outstanding, own });
  }
}

function memoryLists(scope: MemoryScope): Pick<LogStore, 'list' | 'runs' | 'run' | 'due' | 'feed'> {
  const sessions = (): MemorySession[] => [...scope.peek().sessions.values()].filter((one) => !one.deleted);
  return {
    async list({ agent, status, cursor, limit }) {
      const before = cursor === undefined ? Infinity : decodeCursor('s', cursor);
      const found = sessions()
        .filter((one) => one.number < before && fits(one.index, agent, status))
        .toReversed();
      const items = found.slice(0, limit);
      const last = items.at(-1);
      const next = found.length > items.length && last !== undefined ? encodeCursor('s', last.number) : null;
      return { items: items.map((one) => rowOf(one)).filter((row) => row !== null), next };
    },
    async runs({ agent, status, session, cursor, limit }) {
      const before = cursor === undefined ? Infinity : decodeCursor('r', cursor);
      const tenant = scope.peek();
      const found = tenant.runs
        .filter(({ number, row }) => number < before && fits(row, agent, status))
        .filter(({ row }) => (session ?? row.session) === row.session && !tenant.sessions.get(row.session)?.deleted)
        .toReversed();
      const items = found.slice(0, limit);
      const last = items.at(-1);
      const next = found.length > items.length && last !== undefined ? encodeCursor('r', last.number) : null;
      return { items: items.map(({ row }) => row), next };
    },
    async run(session, run) {
      const found = visible(scope.peek().sessions.get(session))?.runs.get(run);
      if (found === undefined) return null;
      const { session: _, ...row } = found.row;
      return row;
    },
    async due({ now, after, limit, holder, agents }) {
      const place = after === null ? 0 : decodeCursor('d', after);
      const { leases } = scope.peek();
      const leaseOf = (name: string): Lease | undefined => leases.get(name);
      const isOthers = (id: string): boolean => {
        const lease = leaseOf(sessionLease(id));
        return holder !== undefined && lives(lease, scope.now(), leaseOf) && lease.holder !== holder;
      };
      const found = sessions().filter(
        ({ id, number, index }) =>
          number > place &&
          (index.outstanding > 0 || (index.dueAt !== null && index.dueAt <= now)) &&
          (agents?.includes(index.agent) ?? true) &&
          !isOthers(id),
      );
      const chosen = found.slice(0, limit);
      const last = chosen.at(-1);
      const next = found.length > chosen.length && last !== undefined ? encodeCursor('d', last.number) : null;
      return { sessions: chosen.map((one) => one.id), next };
    },
    async feed(after, limit) {
      const place = after === '' ? 0 : decodeCursor('f', after);
      const newest = scope.peek().changes;
      if (place > newest) return { resync: true, cursor: encodeCursor('f', newest) };
      const found = sessions()
        .filter((one) => one.change > place)
        .toSorted((a, b) => a.change - b.change)
        .slice(0, limit);
      const changes = found.map(changeOf);
      return { changes, cursor: encodeCursor('f', found.at(-1)?.change ?? place) };
    },
  };
}

function visible(session: MemorySession | undefined): MemorySession | null {
  return session === undefined || session.deleted ? null : session;
}

function rowOf(session: MemorySession | null): SessionRow | null {
  return session === null ? null : { id: session.id, head: { ...session.head }, ...session.index };
}

function changeOf({ id, head, index }: MemorySession): Change {
  return { session: id, agent: index.agent, head: head.seq, status: index.status };
}

function fits(row: { agent: string; status: string }, agent: string | undefined, status: string | undefined): boolean {
  return (agent ?? row.agent) === row.agent && (status ?? row.status) === row.status;
}

/** Index of the first frame that holds an entry after `after`. */
function firstAfter(frames: readonly { first: number; count: number }[], after: number): number {
  let low = 0;
  let high = frames.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const frame = frames[middle];
    if (frame !== undefined && frame.first + frame.count - 1 <= after) low = middle + 1;
    else high = middle;
  }
  return low;
}

function erase(tenant: MemoryTenant, session: MemorySession): void {
  session.deleted = true;
  session.snapshot = null;
  session.runs.clear();
  for (const [id, text] of tenant.texts.byId) if (text.session === session.id) tenant.texts.byId.delete(id);
  session.frames = session.frames.map((frame) => ({ ...frame, bodies: [], erased: true }));
  if (session.index.key !== null) tenant.keys.delete(session.index.key);
  session.index = { ...session.index, title: '', key: null, queue: [], waits: [], dueAt: null, outstanding: 0 };
}

function verifySession(session: MemorySession): DamageReport[] {
  const reports: DamageReport[] = [];
  const report = (code: DamageReport['code'], seq: number, detail: string): void => {
    reports.push({ session: session.id, code, seq, detail });
  };
  let previous = { seq: 0, hash: '' };
  for (const frame of session.frames) {
    if (frame.first !== previous.seq + 1) report('gap', frame.first, `no entry after seq ${previous.seq}`);
    if (frameHash(previous.hash, frame.bytes) !== frame.hash) report('hash', frame.first, 'the frame does not match');
    for (const body of frame.bodies) {
      if (bodyDigest(body) !== body.digest) report('body', frame.first, `body ${body.digest} does not match`);
    }
    previous = { seq: frame.first + frame.count - 1, hash: frame.hash };
  }
  if (previous.seq < session.head.seq) report('gap', previous.seq + 1, `the head was at ${session.head.seq}`);
  return reports;
}
