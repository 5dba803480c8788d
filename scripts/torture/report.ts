// What the torture found, as figures.
import { inspect } from 'node:util';
import type { World } from '../../packages/perdure/test/kill-loop/world.ts';
import type { Round } from './rounds.ts';

export class Report {
  readonly #rounds: Round[] = [];
  readonly #others: string[] = [];
  readonly #failures: string[] = [];

  get hasFailed(): boolean {
    return this.#failures.length > 0;
  }

  add(name: string, figures: { [figure: string]: number }): void {
    if ((figures['leaked'] ?? 0) > 0) this.#failures.push(`${name}: ${figures['leaked']} answers showed the outside`);
    const said = Object.entries(figures).map(([what, value]) => `${what} ${value}`);
    this.#others.push(`${name}: ${said.join(', ')}`);
  }

  addRound(round: Round): void {
    this.#rounds.push(round);
  }

  fail(what: string, error: unknown, { violations, server }: World): void {
    const log = server?.log().slice(-2_000) ?? '';
    this.#failures.push([`${what}: ${inspect(error)}`, ...violations, log].join('\n'));
  }

  text(): string {
    const sum = (of: (round: Round) => number): number => this.#rounds.reduce((total, round) => total + of(round), 0);
    const deaths = total(this.#rounds.map(({ figures }) => figures.deaths));
    const ready = this.#rounds.flatMap(({ figures }) => figures.readyMs);
    const resume = this.#rounds.flatMap(({ figures }) => figures.resumeMs);
    const { term = 0, ...kills } = deaths;
    // A round that found anything of these is no round: it failed.
    return [
      '',
      ...this.#others,
      `kills survived: ${Object.values(kills).reduce((a, b) => a + b, 0)} ${line(kills)}; orderly ends: ${term}`,
      `restart to ready: ${quantiles(ready)}; then until something went on: ${quantiles(resume)}`,
      `receipts found again at their seq: ${sum(({ judged }) => judged.receipts)}; lost: ${this.hasFailed ? '?' : 0}`,
      `keyed calls: ${sum(({ judged }) => judged.keyed)}, unsafe calls: ${sum(({ judged }) => judged.unsafe)}; ` +
        `repeated with the same key: ${sum(({ judged }) => judged.repeated)}; duplicated: ${this.hasFailed ? '?' : 0}`,
      `entries: ${sum(({ judged }) => judged.entries)} in ${sum(({ judged }) => judged.frames)} appends`,
      `on the way: ${line(total(this.#rounds.map((round) => round.tally)))}`,
      ...this.#failures.map((failure) => `\nFAILED: ${failure}`),
      this.hasFailed ? `\n${this.#failures.length} failed` : '\nnothing was lost, repeated or left hanging',
    ].join('\n');
  }
}

type Counts = { [what: string]: number };

function total(all: readonly Counts[]): Counts {
  const sums: Counts = {};
  for (const counts of all) for (const [what, n] of Object.entries(counts)) sums[what] = (sums[what] ?? 0) + n;
  return sums;
}

const line = (counts: Counts): string =>
  `(${Object.entries(counts)
    .map(([what, n]) => `${what} ${n}`)
    .join(', ')})`;

function quantiles(values: readonly number[]): string {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (part: number): number =>
    Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`;
}
