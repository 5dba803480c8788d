/**
 * Secrets at rest. Each is a document: its value sealed with a key of its own, that key sealed with the first of the
 * keys (`keys.ts`).
 *  V1 What is sealed belongs to one tenant, name, version and set of bindings; its key, besides, to one revision of the
 *     document. Put anywhere else, or back over a newer one, it does not open.
 *  V2 A version is replaced by compare-and-swap on the document: of two writers one is told.
 *  V3 A deleted secret leaves its name and its versions behind: what it was cannot be put back under it.
 *  V4 What is set is known to the redactor before it is stored, and what cannot be opened is given to nobody.
 *  V5 Keys change while secrets are used: a new one comes first, each document is sealed anew, the ones before go last of
 *     all. Whoever dies in between leaves both, and a mark that it was begun: who opens the secrets next goes on, unasked.
 */
import type { Clock, Doc, DocStore, Logger, Random, Store, System } from '../ports.ts';
import { LIMITS } from '../limits.ts';
import type { Bindings } from './bindings.ts';
import { SecretsError } from './errors.ts';
import { KeyChange } from './key-change.ts';
import type { SecretKey, SecretKeys } from './keys.ts';
import { newKey } from './keys.ts';
import { silentLogger } from '../logger.ts';
import { Redactor } from './redact.ts';
import type { Deleted } from './sealed.ts';
import { isDeleted, isSealed, openValue, resealed, sealValue, versionOf } from './sealed.ts';
import type { Soon } from '../soon.ts';

export const KIND = 'sealed-secret';

export type SecretInfo = {
  name: string;
  version: number;
  bindings: Bindings;
  setAt: number;
  key: string;
  /** Why it is given to nobody. */
  problem: SecretsError['code'] | null;
};

export type VaultOptions = {
  tenant: string;
  docs: DocStore;
  /** All tenants whose secrets these keys seal. */
  tenants(): Promise<readonly { tenant: string; docs: DocStore }[]>;
  /** Others write to these documents. */
  shared: boolean;
  keys: SecretKeys;
  redactor: Redactor;
  clock: Clock;
  random: Random;
  logger: Logger;
};

export class Vault {
  readonly #options: VaultOptions;
  readonly #change: KeyChange;
  readonly #known = new Map<string, { revision: number; info: SecretInfo; value: string | null }>();
  /** The newest revision that was seen of each name: none before it is believed any more. */
  readonly #seen = new Map<string, number>();
  /** What is written is written one after the other: a key goes when nothing is being sealed with it. */
  #writing: Promise<unknown> = Promise.resolve();
  #loadedAt = Number.NEGATIVE_INFINITY;
  #loading: Promise<void> | null = null;
  /** Called when what a name stands for has changed. */
  changed: () => void = () => {};

  constructor(options: VaultOptions) {
    this.#options = options;
    this.#change = new KeyChange(options.docs, options.keys);
  }

  /** Reads all that is stored. What cannot be opened is logged and listed; nothing else fails for it. */
  async load(): Promise<void> {
    await (this.#loading ??= this.#readAll().finally(() => {
      this.#loading = null;
    }));
  }

  /** Of documents that others write to, no more than a moment old. */
  fresh(): Soon<void> {
    const { shared, clock } = this.#options;
    if (shared && clock.monotonicMs() - this.#loadedAt > LIMITS.confirmedMs) return this.load();
  }

  async #readAll(): Promise<void> {
    const { docs, clock } = this.#options;
    this.#loadedAt = clock.monotonicMs();
    const gone = new Set(this.#known.keys());
    let changed = false;
    const keys = this.#readOnce();
    for await (const doc of allOf(docs)) {
      if (!isDeleted(doc.doc)) gone.delete(doc.id);
      const known = this.#known.get(doc.id);
      // One that could not be opened is tried again: its key may have come.
      if (known?.revision === doc.revision && known.value !== null) continue;
      changed = this.#take(doc, keys) || changed;
    }
    for (const name of gone) {
      this.#forget(name);
      changed = true;
    }
    if (changed) this.changed();
  }

  #readOnce(): () => readonly SecretKey[] {
    let read: readonly SecretKey[] | undefined;
    return () => (read ??= this.#options.keys.read());
  }

  #forget(name: string): void {
    this.#known.delete(name);
    this.#options.redactor.forget(name);
  }

  #take({ id: name, revision, doc }: Doc, keys: () => readonly SecretKey[]): boolean {
    const seen = this.#seen.get(name) ?? 0;
    this.#seen.set(name, Math.max(seen, revision));
    if (isDeleted(doc)) return false;
    const { version, bindings, setAt, key } = isSealed(doc) ? doc : UNREADABLE;
    const info: SecretInfo = { name, version, bindings, setAt, key, problem: null };
    const { redactor, logger, tenant } = this.#options;
    try {
      if (!isSealed(doc)) throw new SecretsError('secret_damaged', 'what is stored is no secret');
      if (revision < seen) throw new SecretsError('secret_damaged', 'an older one was put back');
      const value = openValue(keys(), { tenant, name, revision }, doc);
      redactor.register(name, value, bindings);
      this.#known.set(name, { revision, info, value });
    } catch (error) {
      if (!(error instanceof SecretsError)) throw error;
      if (this.#known.get(name)?.info.problem !== error.code)
        logger.warn({ secret: name, code: error.code }, `a secret cannot be opened: ${error.message}`);
      redactor.forget(name);
      this.#known.set(name, { revision, info: { ...info, problem: error.code }, value: null });
    }
    return true;
  }

  /** By name, in its order. */
  list(): SecretInfo[] {
    return [...this.#known.values()].map(({ info }) => info).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** For this process itself, wherever it is bound to; undefined: there is none, or it cannot be opened. */
  value(name: string): string | undefined {
    return this.#known.get(name)?.value ?? undefined;
  }

  /**
   * Sets a secret; `ifVersion`: only where it is at this one (0: only where there is none). Throws SecretsError
   * `secret_conflict` with that, `secret_key_missing` or `secret_key_invalid` where there is nothing to seal with.
   */
  async set(name: string, value: string, bindings: Bindings, ifVersion?: number): Promise<SecretInfo> {
    return this.#inTurn(async () => {
      try {
        const info = await this.#put(name, value, bindings, ifVersion);
        this.changed();
        return info;
      } catch (error) {
        this.#restand(name);
        throw error;
      }
    });
  }

  async #put(name: string, value: string, bindings: Bindings, ifVersion: number | undefined): Promise<SecretInfo> {
    const { tenant, docs, redactor, clock, random } = this.#options;
    const [first] = this.#keys();
    redactor.register(name, value, bindings);
    for (let tries = 0; tries < LIMITS.appendTries; tries += 1) {
      const known = await docs.get(KIND, name);
      const version = versionOf(known?.doc);
      const standing = isDeleted(known?.doc) ? 0 : version;
      if (ifVersion !== undefined && standing !== ifVersion) break;
      const revision = (known?.revision ?? 0) + 1;
      const about = { version: version + 1, bindings, setAt: clock.now() };
      const sealed = sealValue(first, { tenant, name, revision }, about, value, random);
      if (!(await docs.put(KIND, name, sealed, revision - 1)).ok) continue;
      this.#take({ id: name, revision, doc: sealed }, () => [first]);
      return { name, ...about, key: first.id, problem: null };
    }
    await this.load();
    throw new SecretsError('secret_conflict', `${name} is not at that version: look at it again`);
  }

  /** What was to be set is not: what is stored is what tools are given. */
  #restand(name: string): void {
    const { redactor } = this.#options;
    const known = this.#known.get(name);
    if (known === undefined || known.value === null) redactor.forget(name);
    else redactor.register(name, known.value, known.info.bindings);
  }

  /** The keys, the first one made where there is none yet. */
  #keys(): readonly [SecretKey, ...SecretKey[]] {
    const { keys, random } = this.#options;
    const [first, ...others] = keys.read();
    if (first !== undefined) return [first, ...others];
    const made = newKey(random);
    keys.write([made]);
    return [made];
  }

  /**
   * Deletes a secret: the key of its value is overwritten, and where the keys are made here they are changed, so that a
   * copy of the data from before does not open either (`shredded`). False: there is none.
   */
  async delete(name: string): Promise<{ shredded: boolean } | false> {
    const { own } = this.#options.keys;
    const deleted = await this.#inTurn(async () => {
      // Who dies before the keys are changed leaves that to the next one.
      if (own && this.#known.has(name)) await this.#change.begin();
      return this.#overwrite(name);
    });
    if (!deleted) return false;
    if (own) await this.rotate();
    return { shredded: own };
  }

  async #overwrite(name: string): Promise<boolean> {
    const { docs } = this.#options;
    for (let tries = 0; tries < LIMITS.appendTries; tries += 1) {
      const known = await docs.get(KIND, name);
      if (known === null || isDeleted(known.doc)) return false;
      const tombstone: Deleted = { version: versionOf(known.doc) || 1, deleted: true };
      if (!(await docs.put(KIND, name, tombstone, known.revision)).ok) continue;
      this.#seen.set(name, known.revision + 1);
      this.#forget(name);
      this.changed();
      return true;
    }
    throw new SecretsError('secret_conflict', `${name} does not stand still: try again`);
  }

  /**
   * Seals the key of each secret anew with the first key: a new one, where keys are made here. Secrets are given and set
   * all the while. Idempotent: whoever was interrupted goes on. `left`: keys that are needed no more and are not ours to
   * take away.
   */
  async rotate(): Promise<{ key: string | null; resealed: number; left: number }> {
    const { keys, random } = this.#options;
    const before = keys.read();
    if (before.length === 0) return { key: null, resealed: 0, left: 0 };
    await this.#inTurn(async () => {
      await this.#change.begin();
      // More than one: an earlier change was interrupted, and its key goes first already.
      if (keys.own && keys.read().length === 1) keys.write([newKey(random), ...keys.read()]);
    });
    let count = await this.#resealAll(false);
    return this.#inTurn(async () => {
      count += await this.#resealAll(true);
      const [first, ...others] = keys.read();
      if (keys.own && first !== undefined) keys.write([first]);
      await this.#change.end();
      return { key: first?.id ?? null, resealed: count, left: keys.own ? 0 : others.length };
    });
  }

  /** Goes on with a change of keys that was begun and has not ended. What keeps it from that is logged: nothing else fails for it. */
  async resume(): Promise<void> {
    const { logger } = this.#options;
    try {
      if (!(await this.#change.isUnderWay())) return;
      const { resealed: count } = await this.rotate();
      logger.info({ resealed: count }, 'a change of the keys of secrets that was interrupted is done');
    } catch (error) {
      logger.warn({ error: String(error) }, 'a change of the keys of secrets was interrupted and cannot go on yet');
    }
  }

  async #resealAll(isLast: boolean): Promise<number> {
    let count = 0;
    for (const { tenant, docs } of await this.#options.tenants())
      for await (const { id } of allOf(docs)) {
        const one = async (): Promise<boolean> => this.#reseal(tenant, docs, id);
        if (await (isLast ? one() : this.#inTurn(one))) count += 1;
      }
    return count;
  }

  /** False: it has the first key, or nobody here can open it. */
  async #reseal(tenant: string, docs: DocStore, name: string): Promise<boolean> {
    const { keys, random } = this.#options;
    for (let tries = 0; tries < LIMITS.appendTries; tries += 1) {
      const known = await docs.get(KIND, name);
      const [first, ...others] = keys.read();
      if (known === null || first === undefined || !isSealed(known.doc) || known.doc.key === first.id) return false;
      const { doc, revision } = known;
      const key = others.find(({ id }) => id === doc.key);
      if (key === undefined) return false;
      const next = resealed(key, first, { tenant, name, revision }, doc, random);
      if (next === null) return false;
      if (!(await docs.put(KIND, name, next, revision)).ok) continue;
      if (docs === this.#options.docs) this.#take({ id: name, revision: revision + 1, doc: next }, () => keys.read());
      return true;
    }
    throw new SecretsError('secret_conflict', `${name} does not stand still: try again`);
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#writing;
    const turn = before.then(work, work);
    this.#writing = turn.catch(() => undefined);
    return turn;
  }
}

/** The secrets of one tenant, read. Throws what the store throws. */
export async function openVault(options: {
  store: Store;
  tenant: string;
  keys: SecretKeys;
  redactor: Redactor;
  system: System;
  logger: Logger;
}): Promise<Vault> {
  const { store, tenant, keys, redactor, logger } = options;
  const { clock, random } = options.system;
  const scope = (name: string): { tenant: string; docs: DocStore } => ({ tenant: name, docs: store.tenant(name).docs });
  const own = scope(tenant);
  const vault = new Vault({
    ...own,
    tenants: async () => [own, ...(await store.tenants()).filter((name) => name !== tenant).map(scope)],
    shared: store.shared,
    keys,
    redactor,
    clock,
    random,
    logger,
  });
  await vault.load();
  await vault.resume();
  return vault;
}

/** The secrets of one tenant, for who only looks: nothing is written, and what cannot be opened is listed with why. */
export async function readVault(options: {
  docs: Pick<DocStore, 'get' | 'list'>;
  tenant: string;
  keys: SecretKeys;
  system: System;
}): Promise<Pick<Vault, 'list' | 'value'>> {
  const { docs, tenant, keys, system } = options;
  const { clock, random } = system;
  const refuse = async (): Promise<never> => {
    throw new SecretsError('secret_conflict', 'these secrets are only looked at');
  };
  const vault = new Vault({
    tenant,
    docs: {
      get: async (kind, id) => docs.get(kind, id),
      list: async (kind, page) => docs.list(kind, page),
      put: refuse,
      search: refuse,
    },
    tenants: refuse,
    shared: true,
    keys,
    redactor: new Redactor(),
    clock,
    random,
    logger: silentLogger,
  });
  await vault.load();
  return vault;
}

const UNREADABLE = { version: 1, bindings: {}, setAt: 0, key: '' };

async function* allOf(docs: DocStore): AsyncGenerator<Doc> {
  for (let after: string | null = null; ;) {
    const page: Doc[] = await docs.list(KIND, { after, limit: LIMITS.sweepPage });
    yield* page;
    const last = page.at(-1);
    if (last === undefined || page.length < LIMITS.sweepPage) return;
    after = last.id;
  }
}
