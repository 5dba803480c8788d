/** The connections to one database: a small pool, statements with a bound on their time, and who may use them. */
import type pg from 'pg';
import type { Timers } from '@perdure/runtime/ports';
import { StoreError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { failureOf, messageOf } from './failure.ts';
import { type Row, Statement, type Value } from './statement.ts';

/** What node-postgres exports, as far as it is used here. */
export type Driver = Pick<typeof pg, 'Pool' | 'Client' | 'escapeIdentifier'>;

export type Database = {
  readonly schema: string;
  /** Where it is, without the password: for people. */
  readonly place: string;
  /**
   * Runs one statement in a transaction of its own, of one tenant ('' for none); `{s}` in it is the schema. One round
   * trip. Rejects with what node-postgres says (see `failureOf`), or with `unavailable` where there is no connection.
   */
  run(tenant: string, text: string, values?: readonly Value[]): Promise<Row[]>;
  /** Runs statements on one connection, one after another; for what needs a transaction of several steps. */
  session<T>(work: (query: (text: string, values?: unknown[]) => Promise<Row[]>) => Promise<T>): Promise<T>;
  /** Why it did not answer the last time that it was asked; null: it did. */
  away(): string | null;
  /** Waits for what is under way and closes every connection. */
  close(): Promise<void>;
};

export type DatabaseOptions = {
  url: string;
  schema: string;
  connections: number;
  timers: Timers;
  /** The time that the database is to go by, for a test; null: its own. */
  now: (() => number) | null;
};

/**
 * Loads the driver, which is an optional peer: only who uses Postgres installs it. Throws `unavailable` with the command
 * that installs it.
 */
export async function loadDriver(): Promise<Driver> {
  try {
    const { default: driver } = await import('pg');
    return driver;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND')) throw error;
    throw new StoreError('unavailable', 'the package pg is not installed: npm install pg', { cause: error });
  }
}

/** Connects when it is first asked something. Throws `unavailable` for what is no address of a Postgres. */
export function connectTo(driver: Driver, options: DatabaseOptions): Database {
  const place = placeOf(options.url);
  const schema = driver.escapeIdentifier(options.schema);
  const pool = new driver.Pool({
    ...connectionOf(options.url),
    max: options.connections,
    idleTimeoutMillis: LIMITS.idleConnectionMs,
  });
  // One that breaks in use is told to whoever uses it; one that nobody uses is dropped. Unheard, both would end the process.
  pool.on('error', () => {});
  pool.on('connect', (connection) => connection.on('error', () => {}));
  let away: string | null = null;
  const client = async (): Promise<pg.PoolClient> => {
    try {
      return await pool.connect();
    } catch (error) {
      away = `no connection to ${place}: ${messageOf(error)}`;
      throw new StoreError('unavailable', away, { cause: error });
    }
  };
  const texts = new Map<string, string>();
  const inSchema = (text: string): string => {
    const known = texts.get(text) ?? text.replaceAll('{s}', schema);
    texts.set(text, known);
    return known;
  };
  return {
    schema: options.schema,
    place,
    async run(tenant, text, values = []) {
      const connection = await client();
      const scope = { tenant, now: options.now?.() ?? null, timeoutMs: LIMITS.statementMs };
      try {
        const rows = await ask(connection, new Statement(inSchema(text), values, scope), options.timers);
        away = null;
        return rows;
      } catch (error) {
        away = failureOf(error) === 'lost' ? `the connection to ${place} was lost: ${messageOf(error)}` : null;
        throw error;
      }
    },
    away: () => away,
    async session(work) {
      const connection = await client();
      let broken = true;
      try {
        const done = await work(async (text, values = []) => {
          const { rows } = await connection.query<Record<string, string | null>>({
            text: inSchema(text),
            values,
            types: AS_TEXT,
          });
          return rows;
        });
        broken = false;
        return done;
      } finally {
        connection.release(broken);
      }
    },
    async close() {
      await pool.end();
    },
  };
}

/** Sends a statement and lets go of the connection, which is of no more use where it broke. */
async function ask(connection: pg.PoolClient, statement: Statement, timers: Timers): Promise<Row[]> {
  // The server keeps to its own bound; one that answers nothing at all is given up a little later.
  const giveUp = (): void => void connection.connection.stream.destroy();
  const late = timers.set(LIMITS.statementMs + LIMITS.answerGraceMs, giveUp);
  let broken = true;
  try {
    connection.query(statement);
    const rows = await statement.answer;
    broken = false;
    return rows;
  } catch (error) {
    broken = failureOf(error) === 'lost';
    throw error;
  } finally {
    late.cancel();
    connection.release(broken);
  }
}

const AS_TEXT = { getTypeParser: () => (value: string) => value };

/** What a connection of any kind is made with. */
export function connectionOf(url: string): {
  connectionString: string;
  connectionTimeoutMillis: number;
  keepAlive: true;
  application_name: string;
} {
  return {
    connectionString: url,
    connectionTimeoutMillis: LIMITS.connectMs,
    keepAlive: true,
    application_name: 'perdure',
  };
}

/** An address without its password and without its parameters. Throws `unavailable`, and does not repeat the address. */
export function placeOf(url: string): string {
  // What URL throws holds the whole text, and so must not be passed on.
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (parsed === null || !/^postgres(?:ql)?:$/.test(parsed.protocol)) {
    throw new StoreError('unavailable', 'the store is no address of a Postgres: postgres://user@host:5432/database');
  }
  return `postgres://${parsed.host}${parsed.pathname}`;
}
