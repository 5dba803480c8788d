/** Calls on their way to a tool: as the log has them, looked at once more, run. */
import type { Call, Effect, ToolOutcome } from '@perdure/engine';
import type { Agents, Manifest } from '../definitions/agents.ts';
import { namesFound, TOOL_SEARCH } from '../definitions/deferred.ts';
import type { TurnBody } from './assemble.ts';
import type { Bodies } from './bodies.ts';
import { clipped } from './clip.ts';
import { argumentsDigest } from '../log/digest.ts';
import { LIMITS } from '../limits.ts';
import type { Clock, Reached, ToolDefinition } from '../ports.ts';
import type { Reach } from '../policy/facts.ts';
import type { Allowed } from '../policy/dispatch.ts';
import { deniedNow, reachNow } from '../policy/dispatch.ts';
import type { InForce, PolicyDocuments } from '../policy/documents.ts';
import { keptFrom } from '../policy/kept.ts';
import { denialText, joinPolicies, judged, standingNow } from '../policy/policy.ts';
import { namePaths } from '../policy/rules.ts';
import type { Hot } from '../log/hot.ts';
import type { Sessions } from '../log/sessions.ts';
import { BodyMissing } from '../log/sessions.ts';
import { StorageUnavailable } from '../log/storage.ts';
import { standingOf } from '../streams/standing.ts';
import type { ToolCall, Toolbus } from './toolbus.ts';
import type { Soon } from '../soon.ts';

/** An empty text stands for no arguments, as some providers send it. */
export function parseArguments(text: string): { ok: true; value: unknown } | { ok: false; message: string } {
  try {
    return { ok: true, value: text.trim() === '' ? {} : (JSON.parse(text) as unknown) };
  } catch (error) {
    return { ok: false, message: error instanceof Error ? error.message : 'not JSON' };
  }
}

/** What a call was asked with. `reached`: where its paths led when it was ruled on; null: nobody knows. */
export type AskedWith = { args: unknown; reached: readonly Reached[] | null };

/** As the body of its turn has it. */
export function askedIn(text: string, index: number): AskedWith {
  const { calls, reached } = JSON.parse(text) as TurnBody;
  const parsed = parseArguments(calls[index]?.arguments ?? '');
  return { args: parsed.ok ? parsed.value : {}, reached: reached?.[index] ?? null };
}

/** With the arguments that it runs with: as the model gave them, or as an approver edited them. */
export function askedWith(sessions: Sessions, hot: Hot, call: Call): Soon<AskedWith> {
  const text = sessions.body(hot, call.arguments.body);
  return text instanceof Promise ? text.then((read) => askedFrom(read, call)) : askedFrom(text, call);
}

function askedFrom(text: string, call: Call): AskedWith {
  if (call.arguments.at === 'edit') return { args: JSON.parse(text) as unknown, reached: null };
  return askedIn(text, call.arguments.index);
}

export const argumentsOf = async (sessions: Sessions, hot: Hot, call: Call): Promise<unknown> =>
  (await askedWith(sessions, hot, call)).args;

/** By its name an agent's own tool for reading on is known. */
const READ_MORE = 'read_more';

type Found =
  | { on: Omit<ToolCall, 'readsOn' | 'guards'>; agent: string; args: unknown; allowed: Allowed | null }
  | { code: string; message: string };

export type CallOptions = {
  sessions: Sessions;
  agents: Agents;
  toolbus: Toolbus;
  policies: Pick<PolicyDocuments, 'inForce'>;
  manifests(digest: string): Soon<Manifest | null>;
  clock: Clock;
  held(session: string): number | null;
};

/** Runs or verifies one call. Null: it is not outstanding; `stopped`: it must not begin any more. Throws only while nothing has left the process. */
export async function callTool(
  options: CallOptions,
  session: string,
  effect: Extract<Effect, { type: 'call' | 'verify' }>,
  signal: AbortSignal,
  bodies: Bodies,
): Promise<ToolOutcome | 'stopped' | null> {
  const { agents, toolbus } = options;
  const found = await options.sessions.exclusive(session, () => find(options, session, effect));
  // Asked last: what follows leaves the process (DESIGN §6).
  if (found === null || options.held(session) !== effect.epoch) return null;
  if (found === 'stopped' || signal.aborted) return 'stopped';
  if ('code' in found) {
    if (effect.type === 'verify') return { type: 'call-unknown', reason: found.code };
    return { type: 'call', outcome: 'failed', code: found.code, result: bodies.add({ content: found.message }) };
  }
  const registered = agents.get(found.agent);
  const tools = registered?.tools;
  const tool = tools?.get(found.on.call.name);
  if (tools === undefined || tool === undefined) return { type: 'call-homeless' };
  const { allowed, args } = found;
  const ask = (): Promise<Reach> => toolbus.reach({ session, mounts: found.on.mounts }, tool, args);
  const reaching = allowed === null ? null : reachNow(allowed, tool, ask);
  const reach = reaching instanceof Promise ? await reaching : reaching;
  const denial = allowed === null ? null : deniedNow(allowed, tool, reach, bodies);
  if (denial !== null) {
    const again = effect.attempt > 1 && found.on.call.class !== 'pure';
    const content = clipped(denialText(denial.rule, again), LIMITS.messageChars);
    return { type: 'call-denied', ...denial, result: bodies.add({ content }) };
  }
  const guards = registered?.definition.guards ?? [];
  // What cannot be told reaches nothing.
  const held = reach === null ? {} : { reached: reach === 'unclear' ? [] : reach };
  const on = { ...found.on, ...held, ...keptOf(allowed, tool, reach), readsOn: tools.has(READ_MORE), guards };
  if (effect.type === 'verify') return await toolbus.verify(on, tool, args, signal, bodies);
  const outcome = await toolbus.run(on, tool, args, signal, bodies);
  const searched = tool.name === TOOL_SEARCH && outcome.type === 'call' && outcome.outcome === 'done';
  return searched ? { ...outcome, found: namesFound(tools.values(), args) } : outcome;
}

/** What rules of now keep from it in a sandbox, whatever it names. */
function keptOf(allowed: Allowed | null, tool: ToolDefinition, reach: Reach): Pick<ToolCall, 'kept'> {
  if (allowed === null) return {};
  const { call, args, bound, now, standing } = allowed;
  const rules = [...bound, ...now.filed.map(({ rule }) => rule)];
  if (!namePaths(rules)) return {};
  const kept = keptFrom(rules, judged(call.name, tool, args, call.digest, reach), standing);
  return kept.length === 0 ? {} : { kept };
}

type Arguments = AskedWith | { code: string; message: string };

function readArguments(sessions: Sessions, hot: Hot, call: Call): Soon<Arguments> {
  const asked = askedWith(sessions, hot, call);
  if (!(asked instanceof Promise)) return asked;
  return asked.catch((error: unknown) => {
    if (!(error instanceof BodyMissing)) throw error;
    return { code: error.code, message: 'The arguments of this call are erased or missing: not run.' };
  });
}

/** The call as the log has it, with what it is to run on; or why it cannot run. Call it with the lock. */
async function find(
  options: CallOptions,
  session: string,
  effect: Extract<Effect, { type: 'call' | 'verify' }>,
): Promise<Found | 'stopped' | null> {
  const { hot, read, now } = await look(options, session, effect);
  const run = hot.state.runs.get(effect.run);
  const call = callOf(hot, effect);
  const standing = standingOf(hot.state, effect);
  if (standing === 'stopped') return standing;
  if (standing === 'gone' || run === undefined || call === undefined || read === null) return null;
  if ('code' in read) return read;
  const { args, reached } = read;
  // What runs is what was asked, or approved, by digest (P14).
  if (argumentsDigest(call.name, args) !== call.digest)
    return { code: 'digest_mismatch', message: 'The arguments are not those that were allowed: not run.' };
  const reading = now === null ? undefined : options.manifests(run.pin?.manifest ?? '');
  const manifest = reading instanceof Promise ? await reading : reading;
  if (manifest === null)
    return {
      code: 'manifest_missing',
      message: 'The rules that the run is bound to are not stored any more: not run.',
    };
  const { id, name, class: effectClass, timeoutMs, digest, policy = null } = call;
  const bound = joinPolicies(manifest?.policies, run.config.policies).rules ?? [];
  const edited = call.arguments.at === 'edit';
  const stands = standingNow(hot.state, run, options.clock.now());
  return {
    on: {
      state: { id: hot.state.id, tenant: hot.state.tenant, agent: hot.state.agent },
      run: { id: run.id },
      call: { id, name, class: effectClass, timeoutMs },
      attempt: effect.attempt,
      mounts: run.config.mounts ?? [],
    },
    agent: hot.state.agent,
    args,
    allowed:
      now === null
        ? null
        : {
            call: { name, digest, rule: call.rule },
            args,
            ruledBy: policy,
            now,
            bound,
            edited,
            reached,
            standing: stands,
          },
  };
}

const callOf = (hot: Hot, effect: Extract<Effect, { type: 'call' | 'verify' }>): Call | undefined =>
  hot.state.runs.get(effect.run)?.asked.find(({ id }) => id === effect.id);

/** The session, the call's arguments and the documents of rules (null: for a question to a tool none count), all of one moment. */
async function look(
  { sessions, policies }: CallOptions,
  session: string,
  effect: Extract<Effect, { type: 'call' | 'verify' }>,
): Promise<{ hot: Hot; read: Arguments | null; now: InForce | null }> {
  // Another process may have written: what is not pure looks at the newest, and last (DESIGN §6).
  const withinMs = effect.type === 'verify' || effect.class === 'pure' ? LIMITS.confirmedMs : 0;
  let hot = sessions.warm(session) ?? (await sessions.load(session));
  for (let tries = 1; tries <= LIMITS.appendTries; tries += 1) {
    const known = callOf(hot, effect);
    const reading = known === undefined ? null : readArguments(sessions, hot, known);
    const read = reading instanceof Promise ? await reading : reading;
    const ruling = effect.type === 'verify' ? null : policies.inForce(hot.state.agent, session, withinMs);
    const current = (): Soon<Hot> => sessions.current(session, withinMs);
    const looking = ruling instanceof Promise ? besides(ruling, current, withinMs > 0) : current();
    const newest = looking instanceof Promise ? await looking : looking;
    const now = ruling instanceof Promise ? await ruling : ruling;
    if (newest === hot) return { hot, read, now };
    hot = newest;
  }
  throw new StorageUnavailable('unavailable', `session ${session} did not stand still for ${LIMITS.appendTries} looks`);
}

/** The newest look, at best while the rules are read. */
async function besides(ruling: Promise<InForce>, current: () => Soon<Hot>, isEarlierFine: boolean): Promise<Hot> {
  let isRuled = isEarlierFine;
  const ruled = ruling.then(() => void (isRuled = true));
  const looking = async (): Promise<Hot> => {
    const newest = await current();
    // While the rules take longer, somebody may cancel: nothing comes between the last look and the dispatch (P10).
    return isRuled ? newest : ruled.then(current);
  };
  const [newest] = await Promise.all([looking(), ruled]);
  return newest;
}
