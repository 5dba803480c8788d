// What Restate costs a round (a message, a tool call, the answer), four ways over the same step and perform:
//   local    no Restate: the local driver
//   inside   the engine runs inside one handler a message: each step and each effect is a journaled `ctx.run`
//   effects  a courier by the piece: an invocation for each input and for each effect, a marker before each dispatch
//   tenure   a courier by the session: inputs are stepped where they arrive, one invocation drives it until it rests
//   driver   the Restate driver as it is (its journals are not kept, so nothing is counted)
//   node --disable-warning=ExperimentalWarning bench/courier.ts [ROUNDS]
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Effect } from '@perdure/engine';
import type { Courier, Driver, Host, HostOptions } from '@perdure/runtime';
import {
  agent,
  createHost,
  createLocalDriver,
  openSession,
  Redactor,
  silentLogger,
  system,
  tool,
} from '@perdure/runtime';
import { openMemoryStore } from '@perdure/stores/memory';
import { openSqliteStore } from '@perdure/stores/sqlite';
import { createScriptedModel } from '@perdure/testkit';
import { createRestateDriver, startRestateServer } from '@perdure/drivers/restate';
import * as restate from '@restatedev/restate-sdk';
import * as clients from '@restatedev/restate-sdk-clients';

/** What a driver is asked for beside messages, and this measurement has nothing of. */
const IDLE = { start: async () => {}, stop: async () => {}, hint: () => {}, readmit: () => {} };

const WAYS = ['local', 'inside', 'effects', 'tenure', 'driver'] as const;
type Way = (typeof WAYS)[number];
type Input = Parameters<Courier['step']>[1];
type Flown = Parameters<Courier['perform']>[1];
type Sent = { session: string; input: Input };

const rounds = Number(process.argv[2] ?? 50);
const home = await mkdtemp(join(tmpdir(), 'courier-restate-'));
const restateServer = await startRestateServer({ directory: home, ...system });
const { ingress: ingressUrl, admin: adminUrl } = restateServer;
const ingress = clients.connect({ url: ingressUrl });
const makeDriver = await createRestateDriver({ ingress: ingressUrl, admin: adminUrl });
const never = new AbortController().signal;
const isFlown = (effect: Effect): effect is Flown => effect.type !== 'gate' && effect.type !== 'abort';

function services(courier: () => Courier) {
  const inside = restate.object({
    name: 'inside',
    handlers: {
      message: async (ctx: restate.ObjectContext, { session, input }: Sent) => {
        const first = await ctx.run('step', async () => courier().step(session, input));
        const todo = first.ok ? first.effects.filter(isFlown) : [];
        for (let effect = todo.shift(); effect !== undefined; effect = todo.shift()) {
          const flown = effect;
          const outcome = await ctx.run('perform', async () => courier().perform(session, flown, never));
          if (outcome === null) continue;
          const next = await ctx.run('step', async () => courier().step(session, outcome));
          if (next.ok) todo.push(...next.effects.filter(isFlown));
        }
        return { ...first, entries: [] };
      },
    },
  });
  const effects = restate.service({
    name: 'effects',
    handlers: {
      perform: async (ctx: restate.Context, { session, effect }: { session: string; effect: Flown }) => {
        await ctx.run('begin', async () => process.pid);
        const input = await ctx.run('perform', async () => courier().perform(session, effect, never));
        if (input !== null) ctx.objectSendClient(pieces, session).submit({ session, input });
      },
    },
  });
  const pieces = restate.object({
    name: 'pieces',
    handlers: {
      submit: async (ctx: restate.ObjectContext, { session, input }: Sent): Promise<object> => {
        const result = await ctx.run('step', async () => ({ ...(await courier().step(session, input)), entries: [] }));
        if (result.ok)
          for (const effect of result.effects.filter(isFlown))
            ctx.serviceSendClient(effects).perform({ session, effect });
        return result;
      },
    },
  });
  const tenure = restate.object({
    name: 'tenure',
    handlers: {
      drive: async (ctx: restate.ObjectContext, { session }: { session: string }) => {
        await ctx.run('drive', async () => {
          const todo = (await courier().look(session)).effects.filter(isFlown);
          for (let effect = todo.shift(); effect !== undefined; effect = todo.shift()) {
            const outcome = await courier().perform(session, effect, never);
            if (outcome === null) continue;
            const next = await courier().step(session, outcome);
            if (next.ok) todo.push(...next.effects.filter(isFlown));
          }
        });
      },
    },
  });
  return { list: [inside, effects, pieces, tenure], inside, pieces, tenure };
}

async function measure(way: Way): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'courier-'));
  let courier: Courier | undefined;
  const bound = services(() => courier as Courier);
  const store =
    way === 'inside'
      ? openMemoryStore({ clock: system.clock })
      : await openSqliteStore({ directory: folder, clock: system.clock, timers: system.timers });
  const submit: Driver['submit'] = async (session, input) => {
    if (way === 'inside')
      return (await ingress.objectClient(bound.inside, session).message({ session, input })) as Awaited<
        ReturnType<Driver['submit']>
      >;
    if (way === 'effects')
      return (await ingress.objectClient(bound.pieces, session).submit({ session, input })) as Awaited<
        ReturnType<Driver['submit']>
      >;
    const result = await (courier as Courier).step(session, input);
    await ingress.objectSendClient(bound.tenure, session).drive({ session });
    return result;
  };
  const options: HostOptions = {
    store,
    agents: [agent({ name: 'a', model: 'scripted', tools: [look] })],
    models: createScriptedModel(({ items }) =>
      items.at(-1)?.kind === 'message' ? { calls: [{ name: 'look' }] } : { text: 'seen' },
    ).source,
    system,
    logger: silentLogger,
    redactor: new Redactor(),
    engineHash: 'bench',
    driver: (given) => {
      ({ courier } = given);
      if (way === 'driver') return makeDriver(given);
      return way === 'local' ? createLocalDriver(given) : { ...IDLE, submit };
    },
  };
  const host = await createHost(options);
  await host.start();
  const server = createServer(restate.createEndpointHandler({ services: bound.list, logger: () => {} }));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const registered = await fetch(`${adminUrl}/deployments`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ uri: `http://127.0.0.1:${port}`, force: true, breaking: true }),
  });
  if (!registered.ok) throw new Error(await registered.text());
  const times = await play(host);
  const journal = way === 'local' || way === 'driver' ? {} : await journaled();
  const sorted = times.toSorted((a, b) => a - b);
  const at = (part: number): string => (sorted[Math.floor(sorted.length * part)] ?? 0).toFixed(1);
  process.stdout.write(
    `${way.padEnd(8)} p50 ${at(0.5)} ms  p90 ${at(0.9)} ms  last ${times.at(-1)?.toFixed(1)}  ${JSON.stringify(journal)}\n`,
  );
  await host.stop();
  server.close();
  await store.close();
  await rm(folder, { recursive: true });
}

const look = tool({
  name: 'look',
  description: 'Looks.',
  input: { type: 'object' },
  effect: 'pure',
  run: () => 'seen',
});

async function play(host: Host): Promise<number[]> {
  const session = openSession(host, 'a');
  const times: number[] = [];
  for (let n = 0; n < rounds; n += 1) {
    const before = performance.now();
    const run = await session.send(`message ${n} ${'x'.repeat(200)}`);
    const { status } = await run.result();
    times.push(performance.now() - before);
    if (status !== 'completed') throw new Error(status);
  }
  return times;
}

let seen = { bytes: 0, entries: 0, invocations: 0 };
async function journaled(): Promise<object> {
  const ask = async (query: string): Promise<Record<string, number>> => {
    const response = await fetch(`${adminUrl}/query`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify({ query }),
    });
    const text = await response.text();
    return (JSON.parse(text) as { rows: Record<string, number>[] }).rows[0] ?? {};
  };
  const journal = await ask('select sum(raw_length) as bytes, count(*) as entries from sys_journal');
  const { n } = await ask('select count(*) as n from sys_invocation');
  const now = { bytes: Number(journal['bytes'] ?? 0), entries: Number(journal['entries']), invocations: Number(n) };
  const grown = {
    bytes: Math.round((now.bytes - seen.bytes) / rounds),
    entries: (now.entries - seen.entries) / rounds,
    invocations: (now.invocations - seen.invocations) / rounds,
  };
  seen = now;
  return grown;
}

for (const way of WAYS) await measure(way);
await restateServer.stop();
await rm(home, { recursive: true });
process.exit(0);
