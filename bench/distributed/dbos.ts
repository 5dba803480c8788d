/**
 * The same round on DBOS, as its own program: a workflow of three steps (model, tool, model), each checkpointed in
 * Postgres before the next begins. Reads `URL ORIGIN ROUNDS CONCURRENCY WARM_MS` and prints what it measured as JSON.
 */
import { DBOS } from '@dbos-inc/dbos-sdk';
import { measure, warm } from '../measure.ts';
import { ask, openPool, type Message } from './loop.ts';

const [url = '', origin = '', rounds = '0', concurrency = '1', warmMs = '0'] = process.argv.slice(2);
const pool = openPool(origin);

const round = DBOS.registerWorkflow(
  async (question: string): Promise<string> => {
    const messages: Message[] = [{ role: 'user', content: question }];
    const first = await DBOS.runStep(async () => ask(pool, messages), { name: 'model' });
    const [call] = first.calls;
    if (call === undefined) throw new Error('the model asked for no tool');
    const { a, b } = JSON.parse(call.arguments) as { a: number; b: number };
    const sum = await DBOS.runStep(async () => Promise.resolve(String(a + b)), { name: 'add' });
    messages.push(first.message, { role: 'tool', tool_call_id: call.id, content: sum });
    const second = await DBOS.runStep(async () => ask(pool, messages), { name: 'model' });
    return second.text;
  },
  { name: 'round' },
);

DBOS.setConfig({ name: 'bench', systemDatabaseUrl: url, systemDatabasePoolSize: 20, logLevel: 'error' });
await DBOS.launch();
const one = async (): Promise<void> => {
  const handle = await DBOS.startWorkflow(round)('What is 2 + 3?');
  if ((await handle.getResult()) === '') throw new Error('the round has no answer');
};
await warm(Number(warmMs), Number(concurrency), one);
const measured = await measure(Number(rounds), Number(concurrency), one);
process.stdout.write(`${JSON.stringify(measured)}\n`);
await DBOS.shutdown();
await pool.destroy();
