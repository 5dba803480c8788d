/** One statement on the wire: in the same breath the transaction's own settings, so that it takes one round trip. */
import type { Connection, FieldDef } from 'pg';

/** A row by the names of its columns, each as Postgres writes it. */
export type Row = { readonly [column: string]: string | null };
export type Value = string | number | boolean | null | Buffer;

/** What a transaction may see and how long it may take; all of it ends with it. `now` null: the database's own clock. */
export type Scope = { tenant: string; now: number | null; timeoutMs: number };

const SETTINGS = `SELECT set_config('perdure.tenant', $1, true), set_config('perdure.now', $2, true),
  set_config('statement_timeout', $3, true)`;

/**
 * Both statements go before one Sync: they are one transaction, in one message, on whatever connection a pooler gives.
 * Nothing of the session is used: no name is prepared, no setting outlives it. This is what node-postgres takes as a
 * query of one's own.
 */
export class Statement {
  readonly #text: string;
  readonly #values: readonly Value[];
  readonly #scope: Scope;
  readonly #rows: Row[] = [];
  readonly #answer = Promise.withResolvers<Row[]>();
  #fields: readonly FieldDef[] = [];
  #done = 0;
  #error: Error | null = null;

  constructor(text: string, values: readonly Value[], scope: Scope) {
    this.#text = text;
    this.#values = values;
    this.#scope = scope;
  }

  get answer(): Promise<Row[]> {
    return this.#answer.promise;
  }

  submit(connection: Connection): void {
    const { tenant, now, timeoutMs } = this.#scope;
    connection.stream.cork();
    send(connection, SETTINGS, [tenant, now === null ? '' : String(now), String(timeoutMs)]);
    send(connection, this.#text, this.#values.map(wireValue));
    connection.sync();
    connection.stream.uncork();
  }

  handleRowDescription(message: { fields: readonly FieldDef[] }): void {
    this.#fields = message.fields;
  }

  handleDataRow(message: { fields: readonly (string | null)[] }): void {
    if (this.#done === 0) return;
    this.#rows.push(Object.fromEntries(this.#fields.map(({ name }, at) => [name, message.fields[at] ?? null])));
  }

  handleCommandComplete(): void {
    this.#done += 1;
  }

  handleEmptyQuery(): void {
    this.#done += 1;
  }

  handlePortalSuspended(): void {}

  handleCopyInResponse(connection: Connection): void {
    connection.end();
  }

  handleError(error: Error): void {
    this.#error ??= error;
    this.#answer.reject(this.#error);
  }

  /** Only now is it committed. */
  handleReadyForQuery(): void {
    if (this.#error === null) this.#answer.resolve(this.#rows);
  }
}

type WireValue = string | null | Buffer;

function send(connection: Connection, text: string, values: WireValue[]): void {
  connection.parse({ name: '', text, types: [] }, true);
  connection.bind({ portal: '', statement: '', values }, true);
  connection.describe({ type: 'P', name: '' }, true);
  connection.execute({ portal: '' }, true);
}

const wireValue = (value: Value): WireValue =>
  value === null || Buffer.isBuffer(value) || typeof value === 'string' ? value : String(value);

export function integer(value: string | null | undefined): number {
  const number = typeof value === 'string' && value !== '' ? Number(value) : Number.NaN;
  if (!Number.isSafeInteger(number)) throw new TypeError(`a column holds no integer: ${String(value)}`);
  return number;
}

export function text(value: string | null | undefined): string {
  if (typeof value !== 'string') throw new TypeError('a column holds no text');
  return value;
}

/** Bytes as Postgres writes them: `\x` and hex. */
export function bytes(value: string | null | undefined): Buffer {
  if (typeof value !== 'string' || !value.startsWith('\\x')) throw new TypeError('a column holds no bytes');
  return Buffer.from(value.slice(2), 'hex');
}
