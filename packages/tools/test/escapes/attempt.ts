/** Runs the corpus as whoever runs it, and prints what came of each attempt as a line of JSON. */
import { existsSync } from 'node:fs';
import process from 'node:process';
import { system } from '@perdure/runtime';
import type { Sandbox } from '@perdure/runtime/ports';
import { createBare } from '../../src/index.ts';
import { MACHINES } from '../../src/sandbox/syscalls.ts';
import { LIMITS_HERE, makeSandbox, textOf } from '../sandbox.ts';
import type { Attempt } from './corpus.ts';
import { ATTEMPTS } from './corpus.ts';
import { CANARY, makeWorld } from './world.ts';

export type Outcome = {
  name: string;
  /** What the judge saw, from outside. */
  reached: string[];
  /** What the attempt says of itself. */
  succeeded: boolean;
  skipped?: true;
};

process.umask(0o022);
process.env['PERDURE_TEST_CANARY'] = CANARY;
const LIMITS = { ...LIMITS_HERE, processes: 64, cpuSeconds: 1, timeoutMs: 8_000 };
const machine = MACHINES[process.arch];
const perl = existsSync('/usr/bin/perl');
const bare = process.argv[2] === 'bare';

using place = makeSandbox();
await using world = await makeWorld(place);
const sandbox: Sandbox = bare ? createBare({ timers: system.timers }) : place.sandbox;
for (const attempt of ATTEMPTS) if (!bare || attempt.control === true) tell(await outcomeOf(attempt));
if (!bare) for (const outcome of await systemCalls()) tell(outcome);

function tell(outcome: Outcome): void {
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
}

async function outcomeOf({ name, script, perl: needsPerl, kept }: Attempt): Promise<Outcome> {
  if (needsPerl === true && !perl) return { name, reached: [], succeeded: false, skipped: true };
  world.reset();
  const { said, code } = await run(script.replace('IOCTL', String(machine?.ioctl)), kept);
  return { name, reached: world.reached(said, kept === true), succeeded: code === 0 };
}

async function run(script: string, kept?: true): Promise<{ said: string; code: number }> {
  const started = await sandbox.run(['/bin/bash', '-c', script], {
    folders: [{ path: place.workspace, at: '/workspace', write: true }],
    cwd: '/workspace',
    env: world.told,
    hosts: [],
    input: false,
    limits: LIMITS,
    ...(kept === true ? { denies: ({ below }) => below === 'kept/deep' } : {}),
  });
  const [stdout, stderr] = await Promise.all([textOf(started.stdout), textOf(started.stderr)]);
  const end = await started.ended;
  return { said: stdout + stderr, code: end.type === 'exited' ? end.code : -1 };
}

/** Each call that the filter denies, made with arguments that would harm nothing: it must be refused as forbidden. */
async function systemCalls(): Promise<Outcome[]> {
  const numbers = machine?.denied ?? [];
  const script = `perl -e 'for my $n (@ARGV) { $! = 0; my $r = syscall($n + 0, -1, 0, 0, 0, 0); print "$n $r ", $! + 0, "\\n" }' ${numbers.join(' ')}`;
  const { said } = perl ? await run(script) : { said: '' };
  return numbers.map((number) => ({
    name: `system call ${number}`,
    reached: [],
    succeeded: !said.split('\n').includes(`${number} -1 1`),
    ...(perl ? {} : { skipped: true as const }),
  }));
}
