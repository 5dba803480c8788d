// `npm run simulate`: the deterministic simulator, any number of seeds.
//   npm run simulate -- --seeds 10000 --from 1     seeds 1 to 10,000; stops at the first that fails
//   npm run simulate -- --seeds 1 --from 57 --trace what happened in seed 57, line by line
//   npm run simulate -- --keep-going                does not stop at a failure
//   npm run simulate -- --bug stream-gap            with a known bug: how many seeds catch it
//   npm run simulate -- --boundaries                every act at every completion of small runs, and all pairs with a crash
// Progress goes to stderr, the summary to stdout; it exits with 1 when a promise was broken (with --bug: when none was).
import { parseArgs } from 'node:util';
import { BUGS, Coverage, eachBoundary, eachPair, SCENARIOS, simulate, STATES } from '@perdure/testkit/simulator';
import type { Bug, Happening, Outcome } from '@perdure/testkit/simulator';
import { ground } from '../packages/testkit/test/simulated.ts';

const PROGRESS_MS = 2_000;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    bug: { type: 'string' },
    trace: { type: 'boolean', default: false },
    'keep-going': { type: 'boolean', default: false },
    boundaries: { type: 'boolean', default: false },
  },
});

const say = (text: string): void => void process.stderr.write(`${text}\n`);
const print = (text: string): void => void process.stdout.write(`${text}\n`);

try {
  process.exitCode = values.boundaries ? await boundaries() : await seeds();
} catch (error) {
  say(`simulate: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 2;
}

async function seeds(): Promise<number> {
  const count = whole('seeds', values.seeds);
  const from = whole('from', values.from);
  const bug = bugOf(values.bug);
  const coverage = new Coverage();
  const began = performance.now();
  let events = 0;
  let reported = began;
  const caught: number[] = [];
  let done = 0;
  for (let seed = from; seed < from + count; seed += 1) {
    const outcome = await simulate({ seed, ...ground, trace: values.trace, ...(bug === undefined ? {} : { bug }) });
    done += 1;
    events += outcome.events;
    coverage.add(outcome.coverage);
    if (values.trace) for (const line of outcome.trace) print(line);
    if (outcome.failure !== null) caught.push(seed);
    if (outcome.failure !== null && bug === undefined) {
      explain(outcome);
      if (!values['keep-going']) break;
    }
    if (performance.now() - reported > PROGRESS_MS) {
      reported = performance.now();
      say(`${done} of ${count} seeds, ${rate(done, began)} a second`);
    }
  }
  if (bug === undefined) printCoverage(coverage);
  const speed = `${rate(done, began)} seeds a second, ${Math.round(events / done)} events a seed`;
  if (bug === undefined) print(`${done - caught.length} of ${done} seeds kept every promise; ${speed}`);
  else
    print(
      `${bug}: ${BUGS[bug]}\ncaught in ${caught.length} of ${done} seeds, first in ${caught[0] ?? 'none'}; ${speed}`,
    );
  return bug === undefined ? Math.min(1, caught.length) : caught.length > 0 ? 0 : 1;
}

async function boundaries(): Promise<number> {
  let failed = 0;
  for (const calls of SCENARIOS) {
    const alone = await eachBoundary(ground, calls);
    const cancels = await eachPair(ground, calls, 'cancel', { acts: 1, crashes: 1 });
    const compactions = await eachPair(ground, calls, 'compact', { acts: 1, crashes: 1 });
    const failures = [...alone.failures, ...cancels.failures, ...compactions.failures];
    for (const { name, error } of failures) say(`${name}: ${error.stack ?? error.message}`);
    failed += failures.length;
    const pairs = cancels.runs + compactions.runs;
    print(`${calls.join(' and ')}: ${alone.runs} boundaries, ${pairs} pairs, ${failures.length} failed`);
  }
  return Math.min(1, failed);
}

function explain({ seed, failure, events, virtualMs }: Outcome): void {
  say(`seed ${seed} failed after ${events} events, at ${virtualMs} virtual ms:`);
  say(failure?.stack ?? String(failure));
  say(`replay: npm run simulate -- --seeds 1 --from ${seed} --trace`);
}

/** Faults and acts by what the run was doing; what never met is named. */
function printCoverage(coverage: Coverage): void {
  const names = [...new Set([...coverage.counts.keys()].map((name) => name.split(' × ')[0] ?? ''))].sort();
  const cell = (text: string | number): string => String(text).padStart(8).slice(-8);
  print(`${' '.repeat(24)}${STATES.map((state) => cell(state)).join(' ')}`);
  for (const name of names) {
    const counts = STATES.map((state) => cell(coverage.counts.get(`${name as Happening} × ${state}`) ?? '.'));
    print(`${name.padEnd(24)}${counts.join(' ')}`);
  }
  const missing = coverage.missing();
  print(missing.length === 0 ? 'every pair fired' : `${missing.length} pairs never fired: ${missing.join(', ')}`);
}

function rate(done: number, since: number): string {
  return ((done / (performance.now() - since)) * 1_000).toFixed(1);
}

function whole(name: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new Error(`--${name} takes a whole number, not '${text}'`);
}

function bugOf(text: string | undefined): Bug | undefined {
  if (text === undefined) return undefined;
  if (Object.hasOwn(BUGS, text)) return text as Bug;
  throw new Error(`no bug '${text}'; there are: ${Object.keys(BUGS).join(', ')}`);
}
