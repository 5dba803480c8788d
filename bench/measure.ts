/** Timing of rounds: how many a second, how much CPU of this process (all its threads) each, and how long. */
export type Measured = { rounds: number; perSecond: number; cpuMsPerRound: number; p50Ms: number; p99Ms: number };

/** A figure with what it is to reach, and what would be better still. */
export type Row = { name: string; value: number; unit: string; target: number; aim?: number };

/** Runs `rounds` rounds with so many at once; a round's argument is its number. */
export async function measure(
  rounds: number,
  concurrency: number,
  round: (n: number) => Promise<void>,
): Promise<Measured> {
  const times: number[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < rounds) {
      const n = next++;
      const start = performance.now();
      await round(n);
      times.push(performance.now() - start);
    }
  };
  const cpu = process.cpuUsage();
  const start = performance.now();
  await Promise.all(Array.from({ length: concurrency }, worker));
  const elapsedMs = performance.now() - start;
  const used = process.cpuUsage(cpu);
  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
  return {
    rounds,
    perSecond: (rounds / elapsedMs) * 1000,
    cpuMsPerRound: (used.user + used.system) / 1000 / rounds,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
  };
}

/**
 * Lets a program run for a while before it is measured: what runs for days is not measured while it is compiled. Everybody
 * gets the same time.
 */
export async function warm(ms: number, concurrency: number, round: (n: number) => Promise<void>): Promise<void> {
  const end = performance.now() + ms;
  const worker = async (): Promise<void> => {
    for (let n = 0; performance.now() < end; n += 1) await round(n);
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
}

/** Of each figure the median. */
export function middle(all: Measured[]): Measured {
  const of = (pick: (one: Measured) => number): number =>
    all.map(pick).sort((a, b) => a - b)[Math.floor(all.length / 2)] ?? 0;
  return {
    rounds: of((m) => m.rounds),
    perSecond: of((m) => m.perSecond),
    cpuMsPerRound: of((m) => m.cpuMsPerRound),
    p50Ms: of((m) => m.p50Ms),
    p99Ms: of((m) => m.p99Ms),
  };
}

/** A fixed piece of work, timed again and again: how far the times spread says how noisy the machine is. */
export function noise(): { spread: number; medianMs: number } {
  const times = Array.from({ length: 20 }, () => {
    const start = performance.now();
    let x = 0;
    for (let i = 0; i < 5_000_000; i += 1) x = (x * 31 + i) | 0;
    if (x === 1) throw new Error('never');
    return performance.now() - start;
  }).sort((a, b) => a - b);
  const medianMs = times[10] ?? 0;
  return { spread: ((times[18] ?? 0) - (times[1] ?? 0)) / medianMs, medianMs };
}
