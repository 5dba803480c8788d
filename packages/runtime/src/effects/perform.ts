/**
 * Performs one effect and gives its outcome as an input. It reads the session, and writes to it through the step alone; it
 * never throws for an outcome; what it sends is built from exactly what the log says.
 */
import type {
  Actor,
  BodyRef,
  Effect,
  Mount,
  Outcome,
  Spent,
  SummaryOutcome,
  ToolOutcome,
  TurnOutcome,
} from '@perdure/engine';
import { LIMITS as ENGINE } from '@perdure/engine';
import type { Agents, Manifest } from '../definitions/agents.ts';
import type { Binding } from '../policy/policy.ts';
import { meantCall } from '../definitions/deferred.ts';
import { joinPolicies, standingNow } from '../policy/policy.ts';
import type { PolicyDocuments } from '../policy/documents.ts';
import type { TurnBody } from './assemble.ts';
import type { Bodies } from './bodies.ts';
import { createBodies } from './bodies.ts';
import { clipped } from './clip.ts';
import { summarize } from './compaction.ts';
import type { Hook } from './hooks.ts';
import { hooksOn, quarantineText, runHooks } from './hooks.ts';
import { LIMITS } from '../limits.ts';
import type {
  Clock,
  Delta,
  GenerateOutcome,
  GenerateRequest,
  Logger,
  ModelAdapter,
  ModelSource,
  Random,
  TenantStore,
  Timers,
} from '../ports.ts';
import type { Redactor } from '../secrets/redact.ts';
import type { Breaker } from './breaker.ts';
import { judgeOutput, repairText } from './output.ts';
import type { Sessions } from '../log/sessions.ts';
import { BodyMissing } from '../log/sessions.ts';
import { callTool } from './calls.ts';
import { askModel } from './model.ts';
import { createLive } from './speech.ts';
import { noCalls, prepareCalls } from './prepare.ts';
import type { BuiltRequest } from './request.ts';
import { buildRequest } from './request.ts';
import { standingOf } from '../streams/standing.ts';
import type { StepInput } from '../log/step.ts';
import type { PreparedTurn } from '../policy/turn.ts';
import type { Toolbus } from './toolbus.ts';
import type { Soon } from '../soon.ts';

export type Performable = Extract<Effect, { type: 'generate' | 'call' | 'verify' | 'compact' }>;
/** What a run does; a compaction is its session's. */
export type OfRun = Exclude<Performable, { type: 'compact' }>;
/**
 * Null: the effect is no longer outstanding, so there is nothing to say. Throws only while nothing has left the
 * process: then it may be asked for again.
 */
export type Perform = (session: string, effect: Performable, signal: AbortSignal) => Promise<StepInput | null>;

export type PerformOptions = {
  store: TenantStore;
  policies: PolicyDocuments;
  sessions: Sessions;
  agents: Agents;
  models: ModelSource;
  toolbus: Toolbus;
  breaker: Breaker;
  clock: Clock;
  timers: Timers;
  random: Random;
  logger: Logger;
  redactor: Redactor;
  hooks: readonly Hook[];
  /** The epoch under which this process may dispatch the session's attempts; null: another one may. */
  held(session: string): number | null;
  /** Secrets that another process has set meanwhile are known. */
  known(): Soon<void>;
  /** Writes down what must be in the log while an effect is under way. Throws where that cannot be. */
  record(session: string, input: StepInput): Promise<void>;
  /** Live text of an attempt, already redacted. */
  delta(session: string, effect: OfRun, delta: Delta): void;
};

type Settled = (TurnOutcome | ToolOutcome | SummaryOutcome | PreparedTurn) & Pick<Outcome, 'guards'>;

export function createPerform(options: PerformOptions): Perform {
  const manifests = createManifests(options);
  return async (session, effect, signal) => {
    const knowing = options.known();
    if (knowing instanceof Promise) await knowing;
    const bodies = createBodies(options);
    if (signal.aborted) return settleInput(effect, neverBegan(effect, bodies), bodies);
    const outcome = await performed(options, manifests, session, effect, signal, bodies);
    if (outcome === null) return null;
    return settleInput(effect, outcome === 'stopped' ? neverBegan(effect, bodies) : outcome, bodies);
  };
}

function performed(
  options: PerformOptions,
  manifests: Manifests,
  session: string,
  effect: Performable,
  signal: AbortSignal,
  bodies: Bodies,
): Promise<Settled | 'stopped' | null> {
  if (effect.type === 'generate') return generate(options, manifests, session, effect, signal, bodies);
  if (effect.type === 'compact') return summarize(options, manifests, session, effect, signal, bodies);
  return callTool({ ...options, manifests }, session, effect, signal, bodies);
}

function settleInput(effect: Performable, outcome: Settled, bodies: Bodies): StepInput {
  const id = `${effect.id}#${effect.attempt}${effect.type === 'verify' ? 'v' : ''}`;
  const command = { kind: 'settle', effect: effect.id, attempt: effect.attempt, outcome } as StepInput['command'];
  return { id, by: SYSTEM, ...bodies.stored, command };
}

const SYSTEM: Actor = { kind: 'system', id: 'perform' };

/** Stopped before anything left the process: for once this is certain. */
function neverBegan(effect: Performable, bodies: Bodies): Settled {
  if (effect.type === 'generate') return failedTurn('aborted', 'stopped before it began');
  if (effect.type === 'compact')
    return {
      type: 'summary-failed',
      code: 'aborted',
      detail: 'stopped before it began',
      retry: 'no',
      spent: { kind: 'none' },
    };
  if (effect.type === 'verify') return { type: 'call-unknown', reason: 'stopped' };
  const result = bodies.add({ content: 'Stopped before it began.' });
  return { type: 'call', outcome: 'failed', code: 'aborted', result };
}

export type Manifests = (digest: string) => Soon<Manifest | null>;

/** What runs were pinned to: of this process's agents, or as an earlier process stored it. */
function createManifests({ agents, store }: PerformOptions): Manifests {
  const known = new Map<string, Manifest>();
  const read = async (digest: string): Promise<Manifest | null> => {
    const blob = await store.blobs.get(digest);
    if (blob === null) return null;
    const manifest = JSON.parse(Buffer.from(blob).toString()) as Manifest;
    if (known.size >= LIMITS.manifests) known.clear();
    known.set(digest, manifest);
    return manifest;
  };
  return (digest) => agents.manifest(digest) ?? known.get(digest) ?? read(digest);
}

const failedTurn = (code: string, detail: string, spent: Spent = { kind: 'none' }): TurnOutcome => ({
  type: 'turn-failed',
  code,
  detail: clipped(detail, LIMITS.messageChars),
  retry: 'no',
  spent,
});

/** `binding`: what the calls of the turn are ruled by, as things stand before it is answered. */
type Prepared = BuiltRequest & {
  manifest: Manifest;
  binding: Binding;
  found: readonly string[];
  mounts: readonly Mount[];
  sealed: string;
};
type Unfit = { code: string; detail: string };

async function generate(
  options: PerformOptions,
  manifests: Manifests,
  session: string,
  effect: OfRun,
  signal: AbortSignal,
  bodies: Bodies,
): Promise<Settled | 'stopped' | null> {
  const prepared = await options.sessions.exclusive(session, () => prepare(options, manifests, session, effect));
  // Asked last: what follows leaves the process (DESIGN §6).
  if (prepared === null || options.held(session) !== effect.epoch) return null;
  if (prepared === 'stopped' || signal.aborted) return 'stopped';
  if ('code' in prepared) return failedTurn(prepared.code, prepared.detail);
  const { request, adapter, fingerprint, sealed } = prepared;
  const { run, id } = effect;
  if (fingerprint !== sealed)
    options.logger.warn({ session, run, effect: id }, 'the request differs from the context that was sealed');
  const outcome = await callModel(options, adapter, request, session, effect, signal);
  options.breaker.heard(request.model, outcome);
  if (outcome.type === 'failed') {
    const detail = clipped(bodies.clean(outcome.detail), LIMITS.messageChars);
    const { code, retry, spent, resumable } = outcome;
    return { type: 'turn-failed', code, detail, retry, spent, ...(resumable === true ? { resumable } : {}) };
  }
  try {
    const turn = await settleTurn(options, prepared, session, effect, outcome, bodies, signal);
    return turn.type === 'prepared-turn' && fingerprint !== sealed ? { ...turn, built: fingerprint } : turn;
  } catch (error) {
    // The answer was given and paid for: asking again is not for us to decide.
    options.logger.error({ session, run, effect: id, error: String(error) }, 'an answer cannot be written down');
    return failedTurn('unreadable', 'the answer of the model cannot be written down', {
      kind: 'usage',
      usage: outcome.usage,
    });
  }
}

/** The request of a turn that is outstanding; null where it is not. Call it with the lock. */
async function prepare(
  options: PerformOptions,
  manifests: Manifests,
  session: string,
  effect: OfRun,
): Promise<Prepared | Unfit | 'stopped' | null> {
  const looking = options.sessions.current(session, LIMITS.confirmedMs);
  const hot = looking instanceof Promise ? await looking : looking;
  const run = hot.state.runs.get(effect.run);
  const turn = run?.turn;
  const standing = standingOf(hot.state, effect);
  if (standing === 'stopped') return standing;
  if (standing === 'gone' || run === undefined || turn === null || turn === undefined) return null;
  const reading = manifests(run.pin?.manifest ?? '');
  const manifest = reading instanceof Promise ? await reading : reading;
  if (manifest === null)
    return { code: 'manifest_missing', detail: 'what the run was pinned to is not stored any more' };
  try {
    const policies = joinPolicies(manifest.policies, run.config.policies);
    const built = await buildRequest(options, manifest, hot, run, effect.attempt);
    const binding = { policies, filed: [], standing: standingNow(hot.state, run, options.clock.now()) };
    if ('code' in built) return built;
    const { found } = hot.state.context;
    return { ...built, manifest, binding, found, mounts: run.config.mounts ?? [], sealed: turn.fingerprint };
  } catch (error) {
    if (!(error instanceof BodyMissing)) throw error;
    return { code: error.code, detail: error.message };
  }
}

async function callModel(
  options: PerformOptions,
  adapter: ModelAdapter,
  request: GenerateRequest,
  session: string,
  effect: OfRun,
  signal: AbortSignal,
): Promise<GenerateOutcome> {
  const live = createLive(options.redactor, (delta) => options.delta(session, effect, delta));
  const { run, id } = effect;
  const outcome = await askModel(options, adapter, request, {
    signal,
    fields: { session, run, effect: id },
    delta: (delta) => live.push(delta),
    accepted: async (response) => writeDown(options, session, effect, response),
  });
  live.end();
  return outcome;
}

/**
 * Puts the name of an answer into the log, so that a crash from now on asks for it again; false where it could not be
 * written: then the answer is only paid a second time after a crash.
 */
async function writeDown(
  options: PerformOptions,
  session: string,
  { id: effect, run, attempt }: OfRun,
  response: string,
): Promise<boolean> {
  const fields = { session, run, effect, attempt };
  if (response.length > ENGINE.responseChars || options.redactor.text(response) !== response) {
    options.logger.warn(fields, 'a provider gave an answer a name that cannot be kept');
    return false;
  }
  const command = { kind: 'accepted', effect, attempt, response } as StepInput['command'];
  try {
    await options.record(session, { id: `${effect}#${attempt}a`, by: SYSTEM, bodies: [], command });
    return true;
  } catch (error) {
    options.logger.warn({ ...fields, error: String(error) }, 'the name of an answer could not be written down');
    return false;
  }
}

const CHANGED = 'an answer was changed (a secret, or a hook): only its text and calls go back to the model';

async function settleTurn(
  options: PerformOptions,
  { manifest, request: { model }, binding, found, mounts }: Prepared,
  session: string,
  effect: OfRun,
  outcome: Extract<GenerateOutcome, { type: 'done' }>,
  bodies: Bodies,
  signal: AbortSignal,
): Promise<(PreparedTurn | TurnOutcome) & Pick<Outcome, 'guards'>> {
  const { usage } = outcome;
  const { run, id } = effect;
  const raw: TurnBody = {
    model,
    text: outcome.text,
    calls: outcome.calls.map(meantCall),
    native: outcome.native,
  };
  if (outcome.reasoning !== '') raw.reasoning = outcome.reasoning;
  const { value: clean, json } = bodies.looked(raw);
  const event = { kind: 'turn' as const, session, run, effect: id, name: model, text: clean.text, calls: clean.calls };
  const hooking = runHooks(hooksOn(options, manifest), event, options);
  const hooked = hooking instanceof Promise ? await hooking : hooking;
  const guards = hooked.guards.length === 0 ? [] : bodies.clean(hooked.guards);
  if (!hooked.ok) {
    const spent = { kind: 'usage', usage } as const;
    return { ...failedTurn('blocked', bodies.clean(`${hooked.hook}: ${hooked.reason}`), spent), guards };
  }
  // A provider's item that is changed is no longer the provider's: it is dropped, and that is said.
  const isAsItCame = clean === raw && guards.length === 0;
  if (!isAsItCame && raw.native !== null) options.logger.warn({ session, run, effect: id, model }, CHANGED);
  const turn: TurnBody = { ...clean, text: hooked.text, native: isAsItCame ? clean.native : null };
  if (hooked.quarantined !== null) {
    turn.text = bodies.clean(quarantineText(hooked.quarantined));
    turn.quarantined = { ...hooked.quarantined, text: hooked.text, calls: clean.calls };
    turn.calls = clean.calls.map((call) => ({ ...call, arguments: '{}' }));
  }
  const { stop, misfit } = stopOf(turn, outcome.stop, manifest, bodies);
  const on = { manifest, session, binding, found, mounts, denied: hooked.denied };
  const { calls, filed, text } =
    turn.calls.length === 0 ? noCalls() : await prepareCalls(options, on, turn.calls, bodies, signal);
  const { policies } = manifest;
  if (calls.some(({ reached }) => reached !== undefined)) turn.reached = calls.map(({ reached }) => reached ?? null);
  const isSame = isAsItCame && hooked.text === raw.text && turn.output === undefined && turn.reached === undefined;
  const body = bodies.add(turn, isSame ? json : null);
  const prepared: PreparedTurn = { type: 'prepared-turn', stop, body, usage, calls, policies, filed };
  if (text !== null) prepared.policy = bodies.keep(bodies.clean(text));
  if (misfit !== undefined) prepared.misfit = misfit;
  return guards.length === 0 ? prepared : { ...prepared, guards };
}

type Stop = { stop: PreparedTurn['stop']; misfit?: BodyRef };

/** How the answer ended, and whether a final one is what the agent asks for: then it is kept with the turn. */
function stopOf(
  turn: TurnBody,
  stop: 'end' | 'calls' | 'length' | 'filtered',
  { output }: Manifest,
  bodies: Bodies,
): Stop {
  if (turn.calls.length > 0) return { stop: stop === 'end' ? 'calls' : stop };
  if (stop !== 'end' && stop !== 'calls') return { stop };
  if (turn.text.trim() === '') return { stop: 'empty' };
  if (output === null) return { stop: 'end' };
  const judged = judgeOutput(output, turn.text);
  if (judged.ok) {
    turn.output = judged.value;
    return { stop: 'end' };
  }
  const text = clipped(repairText(judged.misfit), LIMITS.messageChars);
  return { stop: 'invalid_output', misfit: bodies.add({ parts: [{ type: 'text', text }] }) };
}
