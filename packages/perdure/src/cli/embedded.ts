/** A server within this process, for a command that found none. */
import { randomBytes } from 'node:crypto';
import { createClient } from '@perdure/contract';
import { startRuntime } from '../runtime.ts';
import { handler } from '../serve.ts';
import type { Connection } from './connection.ts';
import type { Context } from './context.ts';
import { UsageError } from './exit.ts';
import { localOf } from './local.ts';

/** Its requests take the same way as those to a server; the token keeps it from needing an address. */
export async function embedded(context: Context): Promise<Connection> {
  if (context.given['token'] !== undefined)
    throw new UsageError('--token counts only with a server, and none runs on this data');
  const local = await localOf(context);
  const log = { level: local.settings.logLevel ?? 'warn' } as const;
  const runtime = await startRuntime({ ...local.options, log }, context.env);
  const token = randomBytes(32).toString('base64url');
  const answer = handler(runtime, { token });
  const client = createClient({
    url: 'http://localhost',
    token,
    fetch: async (input, init) => answer(new Request(input, init)),
  });
  return { client, kind: 'embedded', close: async () => runtime.close() };
}
