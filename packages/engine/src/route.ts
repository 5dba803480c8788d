/**
 * Which of a run's models its next turn goes to.
 *  M1 A run goes along its route and never back: a model that it has passed over it does not ask again.
 *  M2 Each turn says which models were passed over, and why. What a breaker said is on record with it: folding asks none.
 *  M3 Models are passed over for what their provider does, or for their price; never for what the request is.
 */
import type { Input } from './commands.ts';
import { ImpossibleState } from './commands.ts';
import type { Run } from './state.ts';
import type { Member, Pin, PinnedModel } from './values.ts';

/** Failures of a provider, or of the way to it: the same request may well succeed at another one. */
export const PROVIDER_FAILURES: ReadonlySet<string> = new Set([
  'overloaded',
  'rate_limited',
  'connection',
  'timeout',
  'stream_cut',
  'stream_error',
  'malformed',
  'auth',
  'quota',
  'model_not_found',
  'model_unavailable',
]);

/** Why a model is passed over: a failure here (its code), a breaker that is open (`breaker:` and its code), its price. */
export const UNAFFORDABLE = 'unaffordable';
const BREAKER = 'breaker:';

/** The models of a route, in the order in which they are tried; the first is the pin's own. */
export const membersOf = (pin: Pin): readonly Member[] => [pin, ...(pin.fallbacks ?? [])];

/** The model that a run's current turn is with: the first that was not passed over. Null before it has started. */
export function memberOf({ pin, passed }: Run): Member | null {
  if (pin === null || passed.length === 0) return pin;
  return pin.fallbacks?.[passed.length - 1] ?? pin;
}

/** The model that reads the conversation: the one that the run is with, or its pin's own between two runs. */
export const readerOf = (run: Run | null, pin: Pin): Member => (run === null ? pin : (memberOf(run) ?? pin));

/** Who writes the summary of it: who was named for that, or the model that reads it. */
export const summarizerOf = (run: Run | null, pin: Pin): PinnedModel =>
  pin.summarizer === undefined || pin.summarizer.cheap === true ? readerOf(run, pin) : pin.summarizer;

/** What was passed over by now: with the last turn's model, where that failed for good and another one is left. */
export function passedBy(run: Run, pin: Pin): readonly string[] {
  const { turn, passed } = run;
  const failed = turn?.phase.at === 'settled' && turn.phase.outcome === 'failed' ? turn.phase.code : null;
  if (failed === null || !PROVIDER_FAILURES.has(failed) || passed.length >= (pin.fallbacks?.length ?? 0)) return passed;
  return [...passed, failed];
}

/** Turns that failed at a model which was left for it: they use up nothing of the run's limit. */
export const failedOver = (passed: readonly string[]): number =>
  passed.filter((code) => PROVIDER_FAILURES.has(code)).length;

/** Takes the first model that is up and that `plan` finds room for; what no model has room for is the first one's matter. */
export function alongRoute<P extends { ok: boolean }>(
  run: Run,
  pin: Pin,
  facts: Input['facts'],
  plan: (member: Member) => P,
): { plan: P; passed: readonly string[]; member: Member } {
  const members = membersOf(pin);
  const before = passedBy(run, pin);
  const passed = [...before];
  const broken = (member: Member): string | null => facts.breaker?.(member.model) ?? null;
  // Where every breaker is open nobody is spared: a run is not refused because others failed.
  const isSpared = members.slice(before.length).some((member) => broken(member) === null);
  let first: { plan: P; passed: readonly string[]; member: Member } | null = null;
  for (const member of members.slice(before.length)) {
    const code = isSpared ? broken(member) : null;
    if (code !== null) {
      passed.push(`${BREAKER}${code}`);
      continue;
    }
    const planned = { plan: plan(member), passed: [...passed], member };
    if (planned.plan.ok) return planned;
    first ??= planned;
    passed.push(UNAFFORDABLE);
  }
  if (first === null) throw new ImpossibleState(`${run.id} has come to the end of its route`);
  return first;
}
