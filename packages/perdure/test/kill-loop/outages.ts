/** Who was away and when (wall ms), while a fleet was played. */
export type Span = { at: number; until: number };
export type Who = 'worker' | 'gateway' | 'engine' | 'postgres';
type Outage = Span & { who: Who; seat: object };

export class Outages {
  readonly #all: Outage[] = [];

  /** From now on, until it is back. `seat`: which of several. */
  begin(who: Who, seat: object): void {
    this.#all.push({ who, seat, at: Date.now(), until: Number.POSITIVE_INFINITY });
  }

  back(seat: object): void {
    for (const one of this.#all) if (one.seat === seat) one.until = Math.min(one.until, Date.now());
  }

  of(who: Who): Span[] {
    return this.#all.filter((one) => one.who === who);
  }

  /** While so many of them were away at once. */
  together(who: Who, count: number): Span[] {
    const spans: Span[] = [];
    const own = this.#all.filter((one) => one.who === who);
    for (const at of [...new Set(own.map((one) => one.at))].toSorted((a, b) => a - b)) {
      const away = own.filter((one) => one.at <= at && one.until > at);
      const seats = new Map(away.map((one) => [one.seat, one]));
      if (seats.size >= count) spans.push({ at, until: Math.min(...[...seats.values()].map(({ until }) => until)) });
    }
    return spans;
  }
}
