import { agent, ask, defineConfig, tool } from 'perdure';
import { z } from 'zod';

const orders = new Map([
  [7, { item: 'teapot', cents: 2_400 }],
  [8, { item: 'kettle', cents: 5_900 }],
]);

const findOrder = tool({
  name: 'find_order',
  description: 'Finds an order by its number.',
  input: z.object({ order: z.number().int() }),
  effect: 'pure', // a read: it may run again
  run: ({ order }) => orders.get(order) ?? 'there is no such order',
});

const refund = tool({
  name: 'refund',
  description: 'Refunds an amount of an order.',
  input: z.object({ order: z.number().int(), cents: z.number().int().positive() }),
  effect: 'keyed', // the bank would deduplicate on the key: the same after any crash
  approval: 'always', // a person approves these very arguments
  run: ({ order, cents }, { key }) => `refunded ${cents} cents of order ${order} under key ${key.slice(0, 8)}`,
});

export default defineConfig({
  agents: [
    agent({
      name: 'support',
      model: process.env['OPENAI_API_KEY'] ? 'openai-chat/gpt-5-mini' : 'demo',
      instructions: 'You help the customers of a small shop. Look an order up before you refund it.',
      tools: [findOrder, refund, ask()],
      limits: { turns: 12, deadlineMs: 24 * 60 * 60_000 },
    }),
  ],
});
