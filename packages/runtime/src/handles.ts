/** Sessions and runs as a program holds them: the library's face of a host in the same process. */
import type {
  AnswerInput,
  ConfigPatch,
  ContextSlot,
  Delta,
  Entry,
  InputPart,
  MessageInput,
  ReceiptView,
  RunView,
  SessionView,
  WaitView,
} from '@perdure/contract';
import { ApiError, attachmentOf, brokenMedia, MEDIA_TYPES, METHODS, misfitsOf } from '@perdure/contract';
import type { Caller } from './api.ts';
import { isQuarantined } from './drive/driver.ts';
import { guarded } from './guard.ts';
import type { Host } from './host.ts';
import { type Begun, beginSession } from './methods/sessions.ts';
import { given } from './methods/shared.ts';
import { isAtRest, isEnded, untilRest } from './streams/rest.ts';

export type SendOptions = {
  /** `queue` (default): its turn comes; `steer`: the run reads it at its next turn; `interrupt`: it replaces the run. */
  mode?: 'queue' | 'steer' | 'interrupt';
  /** Chosen by the caller: the same submission and message again is the same run. */
  submission?: string;
  priority?: number;
  config?: ConfigPatch;
};
/** A run at its end, or at rest with the waits that somebody must answer. */
export type RunEndView = RunView & { waits?: WaitView[] };

export type SessionRun = {
  /** `r1`, `r2`, ... in its session. */
  readonly id: string;
  /** Seq of the entry that accepted it. */
  readonly seq: number;
  /**
   * Entries of the run and live deltas, from its acceptance to its end; ends when the run ends or waits for a person, and
   * when the runtime closes. Throws ApiError `invalid_state` where its session is quarantined.
   */
  events(options?: { signal?: AbortSignal }): AsyncGenerator<Entry | ({ kind: 'delta' } & Delta)>;
  /**
   * Resolves at the run's end, or with status `waiting` and its waits when a person is needed; as it stands (`running`,
   * `queued`) after `timeoutMs`, at an abort of `signal`, and when the runtime closes. Throws ApiError `invalid_state` where
   * its session is quarantined.
   */
  result(options?: { timeoutMs?: number; signal?: AbortSignal }): Promise<RunEndView>;
  cancel(): Promise<RunView>;
};

/** What every request of a session carries beside the conversation, by key. Errors as of the methods `context.*`. */
export type SessionContext = {
  list(): Promise<ContextSlot[]>;
  /** Null: there is no such slot. */
  get(key: string): Promise<ContextSlot | null>;
  /** Read from the next turn on. With `ifRevision` (0: it must be new) refused as `revision_conflict` where it is another. */
  set(key: string, content: string, options?: { ifRevision?: number }): Promise<ContextSlot>;
  /** False: there was no such slot. */
  delete(key: string, options?: { ifRevision?: number }): Promise<boolean>;
};

export type Session = {
  readonly id: string;
  readonly agent: string;
  /** Resolves when the message is accepted: durable, not done. */
  send(input: MessageInput, options?: SendOptions): Promise<SessionRun>;
  resolve(wait: string, answer: AnswerInput): Promise<ReceiptView>;
  view(): Promise<SessionView>;
  waits(): Promise<WaitView[]>;
  configure(ifRevision: number, config: ConfigPatch): Promise<SessionView>;
  run(id: string): Promise<SessionRun>;
  readonly context: SessionContext;
  /**
   * Has the conversation so far summarised, at the next boundary between two turns; the log keeps it. Resolves when that
   * is asked for: durable, not done. Throws ApiError: `invalid_state` where there is nothing to compact, `not_found`
   * before the first send, `session_closed`.
   */
  compact(): Promise<{ session: SessionView; seq: number }>;
  /**
   * A session that begins as this one was: now, or where the append with the entry `at` ended. What was open there ends
   * in it as `cancelled`, and never runs in it. Throws ApiError: `invalid_request` with the nearest places in `details`
   * for an `at` inside an append, `submission_conflict`, `not_found` before the first send.
   */
  fork(options?: ForkOptions): Promise<Session>;
  close(): Promise<SessionView>;
};

export type ForkOptions = {
  /** The seq of the last entry that it shares with this one. */
  at?: number;
  /** Changes the configuration it begins with. */
  config?: ConfigPatch;
  /** Chosen by the caller: the same fork asked for again is the same session. */
  submission?: string;
};

const FOREVER_MS = 2 ** 47;

/** What a program gives is held against what a client may send: types are not there when it runs. */
const SENT = METHODS['runs.start'].params.omit({ session: true });
const OPENED = METHODS['sessions.create'].params.pick({ agent: true, key: true, config: true });

function check(schema: typeof SENT | typeof OPENED, params: { readonly [name: string]: unknown }): void {
  const { error } = schema.safeParse(given(params));
  if (error === undefined) return;
  const issues = misfitsOf(error.issues);
  const text = issues.slice(0, 1).map(({ path, message }) => `${path} ${message}`);
  throw new ApiError('invalid_request', text.join(), { details: { issues } });
}

const callerOf = (host: Host): Caller => ({
  tenant: host.parts.tenant,
  actor: { kind: 'user', id: 'local' },
  requestId: host.parts.newId(),
});

/** A new session of an agent: durable with its first send (a submission or a key of its own then decides its id). */
export function openSession(host: Host, agent: string, options: { key?: string; config?: ConfigPatch } = {}): Session {
  check(OPENED, { ...options, agent });
  return sessionHandle(host, host.parts.newSession(), agent, { ...options, fresh: true });
}

/** A session that is already in the log; `key` where it was found by it. Throws ApiError `not_found`. */
export async function findSession(host: Host, id: string, key?: string): Promise<Session> {
  const { result } = await host.call(callerOf(host), 'sessions.get', { session: id });
  return sessionHandle(host, id, result.agent, { fresh: false, ...(key === undefined ? {} : { key }) });
}

/**
 * Stores bytes and gives the part of a message that names them; its type is told by the content, and of text by the
 * name. Idempotent. What no message refers to is collected after a day. Throws ApiError `invalid_request` for content
 * that no model takes, and for an image whose header is broken.
 */
export async function attach(host: Host, bytes: Uint8Array, name?: string): Promise<InputPart> {
  const digest = await host.putBlob(callerOf(host), bytes);
  const part = attachmentOf(digest, bytes, name);
  const broken = part?.type === 'image' ? brokenMedia(part.mediaType, bytes) : null;
  if (broken !== null) throw new ApiError('invalid_request', `${name ?? 'the image'}: ${broken}`);
  if (part !== null) return part;
  throw new ApiError(
    'invalid_request',
    `no model takes what is in ${name ?? 'these bytes'}: ${MEDIA_TYPES.join(', ')}`,
  );
}

/** Where a session goes to is told to whoever asks for it here. */
export type ExportOptions = { moveTo?: string };

/** See Runtime.exportSession. */
export async function* exportSession(
  host: Host,
  session: string,
  { moveTo }: ExportOptions = {},
): AsyncGenerator<Uint8Array> {
  if (moveTo !== undefined) await host.call(callerOf(host), 'sessions.move', { session, to: moveTo });
  yield* await host.exportSession(callerOf(host), session);
}

/** See Runtime.importSession. */
export async function importSession(host: Host, open: () => AsyncIterable<Uint8Array>): Promise<Session> {
  const { session } = await host.importSession(callerOf(host), open);
  return sessionHandle(host, session.id, session.agent, { fresh: false });
}

type Opening = { key?: string; config?: ConfigPatch; fresh: boolean };

function sessionHandle(host: Host, initialId: string, agent: string, opening: Opening): Session {
  let id = initialId;
  let { fresh } = opening;
  const call: Host['call'] = async (_caller, method, params) => host.call(callerOf(host), method, params);
  const caller = callerOf(host);
  const open = async (first: { input?: MessageInput } & SendOptions): Promise<Begun> => {
    const { key, config } = opening;
    const { input, submission } = first;
    const params = { agent, ...given({ input, submission, key, config }) };
    const named = { id: initialId, runConfig: first.config };
    const begun = await guarded(host.parts, caller, () => beginSession(host.parts, caller, params, named));
    fresh = false;
    ({ id } = begun);
    return begun;
  };
  return {
    get id() {
      return id;
    },
    agent,
    async send(input, options = {}) {
      check(SENT, { ...options, input });
      const { mode = 'queue', priority = 0, submission, config } = options;
      // A program that is run again says the same: what may have opened the session is sent as it was then.
      const isAgain = opening.key !== undefined && submission !== undefined && mode === 'queue' && priority === 0;
      if (fresh || isAgain) {
        const { run, seq } = await open({ input, ...options });
        return runHandle(host, id, run ?? '', seq);
      }
      const { result } = await call(caller, 'runs.start', {
        session: id,
        input,
        mode,
        priority,
        ...(submission === undefined ? {} : { submission }),
        ...(config === undefined ? {} : { config }),
      });
      return runHandle(host, id, result.run.id, result.seq);
    },
    resolve: async (wait, answer) =>
      (await call(caller, 'waits.resolve', { session: id, wait: wait as `w${number}`, answer })).result,
    view: async () => (await call(caller, 'sessions.get', { session: id })).result,
    waits: async () => (await call(caller, 'waits.list', { session: id, limit: 1_000 })).result.waits,
    configure: async (ifRevision, config) =>
      (await call(caller, 'sessions.configure', { session: id, ifRevision, ...config })).result,
    async run(run) {
      const { result } = await call(caller, 'runs.get', { session: id, run: run as `r${number}` });
      return runHandle(host, id, result.id, result.seq);
    },
    context: contextHandle(host, async (opens) => {
      if (fresh && opens) await open({});
      return fresh ? null : id;
    }),
    compact: async () => (await call(caller, 'context.compact', { session: id })).result,
    async fork(options = {}) {
      const { result } = await call(caller, 'sessions.fork', { session: id, ...options });
      return sessionHandle(host, result.session.id, agent, { fresh: false });
    },
    close: async () => (await call(caller, 'sessions.close', { session: id })).result,
  };
}

/** `session`: its id; null while it is not in the log, unless it is opened for what is done. */
function contextHandle(host: Host, session: (opens: boolean) => Promise<string | null>): SessionContext {
  const orNothing = async <T>(work: Promise<T>): Promise<T | null> =>
    work.catch((error: unknown) => {
      if (error instanceof ApiError && error.code === 'not_found') return null;
      throw error;
    });
  return {
    async list() {
      const id = await session(false);
      if (id === null) return [];
      return (await host.call(callerOf(host), 'context.list', { session: id, limit: 1_000 })).result.slots;
    },
    async get(key) {
      const id = await session(false);
      if (id === null) return null;
      return (await orNothing(host.call(callerOf(host), 'context.get', { session: id, key })))?.result ?? null;
    },
    async set(key, content, options = {}) {
      const id = (await session(true)) ?? '';
      return (await host.call(callerOf(host), 'context.set', { session: id, key, content, ...options })).result;
    },
    async delete(key, options = {}) {
      const id = await session(false);
      if (id === null) return false;
      return (await orNothing(host.call(callerOf(host), 'context.delete', { session: id, key, ...options }))) !== null;
    },
  };
}

/** Keeps the waits that only a person or another system ends. */
function followWaits(open: Set<string>, entry: Entry): void {
  if (entry.kind === 'wait.opened' && entry.data.kind !== 'timer' && entry.data.kind !== 'child')
    open.add(entry.data.wait);
  if (entry.kind === 'wait.resolved') open.delete(entry.data.wait);
}

function runHandle(host: Host, session: string, id: string, seq: number): SessionRun {
  const run = id as `r${number}`;
  const waitsOf = async (): Promise<WaitView[]> => {
    const { result } = await host.call(callerOf(host), 'waits.list', { session, limit: 1_000 });
    return result.waits.filter((wait) => wait.run === id);
  };
  const isParked = async (): Promise<boolean> => isAtRest(await host.parts.reads.run(session, id));
  return {
    id,
    seq,
    async *events({ signal } = {}) {
      const controller = new AbortController();
      const abort = (): void => controller.abort();
      if (signal?.aborted === true) return;
      signal?.addEventListener('abort', abort, { once: true });
      const streaming = { after: seq - 1, deltas: true, signal: controller.signal };
      const parked = new Set<string>();
      let live = false;
      // No commit tells of a quarantine.
      const { quarantine, watches } = host.parts;
      const watch = watches.of(session, () => false);
      void watch.next().then(() => live && abort());
      try {
        for await (const event of host.events(callerOf(host), session, streaming)) {
          if (event.type === 'delta' && event.delta.run === id) yield { kind: 'delta', ...event.delta };
          if (event.type === 'caught-up') live = true;
          if (live && quarantine.has(session)) break;
          if (event.type === 'entry') {
            const { entry } = event;
            if (entry.run !== id) continue;
            yield entry;
            if (entry.kind === 'run.ended') return;
            followWaits(parked, entry);
          }
          // Only where the run stands now counts: what it once waited for is history.
          if (live && event.type !== 'delta' && parked.size > 0 && (await isParked())) return;
        }
        if (quarantine.has(session)) throw new ApiError('invalid_state', isQuarantined(session).message);
      } finally {
        watch.close();
        signal?.removeEventListener('abort', abort);
        controller.abort();
      }
    },
    async result(options = {}) {
      const view = await untilRest(host.parts, session, id, options.timeoutMs ?? FOREVER_MS, options.signal);
      return isEnded(view) ? view : { ...view, waits: await waitsOf() };
    },
    cancel: async () => (await host.call(callerOf(host), 'runs.cancel', { session, run })).result,
  };
}
