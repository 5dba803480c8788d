/**
 * The same loop as a hand-written Restate virtual object: its conversation is the object's state, each model call and
 * each tool call a journaled step. Serves its handlers until its standard input ends; prints its port.
 */
import * as restate from '@restatedev/restate-sdk';
import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { ask, type Message, openPool } from './loop.ts';

const [origin = ''] = process.argv.slice(2);
const pool = openPool(origin);

const session = restate.object({
  name: 'session',
  handlers: {
    send: async (ctx: restate.ObjectContext, question: string): Promise<string> => {
      const messages = (await ctx.get<Message[]>('messages')) ?? [];
      messages.push({ role: 'user', content: question });
      for (;;) {
        const answer = await ctx.run('model', async () => ask(pool, messages));
        messages.push(answer.message);
        ctx.set('messages', messages);
        if (answer.calls.length === 0) return answer.text;
        for (const call of answer.calls) {
          const { a, b } = JSON.parse(call.arguments) as { a: number; b: number };
          const sum = await ctx.run('add', () => String(a + b));
          messages.push({ role: 'tool', tool_call_id: call.id, content: sum });
        }
        ctx.set('messages', messages);
      }
    },
  },
});

const server = createServer(restate.createEndpointHandler({ services: [session] }));
server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
process.stdin.resume().on('end', () => process.exit(0));
