/** The user's tools, watched: what is called, by which attempt, and whether the log had named it before (P5, P6, P14). */
import assert from 'node:assert/strict';
import { argumentsDigest } from '@perdure/runtime';
import type { ToolContext, ToolDefinition } from '@perdure/runtime/ports';

export type Called = {
  tool: string;
  session: string;
  call: string;
  key: string;
  attempt: number;
  digest: string;
  /** It has come back, with or without a result: what it does outside is done. */
  ended: boolean;
  /** What it said; null while it has not come back, or when it threw. */
  said: string | null;
};

export type Watch = {
  /** A tool is about to run: throws where the log does not allow it. */
  begins(called: Called, tool: ToolDefinition): Promise<void>;
  /** It came back; true: the process died over it. */
  ends(called: Called): boolean;
};

const gone = new Promise<never>(() => {});

export function watchedTools(tools: readonly ToolDefinition[], watch: Watch): ToolDefinition[] {
  return tools.map((tool) => ({
    ...tool,
    async run(args: unknown, context: ToolContext) {
      const { session, call, key, attempt } = context;
      const digest = argumentsDigest(tool.name, args);
      const called: Called = { tool: tool.name, session, call, key, attempt, digest, ended: false, said: null };
      await watch.begins(called, tool);
      try {
        const result = await tool.run(args, context);
        called.said = textOf(result);
        return watch.ends(called) ? await gone : result;
      } catch (error) {
        if (called.ended || !watch.ends(called)) throw error;
        return gone;
      }
    },
  }));
}

function textOf(result: Awaited<ReturnType<ToolDefinition['run']>>): string {
  const content = typeof result === 'object' && 'content' in result ? result.content : result;
  return typeof content === 'string' ? content : JSON.stringify(content);
}

/** What the calls of one key have in common, whatever died between them. */
export function checkCalls(
  calls: readonly Called[],
  tools: readonly ToolDefinition[],
  retried: (key: string) => number,
): void {
  for (const [key, same] of Map.groupBy(calls, (called) => called.key)) {
    const tool = tools.find(({ name }) => name === same[0]?.tool);
    const what = `${tool?.name} ${same[0]?.call}`;
    assert.equal(new Set(same.map(({ digest }) => digest)).size, 1, `${what} always has the same arguments [P14]`);
    assert.equal(new Set(same.map(({ attempt }) => attempt)).size, same.length, `${what} has each attempt once [P4]`);
    if (tool?.effect !== 'unsafe') continue;
    const allowed = 1 + retried(key);
    assert.ok(same.length <= allowed, `${what} is unsafe and was called ${same.length} times [P6]`);
  }
}
