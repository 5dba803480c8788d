/** Where somebody else says which process drives a session: from that word until nothing of it is under way here. */

/** How it ended: nothing is under way (`wakeAt`: when something happens by itself, wall ms), or another process drives it. */
export type Rest = { at: 'rest'; wakeAt: number | null; agent: string } | { at: 'elsewhere' };

/** Told of what is outstanding in a session that is not driven here; `at`: when (wall ms), null: now. Never throws. */
export type Lead = (session: string, at: number | null, agent: string) => void;

type Tenure = PromiseWithResolvers<Rest> & { wakeAt: number | null; agent: string };

export class Tenures {
  readonly #open = new Map<string, Tenure>();
  readonly #lead: Lead | null;

  constructor(lead: Lead | null) {
    this.#lead = lead;
  }

  /** Somebody else says which sessions are driven here. */
  get isLed(): boolean {
    return this.#lead !== null;
  }

  /** It is driven here. */
  has(session: string): boolean {
    return this.#open.has(session);
  }

  /** Whether what turned up in a session is done here; where it is not, the leading engine is told of it. */
  takes(session: string, isWork: boolean, wakeAt: number | null, agent: string): boolean {
    const tenure = this.#open.get(session);
    if (tenure !== undefined) Object.assign(tenure, { wakeAt, agent });
    if (tenure !== undefined || this.#lead === null) return true;
    if (isWork || wakeAt !== null) this.#lead(session, isWork ? null : wakeAt, agent);
    return false;
  }

  /** One at a time: whoever comes later waits for the same end. */
  begin(session: string): { isNew: boolean; end: Promise<Rest> } {
    const known = this.#open.get(session);
    if (known !== undefined) return { isNew: false, end: known.promise };
    const tenure = { ...Promise.withResolvers<Rest>(), wakeAt: null, agent: '' };
    // Whoever asked may have gone: that it failed is told to those who still wait.
    tenure.promise.catch(() => undefined);
    this.#open.set(session, tenure);
    return { isNew: true, end: tenure.promise };
  }

  /** The timer of a session that was driven unasked is the leading engine's again. */
  handBack(session: string, end: Promise<Rest>): void {
    const told = (rest: Rest): void => {
      if (rest.at === 'rest' && rest.wakeAt !== null) this.#lead?.(session, rest.wakeAt, rest.agent);
    };
    void end.then(told, () => undefined);
  }

  /** Nothing is under way here any more. */
  end(session: string, elsewhere = false): void {
    const tenure = this.#taken(session);
    tenure?.resolve(elsewhere ? { at: 'elsewhere' } : { at: 'rest', wakeAt: tenure.wakeAt, agent: tenure.agent });
  }

  /** It ends with something left to do: somebody must come back to it. */
  fail(session: string, error: unknown): void {
    this.#taken(session)?.reject(error);
  }

  failAll(error: unknown): void {
    for (const session of this.#open.keys()) this.fail(session, error);
  }

  #taken(session: string): Tenure | undefined {
    const tenure = this.#open.get(session);
    this.#open.delete(session);
    return tenure;
  }
}
