/**
 * A session's row changes with each append, and three times in a round of an agent: where its page has room for that, no
 * index of it is written. And what an append asks is planned once a connection, not once a group: the plans are the same, by
 * the keys. `{s}` is the schema.
 */
export const room = `
ALTER TABLE {s}.sessions SET (fillfactor = 50);
ALTER FUNCTION {s}.append(bigint, boolean, boolean, jsonb, bytea) SET plan_cache_mode = force_generic_plan;
`;
