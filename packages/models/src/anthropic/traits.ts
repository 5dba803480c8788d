/**
 * How Claude models differ in what a request may say: rows, not branches. From the provider's pages "Thinking",
 * "Effort", "Preserved thinking" and the "What's new" page of each model (platform.claude.com/docs, read 2026-11-21).
 */
import type { Effort } from '@perdure/runtime/ports';

/**
 * When a model thinks: `always`; by `default`; when `asked` to (adaptive); or within a `budget` of tokens that the
 * request names.
 */
export type Thinking = 'always' | 'default' | 'asked' | 'budget';

export type Traits = {
  thinking: Thinking;
  /** The `thinking.type` that turns thinking off; null: leaving `thinking` out does, or nothing. */
  off: 'disabled' | 'between_tools' | null;
  /** The levels it takes in `output_config.effort`; with a budget: the levels we have budgets for. */
  efforts: readonly Effort[];
  /** It takes a tool choice that forces a call, while it does not think. */
  forced: boolean;
  /** Its thinking is bound to what stood before it: a changed prefix invalidates it. */
  bound: boolean;
};

const FIVE = ['low', 'medium', 'high', 'xhigh', 'max'] as const;
const always = (bound: boolean): Traits => ({ thinking: 'always', off: null, efforts: FIVE, forced: false, bound });
const quiet = (thinking: Thinking, off: Traits['off'], efforts: readonly Effort[]): Traits => ({
  thinking,
  off,
  efforts: ['none', ...efforts],
  forced: true,
  bound: false,
});

const TRAITS: { readonly [model: string]: Traits } = {
  'claude-fable-5-2': always(true),
  'claude-mythos-5-2': always(true),
  'claude-fable-5-1': always(true),
  'claude-mythos-5-1': always(true),
  'claude-fable-5': always(false),
  'claude-mythos-5': always(false),
  'claude-opus-5-5': always(true),
  'claude-sonnet-5-5': { ...quiet('default', 'between_tools', FIVE), forced: false, bound: true },
  'claude-haiku-5-5': { ...quiet('default', 'disabled', FIVE), bound: true },
  'claude-opus-5': quiet('default', 'disabled', FIVE),
  'claude-sonnet-5': quiet('default', 'disabled', FIVE),
  'claude-opus-4-8': quiet('asked', null, FIVE),
  'claude-opus-4-7': quiet('asked', null, FIVE),
  'claude-opus-4-6': quiet('asked', null, ['low', 'medium', 'high', 'max']),
  'claude-sonnet-4-6': quiet('asked', null, ['low', 'medium', 'high', 'max']),
  'claude-opus-4-5': quiet('budget', null, ['low', 'medium', 'high']),
  'claude-sonnet-4-5': quiet('budget', null, ['low', 'medium', 'high']),
  'claude-haiku-4-5': quiet('budget', null, ['low', 'medium', 'high']),
};

/** A model that is not in the table is asked in the newest way, and the provider judges what it takes. */
const UNKNOWN = quiet('asked', null, ['minimal', ...FIVE]);

/** By the provider's own name for the model; the date of a snapshot (`-20251001`) makes no difference. */
export function traitsOf(model: string): Traits {
  const name = model.replace(/-\d{8}$/, '');
  return (Object.hasOwn(TRAITS, name) ? TRAITS[name] : undefined) ?? UNKNOWN;
}

/** With these levels thinking cannot be turned off ("Effort", thinking disabled). */
export const NEEDS_THINKING: readonly string[] = ['xhigh', 'max'];

/**
 * Tokens of thinking for a level, where the model wants a number: at least 1,024 and less than `max_tokens` ("Extended
 * thinking"). A request without that much room is sent without thinking; null says so.
 */
export function budgetOf(effort: string, maxOutputTokens: number): number | null {
  const wanted = BUDGETS[effort] ?? MIN_BUDGET;
  const room = Math.floor(maxOutputTokens / 2);
  return room < MIN_BUDGET ? null : Math.min(wanted, room);
}

const MIN_BUDGET = 1_024;
const BUDGETS: { readonly [effort: string]: number | undefined } = { low: 2_048, medium: 8_192, high: 24_576 };
