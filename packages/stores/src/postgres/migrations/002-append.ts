/** The append: everything that one decides and writes, for a group of sessions, in one call. `{s}` is the schema. */

/**
 * The time that leases, blobs and due work go by is the database's; a test may set its own for a transaction. What is
 * born is numbered by the microsecond.
 */
const CLOCKS = `
CREATE FUNCTION {s}.now_ms() RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT coalesce(nullif(current_setting('perdure.now', true), '')::bigint,
    (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
$$;
CREATE FUNCTION {s}.micros() RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
$$;
`;

const ITEM = `
CREATE TYPE {s}.append_item AS (
  id text, seq bigint, prev text, first bigint, count integer, hash text, frame_bytes integer, bodies_bytes integer,
  agent text, status text, key text, due bigint, doc text, runs jsonb, ledger jsonb,
  holder text, epoch bigint, origin text, stage text
);
`;

/**
 * The accounts that a group's bookings touch, with all above them, locked in one order: no two groups can wait for each
 * other. What a session reserved says to which account a settlement belongs.
 */
const LOCKS = `
CREATE FUNCTION {s}.lock_accounts(p_tenant text, p_items jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM {s}.accounts WHERE tenant = p_tenant AND id IN (
    WITH RECURSIVE ops AS (
      SELECT i.value ->> 'id' AS session, o.value AS op
      FROM jsonb_array_elements(p_items) i, jsonb_array_elements(i.value -> 'ledger') o
      WHERE jsonb_typeof(i.value -> 'ledger') = 'array'
    ), named AS (
      SELECT op ->> 'account' AS id FROM ops
      UNION SELECT op ->> 'parent' FROM ops
      UNION SELECT r.account FROM ops
        JOIN {s}.sessions s ON s.tenant = p_tenant AND s.id = ops.session
        JOIN {s}.reservations r ON r.tenant = p_tenant AND r.sid = s.sid AND r.key = ops.op ->> 'key'
    ), line AS (
      SELECT id FROM named WHERE id IS NOT NULL
      UNION SELECT a.parent FROM line JOIN {s}.accounts a ON a.tenant = p_tenant AND a.id = line.id
      WHERE a.parent IS NOT NULL
    ) SELECT id FROM line
  ) ORDER BY id FOR NO KEY UPDATE;
END $$;
`;

/**
 * Books the operations of one append, in order; null, or why not, and then nothing is booked. The rules are those of
 * \`ledger.ts\`: caps hold along the line of accounts, the nearest first, tokens before money; a key counts once.
 */
const BOOKS = `
CREATE FUNCTION {s}.line(p_tenant text, p_account text) RETURNS TABLE (id text, depth integer) LANGUAGE sql STABLE AS $$
  WITH RECURSIVE line AS (
    SELECT a.id, a.parent, 0 AS depth FROM {s}.accounts a WHERE a.tenant = p_tenant AND a.id = p_account
    UNION ALL
    SELECT a.id, a.parent, line.depth + 1 FROM line JOIN {s}.accounts a ON a.tenant = p_tenant AND a.id = line.parent
  ) SELECT line.id, line.depth FROM line
$$;
CREATE FUNCTION {s}.book(p_tenant text, p_sid bigint, p_ops jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  o jsonb;
  r {s}.reservations;
  v_tokens bigint;
  v_money bigint;
  v_line text[];
  v_refusal jsonb;
BEGIN
  FOR o IN SELECT value FROM jsonb_array_elements(p_ops) LOOP
    v_tokens := (o #>> '{amount,tokens}')::bigint;
    v_money := (o #>> '{amount,nanoUsd}')::bigint;
    IF o ->> 'op' = 'open' THEN
      UPDATE {s}.accounts SET cap_tokens = (o #>> '{caps,tokens}')::bigint, cap_money = (o #>> '{caps,nanoUsd}')::bigint
        WHERE tenant = p_tenant AND id = o ->> 'account';
      CONTINUE WHEN FOUND;
      IF o ->> 'parent' IS NOT NULL
        AND NOT EXISTS (SELECT FROM {s}.accounts WHERE tenant = p_tenant AND id = o ->> 'parent') THEN
        v_refusal := jsonb_build_array('invalid', format('account %s was never opened', o ->> 'parent'));
        RAISE EXCEPTION USING ERRCODE = 'PD001';
      END IF;
      INSERT INTO {s}.accounts VALUES (p_tenant, o ->> 'account', o ->> 'parent', (o #>> '{caps,tokens}')::bigint,
        (o #>> '{caps,nanoUsd}')::bigint, (o #>> '{spent,tokens}')::bigint, (o #>> '{spent,nanoUsd}')::bigint);
      CONTINUE;
    END IF;
    SELECT * INTO r FROM {s}.reservations WHERE tenant = p_tenant AND sid = p_sid AND key = o ->> 'key';
    IF o ->> 'op' = 'reserve' THEN
      CONTINUE WHEN FOUND;
      v_line := ARRAY(SELECT id FROM {s}.line(p_tenant, o ->> 'account') ORDER BY depth);
      IF v_line = '{}' THEN
        v_refusal := jsonb_build_array('invalid', format('account %s was never opened', o ->> 'account'));
        RAISE EXCEPTION USING ERRCODE = 'PD001';
      END IF;
      SELECT CASE WHEN v_tokens > a.cap_tokens - a.spent_tokens - a.reserved_tokens
          THEN jsonb_build_array('refused', a.id, 'tokens', v_tokens,
            greatest(0, a.cap_tokens - a.spent_tokens - a.reserved_tokens))
          ELSE jsonb_build_array('refused', a.id, 'money', v_money,
            greatest(0, a.cap_money - a.spent_money - a.reserved_money)) END
        INTO v_refusal FROM {s}.accounts a
        WHERE a.tenant = p_tenant AND a.id = ANY (v_line)
          AND (v_tokens > a.cap_tokens - a.spent_tokens - a.reserved_tokens
            OR v_money > a.cap_money - a.spent_money - a.reserved_money)
        ORDER BY array_position(v_line, a.id) LIMIT 1;
      IF FOUND THEN RAISE EXCEPTION USING ERRCODE = 'PD001'; END IF;
      UPDATE {s}.accounts SET reserved_tokens = reserved_tokens + v_tokens, reserved_money = reserved_money + v_money
        WHERE tenant = p_tenant AND id = ANY (v_line);
      INSERT INTO {s}.reservations VALUES (p_tenant, p_sid, o ->> 'key', o ->> 'account', v_tokens, v_money);
      CONTINUE;
    END IF;
    IF NOT FOUND THEN
      v_refusal := jsonb_build_array('invalid', format('nothing was reserved under %s', o ->> 'key'));
      RAISE EXCEPTION USING ERRCODE = 'PD001';
    END IF;
    CONTINUE WHEN NOT r.open;
    UPDATE {s}.accounts SET
        reserved_tokens = reserved_tokens - r.tokens, reserved_money = reserved_money - r.money,
        spent_tokens = spent_tokens + CASE o ->> 'op' WHEN 'settle' THEN v_tokens ELSE 0 END,
        spent_money = spent_money + CASE o ->> 'op' WHEN 'settle' THEN v_money ELSE 0 END
      WHERE tenant = p_tenant AND id = ANY (ARRAY(SELECT id FROM {s}.line(p_tenant, r.account)));
    UPDATE {s}.reservations SET open = false, tokens = 0, money = 0
      WHERE tenant = p_tenant AND sid = p_sid AND key = r.key;
  END LOOP;
  RETURN NULL;
EXCEPTION WHEN SQLSTATE 'PD001' THEN
  RETURN v_refusal;
END $$;
`;

/** One append: what refuses it, then what it writes. \`p_again\`: it was sent before, and nobody knows what came of it. */
const ONE = `
CREATE FUNCTION {s}.append_one(
  p_tenant text, p_opening bigint, p_again boolean, i {s}.append_item, p_frame bytea, p_bodies bytea
) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  s {s}.sessions;
  v_there boolean;
  v_sid bigint;
  v_origin bigint;
  v_hash bytea := decode(i.hash, 'hex');
  v_prev bytea := decode(i.prev, 'hex');
  v_text text;
  v_refusal jsonb;
BEGIN
  SELECT * INTO s FROM {s}.sessions WHERE tenant = p_tenant AND id = i.id FOR NO KEY UPDATE;
  v_there := FOUND;
  IF p_again AND v_there AND EXISTS (
    SELECT FROM {s}.frames WHERE tenant = p_tenant AND sid = s.sid AND first = i.first AND hash = v_hash
  ) THEN
    RETURN '["ok"]';
  END IF;
  IF i.origin IS NULL AND i.stage IS NULL THEN
    IF coalesce(s.seq, 0) <> i.seq OR coalesce(s.hash, '') <> v_prev OR coalesce(s.deleted, false) THEN
      RETURN jsonb_build_array('conflict', coalesce(s.seq, 0), coalesce(encode(s.hash, 'hex'), ''));
    END IF;
  ELSIF v_there THEN
    RETURN jsonb_build_array('conflict', s.seq, encode(s.hash, 'hex'));
  END IF;
  IF i.epoch IS NOT NULL AND NOT {s}.passes_fence(p_tenant, i.id, NOT v_there, i.holder, i.epoch) THEN
    RETURN '["fenced"]';
  END IF;
  IF i.key IS NOT NULL AND i.key IS DISTINCT FROM s.key THEN
    SELECT id INTO v_text FROM {s}.sessions WHERE tenant = p_tenant AND key = i.key;
    IF FOUND THEN RETURN jsonb_build_array('key_taken', v_text); END IF;
  END IF;
  IF i.origin IS NOT NULL THEN
    SELECT f.sid INTO v_origin FROM {s}.sessions o JOIN {s}.frames f ON f.tenant = p_tenant AND f.sid = o.sid
      WHERE o.tenant = p_tenant AND o.id = i.origin AND NOT o.deleted
        AND f.first <= i.seq AND f.first + f.count - 1 = i.seq AND f.hash = v_prev;
    IF NOT FOUND THEN RETURN '["no_prefix"]'; END IF;
  ELSIF i.stage IS NOT NULL THEN
    PERFORM 1 FROM {s}.staged f WHERE f.tenant = p_tenant AND f.opening = p_opening AND f.name = i.stage
      AND f.first <= i.seq AND f.first + f.count - 1 = i.seq AND f.hash = v_prev;
    IF NOT FOUND THEN RETURN '["no_prefix"]'; END IF;
  END IF;
  v_sid := CASE WHEN v_there THEN s.sid ELSE {s}.micros() END;
  IF i.ledger IS NOT NULL THEN
    v_refusal := {s}.book(p_tenant, v_sid, i.ledger);
    IF v_refusal IS NOT NULL THEN RETURN v_refusal; END IF;
  END IF;

  IF v_there THEN
    UPDATE {s}.sessions SET seq = i.first + i.count - 1, hash = v_hash, agent = i.agent, status = i.status, key = i.key,
      due = i.due, doc = i.doc WHERE tenant = p_tenant AND id = i.id;
    UPDATE {s}.changes SET stamp = {s}.micros(), place = NULL WHERE tenant = p_tenant AND sid = v_sid;
  ELSE
    INSERT INTO {s}.sessions VALUES (p_tenant, v_sid, i.id, i.first + i.count - 1, v_hash, i.agent, i.status, i.key,
      i.due, false, i.doc);
    INSERT INTO {s}.changes VALUES (p_tenant, v_sid, v_sid);
  END IF;
  IF i.origin IS NOT NULL THEN
    INSERT INTO {s}.frames SELECT p_tenant, v_sid, f.first, f.count, f.hash, f.frame, f.bodies FROM {s}.frames f
      WHERE f.tenant = p_tenant AND f.sid = v_origin AND f.first <= i.seq;
  ELSIF i.stage IS NOT NULL THEN
    INSERT INTO {s}.frames SELECT p_tenant, v_sid, f.first, f.count, f.hash, f.frame, f.bodies FROM {s}.staged f
      WHERE f.tenant = p_tenant AND f.opening = p_opening AND f.name = i.stage AND f.first <= i.seq;
    DELETE FROM {s}.staged WHERE tenant = p_tenant AND opening = p_opening AND name = i.stage;
  END IF;
  IF NOT v_there AND i.epoch IS NOT NULL THEN
    INSERT INTO {s}.leases SELECT p_tenant, 'session/' || i.id, i.holder, 1, NULL, NULL WHERE NOT EXISTS (
      SELECT FROM {s}.leases WHERE tenant = p_tenant AND name = 'session/' || i.id);
  END IF;
  INSERT INTO {s}.frames VALUES (p_tenant, v_sid, i.first, i.count, v_hash, p_frame, p_bodies);
  IF i.runs IS NOT NULL THEN
    INSERT INTO {s}.runs
      SELECT p_tenant, v_sid, r.value ->> 0, {s}.micros() + r.ordinality, r.value ->> 1, r.value ->> 2, r.value ->> 3
      FROM jsonb_array_elements(i.runs) WITH ORDINALITY r
      ON CONFLICT (tenant, sid, run) DO UPDATE
        SET agent = excluded.agent, status = excluded.status, doc = excluded.doc;
  END IF;
  RETURN '["ok"]';
END $$;
`;

/**
 * Appends a group in one transaction: the items in the order of their sessions' ids, each session once; \`p_data\` holds
 * their frames and packed bodies one behind the other. Gives the answer to each item, in order, and whether anybody else
 * may want to hear of them. A refused one writes nothing and takes nobody with it.
 */
const GROUP = `
CREATE FUNCTION {s}.append(p_opening bigint, p_again boolean, p_booked boolean, p_items jsonb, p_data bytea)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_tenant text := current_setting('perdure.tenant');
  i {s}.append_item;
  v_at integer := 1;
  v_results jsonb[] := '{}';
BEGIN
  IF jsonb_array_length(p_items) > 1 THEN
    PERFORM 1 FROM {s}.sessions WHERE tenant = v_tenant
      AND id IN (SELECT value ->> 'id' FROM jsonb_array_elements(p_items)) ORDER BY id FOR NO KEY UPDATE;
  END IF;
  IF p_booked THEN PERFORM {s}.lock_accounts(v_tenant, p_items); END IF;
  FOR i IN SELECT * FROM jsonb_populate_recordset(NULL::{s}.append_item, p_items) LOOP
    v_results := v_results || {s}.append_one(v_tenant, p_opening, p_again, i,
      substring(p_data FROM v_at FOR i.frame_bytes),
      substring(p_data FROM v_at + i.frame_bytes FOR i.bodies_bytes));
    v_at := v_at + i.frame_bytes + i.bodies_bytes;
  END LOOP;
  RETURN jsonb_build_array({s}.has_company(v_tenant), to_jsonb(v_results));
END $$;
`;

export const appending = [CLOCKS, ITEM, LOCKS, BOOKS, ONE, GROUP].join('');
