/**
 * What sessions' documents hold is a list, without what has a column of its own (`packIndex`). Documents of before are read
 * as they are; this marks data that earlier builds cannot read. `{s}` is the schema.
 */
export const lists = `
COMMENT ON COLUMN {s}.sessions.doc IS 'what lists show of it, as a JSON list; until it is written again, as a JSON object';
`;
