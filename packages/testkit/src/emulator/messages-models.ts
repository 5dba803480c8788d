/**
 * What Anthropic's pages say its models take ("Thinking", "Effort", "Preserved thinking", the "What's new" pages), as
 * the emulator enforces it.
 */
export type ModelRules = {
  thinking: {
    /** Without a word about it. */
    byDefault: boolean;
    takes: readonly string[];
    /** Its text is left out unless it is asked for. */
    omitted: boolean;
  };
  efforts: readonly string[];
  forcedCalls: boolean;
  prefill: boolean;
  /** Thinking is checked against what stands before it. */
  bound: boolean;
  /** It is compacted for on demand. */
  compacts: boolean;
};

const ALL = ['low', 'medium', 'high', 'xhigh', 'max'];
const five = (takes: readonly string[], forcedCalls: boolean, bound: boolean, byDefault = true): ModelRules => ({
  thinking: { byDefault, takes: ['adaptive', ...takes], omitted: true },
  efforts: ALL,
  forcedCalls,
  prefill: false,
  bound,
  compacts: true,
});
const FOUR_SIX: ModelRules = {
  thinking: { byDefault: false, takes: ['adaptive', 'enabled', 'disabled'], omitted: false },
  efforts: ['low', 'medium', 'high', 'max'],
  forcedCalls: true,
  prefill: false,
  bound: false,
  compacts: true,
};
const FOUR_FIVE: ModelRules = {
  ...FOUR_SIX,
  thinking: { byDefault: false, takes: ['enabled', 'disabled'], omitted: false },
  efforts: [],
  prefill: true,
  compacts: false,
};

const RULES: readonly (readonly [pattern: RegExp, rules: ModelRules])[] = [
  [/^claude-(fable|mythos)-5-[12]$|^claude-opus-5-5$/, five([], false, true)],
  [/^claude-(fable|mythos)-5$/, five([], true, false)],
  [/^claude-sonnet-5-5$/, five(['between_tools'], false, true)],
  [/^claude-haiku-5-5$/, five(['disabled'], true, true)],
  [/^claude-(opus|sonnet)-5$/, five(['disabled'], true, false)],
  [/^claude-opus-4-[78]$/, five(['disabled'], true, false, false)],
  [/^claude-(opus|sonnet)-4-6$/, FOUR_SIX],
  [/^claude-opus-4-5(-\d{8})?$/, { ...FOUR_FIVE, efforts: ['low', 'medium', 'high'] }],
  [/^claude-(sonnet|haiku)-4-5(-\d{8})?$/, FOUR_FIVE],
];

/** Null: there is no such model. */
export const rulesOf = (model: string): ModelRules | null =>
  RULES.find(([pattern]) => pattern.test(model))?.[1] ?? null;
