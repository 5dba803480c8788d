/** From effort and tool choice to what the model's row says of thinking, or to the reason why it will not do. */
import type { BetaThinkingConfigParam } from '@anthropic-ai/sdk/resources/beta/messages';
import type { OutputConfig } from '@anthropic-ai/sdk/resources/messages';
import type { GenerateRequest } from '@perdure/runtime/ports';
import { resumesWithoutThinking } from './conversation.ts';
import { budgetOf, NEEDS_THINKING, traitsOf, type Traits } from './traits.ts';

/** The beta that lets a request choose what becomes of thinking whose prefix has changed ("Preserved thinking"). */
export const BINDING_BETA = 'thinking-binding-controls-2026-08-01';

export type ThinkingPlan = {
  thinking: BetaThinkingConfigParam | null;
  effort: NonNullable<OutputConfig['effort']> | null;
};

/**
 * A call that must be made is made without thinking: with it the API takes no forced choice ("Extended thinking", with
 * tool use). So is a turn in a tool loop that began without thinking, where a budget is named: the API refuses to begin
 * there. Thinking comes summarized, so that people can follow it; what is billed is the same.
 */
export function thinkingOf(request: GenerateRequest, model: string): ThinkingPlan {
  const traits = traitsOf(model);
  const { effort, maxOutputTokens } = request.params;
  const level = effort === undefined || effort === 'none' || traits.thinking === 'budget' ? null : effort;
  const plan: ThinkingPlan = { thinking: null, effort: level as ThinkingPlan['effort'] };
  if (effort === 'none' || forces(request)) {
    return traits.off === null ? plan : { ...plan, thinking: { type: traits.off } };
  }
  if (traits.thinking === 'budget') {
    const fits = effort !== undefined && !resumesWithoutThinking(request.rendered);
    const budget = fits ? budgetOf(effort, maxOutputTokens) : null;
    return budget === null ? plan : { ...plan, thinking: { type: 'enabled', budget_tokens: budget } };
  }
  if (traits.thinking === 'asked' && effort === undefined) return plan;
  return { ...plan, thinking: { type: 'adaptive', display: 'summarized', ...bindingOf(traits) } };
}

/**
 * A context slot that changed, a compaction or a new version of the agent change what stands before old thinking. What
 * is no longer valid is then left out by the provider, which says so in its answer, instead of failing the run.
 */
const bindingOf = ({ bound }: Traits): { block_binding?: { prefix_mismatch_behavior: 'drop_block' } } =>
  bound ? { block_binding: { prefix_mismatch_behavior: 'drop_block' } } : {};

/** Why a request will not do, before it is sent; null when it will. The API would refuse it, or not obey it. */
export function refusalOf(request: GenerateRequest, model: string): string | null {
  const { effort, temperature, tier, background } = request.params;
  const traits = traitsOf(model);
  if (temperature !== undefined) return 'this API has no temperature: leave it out';
  if (tier === 'flex') return "there is no tier 'flex'";
  if (background === true) return 'there are no background answers: leave background out';
  if (effort !== undefined && !traits.efforts.some((known) => known === effort)) {
    return `${model} takes no effort '${effort}', but ${traits.efforts.join(', ')}`;
  }
  if (!forces(request)) return null;
  if (!traits.forced)
    return `${model} takes no toolChoice that forces a call: use 'auto', and say it in the instructions`;
  const thinks = traits.thinking === 'budget' && effort !== undefined && effort !== 'none';
  if (thinks || NEEDS_THINKING.includes(effort ?? '')) {
    return `${model} does not think while a call is forced: leave out effort '${effort}' or toolChoice`;
  }
  return null;
}

function forces({ params, tools }: GenerateRequest): boolean {
  const { toolChoice } = params;
  return tools.length > 0 && (toolChoice === 'required' || typeof toolChoice === 'object');
}
