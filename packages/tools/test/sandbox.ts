/** A sandbox for tests, with a workspace beside what nobody may reach; skips aloud where there is none. */
import { chmodSync, chownSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { system } from '@perdure/runtime';
import type { Sandbox, SandboxEnd, SandboxLimits, SandboxOptions } from '@perdure/runtime/ports';
import { createBubblewrap } from '../src/index.ts';

export const NOBODY = 65_534;

/** Why the tests of a sandbox cannot run here; false: they can. */
export async function whyNoSandbox(): Promise<string | false> {
  const sandbox = createBubblewrap({ timers: system.timers });
  try {
    await sandbox.probe();
    return false;
  } catch (error) {
    return `NO SANDBOX HERE, so nothing of it is tested: ${error instanceof Error ? error.message : String(error)}`;
  }
}

const MIB = 1024 * 1024;
export const LIMITS_HERE: SandboxLimits = {
  processes: 64,
  memoryBytes: 512 * MIB,
  fileBytes: 16 * MIB,
  scratchBytes: 32 * MIB,
  cpuSeconds: 20,
  openFiles: 256,
  timeoutMs: 20_000,
};

export type Place = Disposable & {
  base: string;
  /** Whoever runs the commands owns it. */
  workspace: string;
  /** Everybody may write it, and no command sees it. */
  outside: string;
  sandbox: Sandbox;
  /** Runs a script of bash with the workspace at `/workspace`. */
  run(script: string, more?: Partial<SandboxOptions>): Promise<Ran>;
};
export type Ran = { stdout: string; stderr: string; end: SandboxEnd };

export function makeSandbox(): Place {
  const base = realpathSync(mkdtempSync(join(tmpdir(), 'perdure-sandbox-')));
  chmodSync(base, 0o755);
  const workspace = join(base, 'workspace');
  const outside = join(base, 'outside');
  for (const folder of [workspace, outside]) mkdirSync(folder);
  chmodSync(outside, 0o777);
  if (process.getuid?.() === 0) chownSync(workspace, NOBODY, NOBODY);
  const sandbox = createBubblewrap({ timers: system.timers });
  return {
    base,
    workspace,
    outside,
    sandbox,
    async run(script, more = {}) {
      const started = await sandbox.run(['/bin/bash', '-c', script], {
        folders: [{ path: workspace, at: '/workspace', write: true }],
        cwd: '/workspace',
        env: {},
        hosts: [],
        input: false,
        limits: LIMITS_HERE,
        ...more,
      });
      const [stdout, stderr, end] = await Promise.all([textOf(started.stdout), textOf(started.stderr), started.ended]);
      return { stdout, stderr, end };
    },
    [Symbol.dispose]: () => rmSync(base, { recursive: true, force: true }),
  };
}

export async function textOf(pieces: AsyncIterable<Uint8Array>): Promise<string> {
  const kept: Uint8Array[] = [];
  for await (const piece of pieces) kept.push(piece);
  return Buffer.concat(kept).toString();
}

export const exited = (code: number): SandboxEnd => ({ type: 'exited', code });
