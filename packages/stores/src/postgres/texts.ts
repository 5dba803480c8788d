import type { SaidHit, TextIndex } from '@perdure/runtime/ports';
import { decodeCursor, encodeCursor } from '../cursors.ts';
import { phrasesOf, snippetOf, spokenWords } from '../terms.ts';
import type { Scope } from './scope.ts';
import { integer, type Row, text } from './statement.ts';

const PROGRESS = `SELECT (SELECT cursor FROM {s}.index_cursors WHERE tenant = $1) AS cursor, (
  SELECT jsonb_agg(coalesce(i.reached, 0) ORDER BY a.ordinality)
  FROM jsonb_array_elements_text($2::jsonb) WITH ORDINALITY a
  LEFT JOIN {s}.indexed i ON i.tenant = $1 AND i.session = a.value
) AS reached`;

/** Words that were cut and folded here, each text with an array of them: an index leads from a word to the texts. */
export function postgresTexts({ tenant, read, write }: Scope): TextIndex {
  return {
    async progress(sessions) {
      const [row] = await read(PROGRESS, [tenant, JSON.stringify(sessions)]);
      return { cursor: row?.['cursor'] ?? '', reached: JSON.parse(row?.['reached'] ?? '[]') };
    },
    async add(batch, cursor) {
      const additions = batch.map(({ said, ...session }) => ({
        ...session,
        said: said.map((one) => ({ ...one, text: storable(one.text), spoken: spokenWords(one.text) })),
      }));
      await write('SELECT {s}.add_texts($1::jsonb, $2)', [JSON.stringify(additions), cursor]);
    },
    async search({ terms, agent, cursor, limit }) {
      const before = cursor === undefined ? Number.MAX_SAFE_INTEGER : decodeCursor('t', cursor);
      const phrases = phrasesOf(terms);
      const asked = JSON.stringify(phrases.map((words) => words.join(' ')));
      const rows = await read('SELECT * FROM {s}.search_texts($1::jsonb, $2, $3, $4)', [
        asked,
        agent ?? null,
        before,
        phrases.length === 0 ? 0 : limit + 1,
      ]);
      const shown = rows.slice(0, limit);
      const last = shown.at(-1);
      return {
        items: shown.map((row) => hitOf(row, phrases)),
        next: rows.length > limit && last !== undefined ? encodeCursor('t', integer(last['id'])) : null,
      };
    },
  };
}

/** No text of Postgres holds a NUL or half a character; both show as what they are, nothing. */
const storable = (said: string): string => said.toWellFormed().replaceAll('\0', ' ');

function hitOf(row: Row, phrases: readonly string[][]): SaidHit {
  return {
    session: text(row['session']),
    agent: text(row['agent']),
    seq: integer(row['seq']),
    at: integer(row['at']),
    run: text(row['run']),
    role: row['role'] === 'user' ? 'user' : 'assistant',
    snippet: snippetOf(text(row['said']), phrases),
  };
}
