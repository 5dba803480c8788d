/** Hooks look at an outcome before it is submitted. They fail closed: a hook that throws blocks. */
import type { Logger } from './ports.ts';

export type HookEvent = {
  kind: 'turn' | 'call';
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
  logger: Logger,
): Promise<{ ok: true; text: string } | { ok: false; hook: string; reason: string }> {
  let { text } = event;
  for (const hook of hooks) {
    let verdict: HookVerdict;
    try {
      verdict = await hook.outcome({ ...event, text });
    } catch (error) {
      logger.warn(
        { session: event.session, run: event.run, hook: hook.name, error: String(error) },
        'a hook failed: the outcome is blocked',
      );
      return { ok: false, hook: hook.name, reason: 'the hook failed' };
    }
    if (verdict.verdict === 'block') return { ok: false, hook: hook.name, reason: verdict.reason };
    if (verdict.verdict === 'rewrite') text = verdict.text;
  }
  return { ok: true, text };
}
