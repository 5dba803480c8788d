/** Runs tools: arguments in, an honest outcome out. Whatever a tool does, the run goes on. */
import type { Call, Mount, Outcome, Run, State, Taint, ToolOutcome } from '@perdure/engine';
import { contentText } from './assemble.ts';
import type { Bodies } from './bodies.ts';
import { clipped } from './clip.ts';
import { bounded } from './deadline.ts';
import { effectKey, mac } from '../log/digest.ts';
import { jobsFor, sandboxFor } from './kept.ts';
import type { Hook } from './hooks.ts';
import { quarantineText, runHooks } from './hooks.ts';
import type { Jobs } from '../jobs/jobs.ts';
import { LIMITS } from '../limits.ts';
import type {
  Clock,
  Logger,
  Reached,
  Sandbox,
  TenantStore,
  Timers,
  ToolContent,
  ToolContext,
  ToolDefinition,
  ToolParks,
  ToolResult,
} from '../ports.ts';
import type { Reach } from '../policy/facts.ts';
import { SecretRefused, urlsIn } from '../secrets/bindings.ts';
import type { Redactor } from '../secrets/redact.ts';
import type { Results } from './results.ts';
import { changesBy, mountedFor, writable } from '../workspaces/mounted.ts';
import type { Workspaces } from '../workspaces/workspaces.ts';

export type Toolbus = {
  /** Where the paths of a call lead, as its tool tells. Never rejects. */
  reach(on: Reaching, tool: ToolDefinition, args: unknown): Promise<Reach>;
  run(call: ToolCall, tool: ToolDefinition, args: unknown, signal: AbortSignal, bodies: Bodies): Promise<ToolOutcome>;
  verify(
    call: ToolCall,
    tool: ToolDefinition,
    args: unknown,
    signal: AbortSignal,
    bodies: Bodies,
  ): Promise<ToolOutcome>;
};
export type Reaching = { session: string; mounts: readonly Mount[] };
export type ToolCall = {
  state: Pick<State, 'id' | 'tenant' | 'agent'>;
  run: Pick<Run, 'id'>;
  call: Pick<Call, 'id' | 'name' | 'class' | 'timeoutMs'>;
  attempt: number;
  mounts: readonly Mount[];
  /** Where its paths led when it was ruled on; missing: no rule looks at that. */
  reached?: readonly Reached[];
  /** Globs of what rules deny to its commands, whatever they name; missing: nothing. */
  kept?: readonly string[];
  /** The agent can read on in a result that is cut. */
  readsOn: boolean;
  /** Of the agent, behind the hooks of all. */
  guards: readonly Hook[];
};

export type ToolbusOptions = {
  store: TenantStore;
  clock: Clock;
  timers: Timers;
  logger: Logger;
  redactor: Redactor;
  hooks: readonly Hook[];
  /** Makes callback tokens of this data that nobody else can make. */
  callbackSecret: string;
  history: ToolContext['history'];
  sandbox: Sandbox;
  jobs: Pick<Jobs, 'of'>;
  workspaces: Workspaces;
  results: Results;
  progress(session: string, run: string, call: string, text: string): void;
};

export function createToolbus(options: ToolbusOptions): Toolbus {
  return {
    reach: (on, tool, args) => reachOf(options, on, tool, args),
    run: (on, tool, args, signal, bodies) => withChanges(options, on, runTool(options, on, tool, args, signal, bodies)),
    verify: (on, tool, args, signal, bodies) =>
      withChanges(options, on, verifyCall(options, on, tool, args, signal, bodies)),
  };
}

/** Not bound to the call's own end: what is found out is the same, whoever stops meanwhile. */
async function reachOf(
  options: ToolbusOptions,
  { session, mounts }: Reaching,
  tool: ToolDefinition,
  args: unknown,
): Promise<Reach> {
  if (tool.reaches === undefined) return null;
  const { workspaces: all, store, timers, logger } = options;
  const workspaces = mountedFor({ workspaces: all, blobs: store.blobs }, mounts, { key: '', session, call: '' });
  const bounds = { timeoutMs: LIMITS.reachMs, graceMs: 0, signal: new AbortController().signal };
  const told = await bounded(timers, bounds, async (signal) => tool.reaches?.(args, { signal, workspaces }));
  if (told.ended === 'value' && isReached(told.value)) return told.value.map(({ path, tree }) => ({ path, tree }));
  const why = told.ended === 'value' ? 'it told no places' : told.ended;
  const error = told.ended === 'thrown' ? messageOf(told.error) : why;
  logger.warn({ session, tool: tool.name, error }, 'nobody can tell where the paths of a call lead');
  return 'unclear';
}

/** A tool of somebody else's may tell anything. */
const isReached = (told: unknown): told is readonly Reached[] =>
  Array.isArray(told) && told.length <= LIMITS.reachedPaths && told.every(isPlace);

const isPlace = (told: unknown): told is Reached => {
  const { path, tree } = (told ?? {}) as { path?: unknown; tree?: unknown };
  return typeof path === 'string' && path.length <= LIMITS.reachedChars && typeof tree === 'boolean';
};

const keyOf = ({ state, call }: ToolCall): string => effectKey(state.tenant, state.id, call.id);

/** What it changed is told with how it ended, whatever that was. */
async function withChanges(options: ToolbusOptions, on: ToolCall, running: Promise<ToolOutcome>): Promise<ToolOutcome> {
  const outcome = await running;
  if (on.call.class === 'pure' || (outcome.type !== 'call' && outcome.type !== 'call-unknown')) return outcome;
  try {
    const changed = await changesBy(options.workspaces, writable(on.mounts), keyOf(on));
    return changed.length === 0 ? outcome : { ...outcome, changed };
  } catch (error) {
    // The call has ended, and its outcome counts. What it changed stands in the head, under its key.
    options.logger.warn({ session: on.state.id, call: on.call.id, error: String(error) }, 'changes are not told');
    return outcome;
  }
}

/** `heard`: labels of what it was shown of other conversations, whatever it makes of that. */
function contextOf(options: ToolbusOptions, on: ToolCall, signal: AbortSignal, heard: Set<Taint>): ToolContext {
  const { store, redactor, callbackSecret } = options;
  const key = keyOf(on);
  const starting = { attempt: on.attempt, workspaces: writable(on.mounts) };
  return {
    key,
    attempt: on.attempt,
    signal,
    session: on.state.id,
    agent: on.state.agent,
    run: on.run.id,
    call: on.call.id,
    progress: (text) => options.progress(on.state.id, on.run.id, on.call.id, redactor.text(text)),
    callback: () => {
      const token = callbackToken(callbackSecret, on.state.tenant, on.state.id, on.call.id);
      return { path: `/v1/callbacks/${token}`, token };
    },
    blobs: { put: async (bytes) => store.blobs.put(bytes), get: async (digest) => store.blobs.get(digest) },
    secret: (name, { url, command } = {}) =>
      redactor.secret(name, {
        tool: on.call.name,
        ...(url === undefined ? {} : { urls: [url] }),
        ...(command === undefined ? {} : { command }),
      }),
    history: async (query) => {
      const page = await options.history(query);
      for (const { taint } of page.hits) for (const label of taint) heard.add(label);
      return page;
    },
    sandbox: sandboxFor(options.sandbox, on),
    jobs: jobsFor(options.jobs.of(on.state.id, on.call.id, starting), on),
    workspaces: mountedFor({ workspaces: options.workspaces, blobs: store.blobs }, on.mounts, {
      key,
      session: on.state.id,
      call: on.call.id,
    }),
    ...(on.reached === undefined ? {} : { reached: on.reached }),
    result: async (call) => options.results(on.state.id, call),
  };
}

async function runTool(
  options: ToolbusOptions,
  on: ToolCall,
  tool: ToolDefinition,
  args: unknown,
  signal: AbortSignal,
  bodies: Bodies,
): Promise<ToolOutcome> {
  const { timers, clock } = options;
  const given = restored(options, on, args);
  if (!given.ok) return failed(bodies, given.code, given.message);
  const bounds = { timeoutMs: on.call.timeoutMs, graceMs: LIMITS.abortGraceMs, signal };
  const heard = new Set<Taint>();
  const ended = await bounded(timers, bounds, (inner) => tool.run(given.args, contextOf(options, on, inner, heard)));
  switch (ended.ended) {
    case 'value':
      return isParked(ended.value)
        ? parked(ended.value, clock, bodies)
        : await finished(options, on, asResult(ended.value), bodies, heard);
    case 'thrown':
      // What it says may be somebody else's words, as a result is.
      return await finished(options, on, thrown(ended.error), bodies, heard);
    default: {
      // It may have happened: only a read may be called failed (P6).
      if (on.call.class !== 'pure') return { type: 'call-unknown', reason: ended.ended };
      const late = `The tool did not answer within ${on.call.timeoutMs} ms.`;
      return failed(bodies, ended.ended, ended.ended === 'timeout' ? late : 'The tool was stopped.');
    }
  }
}

/** With what hooks made of it. */
type Guarded = ToolOutcome & Pick<Outcome, 'guards'>;

type Restored = { ok: true; args: unknown } | { ok: false; code: string; message: string };

/** The arguments with the secrets that are bound to where they go; refused before anything has begun. */
function restored({ redactor }: ToolbusOptions, { call }: ToolCall, args: unknown): Restored {
  try {
    return { ok: true, args: redactor.restore(args, { tool: call.name, urls: urlsIn(args) }) };
  } catch (error) {
    if (!(error instanceof SecretRefused)) throw error;
    return { ok: false, code: error.code, message: `Not run: ${error.message}.` };
  }
}

async function verifyCall(
  options: ToolbusOptions,
  on: ToolCall,
  tool: ToolDefinition,
  args: unknown,
  signal: AbortSignal,
  bodies: Bodies,
): Promise<ToolOutcome> {
  if (tool.verify === undefined) return { type: 'call-unknown', reason: 'the tool has no verify' };
  const given = restored(options, on, args);
  if (!given.ok) return { type: 'call-unknown', reason: `verify: ${given.code}` };
  const bounds = { timeoutMs: on.call.timeoutMs, graceMs: LIMITS.abortGraceMs, signal };
  const key = keyOf(on);
  const heard = new Set<Taint>();
  const ended = await bounded(options.timers, bounds, async (inner) => {
    const said = await tool.verify?.(key, given.args, contextOf(options, on, inner, heard));
    return said ?? { outcome: 'unknown' as const };
  });
  if (ended.ended !== 'value') return { type: 'call-unknown', reason: `verify: ${ended.ended}` };
  const said = ended.value;
  if (said.outcome === 'done') return finished(options, on, { content: said.content }, bodies, heard);
  if (said.outcome === 'failed') return { ...failed(bodies, 'verified_failed', said.message), ...tainting(heard) };
  return { type: 'call-unknown', reason: 'verify does not know' };
}

function failed(bodies: Bodies, code: string, message: string): ToolOutcome {
  const result = bodies.add({ content: clipped(message, LIMITS.messageChars) });
  return { type: 'call', outcome: 'failed', code, result };
}

/** The tool has answered, but its answer cannot be shown. It did run: only a read may be called failed (P6). */
function withheld(on: ToolCall, bodies: Bodies, code: string, message: string): ToolOutcome {
  if (on.call.class === 'pure') return failed(bodies, code, message);
  const content = `The call took effect, and its result is not shown: ${clipped(message, LIMITS.messageChars)}`;
  return { type: 'call', outcome: 'done', code, result: bodies.add({ content }) };
}

const tainting = (heard: ReadonlySet<Taint>): { taint?: readonly Taint[] } =>
  heard.size === 0 ? {} : { taint: [...heard] };

/** A result without secrets, past the hooks, cut for the model where it is long. */
async function finished(
  options: ToolbusOptions,
  on: ToolCall,
  result: ToolResult,
  bodies: Bodies,
  heard: ReadonlySet<Taint>,
): Promise<Guarded> {
  const written = writtenOf(result, options.redactor);
  if (written === null) return withheld(on, bodies, 'invalid_result', 'the tool gave what is not JSON.');
  const { text, details } = written;
  const { state, run, call } = on;
  const { id: effect, name } = call;
  const event = { kind: 'call' as const, session: state.id, run: run.id, effect, name, text, calls: [] };
  const hooking = runHooks([...options.hooks, ...on.guards], event, options);
  const hooked = hooking instanceof Promise ? await hooking : hooking;
  const ruled = {
    ...(hooked.guards.length === 0 ? {} : { guards: bodies.clean(hooked.guards) }),
    ...tainting(heard),
  };
  if (!hooked.ok) {
    const outcome = withheld(on, bodies, 'blocked', `${hooked.hook} blocked it: ${hooked.reason}`);
    return { ...outcome, ...ruled };
  }
  const { quarantined } = hooked;
  const shown = quarantined === null ? hooked.text : quarantineText(quarantined);
  const body: { content: string; details?: unknown; full?: string } = preview(shown, on, bodies);
  if (details !== undefined) body.details = details;
  if (quarantined !== null)
    body.details = { quarantined: { ...quarantined, text: clipped(hooked.text, LIMITS.resultBytes) }, details };
  const ref = bodies.add(body);
  const kept = { ...(body.full === undefined ? { result: ref } : { result: ref, whole: body.full }), ...ruled };
  if (result.isError === true) return { type: 'call', outcome: 'failed', code: 'tool_error', ...kept };
  return { type: 'call', outcome: 'done', ...(quarantined === null ? {} : { code: 'quarantined' }), ...kept };
}

/** As JSON, without secrets and within bounds; null where it has no such form. */
function writtenOf(result: ToolResult, redactor: Redactor): { text: string; details: unknown } | null {
  try {
    const text = redactor.text(contentText(result.content));
    const details = result.details === undefined ? undefined : JSON.stringify(result.details);
    if (details === undefined) return { text, details: undefined };
    if (details.length > LIMITS.resultBytes)
      return { text, details: { cut: `${details.length} characters of details are not kept` } };
    return { text, details: redactor.value(JSON.parse(details)) };
  } catch {
    return null;
  }
}

/** `tenant.session.call.mac`: says whose wait it resolves; derived from the call, so the same after a crash. */
export function callbackToken(secret: string, tenant: string, session: string, call: string): string {
  const name = Buffer.from(JSON.stringify([tenant, session, call])).toString('base64url');
  return `${name}.${mac(secret, name)}`;
}

/** No wait of a tool is longer: about ten years. */
const isDelay = (ms: unknown): boolean => typeof ms === 'number' && ms >= 0 && ms <= LIMITS.waitMaxMs;

function parked({ wait }: ToolParks, clock: Clock, bodies: Bodies): ToolOutcome {
  const delayMs = wait.kind === 'timer' ? wait.afterMs : (wait.expiresInMs ?? 0);
  if (!isDelay(delayMs))
    return failed(
      bodies,
      'tool_error',
      `The tool asked for a wait of ${delayMs} ms: 0 to ${LIMITS.waitMaxMs} is possible.`,
    );
  const at = clock.now() + Math.ceil(delayMs);
  if (wait.kind === 'timer') return { type: 'call-waits', wait: { kind: 'timer', dueAt: at } };
  const expiry = wait.expiresInMs === undefined ? {} : { expiresAt: at };
  if (wait.kind === 'question') {
    const prompt = bodies.add({ question: wait.question, choices: wait.choices ?? [] });
    return { type: 'call-waits', wait: { kind: 'question', prompt, ...expiry } };
  }
  if (wait.note === undefined) return { type: 'call-waits', wait: { kind: 'callback', ...expiry } };
  const prompt = bodies.add({ note: wait.note });
  return { type: 'call-waits', wait: { kind: 'callback', prompt, ...expiry } };
}

const WAIT_KINDS: ReadonlySet<unknown> = new Set(['question', 'timer', 'callback']);
const isParked = (value: unknown): value is ToolParks =>
  typeof value === 'object' &&
  value !== null &&
  'wait' in value &&
  typeof value.wait === 'object' &&
  value.wait !== null &&
  'kind' in value.wait &&
  WAIT_KINDS.has(value.wait.kind);

function asResult(value: unknown): ToolResult {
  if (typeof value === 'object' && value !== null && 'content' in value) return value as ToolResult;
  return { content: value === undefined ? 'Done.' : (value as ToolContent) };
}

const thrown = (error: unknown): ToolResult => ({
  content: clipped(`The tool failed: ${messageOf(error)}`, LIMITS.messageChars),
  isError: true,
});

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The model reads the beginning; the whole stays as a blob, up to a bound. */
function preview(text: string, { call, readsOn }: ToolCall, bodies: Bodies): { content: string; full?: string } {
  if (text.length <= LIMITS.resultPreviewChars) return { content: text };
  const head = clipped(text, LIMITS.resultPreviewChars);
  const onward = readsOn
    ? `read on with read_more {"call": "${call.id}", "offset": ${head.length}}`
    : 'ask for a smaller part';
  return {
    content: `${head}\n[cut: ${head.length} of ${text.length} characters; ${onward}]`,
    full: bodies.keep(clipped(text, LIMITS.resultBytes)),
  };
}
