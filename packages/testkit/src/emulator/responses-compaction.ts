/**
 * `POST /responses/compact`, written from OpenAI's API reference ("compact a response") and its guide "compaction": what
 * users said comes back, and behind it one item with encrypted content in place of everything else.
 */
import { isFields, refuse, wrongInput, type Fields, type Minted } from './responses-input.ts';
import { sealCompacted, usageBody, type ResponsesUsage } from './responses-wire.ts';
import type { WireError } from './wire-server.ts';

/** The answer to a request to compact. `output` takes the place of what the provider would give back. */
export type ResponsesCompaction = { compacted: string; usage?: ResponsesUsage; output?: readonly object[] };
export type CompactRequest = { kind: 'compact'; model: string; input: readonly Fields[] };

const PARAMETERS = new Set(
  `image input instructions model previous_response_id prompt_cache_key prompt_cache_options prompt_cache_retention
  service_tier`.split(/\s+/),
);
const CREATED = 1_700_000_000;

export function readCompact(body: unknown, minted: Minted): { request: CompactRequest } | WireError {
  if (!isFields(body)) return refuse('the body is not a JSON object', null);
  const unknown = Object.keys(body).find((key) => !PARAMETERS.has(key));
  if (unknown !== undefined) return refuse(`Unknown parameter: '${unknown}'.`, unknown, 'unknown_parameter');
  const { model, input } = body;
  if (typeof model !== 'string' || model === '') {
    return refuse("Missing required parameter: 'model'.", 'model', 'missing_required_parameter');
  }
  const wrong = wrongInput(input, minted, false);
  if (wrong !== null) return wrong;
  const items = typeof input === 'string' ? [{ role: 'user', content: input }] : (input as Fields[]);
  return { request: { kind: 'compact', model, input: items } };
}

/** The compacted response; `n` counts them. */
export function compactedBody(answer: ResponsesCompaction, { input }: CompactRequest, n: number): string {
  const users = input.filter(({ role }) => role === 'user').map((item, at) => userItem(item, `msg_cmp_${n}_${at}`));
  const item = { id: `cmp_emulated_${n}`, type: 'compaction', encrypted_content: sealCompacted(answer.compacted) };
  return JSON.stringify({
    id: `resp_cmp_${n}`,
    object: 'response.compaction',
    created_at: CREATED,
    output: answer.output ?? [...users, item],
    usage: usageBody(answer.usage ?? { input: 9, output: 12 }),
  });
}

function userItem({ content }: Fields, id: string): object {
  const parts = typeof content === 'string' ? [{ type: 'input_text', text: content }] : content;
  return { id, type: 'message', status: 'completed', role: 'user', content: parts };
}
