/**
 * Known kinds of bug, switched on one at a time to test the simulator itself. Each is put around the product from
 * outside, or composes its parts in a wrong way; the product has no switch for any of them.
 */
import type { StreamEvent, Host } from '@perdure/runtime';
import { decodeFrame, effectKey, encodeFrame, snapshotChecksum } from '@perdure/runtime';
import type { State } from '@perdure/engine';
import { decodeState, encodeState, fold, outstanding, ZERO_USAGE } from '@perdure/engine';
import type {
  Append,
  AppendResult,
  LedgerOp,
  LogStore,
  ModelSource,
  NeutralItem,
  SnapshotStore,
  Store,
  TenantStore,
  ToolDefinition,
} from '@perdure/runtime/ports';
import { GRANT_BUGS, WORKSPACE_BUGS, wrapDocumentHost, wrapDocuments } from './document-bugs.ts';
import type { Process } from './process.ts';
import type { Sim } from './sim.ts';

export const BUGS = {
  'early-ack': 'an append is acknowledged before it is durable',
  'early-effect': 'a tool runs as soon as the model has asked for it, before an entry names the call',
  'one-shot-recovery': 'unfinished sessions are looked for at the start, and never again',
  'stream-gap': 'a stream reads the log first and subscribes afterwards',
  'approval-by-name': 'an approval counts for whatever the tool is about to do, not for the arguments that were seen',
  'fork-runs-open-call': 'a fork leaves open what was open in its prefix, and runs it',
  'stale-snapshot': 'the state in a snapshot is taken for that at the head of its log, however old it is',
  'unsafe-repeated': 'an unsafe call that was lost with its process is run again',
  'budget-settled-twice': 'the ledger books the bill of an attempt two times',
  'steer-lost': 'a message for the next turn is acknowledged and forgotten while the calls of this one are under way',
  'cut-stream-final': 'an answer whose stream broke off is taken for a whole one',
  'compaction-drops-question': 'behind a summary, what the user asked of the run is left out',
  'stale-holder': 'a process dispatches in every session that it ever held, and asks nobody',
  'job-thought-alive': 'a job of a process that is gone is said to run',
  'budget-above-forgotten': 'nothing is reserved above the session',
  'budget-never-freed': 'a run that waits for a budget is told of no room',
  'answer-paid-twice': 'an answer that the provider still has is asked for anew after a crash',
  ...WORKSPACE_BUGS,
  ...GRANT_BUGS,
} as const;
export type Bug = keyof typeof BUGS;

/** What a simulation must be about for the bug to show. */
export function subjectOf(bug: Bug | undefined): 'workspaces' | 'grants' | null {
  if (bug === undefined) return null;
  return bug in WORKSPACE_BUGS ? 'workspaces' : bug in GRANT_BUGS ? 'grants' : null;
}

export function wrapStore(sim: Sim, process: Process, store: Store): Store {
  if (sim.bug === 'stale-snapshot') return { ...store, tenant: (name) => trusting(sim, store.tenant(name)) };
  if (subjectOf(sim.bug ?? undefined) !== null)
    return { ...store, tenant: (name) => wrapDocuments(sim, process, store, name) };
  const wrapped = wrapperOf(sim, process);
  if (wrapped === null) return store;
  return {
    ...store,
    tenant: (name) => {
      const tenant = store.tenant(name);
      const { log } = tenant;
      const own = wrapped(log);
      return {
        ...tenant,
        log: new Proxy(log, { get: (target, member) => Reflect.get(own, member) ?? Reflect.get(target, member) }),
      };
    },
  };
}

function wrapperOf(sim: Sim, process: Process): ((log: LogStore) => Partial<LogStore>) | null {
  if (sim.bug === 'early-ack') return (log) => earlyAck(sim, process, log);
  if (sim.bug === 'one-shot-recovery') return oneShot;
  if (sim.bug === 'budget-settled-twice') return settledTwice;
  if (sim.bug === 'budget-above-forgotten') return unreserved;
  if (sim.bug === 'budget-never-freed') return spentUp;
  return sim.bug === 'fork-runs-open-call' ? (log) => openFork(sim, log) : null;
}

/** Each snapshot of a log is said to be of its newest frame. */
function trusting(sim: Sim, tenant: TenantStore): TenantStore {
  const { log, snapshots } = tenant;
  const load: SnapshotStore['load'] = async (session) => {
    const [snapshot, row] = [await snapshots.load(session), await log.get(session)];
    if (snapshot === null || row === null || snapshot.checksum !== snapshotChecksum(snapshot)) return snapshot;
    if (!sim.truth.isBoundary(session, snapshot.seq, snapshot.hash)) return snapshot;
    const state = encodeState({ ...decodeState(snapshot.state), head: row.head.seq });
    const newest = { ...snapshot, ...row.head, state };
    return { ...newest, checksum: snapshotChecksum(newest) };
  };
  return { ...tenant, snapshots: { ...snapshots, load } };
}

/** Keeps of a fork's own append what says that it is one; whoever made it folds the log again. */
function openFork(sim: Sim, log: LogStore): Partial<LogStore> {
  return {
    fork: async (origin, request) => {
      const [forked] = decodeFrame(request.frame);
      if (forked?.kind !== 'session.forked') return log.fork(origin, request);
      const { from, seq } = forked.data;
      const left = fold([...(sim.truth.logs.get(from)?.entries.slice(0, seq) ?? []), forked]);
      const open = outstanding(left).length;
      if (open === 0) return log.fork(origin, request);
      const frame = encodeFrame([forked], request.expectedHead.hash);
      const index = { ...request.index, outstanding: open };
      const result = await log.fork(origin, { ...request, frame, index, runs: [] });
      return result.ok ? { ok: false, code: 'conflict', head: result.head } : result;
    },
  };
}

/** What is booked under an account's name is booked above the session. */
const unreserved = (log: LogStore): Partial<LogStore> => ({
  append: async (request) =>
    log.append({ ...request, ledger: request.ledger.filter((op) => !('key' in op) || !op.key.includes('@')) }),
});

const spentUp = (log: LogStore): Partial<LogStore> => ({
  accounts: async (ids) => {
    const rows = await log.accounts(ids);
    return rows.map((row) => ({ ...row, caps: { tokens: 0, nanoUsd: 0 } }));
  },
});

function settledTwice(log: LogStore): Partial<LogStore> {
  const accounts = new Map<string, string>();
  return {
    append: async (request) => {
      const again = request.ledger.flatMap((op): LedgerOp[] => {
        if (op.op === 'reserve') accounts.set(op.key, op.account);
        const account = op.op === 'settle' ? accounts.get(op.key) : undefined;
        if (op.op !== 'settle' || account === undefined) return [];
        const key = `${op.key} again`;
        return [
          { op: 'reserve', key, account, amount: { tokens: 0, nanoUsd: 0 } },
          { ...op, key },
        ];
      });
      return log.append({ ...request, ledger: [...request.ledger, ...again] });
    },
  };
}

function earlyAck(sim: Sim, process: Process, log: LogStore): Partial<LogStore> {
  const lines = new Map<string, Promise<unknown>>();
  return {
    append: async (request: Append): Promise<AppendResult> => {
      const before = lines.get(request.session) ?? Promise.resolve();
      const written = before.then(async () => log.append(request));
      lines.set(
        request.session,
        written.catch((error: unknown) => sim.fail(error)),
      );
      await process.wait('acknowledged early', 0);
      const { first, count, hash } = request.frame;
      return { ok: true, head: { seq: first + count - 1, hash } };
    },
  };
}

function oneShot(log: LogStore): Partial<LogStore> {
  let swept = false;
  return {
    due: async (query) => {
      if (swept) return { sessions: [], next: null };
      const page = await log.due(query);
      swept = page.next === null;
      return page;
    },
  };
}

export function wrapHost(sim: Sim, host: Host): Host {
  if (subjectOf(sim.bug ?? undefined) !== null) return wrapDocumentHost(sim, host);
  if (sim.bug === 'stream-gap')
    return { ...host, events: (caller, session, options) => gappy(host, caller, session, options) };
  if (sim.bug === 'stale-holder') return staleHolder(host);
  if (sim.bug === 'job-thought-alive') return hopeful(host);
  if (sim.bug === 'steer-lost') return { ...host, call: forgetful(host) };
  if (sim.bug !== 'approval-by-name') return host;
  const call: Host['call'] = async (caller, method, params) => {
    if (method !== 'waits.resolve') return host.call(caller, method, params);
    const { session, wait, answer } = params as { session: string; wait: string; answer: object };
    const { result } = await host.call(caller, 'waits.list', { session, limit: 100 });
    const digest = result.waits.find(({ id }) => id === wait)?.digest;
    const trusting = digest === undefined || !('digest' in answer) ? answer : { ...answer, digest };
    return host.call(caller, method, { session, wait, answer: trusting } as typeof params);
  };
  return { ...host, call };
}

function hopeful(host: Host): Host {
  const { jobs } = host.parts;
  const of = jobs.of.bind(jobs);
  jobs.of = (...call) => {
    const all = of(...call);
    const state: typeof all.state = async (job) => {
      const known = await all.state(job);
      return known?.type === 'lost' || known?.type === 'away' ? { type: 'running' } : known;
    };
    return { ...all, state };
  };
  return host;
}

function staleHolder(host: Host): Host {
  const { holding } = host.parts;
  const asked = holding.held.bind(holding);
  const before = new Map<string, number>();
  holding.held = (session) => {
    const epoch = asked(session);
    if (epoch !== null) before.set(session, epoch);
    return before.get(session) ?? null;
  };
  return host;
}

/** Whether the session's run is between two turns. */
const isBetween = (state: State | undefined): boolean => {
  const run = [...(state?.runs.values() ?? [])].find(({ id }) => id === state?.active);
  return run?.phase.at === 'active' && run.turn?.phase.at === 'settled';
};

function forgetful(host: Host): Host['call'] {
  return async (caller, method, params) => {
    if (method !== 'runs.start') return host.call(caller, method, params);
    const { session, mode } = params as { session: string; mode: string };
    const hot = host.parts.sessions.peek(session) as { state: State; head: { seq: number } } | undefined;
    if (mode !== 'steer' || hot === undefined || !isBetween(hot.state)) return host.call(caller, method, params);
    const { result: run } = await host.call(caller, 'runs.get', { session, run: hot.state.active ?? 'r1' });
    return { status: 202, result: { run, seq: hot.head.seq } } as Awaited<ReturnType<typeof host.call<typeof method>>>;
  };
}

async function* gappy(
  host: Host,
  ...[caller, session, options]: Parameters<Host['events']>
): AsyncGenerator<StreamEvent> {
  const replay = new AbortController();
  for await (const event of host.events(caller, session, { ...options, deltas: false, signal: replay.signal })) {
    if (event.type === 'caught-up') break;
    yield event;
    if (event.type === 'end' || options.signal.aborted) return;
  }
  replay.abort();
  const row = await host.parts.store.log.get(session);
  yield* host.parts.streams.subscribe(host.parts.store.log, session, { ...options, after: row?.head.seq ?? 0 });
}

/** Runs each call of an answer before the answer is anywhere in the log. */
export function wrapModels(sim: Sim, models: ModelSource, tools: readonly ToolDefinition[]): ModelSource {
  if (sim.bug === 'cut-stream-final') return believing(models);
  if (sim.bug === 'compaction-drops-question') return questionDropped(models);
  if (sim.bug === 'answer-paid-twice') return forgetfulOfAnswers(models);
  if (sim.bug !== 'early-effect') return models;
  return {
    ...models,
    resolve: (id) => {
      const resolved = models.resolve(id);
      if (!resolved.ok) return resolved;
      const { adapter } = resolved;
      const generate: typeof adapter.generate = async (request, context) => {
        const outcome = await adapter.generate(request, context);
        const turn = sim.truth.effects.get(request.key);
        if (outcome.type !== 'done' || turn === undefined) return outcome;
        for (const [n, asked] of outcome.calls.entries()) {
          const tool = tools.find(({ name, effect }) => name === asked.name && effect === 'keyed');
          const call = `${turn.effect}c${n}`;
          const key = effectKey('default', turn.session, call);
          const ctx = { key, attempt: 1, signal: context.signal, session: turn.session, run: turn.run, call };
          if (tool !== undefined && asked.arguments.endsWith('}'))
            await tool.run(JSON.parse(asked.arguments), ctx as unknown as Parameters<ToolDefinition['run']>[1]);
        }
        return outcome;
      };
      return { ...resolved, adapter: { ...adapter, generate } };
    },
  };
}

function questionDropped(models: ModelSource): ModelSource {
  return {
    ...models,
    resolve: (id) => {
      const resolved = models.resolve(id);
      if (!resolved.ok) return resolved;
      const { adapter } = resolved;
      const generate: typeof adapter.generate = async (request, context) => {
        const items = JSON.parse(`[${request.rendered}]`) as NeutralItem[];
        const isSummed = JSON.stringify(items[0]).includes('This is a summary of the conversation');
        const kept = items.filter(({ kind }, place) => !isSummed || place !== 1 || kind !== 'message');
        return adapter.generate({ ...request, rendered: kept.map((item) => JSON.stringify(item)).join(',') }, context);
      };
      return { ...resolved, adapter: { ...adapter, generate } };
    },
  };
}

function forgetfulOfAnswers(models: ModelSource): ModelSource {
  return {
    ...models,
    resolve: (id) => {
      const resolved = models.resolve(id);
      if (!resolved.ok) return resolved;
      const { adapter } = resolved;
      const generate: typeof adapter.generate = async ({ resume: _forgotten, ...request }, context) =>
        adapter.generate(request, context);
      return { ...resolved, adapter: { ...adapter, generate } };
    },
  };
}

function believing(models: ModelSource): ModelSource {
  return {
    ...models,
    resolve: (id) => {
      const resolved = models.resolve(id);
      if (!resolved.ok) return resolved;
      const { adapter } = resolved;
      const generate: typeof adapter.generate = async (request, context) => {
        let text = '';
        const delta: typeof context.delta = (piece) => {
          if (piece.part === 'text') text += piece.text;
          context.delta(piece);
        };
        const outcome = await adapter.generate(request, { ...context, delta });
        if (outcome.type !== 'failed' || text === '') return outcome;
        return { type: 'done', stop: 'end', text, reasoning: '', calls: [], usage: ZERO_USAGE, native: null };
      };
      return { ...resolved, adapter: { ...adapter, generate } };
    },
  };
}
