/** Perdure under test: the real runtime on SQLite, with one agent, one tool and the Chat Completions adapter. */
import { createModelSource } from '@perdure/models';
import { agent, createHost, openSession, Redactor, silentLogger, system as ownSystem, tool } from '@perdure/runtime';
import type { Host, HostOptions } from '@perdure/runtime';
import type { Store, System } from '@perdure/runtime/ports';
import { openSqliteStore } from '@perdure/stores/sqlite';

export type Subject = { host: Host; close(): Promise<void> };

export async function openSubject(origin: string, directory: string, system: System = ownSystem): Promise<Subject> {
  const store = await openSqliteStore({ directory, clock: system.clock, timers: system.timers });
  return openSubjectOn(origin, store, { system });
}

/** The same on any store. Closing it closes the store. */
export async function openSubjectOn(origin: string, store: Store, more: Partial<HostOptions> = {}): Promise<Subject> {
  const { system = ownSystem } = more;
  const models = createModelSource({
    env: { OPENAI_API_KEY: 'EXAMPLE-key-of-the-bench', OPENAI_BASE_URL: `${origin}/v1` },
    system,
  });
  const add = tool<{ a: number; b: number }>({
    name: 'add',
    description: 'Adds two numbers.',
    input: { type: 'object', properties: { a: { type: 'number' }, b: { type: 'number' } }, required: ['a', 'b'] },
    effect: 'pure',
    run: ({ a, b }) => String(a + b),
  });
  const bench = agent({ name: 'bench', model: 'openai-chat/bench', instructions: 'You add numbers.', tools: [add] });
  const timed = agent({ name: 'timed', model: 'openai-chat/timed', instructions: 'You count.' });
  const host = await createHost({
    store,
    agents: [bench, timed],
    models,
    system,
    logger: silentLogger,
    redactor: new Redactor(),
    engineHash: 'bench',
    ...more,
  });
  await host.start();
  return {
    host,
    async close() {
      await host.stop();
      await models.close();
      await store.close();
    },
  };
}

/** A new session with one message, to its end. */
export function roundOf({ host }: Subject): () => Promise<void> {
  return async () => {
    const end = await (await openSession(host, 'bench').send('What is 2 + 3?')).result();
    if (end.status !== 'completed')
      throw new Error(`the run ended ${end.status}: ${end.reason ?? ''} ${end.detail ?? ''}`);
  };
}
