/**
 * A nightly job that may be started by any timer, any number of times: one session a night, one report a night. It sleeps
 * durably between its two steps: kill it then, start it again, and it goes on.
 *
 *     npx node examples/nightly/program.ts [NIGHT] [DATA]
 */
import { agent, createRuntime, sleep, tool } from 'perdure';
import { z } from 'zod';

const night = process.argv[2] ?? new Date().toISOString().slice(0, 10);

const measure = tool({
  name: 'measure',
  description: 'Counts what came in.',
  input: z.object({}),
  effect: 'pure',
  run: () => ({ orders: 17 }),
});
const sendReport = tool({
  name: 'send_report',
  description: 'Sends the report of the night.',
  input: z.object({ text: z.string() }),
  effect: 'keyed', // the mail service deduplicates on the key
  run: ({ text }, { key }) => `sent under ${key.slice(0, 8)}: ${text}`,
});

const nightly = agent({
  name: 'nightly',
  model: process.env['OPENAI_API_KEY'] === undefined ? 'demo' : 'openai/gpt-5-mini',
  instructions: 'Measure, wait until the last orders are in, then send the report.',
  tools: [measure, sleep(), sendReport],
});

const rt = await createRuntime({ agents: [nightly], data: process.argv[3] ?? '.perdure' });
const session = await rt.open('nightly', { key: `night of ${night}` });
const job = 'call measure {}\nthen\ncall sleep {"seconds": 1}\nthen\ncall send_report {"text": "17 orders"}';
// The same submission gives the same run: who starts the job twice waits for the one that is there.
const run = await session.send(job, { submission: `report of ${night}` });
const end = await run.result();
console.log(`${session.id} ${run.id} ${end.status}: ${end.text}`);
await rt.close();
