/**
 * The tables. `{s}` is the schema. The tenant is the first part of each key, and a row is seen only by a transaction that
 * says its tenant (`perdure.tenant`, set for the transaction alone). Sessions and runs are numbered by the microsecond of
 * their birth, so that lists are in order and a cursor tells nothing of other tenants.
 */
export const tables = `
CREATE TABLE {s}.meta (name text COLLATE "C" PRIMARY KEY, value bigint NOT NULL);
INSERT INTO {s}.meta VALUES ('epoch', 0), ('writeVersion', 1);
CREATE TABLE {s}.tenants (tenant text COLLATE "C" PRIMARY KEY);

CREATE TABLE {s}.sessions (
  tenant text COLLATE "C" NOT NULL, sid bigint NOT NULL, id text COLLATE "C" NOT NULL,
  seq bigint NOT NULL, hash bytea NOT NULL,
  agent text COLLATE "C" NOT NULL, status text COLLATE "C" NOT NULL, key text COLLATE "C",
  due bigint, deleted boolean NOT NULL DEFAULT false, doc text NOT NULL,
  PRIMARY KEY (tenant, id)
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX sessions_place ON {s}.sessions (tenant, sid);
CREATE UNIQUE INDEX sessions_key ON {s}.sessions (tenant, key) WHERE key IS NOT NULL;
CREATE INDEX sessions_agent ON {s}.sessions (tenant, agent, sid);
CREATE INDEX sessions_status ON {s}.sessions (tenant, status, sid);
CREATE INDEX sessions_due ON {s}.sessions (tenant, sid) WHERE due IS NOT NULL;

CREATE TABLE {s}.frames (
  tenant text COLLATE "C" NOT NULL, sid bigint NOT NULL, first bigint NOT NULL, count integer NOT NULL,
  hash bytea NOT NULL, frame bytea NOT NULL, bodies bytea,
  PRIMARY KEY (tenant, sid, first)
);

CREATE TABLE {s}.runs (
  tenant text COLLATE "C" NOT NULL, sid bigint NOT NULL, run text COLLATE "C" NOT NULL, rid bigint NOT NULL,
  agent text COLLATE "C" NOT NULL, status text COLLATE "C" NOT NULL, doc text NOT NULL,
  PRIMARY KEY (tenant, sid, run)
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX runs_place ON {s}.runs (tenant, rid);
CREATE INDEX runs_agent ON {s}.runs (tenant, agent, rid);
CREATE INDEX runs_status ON {s}.runs (tenant, status, rid);

CREATE TABLE {s}.changes (
  tenant text COLLATE "C" NOT NULL, sid bigint NOT NULL, stamp bigint NOT NULL, place bigint,
  PRIMARY KEY (tenant, sid)
) WITH (fillfactor = 80);
CREATE INDEX changes_place ON {s}.changes (tenant, place) WHERE place IS NOT NULL;
CREATE INDEX changes_new ON {s}.changes (tenant, sid) WHERE place IS NULL;
CREATE TABLE {s}.feeds (tenant text COLLATE "C" PRIMARY KEY, place bigint NOT NULL DEFAULT 0);

CREATE TABLE {s}.accounts (
  tenant text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, parent text COLLATE "C",
  cap_tokens bigint, cap_money bigint, spent_tokens bigint NOT NULL, spent_money bigint NOT NULL,
  reserved_tokens bigint NOT NULL DEFAULT 0, reserved_money bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant, id)
) WITH (fillfactor = 80);
CREATE TABLE {s}.reservations (
  tenant text COLLATE "C" NOT NULL, sid bigint NOT NULL, key text COLLATE "C" NOT NULL,
  account text COLLATE "C" NOT NULL, tokens bigint NOT NULL, money bigint NOT NULL, open boolean NOT NULL DEFAULT true,
  PRIMARY KEY (tenant, sid, key)
);

CREATE TABLE {s}.snapshots (
  tenant text COLLATE "C" NOT NULL, sid bigint NOT NULL, seq bigint NOT NULL, hash text NOT NULL,
  engine text NOT NULL, checksum text NOT NULL, state bytea NOT NULL, prefix bytea NOT NULL,
  PRIMARY KEY (tenant, sid)
);
ALTER TABLE {s}.snapshots ALTER state SET STORAGE EXTERNAL, ALTER prefix SET STORAGE EXTERNAL;

CREATE TABLE {s}.staged (
  tenant text COLLATE "C" NOT NULL, opening bigint NOT NULL, name text COLLATE "C" NOT NULL,
  first bigint NOT NULL, count integer NOT NULL, hash bytea NOT NULL, frame bytea NOT NULL, bodies bytea,
  stored_at bigint NOT NULL,
  PRIMARY KEY (tenant, opening, name, first)
);

CREATE TABLE {s}.blobs (
  tenant text COLLATE "C" NOT NULL, digest text COLLATE "C" NOT NULL, bytes bytea NOT NULL, renewed_at bigint NOT NULL,
  PRIMARY KEY (tenant, digest)
);
ALTER TABLE {s}.blobs ALTER bytes SET STORAGE EXTERNAL;

CREATE TABLE {s}.docs (
  tenant text COLLATE "C" NOT NULL, kind text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL,
  revision bigint NOT NULL, doc text NOT NULL, words text NOT NULL,
  PRIMARY KEY (tenant, kind, id)
);

CREATE TABLE {s}.leases (
  tenant text COLLATE "C" NOT NULL, name text COLLATE "C" NOT NULL, holder text COLLATE "C",
  epoch bigint NOT NULL, expires_at bigint, address text,
  PRIMARY KEY (tenant, name)
) WITH (fillfactor = 80);

CREATE TABLE {s}.texts (
  tenant text COLLATE "C" NOT NULL, id bigint NOT NULL, session text COLLATE "C" NOT NULL,
  agent text COLLATE "C" NOT NULL, seq bigint NOT NULL, at bigint NOT NULL, run text NOT NULL, role text NOT NULL,
  said text NOT NULL, spoken text COLLATE "C" NOT NULL, words text[] COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE INDEX texts_session ON {s}.texts (tenant, session);
CREATE INDEX texts_words ON {s}.texts USING gin (words);
CREATE TABLE {s}.indexed (
  tenant text COLLATE "C" NOT NULL, session text COLLATE "C" NOT NULL, reached bigint NOT NULL,
  PRIMARY KEY (tenant, session)
);
CREATE TABLE {s}.index_cursors (tenant text COLLATE "C" PRIMARY KEY, cursor text NOT NULL);
`;

/**
 * The wall. Forced, so that it stands before the owner, too. Only the texts are open to the owner: their search runs as
 * the owner, because an index on words may not be used across a wall, and names the tenant itself.
 */
export const walls = `
DO $wall$
DECLARE
  v_table text;
BEGIN
  FOREACH v_table IN ARRAY ARRAY['sessions', 'frames', 'runs', 'changes', 'feeds', 'accounts', 'reservations',
    'snapshots', 'staged', 'blobs', 'docs', 'leases', 'texts', 'indexed', 'index_cursors'] LOOP
    EXECUTE format('ALTER TABLE {s}.%I ENABLE ROW LEVEL SECURITY', v_table);
    EXECUTE format('CREATE POLICY tenant ON {s}.%I USING (tenant = current_setting(''perdure.tenant'', true))', v_table);
    IF v_table <> 'texts' THEN
      EXECUTE format('ALTER TABLE {s}.%I FORCE ROW LEVEL SECURITY', v_table);
    END IF;
  END LOOP;
END $wall$;
`;
