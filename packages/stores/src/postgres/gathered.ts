/** Small things that are asked for one by one, and answered together: what is asked while statements are under way shares the next. */
import { StoreError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { atEndOfTurn } from '../turn.ts';

type Waiting<Q, A> = { question: Q } & Pick<PromiseWithResolvers<A>, 'resolve' | 'reject'>;

/** `ask` answers each question of a group, in their order. */
export function gathered<Q, A>(ask: (group: readonly Q[]) => Promise<readonly A[]>): (question: Q) => Promise<A> {
  const waiting: Waiting<Q, A>[] = [];
  let lanes = 0;
  const schedule = atEndOfTurn(() => flush());
  const flush = (): void => {
    while (lanes < LIMITS.gatherLanes && waiting.length > 0) {
      lanes += 1;
      void answer(waiting.splice(0, LIMITS.gathered)).then(() => {
        lanes -= 1;
        schedule();
      });
    }
  };
  const answer = async (group: readonly Waiting<Q, A>[]): Promise<void> => {
    try {
      const answers = await ask(group.map(({ question }) => question));
      if (answers.length !== group.length)
        throw new StoreError('damaged', `the database answered ${answers.length} of ${group.length} questions`);
      group.forEach(({ resolve }, at) => resolve(answers[at] as A));
    } catch (error) {
      const isAway = error instanceof StoreError && error.code === 'unavailable';
      // One that cannot be answered must not take its neighbours with it.
      if (group.length > 1 && !isAway) for (const one of group) await answer([one]);
      else for (const { reject } of group) reject(error);
    }
  };
  return async (question) => {
    if (waiting.length >= LIMITS.pendingReads)
      throw new StoreError('overloaded', `${LIMITS.pendingReads} questions wait for the database already`);
    const { promise, resolve, reject } = Promise.withResolvers<A>();
    waiting.push({ question, resolve, reject });
    if (lanes < LIMITS.gatherLanes) schedule();
    return promise;
  };
}
