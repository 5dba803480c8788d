/**
 * The step: load, fold, transition, append. It is the only writer of logs. One input, one append; a stale head folds
 * again, a refusal of the ledger is folded again as a fact. Nothing is acknowledged before the append is durable.
 */
import type {
  Actor,
  Command,
  Effect,
  Entry,
  Input,
  Pin,
  Policies,
  Receipt,
  Rejection,
  Run,
  State,
  RuledCall,
  Usage,
  BodyRef,
} from '@perdure/engine';
import { outstanding, transition, wakeAt } from '@perdure/engine';
import type { Agents } from './agents.ts';
import { fingerprintOf, sealOf } from './assemble.ts';
import { encodeFrame } from './frame.ts';
import { ledgerOps } from './ledger.ts';
import { LIMITS } from './limits.ts';
import { decisionOf, ruleOn } from './policy.ts';
import type { Append, AppendResult, Body, Clock, EffectClass, Shortage, TenantStore } from './ports.ts';
import type { Hot, Sessions } from './sessions.ts';
import { remember } from './sessions.ts';
import { changedRows, indexOf } from './views.ts';

/** A call as `perform` prepared it: parsed, validated, with the facts of its declaration; the step rules on it. */
export type PreparedCall = {
  name: string;
  providerId: string;
  digest: string;
  effect: EffectClass;
  approval: 'always' | 'never';
  timeoutMs: number;
  verify: boolean;
  invalid: { code: string; result: BodyRef } | null;
};
export type PreparedTurn = {
  type: 'prepared-turn';
  stop: 'end' | 'calls' | 'length' | 'filtered' | 'empty' | 'invalid_output';
  body: BodyRef;
  usage: Usage;
  calls: PreparedCall[];
  /** Of the pinned manifest. */
  policies: Policies;
  built?: string;
};
export type StepCommand = Command | { kind: 'settle'; effect: string; attempt: number; outcome: PreparedTurn };

/** An input: its id makes a doubled delivery harmless; `bodies` are what its command refers to. */
export type StepInput = { id: string; by: Actor; command: StepCommand; bodies: readonly Body[]; title?: string };

export type StepResult =
  | { ok: true; receipt: Receipt; entries: readonly Entry[]; effects: Effect[]; wakeAt: number | null }
  | { ok: false; rejection: Rejection };

/** The store could not take an append. `full`: try again when there is space; reads go on. */
export class StorageUnavailable extends Error {
  readonly code: 'storage_full' | 'unavailable' | 'fenced';
  constructor(code: StorageUnavailable['code'], message: string) {
    super(message);
    this.code = code;
  }
}
/** Another session of the tenant has this key. */
export class KeyTaken extends Error {
  readonly code = 'key_taken';
  readonly session: string;
  constructor(session: string) {
    super(`the key belongs to session ${session}`);
    this.session = session;
  }
}

export type Committed = (session: string, entries: readonly Entry[], hash: string, hot: Hot) => void;
export type Step = (session: string, input: StepInput) => Promise<StepResult>;

export type StepOptions = {
  store: TenantStore;
  sessions: Sessions;
  agents: Agents;
  clock: Clock;
  /** Who this process is, in leases and fences. */
  holder: string;
  epoch: number;
  committed: Committed;
};

export function createStep(options: StepOptions): Step {
  return async (session, input) =>
    options.sessions.exclusive(session, async () => {
      let refusal: Shortage | undefined;
      for (let tries = 0; tries < LIMITS.appendTries; tries += 1) {
        const result = await attempt(options, session, input, refusal);
        if (result === 'again') continue;
        if ('ok' in result) return result;
        refusal = result;
      }
      throw new StorageUnavailable(
        'unavailable',
        `session ${session} did not come to rest after ${LIMITS.appendTries} tries`,
      );
    });
}

/** One fold of the input: stepped, or the ledger's refusal, or `again` because the head had moved. */
async function attempt(
  options: StepOptions,
  session: string,
  step: StepInput,
  refusal: Shortage | undefined,
): Promise<StepResult | Shortage | 'again'> {
  const { sessions, agents, clock, epoch } = options;
  const hot = await sessions.load(session);
  const { state } = hot;
  const at = clock.now();
  const facts: Input['facts'] = { pin: (config): Pin | null => agents.pin(agentOf(state.agent, step), config) };
  if (refusal !== undefined) facts.refusal = refusal;
  const runs = new Map<string, Run>(state.runs);
  let moved: ReturnType<typeof transition>;
  try {
    moved = transition(state, { id: step.id, at, by: step.by, epoch, command: ruled(hot, step.command, at), facts });
  } catch (error) {
    sessions.drop(session);
    throw error;
  }
  if (!moved.ok) {
    if (state.phase === 'fresh') sessions.drop(session);
    return moved;
  }
  if (moved.entries.length === 0) return stepped(state, moved.receipt, []);
  for (const run of state.runs.values()) runs.set(run.id, run);
  return commit(options, hot, runs, moved, step);
}

const stepped = (state: State, receipt: Receipt, entries: readonly Entry[]): StepResult => ({
  ok: true,
  receipt,
  entries,
  effects: outstanding(state),
  wakeAt: wakeAt(state),
});

async function commit(
  options: StepOptions,
  hot: Hot,
  runs: Map<string, Run>,
  moved: { entries: Entry[]; receipt: Receipt },
  step: StepInput,
): Promise<StepResult | Shortage | 'again'> {
  const { store, sessions, holder, epoch } = options;
  const { state } = hot;
  const { entries, receipt } = moved;
  if (hot.title === '' && step.title !== undefined) hot.title = step.title.slice(0, LIMITS.titleChars);
  let result: AppendResult;
  try {
    seal(hot, entries);
    const request: Append = {
      session: hot.id,
      expectedHead: hot.head,
      frame: encodeFrame(entries, hot.head.hash),
      bodies: step.bodies,
      ledger: ledgerOps(state, runs, entries),
      index: indexOf(state, hot.title),
      runs: changedRows(hot, runs, entries),
    };
    if (entries.some(namesAttempt)) request.fence = { holder, epoch };
    result = await store.log.append(request);
  } catch (error) {
    sessions.drop(hot.id);
    throw error;
  }
  if (!result.ok) {
    sessions.drop(hot.id);
    return notAppended(result);
  }
  hot.head = result.head;
  for (const { digest, text } of step.bodies) remember(hot, digest, text);
  options.committed(hot.id, entries, result.head.hash, hot);
  await sessions.snapshot(hot);
  return stepped(state, receipt, entries);
}

/** What a refused append means: fold again, a fact for the next fold, or trouble that is not the session's. */
function notAppended(result: Extract<AppendResult, { ok: false }>): Shortage | 'again' {
  switch (result.code) {
    case 'conflict':
      return 'again';
    case 'refused':
      return result.shortage;
    case 'key_taken':
      throw new KeyTaken(result.session);
    case 'full':
      throw new StorageUnavailable('storage_full', 'the storage is full: nothing was written');
    case 'fenced':
      throw new StorageUnavailable('fenced', 'this process no longer holds the session');
    case 'unavailable':
      throw new StorageUnavailable('unavailable', result.detail);
    default: {
      const never: never = result;
      return never;
    }
  }
}

/** The session's agent; of one that this very input opens, the one it names. */
function agentOf(known: string, { command }: StepInput): string {
  if (known !== '') return known;
  if (command.kind === 'open') return command.agent;
  return command.kind === 'send' ? (command.open?.agent ?? '') : '';
}

/** Entries that say who may dispatch: these carry the fence (DESIGN §7). */
const namesAttempt = ({ kind }: Entry): boolean =>
  kind === 'turn.requested' || kind === 'turn.attempted' || kind === 'call.requested' || kind === 'call.attempted';

/** A requested turn is sealed over the context it will be built from. */
function seal(hot: Hot, entries: readonly Entry[]): void {
  for (const entry of entries) {
    if (entry.kind !== 'turn.requested' || entry.run === undefined) continue;
    const run = hot.state.runs.get(entry.run);
    const fingerprint = sealOf(fingerprintOf(hot.state, hot.prefix), run?.pin?.hash ?? '', entry.data.maxOutputTokens);
    entry.data.fingerprint = fingerprint;
    if (run?.turn) run.turn.fingerprint = fingerprint;
  }
}

function ruled(hot: Hot, command: StepCommand, at: number): Command {
  if (command.kind !== 'settle' || command.effect === 'wake') return command as Command;
  const { outcome } = command as { outcome: { type: string } };
  if (outcome.type !== 'prepared-turn') return command as Command;
  const prepared = outcome as PreparedTurn;
  const settle = command as Extract<StepCommand, { outcome: PreparedTurn }>;
  const run = hot.state.active === null ? undefined : hot.state.runs.get(hot.state.active);
  const policies: Policies = { ...prepared.policies, ...run?.config.policies };
  const calls = prepared.calls.map((call): RuledCall => {
    const { name, providerId, digest, effect, timeoutMs, verify, invalid } = call;
    const facts = { name, providerId, digest, class: effect, timeoutMs, verify };
    if (invalid !== null) return { ...facts, rule: invalid.code, decision: { verdict: 'invalid', ...invalid } };
    const ruling = ruleOn(call, policies);
    return { ...facts, rule: ruling.rule, decision: decisionOf(ruling, policies, at) };
  });
  const { stop, body, usage, built } = prepared;
  return {
    kind: 'settle',
    effect: settle.effect,
    attempt: settle.attempt,
    outcome: { type: 'turn', stop, body, usage, calls, ...(built === undefined ? {} : { built }) },
  } as Command;
}
