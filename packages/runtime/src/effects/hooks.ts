/** Hooks look at an outcome before it is submitted. They fail closed: one that throws, hangs or says nothing blocks. */
import { bounded } from './deadline.ts';
import { LIMITS } from '../limits.ts';
import type { Logger, Timers } from '../ports.ts';

export type HookEvent = {
  /** `compaction`: the summary that a conversation goes on behind; `run` is '' where none waits for it. */
  kind: 'turn' | 'call' | 'compaction';
  session: string;
  run: string;
  effect: string;
  name: string;
  text: string;
};
export type HookVerdict =
  | { verdict: 'pass' }
  | { verdict: 'rewrite'; text: string }
  | { verdict: 'block'; reason: string };
export type Hook = { name: string; outcome(event: HookEvent): Promise<HookVerdict> | HookVerdict };

/** The text as the hooks leave it, in their order, or which of them blocked it and why. */
export async function runHooks(
  hooks: readonly Hook[],
  event: HookEvent,
  { logger, timers }: { logger: Logger; timers: Timers },
): Promise<{ ok: true; text: string } | { ok: false; hook: string; reason: string }> {
  let { text } = event;
  for (const hook of hooks) {
    const bounds = { timeoutMs: LIMITS.hookMs, graceMs: 0, signal: NEVER };
    const ended = await bounded(timers, bounds, async () => verdictOf(await hook.outcome({ ...event, text })));
    if (ended.ended !== 'value') {
      const { session, run, effect } = event;
      const error = ended.ended === 'thrown' ? String(ended.error) : ended.ended;
      logger.warn({ session, run, effect, hook: hook.name, error }, 'a hook failed: the outcome is blocked');
      return { ok: false, hook: hook.name, reason: 'the hook failed' };
    }
    const verdict = ended.value;
    if (verdict.verdict === 'block') return { ok: false, hook: hook.name, reason: verdict.reason };
    if (verdict.verdict === 'rewrite') text = verdict.text;
  }
  return { ok: true, text };
}

const NEVER = new AbortController().signal;

/** What is not a verdict is no leave to pass. */
function verdictOf(said: HookVerdict): HookVerdict {
  const { verdict } = said;
  const fits =
    verdict === 'pass' ||
    (verdict === 'rewrite' && typeof said.text === 'string') ||
    (verdict === 'block' && typeof said.reason === 'string');
  if (!fits) throw new TypeError('the hook gave no verdict');
  return said;
}
