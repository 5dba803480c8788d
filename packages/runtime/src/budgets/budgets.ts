/**
 * Budgets above sessions: what an agent, the whole tenant, or one session may spend in a period. The configuration says
 * them, a document goes before it, and the ledger keeps them: the caps of an account are the store's, whatever a process
 * remembers, so that none can reserve past a cap that another one has lowered.
 */
import type { Budget } from '@perdure/engine';
import { LIMITS } from '../limits.ts';
import type { Clock, Logger, TenantStore, Timer, Timers } from '../ports.ts';
import type { PeriodCaps, PeriodPatch, Scope } from './periods.ts';
import { budgetAt, isCapping, joined, patched } from './periods.ts';

const KIND = 'budget';
const NONE: readonly Budget[] = [];

export type BudgetsOptions = {
  store: Pick<TenantStore, 'log' | 'docs'>;
  clock: Clock;
  timers: Timers;
  logger: Logger;
  /** As the configuration has them. */
  configured: ReadonlyMap<Scope, PeriodCaps>;
  /** Other processes may change the documents. */
  shared: boolean;
};

/** A budget as it is in force. `revision` is its document's; 0: there is none, it is as configured. */
export type Standing = { scope: Scope; caps: PeriodCaps; revision: number };

export class Budgets {
  readonly #options: BudgetsOptions;
  readonly #documents = new Map<Scope, { patch: PeriodPatch; revision: number }>();
  /** Accounts that are known to be open. */
  readonly #open = new Set<string>();
  #timer: Timer | null = null;
  #isStopped = false;

  constructor(options: BudgetsOptions) {
    this.#options = options;
  }

  /** Reads the documents, and says to the ledger what is in force. Where others may change them, again and again. */
  async start(): Promise<void> {
    await this.read();
    for (const { scope } of this.list()) await this.#enforce(scope);
    if (this.#options.shared) this.#again();
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  /** What requests of a session draw on at a time. Opens accounts of periods that begin; then it is a promise. */
  of(session: string, agent: string, at: number): readonly Budget[] | Promise<readonly Budget[]> {
    if (this.#documents.size === 0 && this.#options.configured.size === 0) return NONE;
    const budgets = [`session/${session}`, `agent/${agent}`, 'tenant'].flatMap((scope) => {
      const { caps } = this.get(scope);
      return isCapping(caps) ? [budgetAt(scope, caps, at)] : [];
    });
    const isOpen = budgets.every(({ account }) => this.#open.has(account));
    return isOpen ? budgets : this.#begin(budgets);
  }

  get(scope: Scope): Standing {
    const { patch, revision } = this.#documents.get(scope) ?? { patch: {}, revision: 0 };
    return { scope, caps: patched(this.#options.configured.get(scope) ?? {}, patch), revision };
  }

  /** Those that cap anything. */
  list(): Standing[] {
    const scopes = new Set([...this.#options.configured.keys(), ...this.#documents.keys()]);
    return [...scopes]
      .toSorted()
      .map((scope) => this.get(scope))
      .filter(({ caps }) => isCapping(caps));
  }

  /**
   * Changes the document, and the ledger with it. `ifRevision`: only where the document is at it. A change by somebody else
   * meanwhile is kept: what one of them names last counts.
   */
  async set(scope: Scope, patch: PeriodPatch, ifRevision?: number): Promise<Standing | { conflict: number }> {
    const { docs } = this.#options.store;
    for (;;) {
      const found = await docs.get(KIND, scope);
      const { revision = 0 } = found ?? {};
      if (ifRevision !== undefined && ifRevision !== revision) return { conflict: revision };
      const whole = joined((found?.doc ?? {}) as PeriodPatch, patch);
      const put = await docs.put(KIND, scope, whole, revision);
      if (!put.ok) continue;
      this.#documents.set(scope, { patch: whole, revision: put.revision });
      await this.#enforce(scope);
      return this.get(scope);
    }
  }

  /** Gives the accounts of the present periods their caps; again where somebody has changed the document meanwhile. */
  async #enforce(scope: Scope): Promise<void> {
    for (;;) {
      const { caps, revision } = this.get(scope);
      await this.#begin([budgetAt(scope, caps, this.#options.clock.now())], false);
      const found = await this.#options.store.docs.get(KIND, scope);
      if ((found?.revision ?? 0) === revision) return;
      if (found === null) this.#documents.delete(scope);
      else this.#documents.set(scope, { patch: found.doc as PeriodPatch, revision: found.revision });
    }
  }

  async #begin(budgets: readonly Budget[], keep = true): Promise<readonly Budget[]> {
    if (this.#open.size > LIMITS.knownAccounts) this.#open.clear();
    for (const { account, accounts } of budgets) {
      // From the top: an account is opened below one that is there.
      const opening = accounts.toReversed().map(({ id, caps }, at, all) => ({
        account: id,
        parent: at === 0 ? null : (all[at - 1]?.id ?? null),
        caps,
      }));
      await this.#options.store.log.openAccounts(opening, { keep });
      this.#open.add(account);
    }
    return budgets;
  }

  #again(): void {
    if (this.#isStopped) return;
    this.#timer = this.#options.timers.set(LIMITS.budgetsReadMs, () => {
      this.read().then(
        () => this.#again(),
        (error: unknown) => {
          this.#options.logger.warn({ error: String(error) }, 'budgets could not be read');
          this.#again();
        },
      );
    });
  }

  /** Learns what other processes have changed. */
  async read(): Promise<void> {
    const gone = new Set(this.#documents.keys());
    for (let after: string | null = null; ;) {
      const docs = await this.#options.store.docs.list(KIND, { after, limit: LIMITS.sweepPage });
      for (const { id, revision, doc } of docs) {
        gone.delete(id);
        after = id;
        if (this.#documents.get(id)?.revision !== revision)
          this.#documents.set(id, { patch: doc as PeriodPatch, revision });
      }
      if (docs.length < LIMITS.sweepPage) break;
    }
    for (const scope of gone) this.#documents.delete(scope);
  }
}
