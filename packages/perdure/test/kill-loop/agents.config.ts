// The configuration that the servers of the kill loop run with; it is copied as perdure.config.ts into a folder of its own.
import { setTimeout as delay } from 'node:timers/promises';
import type { ToolContext, ToolDefinition } from 'perdure';
import { agent, ask, defineConfig, sleep, tool } from 'perdure';
import { z } from 'zod';

const { OUTSIDE_URL: outside = '', LIFE: life = '0', AGENT_MODEL: model = 'openai-chat/kill-loop' } = process.env;

const input = z.object({ order: z.string(), beforeMs: z.int(), afterMs: z.int() });
type Args = z.output<typeof input>;

async function act(name: string, args: Args, context: ToolContext): Promise<string> {
  const { key, session, run, call, attempt, signal } = context;
  await delay(args.beforeMs, undefined, { signal });
  const body = JSON.stringify({ tool: name, key, session, run, call, attempt, life: Number(life), args });
  const response = await fetch(outside, { method: 'POST', body, signal });
  const { text } = (await response.json()) as { text: string };
  return text;
}

type Given = Pick<ToolDefinition, 'effect'> & Partial<Pick<ToolDefinition, 'approval'>>;
const effect = (name: string, given: Given): ToolDefinition =>
  tool({
    name,
    description: `Does ${name}`,
    input,
    ...given,
    run: async (args, context) => act(name, args, context),
  });

const mail = tool({
  name: 'mail',
  description: 'Sends a mail, and can tell whether it did',
  input,
  effect: 'unsafe',
  run: async (args, context) => act('mail', args, context),
  verify: async (key, args, { signal }) => {
    const response = await fetch(`${outside}/?key=${key}`, { signal });
    const { seen } = (await response.json()) as { seen: boolean };
    return seen
      ? { outcome: 'done', content: `mail of ${args.order} done` }
      : { outcome: 'failed', message: 'it did not happen' };
  },
});

const report = tool({
  name: 'report',
  description: 'A long answer',
  input,
  effect: 'pure',
  run: async (args, context) => `${await act('report', args, context)}\n${'a long line of it\n'.repeat(6_000)}`,
});

export default defineConfig({
  agents: [
    agent({
      name: 'clerk',
      model,
      instructions: 'Do what you are told, step by step.',
      tools: [
        effect('lookup', { effect: 'pure' }),
        effect('charge', { effect: 'keyed' }),
        effect('ship', { effect: 'unsafe' }),
        effect('refund', { effect: 'unsafe', approval: 'always' }),
        mail,
        report,
        ask(),
        sleep(),
      ],
    }),
  ],
});
