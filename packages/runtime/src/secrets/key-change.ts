/** That a change of the keys of secrets was begun, written down before its first step: who finds it goes on. */
import { z } from 'zod';
import type { DocStore } from '../ports.ts';
import type { SecretKeys } from './keys.ts';

/** Kind and id of the mark: it says which key was the first one then. */
export const CHANGE = 'secret-keys-change';
const markSchema = z.strictObject({ from: z.string() });

export class KeyChange {
  readonly #docs: DocStore;
  readonly #keys: SecretKeys;

  constructor(docs: DocStore, keys: SecretKeys) {
    this.#docs = docs;
    this.#keys = keys;
  }

  async begin(): Promise<void> {
    const [first] = this.#keys.read();
    // Another one's mark will do: whoever finds it does the same.
    if (first !== undefined) await this.#docs.put(CHANGE, CHANGE, { from: first.id }, 0);
  }

  async end(): Promise<void> {
    const mark = await this.#docs.get(CHANGE, CHANGE);
    if (mark !== null) await this.#docs.put(CHANGE, CHANGE, null, mark.revision);
  }

  /** Whether one was begun and has not ended. Throws SecretsError where one was and its keys cannot be read. */
  async isUnderWay(): Promise<boolean> {
    const keys = this.#keys;
    const mark = await this.#docs.get(CHANGE, CHANGE);
    if (mark === null) return keys.own && countOf(keys) > 1;
    const { length, 0: first } = keys.read();
    if (!keys.own || length > 1 || first?.id === markSchema.safeParse(mark.doc).data?.from) return true;
    // All was done but taking the mark away.
    await this.end();
    return false;
  }
}

/** That they cannot be read is said of each secret. */
function countOf(keys: SecretKeys): number {
  try {
    return keys.read().length;
  } catch {
    return 0;
  }
}
