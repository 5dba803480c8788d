/**
 * A conversation that the provider compacts (guide "compaction", the standalone endpoint `POST /responses/compact`): it is
 * sent the items as a turn is, and gives back other ones, which take their place as they are: what users said, and an
 * encrypted item for all the rest. Nobody else can read that one.
 */
import type { CompactRequest } from '@perdure/runtime/ports';
import type { CompactedResponse, ResponseCompactParams } from 'openai/resources/responses/responses';
import { BOUND, failed } from '../failures.ts';
import type { AnswerReader } from '../http/exchange.ts';
import { objectIn } from '../http/json.ts';
import { boundOf, type UsageBound } from '../usage.ts';
import { isObject, usageOf, type Wire } from './answer.ts';
import { wireModel, type Manner } from './request.ts';

export const COMPACT_PATH = '/responses/compact';

/** The exact body of the request. The endpoint takes no tools, and no bound of what it writes. */
export function renderCompaction(request: CompactRequest, { provider, cacheKey }: Manner): string {
  const { instructions, params } = request;
  const head: Omit<ResponseCompactParams, 'input'> = { model: wireModel(request.model, provider) };
  if (cacheKey && request.cacheKey !== undefined) head.prompt_cache_key = request.cacheKey;
  if (params.tier !== undefined) head.service_tier = params.tier;
  if (instructions !== '') head.instructions = instructions;
  return `${JSON.stringify(head).slice(0, -1)},"input":[${request.rendered}]}`;
}

/** Reads the compacted response, which is no stream. */
export function compactionReader(bound: UsageBound): AnswerReader {
  return {
    take: () => failed('malformed', 'an event stream where a compacted response was asked for', 'no', BOUND),
    ended: () => null,
    whole: (text) => {
      const response: Wire<CompactedResponse> = objectIn(text) ?? {};
      const items = Array.isArray(response.output) ? (response.output as unknown[]) : [];
      const usage = usageOf(response.usage);
      const isWhole = items.every(isObject) && items.filter(isCompaction).length === 1;
      if (!isWhole || response.object !== 'response.compaction') {
        const refused = failed('malformed', 'a compacted response without its one compaction item', 'no', BOUND);
        return usage === null ? refused : { ...refused, spent: { kind: 'usage', usage } };
      }
      const said = { text: '', reasoning: '', calls: [], native: items };
      return { type: 'done', stop: 'end', ...said, usage: usage ?? boundOf(bound) };
    },
  };
}

const isCompaction = (item: unknown): boolean =>
  isObject(item) && item['type'] === 'compaction' && typeof item['encrypted_content'] === 'string';
