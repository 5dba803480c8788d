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
