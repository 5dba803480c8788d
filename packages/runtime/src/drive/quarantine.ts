/** Sessions that are parked because their own step failed again and again. Kept beside the log: it cannot be folded. */
import type { DocStore } from '../ports.ts';

const KIND = 'quarantine';

export class Quarantine {
  readonly #docs: DocStore;
  readonly #build: string;
  readonly #parked: (session: string) => void;
  readonly #sessions = new Map<string, string>();
  /** This process may have died of it, and takes it only to try it alone. */
  onTrial: string | null = null;

  /** `parked`: told of each session that is, as soon as that is known here. */
  constructor(docs: DocStore, build: string, parked: (session: string) => void = () => {}) {
    this.#docs = docs;
    this.#build = build;
    this.#parked = parked;
  }

  /** Reads what other processes parked; gives what they lifted. Another build may do better: it gets its try. */
  async load(): Promise<string[]> {
    const gone = new Set(this.#sessions.keys());
    for (let after: string | null = null; ;) {
      const docs = await this.#docs.list(KIND, { after, limit: 500 });
      for (const { id, revision, doc } of docs) {
        const { build, reason } = doc as { build: string; reason: string };
        gone.delete(id);
        if (build === this.#build) this.#know(id, reason);
        else await this.#docs.put(KIND, id, null, revision);
        after = id;
      }
      if (docs.length < 500) break;
    }
    for (const session of gone) this.#sessions.delete(session);
    return [...gone];
  }

  /** Whether another process has parked it, of this build. */
  async learns(session: string): Promise<boolean> {
    const known = await this.#docs.get(KIND, session);
    const { build, reason } = (known?.doc ?? {}) as { build?: string; reason?: string };
    if (build === this.#build && reason !== undefined) this.#know(session, reason);
    return this.#sessions.has(session);
  }

  #know(session: string, reason: string): void {
    const isNew = !this.#sessions.has(session);
    this.#sessions.set(session, reason);
    if (isNew) this.#parked(session);
  }

  has(session: string): boolean {
    return this.#sessions.has(session);
  }

  list(): { session: string; reason: string }[] {
    return [...this.#sessions].map(([session, reason]) => ({ session, reason }));
  }

  /** Lifts it; false: there was none. */
  async remove(session: string): Promise<boolean> {
    const known = await this.#docs.get(KIND, session);
    if (known !== null) await this.#docs.put(KIND, session, null, known.revision);
    return this.#sessions.delete(session);
  }

  async add(session: string, reason: string, at: number): Promise<void> {
    this.#know(session, reason);
    const known = await this.#docs.get(KIND, session);
    await this.#docs.put(KIND, session, { build: this.#build, reason, at }, known?.revision ?? 0);
  }
}
