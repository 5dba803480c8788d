import type { SaidHit, TextIndex } from '@perdure/runtime/ports';
import { decodeCursor, encodeCursor } from '../cursors.ts';
import { holdsAll, PER_MS, phrasesOf, snippetOf, spokenWords } from '../terms.ts';
import type { MemoryText } from './disk.ts';
import type { MemoryScope } from './log.ts';

/** Search by looking at every text. */
export function memoryTexts(scope: MemoryScope): TextIndex {
  return {
    async progress(sessions) {
      const { texts } = scope.peek();
      return { cursor: texts.cursor, reached: sessions.map((session) => texts.reached.get(session) ?? 0) };
    },
    async add(batch, cursor) {
      const { texts, sessions } = scope.keep();
      for (const { session, agent, upTo, said } of batch) {
        if (sessions.get(session)?.deleted !== false) continue;
        const reached = texts.reached.get(session) ?? 0;
        for (const { text, ...place } of said) {
          if (place.seq <= reached) continue;
          let id = place.at * PER_MS;
          while (texts.byId.has(id)) id += 1;
          texts.byId.set(id, { ...place, session, agent, text, words: spokenWords(text) });
        }
        texts.reached.set(session, Math.max(reached, upTo));
      }
      texts.cursor = cursor;
    },
    async search({ terms, agent, cursor, limit }) {
      const before = cursor === undefined ? Infinity : decodeCursor('t', cursor);
      const phrases = phrasesOf(terms);
      const fits = (text: MemoryText): boolean =>
        (agent ?? text.agent) === text.agent && phrases.length > 0 && holdsAll(text.words, phrases);
      const found = [...scope.peek().texts.byId]
        .filter(([id, text]) => id < before && fits(text))
        .toSorted(([a], [b]) => b - a);
      const items = found.slice(0, limit);
      const last = items.at(-1);
      return {
        items: items.map(([, { text, words: _words, ...place }]): SaidHit => ({
          ...place,
          snippet: snippetOf(text, phrases),
        })),
        next: found.length > items.length && last !== undefined ? encodeCursor('t', last[0]) : null,
      };
    },
  };
}
