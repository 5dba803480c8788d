import assert from 'node:assert/strict';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Sandbox, ToolContext, ToolDefinition, ToolResult } from '@perdure/runtime/ports';

export function contextOf(signal: AbortSignal = new AbortController().signal, sandbox?: Sandbox): ToolContext {
  const unused = (): never => assert.fail('these tools ask nothing of the runtime but the signal');
  return {
    key: 'key',
    attempt: 1,
    signal,
    session: 'ses_1',
    agent: 'assistant',
    run: 'r1',
    call: 'r1t1c0',
    progress: unused,
    callback: unused,
    blobs: { put: unused, get: unused },
    secret: unused,
    history: unused,
    result: unused,
    workspaces: { mounts: [], open: unused, earlier: unused, content: unused, change: unused },
    jobs: { start: unused, read: unused, write: unused, stop: unused, state: unused, begun: unused },
    sandbox: sandbox ?? { kind: 'unused', probe: unused, run: unused, close: unused },
  };
}

/** Calls a tool of the list by the end of its name. */
export async function call(
  tools: readonly ToolDefinition[],
  name: string,
  args: unknown,
  signal?: AbortSignal,
  sandbox?: Sandbox,
): Promise<ToolResult & { content: string }> {
  const found = tools.find((tool) => tool.name === name);
  assert.ok(found !== undefined, `no tool ${name}`);
  const result = await found.run(args, contextOf(signal, sandbox));
  assert.ok(typeof result === 'object' && 'content' in result && typeof result.content === 'string');
  return { ...result, content: result.content } as ToolResult & { content: string };
}

/** A new folder with `root` and, beside it, room for what must not be reached; removed by `dispose`. */
export function makePlace(): { base: string; root: string } & Disposable {
  const base = realpathSync(mkdtempSync(join(tmpdir(), 'perdure-tools-')));
  return { base, root: join(base, 'root'), [Symbol.dispose]: () => rmSync(base, { recursive: true, force: true }) };
}
