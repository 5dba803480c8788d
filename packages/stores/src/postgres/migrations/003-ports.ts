/** Leases, the feed, documents, search: what needs more than one statement. `{s}` is the schema. */

const FEED = `
CREATE FUNCTION {s}.feed(p_after bigint, p_limit integer, p_batch integer) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_tenant text := current_setting('perdure.tenant');
  v_place bigint;
  v_count bigint;
  v_rows jsonb;
BEGIN
  IF EXISTS (SELECT FROM {s}.changes WHERE tenant = v_tenant AND place IS NULL) THEN
    SELECT place INTO v_place FROM {s}.feeds WHERE tenant = v_tenant FOR UPDATE;
    WITH fresh AS (
      SELECT sid, stamp FROM {s}.changes WHERE tenant = v_tenant AND place IS NULL LIMIT p_batch FOR UPDATE SKIP LOCKED
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

/**
 * The rules are those of \`leases.ts\`: an epoch only grows; a lease lives by its own time or by the live lease that is
 * named as its holder; an offered one has the holder '' and keeps its epoch for the next claim.
 */
const LEASES = `
CREATE FUNCTION {s}.stands_by(p_tenant text, p_holder text) RETURNS boolean LANGUAGE sql VOLATILE AS $$
  SELECT EXISTS (SELECT FROM {s}.leases
    WHERE tenant = p_tenant AND name = p_holder AND holder = p_holder AND expires_at > {s}.now_ms())
$$;
CREATE FUNCTION {s}.lives(l {s}.leases) RETURNS boolean LANGUAGE sql VOLATILE AS $$
  SELECT CASE WHEN coalesce(l.holder, '') = '' THEN false WHEN l.expires_at IS NULL THEN {s}.stands_by(l.tenant, l.holder)
    ELSE l.expires_at > {s}.now_ms() END
$$;
CREATE FUNCTION {s}.passes_fence(p_tenant text, p_session text, p_born boolean, p_holder text, p_epoch bigint)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  l {s}.leases;
BEGIN
  SELECT * INTO l FROM {s}.leases WHERE tenant = p_tenant AND name = 'session/' || p_session FOR SHARE;
  IF NOT FOUND THEN
    RETURN p_born AND p_epoch = 1 AND (p_holder = '' OR {s}.stands_by(p_tenant, p_holder));
  END IF;
  RETURN l.epoch = p_epoch AND coalesce(l.holder = p_holder, false) AND (p_holder = '' OR {s}.lives(l));
END $$;
CREATE FUNCTION {s}.claim(p_name text, p_holder text, p_ttl bigint, p_address text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_tenant text := current_setting('perdure.tenant');
  v_epoch bigint;
  l {s}.leases;
BEGIN
  LOOP
    SELECT * INTO l FROM {s}.leases WHERE tenant = v_tenant AND name = p_name FOR UPDATE;
    IF l.holder <> p_holder AND {s}.lives(l) THEN RETURN jsonb_build_array(false, l.holder); END IF;
    IF p_ttl IS NULL AND NOT {s}.stands_by(v_tenant, p_holder) THEN RETURN '[false, ""]'; END IF;
    v_epoch := CASE WHEN l.holder = '' THEN l.epoch ELSE coalesce(l.epoch, 0) + 1 END;
    IF l.name IS NULL THEN
      INSERT INTO {s}.leases VALUES (v_tenant, p_name, p_holder, v_epoch, {s}.now_ms() + p_ttl, p_address)
        ON CONFLICT DO NOTHING;
    ELSE
      UPDATE {s}.leases SET holder = p_holder, epoch = v_epoch, expires_at = {s}.now_ms() + p_ttl, address = p_address
        WHERE tenant = v_tenant AND name = p_name;
    END IF;
    IF FOUND THEN RETURN jsonb_build_array(true, v_epoch); END IF;
  END LOOP;
END $$;
CREATE FUNCTION {s}.renew(p_name text, p_holder text, p_epoch bigint, p_ttl bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  UPDATE {s}.leases SET expires_at = {s}.now_ms() + p_ttl
    WHERE tenant = current_setting('perdure.tenant') AND name = p_name AND holder = p_holder AND epoch = p_epoch
      AND expires_at > {s}.now_ms();
  RETURN FOUND;
END $$;
CREATE FUNCTION {s}.offer(p_name text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_tenant text := current_setting('perdure.tenant');
  v_epoch bigint;
  l {s}.leases;
BEGIN
  LOOP
    SELECT * INTO l FROM {s}.leases WHERE tenant = v_tenant AND name = p_name FOR UPDATE;
    IF l.holder = '' OR {s}.lives(l) THEN RETURN jsonb_build_array(l.holder, l.epoch); END IF;
    v_epoch := coalesce(l.epoch, 0) + 1;
    IF l.name IS NULL THEN
      INSERT INTO {s}.leases VALUES (v_tenant, p_name, '', v_epoch, NULL, NULL) ON CONFLICT DO NOTHING;
    ELSE
      UPDATE {s}.leases SET holder = '', epoch = v_epoch, expires_at = NULL, address = NULL
        WHERE tenant = v_tenant AND name = p_name;
    END IF;
    IF FOUND THEN RETURN jsonb_build_array('', v_epoch); END IF;
  END LOOP;
END $$;
CREATE FUNCTION {s}.has_company(p_tenant text) RETURNS boolean LANGUAGE sql VOLATILE AS $$
  SELECT count(*) > 1 FROM (
    SELECT FROM {s}.leases WHERE tenant = p_tenant AND expires_at > {s}.now_ms()
      AND (name >= 'node/' AND name < 'node0' OR name >= 'gateway/' AND name < 'gateway0') LIMIT 2
  ) live
$$;
CREATE FUNCTION {s}.admit(p_kept_ms bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_tenant text := current_setting('perdure.tenant');
  v_before bigint := {s}.now_ms() - p_kept_ms;
BEGIN
  INSERT INTO {s}.tenants VALUES (v_tenant) ON CONFLICT DO NOTHING;
  INSERT INTO {s}.feeds VALUES (v_tenant) ON CONFLICT DO NOTHING;
  DELETE FROM {s}.staged WHERE tenant = v_tenant AND stored_at < v_before;
  DELETE FROM {s}.leases WHERE tenant = v_tenant AND expires_at < v_before
    AND (name >= 'node/' AND name < 'node0' OR name >= 'gateway/' AND name < 'gateway0');
END $$;
`;

const DOCS = `
CREATE FUNCTION {s}.put_doc(p_kind text, p_id text, p_expected bigint, p_doc text, p_words text)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_tenant text := current_setting('perdure.tenant');
  v_revision bigint;
BEGIN
  IF p_expected = 0 AND p_doc IS NOT NULL THEN
    INSERT INTO {s}.docs VALUES (v_tenant, p_kind, p_id, 1, p_doc, p_words) ON CONFLICT DO NOTHING;
    IF FOUND THEN RETURN jsonb_build_array(true, 1); END IF;
  END IF;
  SELECT revision INTO v_revision FROM {s}.docs WHERE tenant = v_tenant AND kind = p_kind AND id = p_id FOR UPDATE;
  IF coalesce(v_revision, 0) <> p_expected THEN RETURN jsonb_build_array(false, coalesce(v_revision, 0)); END IF;
  IF p_doc IS NULL THEN
    DELETE FROM {s}.docs WHERE tenant = v_tenant AND kind = p_kind AND id = p_id;
    RETURN jsonb_build_array(true, 0);
  END IF;
  UPDATE {s}.docs SET revision = v_revision + 1, doc = p_doc, words = p_words
    WHERE tenant = v_tenant AND kind = p_kind AND id = p_id;
  RETURN jsonb_build_array(true, v_revision + 1);
END $$;
`;

/** What a deleted session reached: nothing of it is ever new. */
const DELETED = '9007199254740991';

const ERASE = `
CREATE FUNCTION {s}.erase(p_session text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  v_tenant text := current_setting('perdure.tenant');
  v_sid bigint;
BEGIN
  UPDATE {s}.sessions SET deleted = true, key = NULL, due = NULL, doc = ''
    WHERE tenant = v_tenant AND id = p_session AND NOT deleted RETURNING sid INTO v_sid;
  IF NOT FOUND THEN RETURN false; END IF;
  UPDATE {s}.frames SET bodies = NULL WHERE tenant = v_tenant AND sid = v_sid;
  DELETE FROM {s}.runs WHERE tenant = v_tenant AND sid = v_sid;
  DELETE FROM {s}.snapshots WHERE tenant = v_tenant AND sid = v_sid;
  DELETE FROM {s}.changes WHERE tenant = v_tenant AND sid = v_sid;
  DELETE FROM {s}.texts WHERE tenant = v_tenant AND session = p_session;
  INSERT INTO {s}.indexed VALUES (v_tenant, p_session, ${DELETED})
    ON CONFLICT (tenant, session) DO UPDATE SET reached = excluded.reached;
  RETURN true;
END $$;
`;

/**
 * Texts are numbered by their time (1,024 may share a millisecond before one counts as said a little later), and one
 * writer at a time gives the numbers. The words of each carry the tenant as a word of its own that no text can hold.
 */
const TEXTS = `
CREATE FUNCTION {s}.add_texts(p_batch jsonb, p_cursor text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_tenant text := current_setting('perdure.tenant');
  a jsonb;
  t jsonb;
  v_reached bigint;
  v_id bigint;
BEGIN
  INSERT INTO {s}.index_cursors VALUES (v_tenant, p_cursor) ON CONFLICT (tenant) DO UPDATE SET cursor = excluded.cursor;
  FOR a IN SELECT value FROM jsonb_array_elements(p_batch) LOOP
    PERFORM 1 FROM {s}.sessions WHERE tenant = v_tenant AND id = a ->> 'session' AND NOT deleted FOR SHARE;
    CONTINUE WHEN NOT FOUND;
    SELECT reached INTO v_reached FROM {s}.indexed WHERE tenant = v_tenant AND session = a ->> 'session';
    v_reached := coalesce(v_reached, 0);
    FOR t IN SELECT value FROM jsonb_array_elements(a -> 'said') LOOP
      CONTINUE WHEN (t ->> 'seq')::bigint <= v_reached;
      SELECT coalesce(max(id) + 1, (t ->> 'at')::bigint * 1024) INTO v_id FROM {s}.texts
        WHERE tenant = v_tenant AND id >= (t ->> 'at')::bigint * 1024 AND id < ((t ->> 'at')::bigint + 1) * 1024;
      WHILE EXISTS (SELECT FROM {s}.texts WHERE tenant = v_tenant AND id = v_id) LOOP v_id := v_id + 1; END LOOP;
      INSERT INTO {s}.texts VALUES (v_tenant, v_id, a ->> 'session', a ->> 'agent', (t ->> 'seq')::bigint,
        (t ->> 'at')::bigint, t ->> 'run', t ->> 'role', t ->> 'text', ' ' || (t ->> 'spoken') || ' ',
        ARRAY(SELECT DISTINCT w FROM unnest(string_to_array(t ->> 'spoken', ' ')) w) || ('=' || v_tenant));
    END LOOP;
    INSERT INTO {s}.indexed VALUES (v_tenant, a ->> 'session', greatest(v_reached, (a ->> 'upTo')::bigint))
      ON CONFLICT (tenant, session) DO UPDATE SET reached = excluded.reached;
  END LOOP;
END $$;
CREATE FUNCTION {s}.search_texts(p_phrases jsonb, p_agent text, p_before bigint, p_limit integer)
RETURNS SETOF {s}.texts LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT t.* FROM {s}.texts t
  WHERE t.tenant = current_setting('perdure.tenant') AND t.id < p_before AND (p_agent IS NULL OR t.agent = p_agent)
    AND t.words @> (ARRAY(SELECT DISTINCT w FROM jsonb_array_elements_text(p_phrases) p, unnest(string_to_array(p, ' ')) w)
      || ('=' || current_setting('perdure.tenant')))
    AND NOT EXISTS (SELECT FROM jsonb_array_elements_text(p_phrases) p WHERE strpos(t.spoken, ' ' || p || ' ') = 0)
  ORDER BY t.id DESC LIMIT p_limit
$$;
`;

export const ports = [FEED, LEASES, DOCS, ERASE, TEXTS].join('');
