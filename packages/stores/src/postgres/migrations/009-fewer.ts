/**
 * Each statement costs its start, whatever is in it: the sessions of a group of plain appends are locked and read by one, and
 * their leases by another. The items stay in the order of their bytes, which an aggregate with DISTINCT beside them would not
 * keep. And a session that waits for its place in the feed is not written there again: the feed takes it with its newest
 * row, and leaves those that are being appended to for its next look. All else is as in 007. `{s}` is the schema.
 */
const APPEND = `
CREATE OR REPLACE FUNCTION {s}.append(p_opening bigint, p_again boolean, p_booked boolean, p_items jsonb, p_data bytea)
RETURNS jsonb LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  v_tenant text := current_setting('perdure.tenant');
  v_items {s}.append_item[] := ARRAY(SELECT i FROM jsonb_populate_recordset(NULL::{s}.append_item, p_items) i);
  v_plain boolean;
  v_keyed boolean;
  v_ids text[];
  v_held text[];
  v_holders text[];
  v_known text[];
  v_known_sids bigint[];
  v_seqs bigint[];
  v_hashes bytea[];
  v_keys text[];
  v_deleted boolean[];
  v_names text[];
  v_leases {s}.leases[];
  v_standing text[];
  v_now bigint;
  v_born bigint;
  v_sids bigint[];
  v_places bigint[];
  v_refusals jsonb[];
BEGIN
  SELECT array_agg(id), bool_or(key IS NOT NULL),
      NOT p_again AND NOT p_booked AND bool_and(origin IS NULL AND stage IS NULL AND ledger IS NULL),
      array_agg('session/' || id) FILTER (WHERE epoch IS NOT NULL),
      array_agg(DISTINCT holder) FILTER (WHERE epoch IS NOT NULL AND holder <> '')
    INTO v_ids, v_keyed, v_plain, v_held, v_holders FROM unnest(v_items);
  IF v_plain THEN
    SELECT array_agg(s.id), array_agg(s.sid), array_agg(s.seq), array_agg(s.hash), array_agg(s.key), array_agg(s.deleted)
      INTO v_known, v_known_sids, v_seqs, v_hashes, v_keys, v_deleted
      FROM (
        SELECT id, sid, seq, hash, key, deleted FROM {s}.sessions WHERE tenant = v_tenant AND id = ANY (v_ids)
        ORDER BY id FOR NO KEY UPDATE
      ) s;
    IF v_keyed THEN
      v_plain := NOT EXISTS (
        SELECT FROM unnest(v_items) i
        WHERE i.key IS NOT NULL AND i.key IS DISTINCT FROM v_keys[array_position(v_known, i.id)]);
    END IF;
  END IF;
  IF NOT v_plain THEN RETURN {s}.append_each(p_opening, p_again, p_booked, p_items, p_data); END IF;

  IF v_held IS NOT NULL THEN
    SELECT array_agg(l.name), array_agg(l) INTO v_names, v_leases
      FROM (SELECT * FROM {s}.leases WHERE tenant = v_tenant AND name = ANY (v_held) ORDER BY name FOR SHARE) l;
    -- What was waited for counts.
    v_now := {s}.now_ms();
    IF v_holders IS NOT NULL THEN
      SELECT array_agg(l.name) INTO v_standing FROM {s}.leases l
        WHERE l.tenant = v_tenant AND l.name = ANY (v_holders) AND l.holder = l.name AND l.expires_at > v_now;
    END IF;
  END IF;
  SELECT array_agg(j.sid ORDER BY j.n), array_agg(j.place ORDER BY j.n), array_agg(j.refusal ORDER BY j.n)
    INTO v_sids, v_places, v_refusals
    FROM (
      SELECT i.ordinality AS n, v_known_sids[k.at] AS sid,
        1 + sum(i.frame_bytes + i.bodies_bytes) OVER (ORDER BY i.ordinality) - i.frame_bytes - i.bodies_bytes AS place,
        CASE
          WHEN coalesce(v_seqs[k.at], 0) <> i.seq OR coalesce(v_hashes[k.at], '') <> decode(i.prev, 'hex')
            OR coalesce(v_deleted[k.at], false)
            THEN jsonb_build_array('conflict', coalesce(v_seqs[k.at], 0), coalesce(encode(v_hashes[k.at], 'hex'), ''))
          WHEN i.epoch IS NOT NULL AND NOT CASE
            WHEN l.name IS NULL THEN k.at IS NULL AND i.epoch = 1 AND (i.holder = '' OR i.holder = ANY (v_standing))
            ELSE l.epoch = i.epoch AND coalesce(l.holder = i.holder, false)
              AND (i.holder = '' OR coalesce(l.expires_at > v_now, i.holder = ANY (v_standing))) END IS TRUE
            THEN '["fenced"]'
        END AS refusal
      FROM unnest(v_items) WITH ORDINALITY i
      CROSS JOIN LATERAL (SELECT array_position(v_known, i.id) AS at) k
      LEFT JOIN LATERAL (SELECT (v_leases[array_position(v_names, 'session/' || i.id)]).*) l ON true
    ) j;
  v_born := {s}.micros();

  UPDATE {s}.sessions s SET seq = i.first + i.count - 1, hash = decode(i.hash, 'hex'), agent = i.agent,
      status = i.status, key = i.key, due = i.due, doc = i.doc
    FROM unnest(v_items) WITH ORDINALITY i
    WHERE v_refusals[i.ordinality] IS NULL AND v_sids[i.ordinality] IS NOT NULL AND s.tenant = v_tenant AND s.id = i.id;
  UPDATE {s}.changes SET stamp = v_born, place = NULL
    WHERE tenant = v_tenant AND sid = ANY (ARRAY(
      SELECT i.sid FROM unnest(v_sids) WITH ORDINALITY i (sid, n) WHERE v_refusals[i.n] IS NULL))
    AND (place IS NOT NULL OR stamp < v_born - 1000000);
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
  RETURN jsonb_build_array({s}.has_company(v_tenant), to_jsonb(array_replace(v_refusals, NULL, '["ok"]')));
END $$;
`;

/** Whoever appends holds its session: what is taken here is not written at the same time. */
const FEED = `
CREATE OR REPLACE FUNCTION {s}.feed(p_after bigint, p_limit integer, p_batch integer) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_tenant text := current_setting('perdure.tenant');
  v_place bigint;
  v_count bigint;
  v_rows jsonb;
BEGIN
  IF EXISTS (SELECT FROM {s}.changes WHERE tenant = v_tenant AND place IS NULL) THEN
    SELECT place INTO v_place FROM {s}.feeds WHERE tenant = v_tenant FOR UPDATE;
    WITH fresh AS (
      SELECT c.sid, c.stamp FROM {s}.changes c JOIN {s}.sessions s ON s.tenant = v_tenant AND s.sid = c.sid
      WHERE c.tenant = v_tenant AND c.place IS NULL LIMIT p_batch
      FOR UPDATE OF c SKIP LOCKED FOR SHARE OF s SKIP LOCKED
    ), numbered AS (SELECT sid, v_place + row_number() OVER (ORDER BY stamp, sid) AS place FROM fresh)
    UPDATE {s}.changes c SET place = n.place FROM numbered n WHERE c.tenant = v_tenant AND c.sid = n.sid;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    UPDATE {s}.feeds SET place = v_place + v_count WHERE tenant = v_tenant;
  END IF;
  SELECT place INTO v_place FROM {s}.feeds WHERE tenant = v_tenant;
  SELECT coalesce(jsonb_agg(jsonb_build_array(f.place, f.id, f.agent, f.seq, f.status, f.doc) ORDER BY f.place), '[]')
    INTO v_rows FROM (
      SELECT c.place, s.id, s.agent, s.seq, s.status, s.doc
      FROM {s}.changes c JOIN {s}.sessions s ON s.tenant = v_tenant AND s.sid = c.sid
      WHERE c.tenant = v_tenant AND c.place > p_after AND NOT s.deleted ORDER BY c.place LIMIT p_limit
    ) f;
  RETURN jsonb_build_array(coalesce(v_place, 0), v_rows);
END $$;
`;

export const fewer = APPEND + FEED;
