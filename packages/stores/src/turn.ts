import { LIMITS } from './limits.ts';

/**
 * Asks for one call of `work` when the event loop has done what it has at hand, however often it is asked until then. What
 * the answers to one group, and the data that came with them, lead somebody to write shares the next group so: a group of
 * twice the size costs far less than twice as much.
 */
export function atEndOfTurn(work: () => void): () => void {
  let scheduled = false;
  return () => {
    if (scheduled) return;
    scheduled = true;
    // oxlint-disable-next-line no-restricted-globals -- no time is measured or waited for: this turn ends in any case
    setImmediate(() => {
      scheduled = false;
      work();
    });
  };
}

/**
 * The same, patiently: while `isBusy` and each turn brings more, as `count` says, the next one is waited for. Sessions that
 * were answered together ask their models together, and write together again: the code and the data of a step are then
 * read from memory once for all of them. Where a model is slow, the first turn that brings nothing ends the wait.
 */
export function atQuietTurn(on: { count(): number; isBusy(): boolean; work(): void }): () => void {
  let turns = 0;
  let seen = 0;
  const look = atEndOfTurn(() => {
    const count = on.count();
    turns += 1;
    if (count > seen && turns < LIMITS.gatherTurns && on.isBusy()) {
      seen = count;
      look();
      return;
    }
    turns = 0;
    seen = 0;
    on.work();
  });
  return look;
}
