/** Views of sessions, runs and waits, and the folds over their logs. Nothing here writes. */
import type { Entry as WireEntry, RunView, SessionView, WaitView } from '@perdure/contract';
import { ApiError } from '@perdure/contract';
import type { Run, State } from '@perdure/engine';
import { evolve, freshState } from '@perdure/engine';
import type { Agents, Manifest } from '../definitions/agents.ts';
import { contentText } from '../effects/assemble.ts';
import type { TurnBody } from '../effects/assemble.ts';
import { argumentsOf } from '../effects/calls.ts';
import { isQuarantined } from '../drive/driver.ts';
import { decodeFrame } from '../log/frame.ts';
import { LIMITS } from '../limits.ts';
import { buildRequest } from '../effects/request.ts';
import type { ModelSource, RunRow, SessionRow, TenantStore } from '../ports.ts';
import type { Hot } from '../log/hot.ts';
import type { Sessions } from '../log/sessions.ts';
import { blank } from '../log/hot.ts';
import { callbackToken } from '../effects/toolbus.ts';
import { indexOf, rowOf } from '../log/views.ts';
import { offerOf } from '../policy/offer.ts';
import { judged } from '../policy/policy.ts';
import { wireFrame } from '../log/wire.ts';

export type Reads = {
  /** `since` (monotonic ms; default now): when it was asked for. */
  session(id: string, since?: number): Promise<SessionView>;
  sessionRow(row: SessionRow): Promise<SessionView>;
  run(session: string, run: string, since?: number): Promise<RunView>;
  /** Whether a run is known here, and neither over nor waiting nor held as far as is known. Needs no lock, and may be out of date. */
  isUnderWay(session: string, run: string): boolean;
  runRow(session: string, row: RunRow): Promise<RunView>;
  waits(session: string): Promise<WaitView[]>;
  entries(session: string): AsyncGenerator<WireEntry>;
  request(
    session: string,
    run: string,
    n: number,
  ): Promise<{ turn: string; model: string; fingerprint: string; exact: boolean; request: unknown }>;
};

export const notFound = (what: string): ApiError => new ApiError('not_found', `no ${what} here`);

type Options = {
  store: TenantStore;
  sessions: Sessions;
  agents: Agents;
  models: ModelSource;
  callbackSecret: string;
  quarantined(session: string): boolean;
};

export function createReads(options: Options): Reads {
  const { store, sessions } = options;

  const configView = async (hot: Hot): Promise<SessionView['config']> => {
    const { instructions, ...config } = hot.state.config;
    const view = { revision: hot.state.revision, ...config } as SessionView['config'];
    if (instructions !== undefined)
      view.instructions = contentText(
        JSON.parse(await sessions.body(hot, { ...instructions, seq: instructions.seq ?? 1 })),
      );
    return view;
  };

  const sessionView = async (hot: Hot): Promise<SessionView> => {
    const { key, activeRun, ...index } = indexOf(hot.state, hot.title);
    const view: SessionView = {
      id: hot.id,
      agent: index.agent,
      title: index.title,
      status: options.quarantined(hot.id) ? 'quarantined' : index.status,
      head: hot.head.seq,
      queue: [...index.queue],
      waits: [...index.waits] as SessionView['waits'],
      config: await configView(hot),
      usage: index.usage,
      cost: index.cost,
      createdAt: index.createdAt,
      updatedAt: index.updatedAt,
    };
    if (key !== null) view.key = key;
    if (activeRun !== null) view.activeRun = activeRun;
    return placed(view, index);
  };

  const reads: Reads = {
    session: async (id, since) =>
      sessions.exclusive(id, async () => {
        if (options.quarantined(id)) return quarantinedView(await store.log.get(id), id);
        return sessionView(await existing(sessions, id, since));
      }),
    sessionRow: async (row) => (options.quarantined(row.id) ? quarantinedView(row, row.id) : rowView(row)),
    run: async (session, run, since) => {
      const live = await sessions.exclusive(session, async () => {
        if (options.quarantined(session)) return null;
        const hot = await existing(sessions, session, since);
        const found = hot.state.runs.get(run as Run['id']);
        if (found !== undefined) return rowOf(hot.state, found);
        return hot.ended?.run === run ? hot.ended : null;
      });
      const row = live ?? (await store.log.run(session, run));
      if (row === null) throw notFound(`run ${run}`);
      return reads.runRow(session, row);
    },
    isUnderWay: (session, run) => !options.quarantined(session) && isUnderWay(sessions.believed(session), run),
    runRow: (session, row) => runView(sessions, session, row),
    waits: async (session) =>
      sessions.exclusive(session, async () => {
        if (options.quarantined(session)) throw isQuarantined(session);
        const hot = await existing(sessions, session);
        return Promise.all([...hot.state.waits.values()].map(async (wait) => waitView(options, hot, wait.id)));
      }),
    entries: (session) => allEntries(store, session),
    request: async (session, run, n) => rebuild(options, session, run, n),
  };
  return reads;
}

function isUnderWay(state: State | null, run: string): boolean {
  const found = state?.runs.get(run as Run['id']);
  if (state === null || found === undefined || found.held) return false;
  for (const wait of state.waits.values()) if (wait.run === run) return false;
  return true;
}

/** The session as it stands: what another writer has parked is seen here, too. Call it with the lock. Throws `not_found`. */
export async function existing(sessions: Sessions, id: string, since?: number): Promise<Hot> {
  const hot = await sessions.shown(id, since);
  if (hot.state.phase === 'fresh') {
    sessions.drop(id);
    throw notFound(`session ${id}`);
  }
  return hot;
}

/** A list's row: its configuration is read with the session itself. */
function rowView(row: SessionRow): SessionView {
  const view: SessionView = {
    id: row.id,
    agent: row.agent,
    title: row.title,
    status: row.status,
    head: row.head.seq,
    queue: [...row.queue],
    waits: [...row.waits] as SessionView['waits'],
    config: { revision: row.revision },
    usage: row.usage,
    cost: row.cost,
    createdAt: row.createdAt,
    updatedAt: row.updatedAt,
  };
  if (row.key !== null) view.key = row.key;
  if (row.activeRun !== null) view.activeRun = row.activeRun;
  return placed(view, row);
}

/** Where it comes from, and where it has gone. */
function placed(view: SessionView, { forkedFrom, movedTo }: Pick<SessionRow, 'forkedFrom' | 'movedTo'>): SessionView {
  if (forkedFrom !== undefined) view.forkedFrom = forkedFrom;
  if (movedTo !== undefined) view.movedTo = movedTo;
  return view;
}

function quarantinedView(row: SessionRow | null, id: string): SessionView {
  if (row === null) throw notFound(`session ${id}`);
  return { ...rowView(row), status: 'quarantined' };
}

async function runView(sessions: Sessions, session: string, row: RunRow): Promise<RunView> {
  const view: RunView = {
    id: row.run,
    session,
    agent: row.agent,
    status: row.status,
    text: '',
    usage: row.usage,
    cost: row.cost,
    seq: row.seq,
  };
  if (row.reason !== null) view.reason = row.reason;
  if (row.detail !== null) view.detail = row.detail;
  if (row.startedAt !== null) view.startedAt = row.startedAt;
  if (row.endedAt !== null) view.endedAt = row.endedAt;
  if (row.text === null) return view;
  const body = await finalTurn(sessions, session, row.text);
  if (body === null) return view;
  if (Buffer.byteLength(body.text) > LIMITS.runTextBytes) {
    view.text = Buffer.from(body.text)
      .subarray(0, LIMITS.runTextBytes)
      .toString()
      .replace(/\uFFFD+$/, '');
    view.truncated = true;
  } else view.text = body.text;
  if (body.output !== undefined) view.output = body.output;
  return view;
}

async function finalTurn(
  sessions: Sessions,
  session: string,
  at: { digest: string; seq: number },
): Promise<TurnBody | null> {
  try {
    const hot = sessions.peek(session) ?? { id: session, bodies: new Map<string, string>() };
    return JSON.parse(await sessions.body(hot, { ...at, bytes: 0 })) as TurnBody;
  } catch (error) {
    // An erased answer leaves its run: there is nothing to show.
    if (error instanceof Error && 'code' in error && error.code === 'blob_missing') return null;
    throw error;
  }
}

async function waitView(options: Options, hot: Hot, id: string): Promise<WaitView> {
  const wait = hot.state.waits.get(id as `w${number}`);
  if (wait === undefined) throw notFound(`wait ${id}`);
  const view: WaitView = { id: wait.id, session: hot.id, run: wait.run, kind: wait.kind, openedAt: wait.openedAt };
  if (wait.expiresAt !== null) view.expiresAt = wait.expiresAt;
  if (wait.digest !== null) view.digest = wait.digest;
  if (wait.shortage !== null) view.shortage = wait.shortage;
  if (wait.prompt !== null) {
    const prompt = JSON.parse(await options.sessions.body(hot, wait.prompt)) as {
      question?: string;
      choices?: string[];
      note?: string;
    };
    if (prompt.question !== undefined) view.question = prompt.question;
    if (prompt.choices !== undefined && prompt.choices.length > 0) view.choices = prompt.choices;
    if (prompt.note !== undefined) view.callback = { path: '', note: prompt.note };
  }
  if (wait.kind === 'callback' && wait.call !== null) {
    const path = `/v1/callbacks/${callbackToken(options.callbackSecret, hot.state.tenant, hot.id, wait.call)}`;
    view.callback = { ...view.callback, path };
  }
  const call = hot.state.runs.get(wait.run)?.asked.find((asked) => asked.id === wait.call);
  if (call === undefined) return view;
  view.call = {
    id: call.id,
    name: call.name,
    arguments: await argumentsOf(options.sessions, hot, call),
    class: call.class,
    attempt: 'attempt' in call.phase ? call.phase.attempt : 0,
    rule: call.rule,
  };
  const { taint } = hot.state.context;
  if (wait.kind === 'approval' && taint.length > 0) view.taint = taint.map(({ label, from }) => ({ label, from }));
  const tool = options.agents.get(hot.state.agent)?.tools.get(call.name);
  const offer =
    wait.kind === 'approval' && tool !== undefined ? offerOf(judged(call.name, tool, view.call.arguments)) : null;
  if (offer !== null) view.offer = offer as NonNullable<WaitView['offer']>;
  if (wait.kind === 'outcome')
    view.evidence = `attempt ${view.call.attempt} was dispatched and its outcome was never recorded`;
  return view;
}

async function* allEntries(store: TenantStore, session: string): AsyncGenerator<WireEntry> {
  let after = 0;
  for (;;) {
    const frames = await store.log.read(session, { after, limit: LIMITS.readFrames });
    for (const frame of frames) {
      after = frame.first + frame.count - 1;
      yield* wireFrame(frame);
    }
    if (frames.length < LIMITS.readFrames) return;
  }
}

/** Folds the log up to the turn's request and assembles it again, exactly. */
async function rebuild(
  options: Options,
  session: string,
  run: string,
  n: number,
): Promise<Awaited<ReturnType<Reads['request']>>> {
  const turn = `${run}t${n}`;
  const state = freshState();
  const found = await foldTo(options.store, session, state, turn);
  if (found === null) throw notFound(`turn ${turn}`);
  const hot = blank(session, state);
  const active = state.runs.get(run as Run['id']);
  if (active === undefined) throw notFound(`run ${run}`);
  const text = await options.store.blobs.get(active.pin?.manifest ?? '');
  if (text === null) throw notFound(`manifest of turn ${turn}`);
  const built = await buildRequest(options, JSON.parse(Buffer.from(text).toString()) as Manifest, hot, active, 1);
  if ('code' in built) throw new ApiError('invalid_state', `the request cannot be rebuilt: ${built.detail}`);
  return {
    turn,
    model: built.request.model,
    fingerprint: found,
    exact: built.fingerprint === found,
    request: JSON.parse(built.adapter.body(built.request)) as unknown,
  };
}

async function foldTo(store: TenantStore, session: string, state: State, turn: string): Promise<string | null> {
  for (let after = 0; ;) {
    const frames = await store.log.read(session, { after, limit: LIMITS.readFrames });
    for (const frame of frames) {
      for (const entry of decodeFrame(frame)) {
        evolve(state, entry);
        if (entry.kind === 'turn.requested' && entry.effect === turn) return entry.data.fingerprint;
      }
      after = frame.first + frame.count - 1;
    }
    if (frames.length < LIMITS.readFrames) return null;
  }
}
