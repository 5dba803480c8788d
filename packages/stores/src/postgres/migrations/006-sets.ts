/**
 * A group of plain appends is written as sets: a statement for each table, and not one for each table and each append, which
 * cost more than the rows themselves. What is not plain (a booking, a fork, a new key, one that was sent before) goes with
 * its whole group one after the other, as ever. `{s}` is the schema.
 */
const EACH = `
ALTER FUNCTION {s}.append(bigint, boolean, boolean, jsonb, bytea) RENAME TO append_each;
`;

/**
 * What is refused is known before anything is written, and writes nothing. Sessions are locked in the order of their ids,
 * then their leases. What is born is numbered from one moment on, by its place in the group. Of changes and leases the planner
 * may know nothing: they are found by lists of their keys, and a conflict is met where it is, not looked for.
 */
const SETS = `
CREATE FUNCTION {s}.append(p_opening bigint, p_again boolean, p_booked boolean, p_items jsonb, p_data bytea)
RETURNS jsonb LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_tenant text := current_setting('perdure.tenant');
  v_items {s}.append_item[] := ARRAY(SELECT i FROM jsonb_populate_recordset(NULL::{s}.append_item, p_items) i);
  v_plain boolean;
  v_born bigint;
  v_sids bigint[];
  v_places bigint[];
  v_refusals jsonb[];
BEGIN
  SELECT NOT p_again AND NOT p_booked AND bool_and(origin IS NULL AND stage IS NULL AND ledger IS NULL)
    INTO v_plain FROM unnest(v_items);
  IF v_plain THEN
    PERFORM 1 FROM {s}.sessions WHERE tenant = v_tenant AND id = ANY (ARRAY(SELECT id FROM unnest(v_items)))
      ORDER BY id FOR NO KEY UPDATE;
    v_plain := NOT EXISTS (
      SELECT FROM unnest(v_items) i LEFT JOIN {s}.sessions s ON s.tenant = v_tenant AND s.id = i.id
      WHERE i.key IS NOT NULL AND i.key IS DISTINCT FROM s.key);
  END IF;
  IF NOT v_plain THEN RETURN {s}.append_each(p_opening, p_again, p_booked, p_items, p_data); END IF;

  SELECT array_agg(j.sid ORDER BY j.n), array_agg(j.place ORDER BY j.n), array_agg(j.refusal ORDER BY j.n)
    INTO v_sids, v_places, v_refusals
    FROM (
      SELECT i.ordinality AS n, s.sid,
        1 + sum(i.frame_bytes + i.bodies_bytes) OVER (ORDER BY i.ordinality) - i.frame_bytes - i.bodies_bytes AS place,
        CASE
          WHEN coalesce(s.seq, 0) <> i.seq OR coalesce(s.hash, '') <> decode(i.prev, 'hex') OR coalesce(s.deleted, false)
            THEN jsonb_build_array('conflict', coalesce(s.seq, 0), coalesce(encode(s.hash, 'hex'), ''))
          WHEN i.epoch IS NOT NULL AND NOT {s}.passes_fence(v_tenant, i.id, s.sid IS NULL, i.holder, i.epoch)
            THEN '["fenced"]'
        END AS refusal
      FROM unnest(v_items) WITH ORDINALITY i LEFT JOIN {s}.sessions s ON s.tenant = v_tenant AND s.id = i.id
    ) j;
  v_born := {s}.micros();

  UPDATE {s}.sessions s SET seq = i.first + i.count - 1, hash = decode(i.hash, 'hex'), agent = i.agent,
      status = i.status, key = i.key, due = i.due, doc = i.doc
    FROM unnest(v_items) WITH ORDINALITY i
    WHERE v_refusals[i.ordinality] IS NULL AND v_sids[i.ordinality] IS NOT NULL AND s.tenant = v_tenant AND s.id = i.id;
  UPDATE {s}.changes SET stamp = v_born, place = NULL
    WHERE tenant = v_tenant AND sid = ANY (ARRAY(
      SELECT i.sid FROM unnest(v_sids) WITH ORDINALITY i (sid, n) WHERE v_refusals[i.n] IS NULL));
  IF array_position(v_sids, NULL) IS NOT NULL THEN
    INSERT INTO {s}.sessions
      SELECT v_tenant, v_born + i.ordinality, i.id, i.first + i.count - 1, decode(i.hash, 'hex'), i.agent, i.status,
        i.key, i.due, false, i.doc
      FROM unnest(v_items) WITH ORDINALITY i WHERE v_refusals[i.ordinality] IS NULL AND v_sids[i.ordinality] IS NULL;
    INSERT INTO {s}.changes
      SELECT v_tenant, v_born + i.n, v_born + i.n FROM unnest(v_sids) WITH ORDINALITY i (sid, n)
      WHERE v_refusals[i.n] IS NULL AND i.sid IS NULL;
    INSERT INTO {s}.leases
      SELECT v_tenant, 'session/' || i.id, i.holder, 1, NULL, NULL FROM unnest(v_items) WITH ORDINALITY i
      WHERE v_refusals[i.ordinality] IS NULL AND v_sids[i.ordinality] IS NULL AND i.epoch IS NOT NULL
      ON CONFLICT (tenant, name) DO NOTHING;
  END IF;
  INSERT INTO {s}.frames
    SELECT v_tenant, coalesce(v_sids[i.ordinality], v_born + i.ordinality), i.first, i.count, decode(i.hash, 'hex'),
      substring(p_data FROM v_places[i.ordinality]::integer FOR i.frame_bytes),
      substring(p_data FROM v_places[i.ordinality]::integer + i.frame_bytes FOR i.bodies_bytes)
    FROM unnest(v_items) WITH ORDINALITY i WHERE v_refusals[i.ordinality] IS NULL;
  INSERT INTO {s}.runs
    SELECT v_tenant, coalesce(v_sids[i.ordinality], v_born + i.ordinality), r.value ->> 0,
      v_born + row_number() OVER (ORDER BY i.ordinality, r.ordinality), r.value ->> 1, r.value ->> 2, r.value ->> 3
    FROM unnest(v_items) WITH ORDINALITY i, jsonb_array_elements(i.runs) WITH ORDINALITY r
    WHERE v_refusals[i.ordinality] IS NULL
    ON CONFLICT (tenant, sid, run) DO UPDATE
      SET agent = excluded.agent, status = excluded.status, doc = excluded.doc;
  RETURN jsonb_build_array({s}.has_company(v_tenant),
    (SELECT jsonb_agg(coalesce(r.value, '["ok"]') ORDER BY r.n) FROM unnest(v_refusals) WITH ORDINALITY r (value, n)));
END $$;
`;

export const sets = EACH + SETS;
