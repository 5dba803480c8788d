/**
 * The prompt cache ("Prompt caching"): a marker writes what stands up to it, and reads the longest entry that ends at
 * it or at one of the blocks before it. Tokens are counted as a quarter of the characters, roughly.
 */
import { createHash } from 'node:crypto';
import { isFields, type Fields, type HistoryMessage } from './messages-history.ts';
import type { MessagesUsage } from './messages-wire.ts';

const LOOKBACK = 20;
export const MARKERS_MAX = 4;

type Piece = { text: string; marked: boolean };

export type PromptCache = {
  /** What a request counts, with an output of so many tokens; keeps what it writes. */
  count(body: Fields, messages: readonly HistoryMessage[], output: number): MessagesUsage;
};

/** `fromTokens`: shorter prompts are not cached. */
export function createPromptCache(fromTokens: number): PromptCache {
  const kept = new Set<string>();
  return {
    count: (body, messages, output) => {
      const pieces = piecesOf(body, messages);
      const ends: number[] = [];
      const keys: string[] = [];
      for (const { text } of pieces) {
        ends.push((ends.at(-1) ?? 0) + Math.ceil(text.length / 4));
        keys.push(
          createHash('sha256')
            .update(`${keys.at(-1) ?? String(body['model'])}\n${text}`)
            .digest('hex'),
        );
      }
      const total = ends.at(-1) ?? 0;
      const markers = pieces.flatMap(({ marked }, at) => (marked && (ends[at] ?? 0) >= fromTokens ? [at] : []));
      const hits = markers.flatMap((at) =>
        keys.slice(Math.max(0, at - LOOKBACK + 1), at + 1).flatMap((key, n) => {
          return kept.has(key) ? [Math.max(0, at - LOOKBACK + 1) + n] : [];
        }),
      );
      const cacheRead = Math.max(0, ...hits.map((at) => ends[at] ?? 0));
      const marked = Math.max(cacheRead, ...markers.map((at) => ends[at] ?? 0));
      for (const at of markers) kept.add(keys[at] ?? '');
      return { input: total - marked, cacheRead, cacheWrite: marked - cacheRead, output };
    },
  };
}

function piecesOf(body: Fields, messages: readonly HistoryMessage[]): Piece[] {
  const list = (value: unknown): Fields[] =>
    typeof value === 'string' ? [{ type: 'text', text: value }] : Array.isArray(value) ? (value as Fields[]) : [];
  const pieces = [
    ...list(body['tools']).map((tool) => pieceOf('tool', tool)),
    ...list(body['system']).map((block) => pieceOf('system', block)),
    ...messages.flatMap(({ role, content }) => content.map((block) => pieceOf(role, block))),
  ];
  const last = pieces.at(-1);
  // Automatic caching: one marker for the whole request, at its last block.
  if (last !== undefined && isFields(body['cache_control'])) last.marked = true;
  return pieces;
}

function pieceOf(place: string, { cache_control: marker, ...block }: Fields): Piece {
  return { text: `${place}${JSON.stringify(block)}`, marked: marker !== undefined && marker !== null };
}

/** How many markers a request has. */
export const countMarkers = (body: Fields, messages: readonly HistoryMessage[]): number =>
  piecesOf(body, messages).filter(({ marked }) => marked).length;
