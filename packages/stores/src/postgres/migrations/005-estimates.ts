/**
 * The append costs less, from the first session on. Of a table that is new the planner knows nothing: all indexes that begin
 * with the tenant look equally good to it, and no index better than the whole; a connection keeps the plans of its functions,
 * which then go through every session until statistics are gathered. So they are gathered from rows of one tenant that are
 * gone when the migration is done, and what grows is never read whole.
 * What each append asks of the leases is one statement, by ranges of their key. Sessions of a group are locked one after
 * the other, in order, as each is appended to; all before the accounts where there are bookings. `{s}` is the schema.
 */
const ROWS = 200;

const STATISTICS = `
SELECT set_config('perdure.tenant', 'default', true);
INSERT INTO {s}.sessions SELECT 'default', -n, '~' || n, 1, '', '~', '~', '~' || n, n, false, ''
  FROM generate_series(1, ${ROWS}) n;
INSERT INTO {s}.runs SELECT 'default', -n, '~', -n, '~', '~', '' FROM generate_series(1, ${ROWS}) n;
ANALYZE {s}.sessions, {s}.runs;
DELETE FROM {s}.runs WHERE tenant = 'default' AND sid < 0;
DELETE FROM {s}.sessions WHERE tenant = 'default' AND sid < 0;
SELECT set_config('perdure.tenant', '', true);
`;

const LEASES = `
CREATE OR REPLACE FUNCTION {s}.has_company(p_tenant text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  RETURN (SELECT count(*) > 1 FROM (
    (SELECT FROM {s}.leases WHERE tenant = p_tenant AND name >= 'node/' AND name < 'node0'
      AND expires_at > {s}.now_ms() LIMIT 2)
    UNION ALL
    (SELECT FROM {s}.leases WHERE tenant = p_tenant AND name >= 'gateway/' AND name < 'gateway0'
      AND expires_at > {s}.now_ms() LIMIT 2)
  ) live);
END $$;
CREATE OR REPLACE FUNCTION {s}.passes_fence(p_tenant text, p_session text, p_born boolean, p_holder text, p_epoch bigint)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  v_passes boolean;
BEGIN
  SELECT l.epoch = p_epoch AND coalesce(l.holder = p_holder, false) AND (p_holder = ''
      OR CASE WHEN l.expires_at IS NOT NULL THEN l.expires_at > {s}.now_ms()
        ELSE EXISTS (SELECT FROM {s}.leases n WHERE n.tenant = p_tenant AND n.name = l.holder
          AND n.holder = l.holder AND n.expires_at > {s}.now_ms()) END)
    INTO v_passes FROM {s}.leases l WHERE l.tenant = p_tenant AND l.name = 'session/' || p_session FOR SHARE OF l;
  IF FOUND THEN RETURN v_passes; END IF;
  RETURN p_born AND p_epoch = 1 AND (p_holder = '' OR {s}.stands_by(p_tenant, p_holder));
END $$;
`;

const GROUP = `
CREATE OR REPLACE FUNCTION {s}.append(p_opening bigint, p_again boolean, p_booked boolean, p_items jsonb, p_data bytea)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_tenant text := current_setting('perdure.tenant');
  i {s}.append_item;
  v_at integer := 1;
  v_results jsonb[] := '{}';
BEGIN
  IF p_booked THEN
    PERFORM 1 FROM {s}.sessions WHERE tenant = v_tenant
      AND id = ANY (ARRAY(SELECT value ->> 'id' FROM jsonb_array_elements(p_items))) ORDER BY id FOR NO KEY UPDATE;
    PERFORM {s}.lock_accounts(v_tenant, p_items);
  END IF;
  FOR i IN SELECT * FROM jsonb_populate_recordset(NULL::{s}.append_item, p_items) LOOP
    v_results := v_results || {s}.append_one(v_tenant, p_opening, p_again, i,
      substring(p_data FROM v_at FOR i.frame_bytes),
      substring(p_data FROM v_at + i.frame_bytes FOR i.bodies_bytes));
    v_at := v_at + i.frame_bytes + i.bodies_bytes;
  END LOOP;
  RETURN jsonb_build_array({s}.has_company(v_tenant), to_jsonb(v_results));
END $$;
`;

const INDEXED = `
ALTER FUNCTION {s}.append(bigint, boolean, boolean, jsonb, bytea) SET enable_seqscan = off;
ALTER FUNCTION {s}.claim(text, text, bigint, text) SET enable_seqscan = off;
ALTER FUNCTION {s}.offer(text, text, bigint) SET enable_seqscan = off;
`;

export const estimates = STATISTICS + LEASES + GROUP + INDEXED;
