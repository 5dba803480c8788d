/** Documents that are asked for one by one, and read together: what is asked while one statement is under way shares the next. */
import type { Doc, DocStore } from '@perdure/runtime/ports';
import { StoreError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { Scope } from './scope.ts';
import { integer, type Row, text } from './statement.ts';

type Wanted = { kind: string; id: string } & Pick<PromiseWithResolvers<Doc | null>, 'resolve' | 'reject'>;

const GET = `SELECT w.n, d.id, d.revision, d.doc FROM jsonb_array_elements($2::jsonb) WITH ORDINALITY w(wanted, n)
  JOIN {s}.docs d ON d.tenant = $1 AND d.kind = w.wanted ->> 0 AND d.id = w.wanted ->> 1`;

export function gatheredGet({ tenant, read }: Pick<Scope, 'tenant' | 'read'>): DocStore['get'] {
  const waiting: Wanted[] = [];
  let lanes = 0;
  const flush = (): void => {
    while (lanes < LIMITS.readLanes && waiting.length > 0) {
      lanes += 1;
      void answer(waiting.splice(0, LIMITS.groupReads)).then(() => {
        lanes -= 1;
        flush();
      });
    }
  };
  const answer = async (group: readonly Wanted[]): Promise<void> => {
    try {
      const rows = await read(GET, [tenant, JSON.stringify(group.map(({ kind, id }) => [kind, id]))]);
      const found = new Map(rows.map((row) => [integer(row['n']), docOf(row)]));
      group.forEach(({ resolve }, at) => resolve(found.get(at + 1) ?? null));
    } catch (error) {
      const isAway = error instanceof StoreError && error.code === 'unavailable';
      // One that cannot be asked for must not take its neighbours with it.
      if (group.length > 1 && !isAway) for (const one of group) await answer([one]);
      else for (const { reject } of group) reject(error);
    }
  };
  return async (kind, id) => {
    if (waiting.length >= LIMITS.pendingReads)
      throw new StoreError('overloaded', `${LIMITS.pendingReads} documents are waited for already`);
    const { promise, resolve, reject } = Promise.withResolvers<Doc | null>();
    waiting.push({ kind, id, resolve, reject });
    // What is asked in one go shares a statement.
    queueMicrotask(flush);
    return promise;
  };
}

export function docOf(row: Row): Doc {
  return { id: text(row['id']), revision: integer(row['revision']), doc: JSON.parse(text(row['doc'])) };
}
