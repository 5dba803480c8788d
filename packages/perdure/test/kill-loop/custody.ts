/** Who had which session when, as Postgres itself wrote it down: each change of a lease, and the process that made it. */
import pg from 'pg';
import type { QueryResultRow } from 'pg';
import type { Span } from './outages.ts';

/** The name by which a process of the world is known to Postgres: which life it is. */
export const named = (url: string, life: number): string => `${url}?application_name=life%20${life}`;

const RECORDING = `
CREATE TABLE public.lease_changes (
  n bigserial PRIMARY KEY, at bigint NOT NULL, name text NOT NULL, holder text, until bigint, process text NOT NULL);
CREATE FUNCTION public.record_lease() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO public.lease_changes (at, name, holder, until, process) VALUES (
    (extract(epoch FROM clock_timestamp()) * 1000)::bigint, NEW.name, NEW.holder, NEW.expires_at,
    current_setting('application_name'));
  RETURN NULL;
END $$;
CREATE TRIGGER record_lease AFTER INSERT OR UPDATE ON perdure.leases
  FOR EACH ROW EXECUTE FUNCTION public.record_lease();`;

/** From now on each change of a lease is written down. The tables are there. */
export async function recordLeases(url: string): Promise<void> {
  await asked(url, RECORDING);
}

async function asked(url: string, sql: string): Promise<object[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<object & QueryResultRow>(sql)).rows;
  } finally {
    await client.end();
  }
}

/** A time (wall ms) in which one node had a session, alive and with its lease. */
export type Hold = Span & { node: string; life: number };

export class Custody {
  readonly #holds: ReadonlyMap<string, readonly Hold[]>;

  constructor(holds: ReadonlyMap<string, readonly Hold[]>) {
    this.#holds = holds;
  }

  /** In order; between them nobody who lived had it. */
  of(session: string): readonly Hold[] {
    return this.#holds.get(session) ?? [];
  }
}

type Row = { at: string; name: string; holder: string | null; until: string | null; process: string };
type Change = { at: number; name: string; holder: string | null; until: number | null; life: number };
type Node = Span & { life: number };

/** `deaths`: when each process was killed (wall ms), by its life. */
export async function readCustody(url: string, deaths: ReadonlyMap<number, number>): Promise<Custody> {
  const rows = (await asked(url, 'SELECT * FROM public.lease_changes ORDER BY at, n')) as Row[];
  const changes = rows.map(({ at, name, holder, until, process }): Change => {
    const life = Number(/\d+$/.exec(process)?.[0] ?? 0);
    return { at: Number(at), name, holder, until: until === null ? null : Number(until), life };
  });
  const nodes = nodesIn(changes, deaths);
  const holds = new Map<string, Hold[]>();
  for (const { at, name, holder } of changes) {
    if (!name.startsWith('session/')) continue;
    const session = name.slice('session/'.length);
    const own = holds.get(session) ?? [];
    holds.set(session, own);
    const before = own.at(-1);
    if (before !== undefined) before.until = Math.min(before.until, at);
    const node = holder === null ? undefined : nodes.get(holder);
    if (node !== undefined && holder !== null) own.push({ node: holder, life: node.life, at, until: node.until });
  }
  return new Custody(holds);
}

/** Until when each node lived: it was killed, let go of its lease, or did not renew it. */
function nodesIn(changes: readonly Change[], deaths: ReadonlyMap<number, number>): ReadonlyMap<string, Node> {
  const nodes = new Map<string, Node>();
  for (const { at, name, holder, until, life } of changes) {
    if (!name.startsWith('node/')) continue;
    const node = nodes.get(name) ?? { life, at, until: at };
    nodes.set(name, node);
    node.until = Math.min(holder === null ? at : (until ?? at), deaths.get(node.life) ?? Number.POSITIVE_INFINITY);
  }
  return nodes;
}
