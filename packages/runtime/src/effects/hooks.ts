/** Hooks look at an outcome before it is submitted. They fail closed: one that throws, hangs or says nothing blocks. */
import type { GuardRuling } from '@perdure/engine';
import type { Agents, Manifest } from '../definitions/agents.ts';
import { clipped } from './clip.ts';
import { bounded } from './deadline.ts';
import { LIMITS } from '../limits.ts';
import type { Logger, Timers } from '../ports.ts';
import type { Soon } from '../soon.ts';

export type HookEvent = {
  /** `compaction`: the summary that a conversation goes on behind; `run` is '' where none waits for it. */
  kind: 'turn' | 'call' | 'compaction';
  session: string;
  run: string;
  effect: string;
  name: string;
  text: string;
  /** Of a turn: what it asks for; `arguments` is the text that the model wrote. */
  calls: readonly { name: string; arguments: string }[];
};
/** `reason` is recorded with the outcome, and is no place for what it is about. */
export type HookVerdict =
  | { verdict: 'pass' }
  | { verdict: 'rewrite'; text: string; reason?: string }
  | { verdict: 'block'; reason: string }
  /** People can read the text, and no model ever does; calls that it asks for are denied. */
  | { verdict: 'quarantine'; reason: string }
  /** These calls of a turn (by their place) are denied; the text is as `text` says, or as it was. */
  | { verdict: 'deny'; calls: readonly number[]; reason: string; text?: string };
export type Hook = { name: string; outcome(event: HookEvent): Promise<HookVerdict> | HookVerdict };
/** A hook of one agent, for `agent({ guards })`. `plant`: what stands behind its instructions. */
export type Guard = Hook & { plant?(agent: string, instructions: string): string };

/** What is wrong with a hook, or a guard; null: it can be asked. A member that nobody reads would be obeyed by nobody. */
export function misfitOfHook(given: unknown, kind: 'hook' | 'guard'): string | null {
  const form = `a ${kind}: { name, outcome(event) }`;
  if (typeof given !== 'object' || given === null) return `is not ${form}`;
  const { name, outcome, plant } = given as { [member: string]: unknown };
  if (typeof name !== 'string' || name === '' || typeof outcome !== 'function') return `is not ${form}`;
  if (kind === 'hook' && plant !== undefined)
    return `${name} plants a mark in instructions: give it to agent({ guards })`;
  if (plant !== undefined && typeof plant !== 'function') return `is not ${form}`;
  // An object of a class may keep what it needs.
  const isPlain = [Object.prototype, null].includes(Object.getPrototypeOf(given) as object | null);
  const unknown = isPlain ? Object.keys(given).filter((member) => !MEMBERS.has(member)) : [];
  return unknown.length === 0 ? null : `${name}: a ${kind} has no ${unknown.join(', ')}`;
}
const MEMBERS: ReadonlySet<string> = new Set(['name', 'outcome', 'plant']);

export type Hooked = (
  | {
      ok: true;
      text: string;
      quarantined: { guard: string; reason: string } | null;
      denied: ReadonlyMap<number, string>;
    }
  | { ok: false; hook: string; reason: string }
) & {
  /** For the log: what was made of it; [] where each let it pass. */
  guards: GuardRuling[];
};

const NONE_DENIED: ReadonlyMap<number, string> = new Map();

/** The text as the hooks leave it, in their order, or which of them blocked it and why. */
export function runHooks(
  hooks: readonly Hook[],
  event: HookEvent,
  on: { logger: Logger; timers: Timers },
): Soon<Hooked> {
  if (hooks.length > 0) return runEach(hooks, event, on);
  return { ok: true, text: event.text, quarantined: null, denied: NONE_DENIED, guards: [] };
}

async function runEach(
  hooks: readonly Hook[],
  event: HookEvent,
  { logger, timers }: { logger: Logger; timers: Timers },
): Promise<Hooked> {
  let { text } = event;
  const guards: GuardRuling[] = [];
  const denied = new Map<number, string>();
  for (const hook of hooks) {
    const said = await verdictOf(hook, { ...event, text }, { logger, timers });
    const rule = (verdict: GuardRuling['verdict'], reason: string | undefined): void =>
      void guards.push({
        guard: hook.name,
        verdict,
        ...(reason === undefined ? {} : { reason: clipped(reason, LIMITS.reasonChars) }),
      });
    if (said.verdict === 'block') {
      rule('rejected', said.reason);
      return { ok: false, hook: hook.name, reason: said.reason, guards };
    }
    if (said.verdict === 'quarantine') {
      rule('quarantined', said.reason);
      for (const index of event.calls.keys()) denied.set(index, hook.name);
      return { ok: true, text, quarantined: { guard: hook.name, reason: said.reason }, denied, guards };
    }
    if (said.verdict === 'rewrite' || (said.verdict === 'deny' && said.text !== undefined)) {
      const { text: next = text } = said;
      if (next !== text) rule('sanitised', said.reason);
      text = next;
    }
    if (said.verdict === 'deny' && said.calls.length > 0) {
      rule('denied', said.reason);
      for (const index of said.calls) denied.set(index, hook.name);
    }
  }
  return { ok: true, text, quarantined: null, denied, guards };
}

async function verdictOf(
  hook: Hook,
  event: HookEvent,
  { logger, timers }: { logger: Logger; timers: Timers },
): Promise<HookVerdict> {
  const bounds = { timeoutMs: LIMITS.hookMs, graceMs: 0, signal: NEVER };
  const ended = await bounded(timers, bounds, async () => checked(await hook.outcome(event)));
  if (ended.ended === 'value') return ended.value;
  const { session, run, effect } = event;
  const error = ended.ended === 'thrown' ? String(ended.error) : ended.ended;
  logger.warn({ session, run, effect, hook: hook.name, error }, 'a hook failed: the outcome is blocked');
  return { verdict: 'block', reason: 'the hook failed' };
}

/** What the model reads in the place of what is kept from it. */
export const quarantineText = ({ guard, reason }: { guard: string; reason: string }): string =>
  `[kept from you by ${guard}: ${reason}. A person can read it; you cannot.]`;

/** The hooks of all agents, and the guards of the one that a run is bound to. */
export function hooksOn(
  { hooks, agents }: { hooks: readonly Hook[]; agents: Pick<Agents, 'get'> },
  { agent, guards: wanted = [] }: Pick<Manifest, 'agent' | 'guards'>,
): readonly Hook[] {
  const own = agents.get(agent)?.definition.guards ?? [];
  const missing = wanted.filter((name) => !own.some((guard) => guard.name === name));
  return [...hooks, ...own, ...(missing.length === 0 ? [] : [missingGuards(missing)])];
}

/** Stands for guards that a run is bound to and that are not here: without them nothing passes. */
const missingGuards = (names: readonly string[]): Hook => ({
  name: names.join(', '),
  outcome: () => ({ verdict: 'block', reason: 'the agent has these guards, and they are not here' }),
});

const NEVER = new AbortController().signal;

const isText = (value: unknown): boolean => typeof value === 'string';
const isOptional = (value: unknown): boolean => value === undefined || isText(value);
const VERDICTS: { readonly [verdict: string]: { readonly [member: string]: (value: unknown) => boolean } } = {
  pass: {},
  rewrite: { text: isText, reason: isOptional },
  block: { reason: isText },
  quarantine: { reason: isText },
  deny: { calls: Array.isArray, reason: isText, text: isOptional },
};

/** What is not a verdict is no leave to pass; nor is one that says more than is obeyed, such as a `text` beside `pass`. */
function checked(said: HookVerdict): HookVerdict {
  const { verdict, ...given } = said as { verdict: string; [member: string]: unknown };
  const members = Object.hasOwn(VERDICTS, verdict) ? VERDICTS[verdict] : undefined;
  if (members === undefined) throw new TypeError('the hook gave no verdict');
  const wrong = Object.keys({ ...members, ...given }).find((name) => members[name]?.(given[name]) !== true);
  if (wrong !== undefined) throw new TypeError(`the hook's verdict ${verdict} has no such ${wrong}`);
  return said;
}
