/**
 * Signed thinking ("Extended thinking", "Preserved thinking"): a block is good only as it was given out, and on newer
 * models only after what stood before it then. The emulator's signature holds the model, the digest of that prefix, and
 * a seal over them and the text.
 */
import { createHash } from 'node:crypto';
import type { Fields, HistoryMessage } from './messages-history.ts';
import type { ModelRules } from './messages-models.ts';

export type Signed = { model: string; prefix: string };
export type Dropped = { type: 'thinking_dropped'; path: string; reason: string };

const digest = (text: string): string => createHash('sha256').update(text).digest('base64url');
const seal = ({ model, prefix }: Signed, thinking: string): string =>
  digest(`sealed\n${model}\n${prefix}\n${thinking}`);

export function sign(signed: Signed, thinking: string): string {
  return Buffer.from(JSON.stringify([signed.model, signed.prefix, seal(signed, thinking)])).toString('base64');
}

function read(signature: unknown, thinking: unknown): Signed | null {
  if (typeof signature !== 'string' || typeof thinking !== 'string') return null;
  try {
    const [model, prefix, sealed] = JSON.parse(Buffer.from(signature, 'base64').toString()) as [string, string, string];
    return seal({ model, prefix }, thinking) === sealed ? { model, prefix } : null;
  } catch {
    return null;
  }
}

/** A summary that the provider wrote in place of a conversation ("Compaction on demand"). */
export const signSummary = (summary: string): string => Buffer.from(digest(`summary\n${summary}`)).toString('base64');

/** What counts as the prefix of a place in the conversation: system, tools and messages, without markers and thinking. */
export function prefixOf(body: Fields, messages: readonly HistoryMessage[]): string {
  const said = messages.map(({ role, content }) => ({ role, content: content.filter((block) => !isThinking(block)) }));
  return digest(JSON.stringify([body['system'] ?? null, body['tools'] ?? null, said], withoutMarkers));
}

const withoutMarkers = (name: string, value: unknown): unknown => (name === 'cache_control' ? undefined : value);
export const isThinking = (block: Fields): boolean =>
  block['type'] === 'thinking' || block['type'] === 'redacted_thinking';

/** Checks all thinking that was sent back: what is wrong with it, or what the model will not see of it. */
export function checkThinking(
  body: Fields,
  messages: readonly HistoryMessage[],
  rules: ModelRules,
  drops: boolean,
): { wrong: string } | { dropped: Dropped[] } {
  const dropped: Dropped[] = [];
  let invalid = false;
  for (const [n, message] of messages.entries()) {
    for (const [at, block] of message.content.entries()) {
      if (block['type'] !== 'thinking') continue;
      const path = `messages.${n}.content.${at}`;
      const signed = read(block['signature'], block['thinking']);
      if (signed === null) return { wrong: `${path}: Invalid \`signature\` in \`thinking\` block` };
      if (signed.model !== body['model']) {
        dropped.push({ type: 'thinking_dropped', path, reason: 'model_binding_mismatch' });
        continue;
      }
      invalid ||= rules.bound && signed.prefix !== prefixOf(body, messages.slice(0, n));
      if (!invalid) continue;
      if (!drops) return { wrong: `${path}: Invalid \`signature\` in \`thinking\` block. ${BOUND}` };
      dropped.push({ type: 'thinking_dropped', path, reason: 'prefix_binding_mismatch' });
    }
  }
  return { dropped };
}

const BOUND = 'The block is bound to a different conversation.';
