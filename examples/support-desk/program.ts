/**
 * A support desk: the agent looks orders up by itself, refunds only what a person approved, and asks the bank before it
 * believes that a payment was lost. Run it twice on one folder: the second time it goes on where the first stopped.
 *
 *     npx node examples/support-desk/program.ts [DATA]
 */
import { agent, ask, createRuntime, tool } from 'perdure';
import { z } from 'zod';

const orders = new Map([
  [7, { item: 'teapot', cents: 2_400 }],
  [8, { item: 'kettle', cents: 5_900 }],
]);
/** Stands for the bank: what it was asked to pay, by key. */
const bank = new Map<string, number>();

const findOrder = tool({
  name: 'find_order',
  description: 'Finds an order by its number.',
  input: z.object({ order: z.number().int() }),
  effect: 'pure',
  run: ({ order }) => orders.get(order) ?? 'there is no such order',
});

const refund = tool({
  name: 'refund',
  description: 'Pays an amount of an order back.',
  input: z.object({ order: z.number().int(), cents: z.number().int().positive() }),
  effect: 'unsafe', // this bank knows no idempotency key: a payment must never be repeated blindly
  approval: 'always',
  run: ({ order, cents }, { key }) => {
    bank.set(key, cents);
    return `paid ${cents} cents back for order ${order}`;
  },
  // Asked where a crash left it open whether the payment happened. It only reads.
  verify: async (key) => {
    const cents = bank.get(key);
    return cents === undefined
      ? { outcome: 'failed', message: 'the bank has no such payment' }
      : { outcome: 'done', content: `paid ${cents} cents back` };
  },
});

const desk = agent({
  name: 'desk',
  model: process.env['OPENAI_API_KEY'] === undefined ? 'demo' : 'openai/gpt-5-mini',
  instructions: 'You help the customers of a small shop. Look an order up before you refund it.',
  tools: [findOrder, refund, ask()],
  policies: { approvalTtlMs: 7 * 24 * 60 * 60_000 }, // who does not answer in a week has said no
  limits: { turns: 12, session: { tokens: 200_000 } },
});

const rt = await createRuntime({ agents: [desk], data: process.argv[2] ?? '.perdure' });
const letters = [
  { customer: 12, text: 'call find_order {"order": 7}\nthen\ncall refund {"order": 7, "cents": 2400}' },
  { customer: 13, text: 'call find_order {"order": 8}\nthen\ncall refund {"order": 8, "cents": 990000}' },
];
for (const { customer, text } of letters) {
  // A key finds the customer's session again; a submission makes the letter count once, however often this is run.
  const session = await rt.open('desk', { key: `customer ${customer}` });
  const run = await session.send(text, { submission: `letter of customer ${customer}` });
  let end = await run.result();
  for (const wait of end.waits ?? []) {
    const asked = wait.call?.arguments as { cents: number } | undefined;
    const decision = (asked?.cents ?? Infinity) <= 10_000 ? 'approve' : 'deny'; // a person's part, here
    console.log(`customer ${customer}: ${decision} ${wait.call?.name} ${JSON.stringify(asked)}`);
    await session.resolve(wait.id, { decision, digest: wait.digest ?? '', note: 'by the rule of the house' });
    end = await run.result();
  }
  console.log(`customer ${customer}: ${end.status}: ${end.text}`);
}
await rt.close();
