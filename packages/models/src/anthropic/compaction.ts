/**
 * A conversation that the provider compacts ("Compaction on demand"): the request of a turn with `compaction` added, and
 * for an answer one signed block, which stands first in later requests in place of what it was made of. Its text can be
 * read by anybody.
 */
import type { BetaCompactionConfig } from '@anthropic-ai/sdk/resources/beta/messages';
import type { GenerateOutcome, Usage } from '@perdure/runtime/ports';
import { BOUND, failed } from '../failures.ts';
import type { AnswerReader } from '../http/exchange.ts';
import { objectIn } from '../http/json.ts';
import { boundOf, type UsageBound } from '../usage.ts';
import { membersOf, usageOf, type Members } from './answer.ts';

/** The beta that compacts on demand, and takes back what came of it. */
export const COMPACTION_BETA = 'compact-2026-09-04';
export const COMPACTION: BetaCompactionConfig = { type: 'summarize' };

const BEGINNING = '{"role":"assistant","content":[{"type":"compaction"';
/** Whether a conversation goes on behind what was compacted. */
export const isCompacted = (rendered: string): boolean => rendered.startsWith(BEGINNING);

/** Reads the message, which is no stream. */
export function compactionReader(bound: UsageBound): AnswerReader {
  return {
    take: () => failed('malformed', 'an event stream where a message was asked for', 'no', BOUND),
    ended: () => null,
    whole: (text) => outcomeOf((objectIn(text) ?? {}) as Members, bound),
  };
}

function outcomeOf(message: Members, bound: UsageBound): GenerateOutcome {
  const { stop_reason: stop, content } = message;
  const usage = usageWithin(membersOf(message['usage'])) ?? boundOf(bound);
  const blocks = Array.isArray(content) ? (content as unknown[]).map(membersOf) : [];
  const [block = {}] = blocks;
  const done = { type: 'done' as const, reasoning: '', calls: [], usage };
  // Without its block it is an answer that was cut or refused, and no compaction.
  if (stop === 'max_tokens' || stop === 'model_context_window_exceeded')
    return { ...done, stop: 'length', text: '', native: null };
  if (stop === 'refusal') return { ...done, stop: 'filtered', text: '', native: null };
  if (stop !== 'compaction' || blocks.length !== 1 || block['type'] !== 'compaction') {
    const refused = failed('malformed', `a compaction that ends with '${String(stop)}'`, 'no', BOUND);
    return { ...refused, spent: { kind: 'usage', usage } };
  }
  // Null: the model wrote no summary that would do.
  const summary = typeof block['content'] === 'string' ? block['content'] : '';
  const native = summary === '' ? null : { role: 'assistant', content: [{ type: 'compaction', ...block }] };
  return { ...done, stop: 'end', text: summary, native };
}

/** What the compaction itself took is told apart from the rest (`usage.iterations`), and is not part of it. */
function usageWithin(wire: Members): Usage | null {
  const { iterations } = wire;
  const all = Array.isArray(iterations) ? (iterations as unknown[]).map(membersOf) : [];
  const parts = [wire, ...all.filter(({ type }) => type === 'compaction')].map(usageOf);
  return parts.reduce<Usage | null>((sum, part) => {
    if (sum === null || part === null) return null;
    return {
      input: sum.input + part.input,
      cachedInput: sum.cachedInput + part.cachedInput,
      cacheWrite: sum.cacheWrite + part.cacheWrite,
      output: sum.output + part.output,
      reasoning: sum.reasoning + part.reasoning,
      source: 'provider',
    };
  }, NOTHING);
}

const NOTHING: Usage = { input: 0, cachedInput: 0, cacheWrite: 0, output: 0, reasoning: 0, source: 'provider' };
