/**
 * A session's row changes with each append, and three times in a round of an agent: where its page has room for that, no
 * index is written. `{s}` is the schema.
 */
export const room = 'ALTER TABLE {s}.sessions SET (fillfactor = 50);';
