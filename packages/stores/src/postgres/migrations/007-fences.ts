/**
 * The fences of a group are looked at together, and not each by a call of its own, which cost more than writing its frame:
 * their leases are locked in the order of their names, and a node that stands behind many is looked at once. All else is as in
 * 006. `{s}` is the schema.
 */
export const fences = `
CREATE OR REPLACE FUNCTION {s}.append(p_opening bigint, p_again boolean, p_booked boolean, p_items jsonb, p_data bytea)
RETURNS jsonb LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_tenant text := current_setting('perdure.tenant');
  v_items {s}.append_item[] := ARRAY(SELECT i FROM jsonb_populate_recordset(NULL::{s}.append_item, p_items) i);
  v_plain boolean;
  v_keyed boolean;
  v_held text[];
  v_names text[];
  v_leases {s}.leases[];
  v_standing text[];
  v_now bigint;
  v_born bigint;
  v_sids bigint[];
  v_places bigint[];
  v_refusals jsonb[];
BEGIN
  SELECT NOT p_again AND NOT p_booked AND bool_and(origin IS NULL AND stage IS NULL AND ledger IS NULL),
      bool_or(key IS NOT NULL), array_agg('session/' || id) FILTER (WHERE epoch IS NOT NULL)
    INTO v_plain, v_keyed, v_held FROM unnest(v_items);
  IF v_plain THEN
    PERFORM 1 FROM {s}.sessions WHERE tenant = v_tenant AND id = ANY (ARRAY(SELECT id FROM unnest(v_items)))
      ORDER BY id FOR NO KEY UPDATE;
    IF v_keyed THEN
      v_plain := NOT EXISTS (
        SELECT FROM unnest(v_items) i LEFT JOIN {s}.sessions s ON s.tenant = v_tenant AND s.id = i.id
        WHERE i.key IS NOT NULL AND i.key IS DISTINCT FROM s.key);
    END IF;
  END IF;
  IF NOT v_plain THEN RETURN {s}.append_each(p_opening, p_again, p_booked, p_items, p_data); END IF;

  IF v_held IS NOT NULL THEN
    SELECT array_agg(l.name), array_agg(l) INTO v_names, v_leases
      FROM (SELECT * FROM {s}.leases WHERE tenant = v_tenant AND name = ANY (v_held) ORDER BY name FOR SHARE) l;
    v_standing := ARRAY(
      SELECT h.holder FROM (SELECT DISTINCT holder FROM unnest(v_items) WHERE epoch IS NOT NULL AND holder <> '') h
      WHERE {s}.stands_by(v_tenant, h.holder));
    v_now := {s}.now_ms();
  END IF;
  SELECT array_agg(j.sid ORDER BY j.n), array_agg(j.place ORDER BY j.n), array_agg(j.refusal ORDER BY j.n)
    INTO v_sids, v_places, v_refusals
    FROM (
      SELECT i.ordinality AS n, s.sid,
        1 + sum(i.frame_bytes + i.bodies_bytes) OVER (ORDER BY i.ordinality) - i.frame_bytes - i.bodies_bytes AS place,
        CASE
          WHEN coalesce(s.seq, 0) <> i.seq OR coalesce(s.hash, '') <> decode(i.prev, 'hex') OR coalesce(s.deleted, false)
            THEN jsonb_build_array('conflict', coalesce(s.seq, 0), coalesce(encode(s.hash, 'hex'), ''))
          WHEN i.epoch IS NOT NULL AND NOT CASE
            WHEN l.name IS NULL THEN s.sid IS NULL AND i.epoch = 1 AND (i.holder = '' OR i.holder = ANY (v_standing))
            ELSE l.epoch = i.epoch AND coalesce(l.holder = i.holder, false)
              AND (i.holder = '' OR coalesce(l.expires_at > v_now, i.holder = ANY (v_standing))) END
            THEN '["fenced"]'
        END AS refusal
      FROM unnest(v_items) WITH ORDINALITY i
      LEFT JOIN {s}.sessions s ON s.tenant = v_tenant AND s.id = i.id
      LEFT JOIN LATERAL (SELECT (v_leases[array_position(v_names, 'session/' || i.id)]).*) l ON true
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
