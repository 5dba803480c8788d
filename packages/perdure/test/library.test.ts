import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, describe, test } from 'node:test';
import { z } from 'zod';
import {
  agent,
  ApiError,
  ConfigError,
  createRuntime,
  DataInUseError,
  handler,
  ListenError,
  serve,
  tool,
} from '../src/index.ts';
import type { AgentDefinition, Runtime, RuntimeOptions, StoreError } from '../src/index.ts';
import { startRuntime } from '../src/runtime.ts';
import { writeServerFile } from '../src/server-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'perdure-library-'));
after(() => rmSync(folder, { recursive: true, force: true }));
let folders = 0;
const fresh = (): string => join(folder, String((folders += 1)));

const paid: number[] = [];
const pay = tool({
  name: 'pay',
  description: 'Pays an amount.',
  input: z.object({ amount: z.number() }),
  effect: 'keyed',
  approval: 'always',
  run: ({ amount }) => {
    paid.push(amount);
    return `paid ${amount}`;
  },
});
const assistant = agent({ name: 'assistant', model: 'demo', tools: [pay] });

async function within(options: Partial<RuntimeOptions>, work: (runtime: Runtime) => Promise<void>): Promise<void> {
  const runtime = await createRuntime({ store: 'memory', agents: [assistant], log: { level: 'silent' }, ...options });
  try {
    await work(runtime);
  } finally {
    await runtime.close();
  }
}

test('a session is forked, written into a file, brought elsewhere, and moved', async () => {
  const reads = (file: Buffer) =>
    async function* () {
      yield file;
    };
  await within({}, async (here) => {
    const session = await here.open('assistant');
    await (await session.send('What is 2 + 3?')).result();
    const fork = await session.fork({ config: { temperature: 0 } });
    assert.equal((await (await fork.send('What is 2 + 4?')).result()).text.includes('6'), true);
    const copy = Buffer.concat(await Array.fromAsync(here.exportSession(session.id)));
    const moved = Buffer.concat(await Array.fromAsync(here.exportSession(session.id, { moveTo: 'elsewhere' })));
    await assert.rejects(session.send('more'), { code: 'session_closed' });
    await within({}, async (there) => {
      assert.notEqual((await there.importSession(reads(copy))).id, session.id);
      const arrived = await there.importSession(reads(moved));
      assert.equal(arrived.id, session.id);
      assert.equal((await (await arrived.send('What is 2 + 3?')).result()).status, 'completed');
      await assert.rejects(there.importSession(reads(moved)), { code: 'invalid_state' });
      await assert.rejects(there.importSession(reads(moved.subarray(1))), { code: 'invalid_request' });
    });
  });
});

for (const where of [{ store: 'memory' } as const, { data: fresh() }]) {
  describe(`with ${JSON.stringify(Object.keys(where))}`, () => {
    test('a message is accepted, streamed and answered; the session is found again', async () => {
      const rt = await createRuntime({ ...where, agents: [assistant] });
      const session = await rt.open('assistant');
      const run = await session.send('What is 2 + 3?');
      assert.deepEqual([run.id, typeof run.seq], ['r1', 'number']);
      const kinds = new Set<string>();
      let text = '';
      for await (const event of run.events()) {
        kinds.add(event.kind);
        if (event.kind === 'delta' && event.part === 'text') text = text.slice(0, event.offset) + event.text;
      }
      const end = await run.result();
      assert.deepEqual([end.status, end.text, end.waits], ['completed', '2 + 3 = 5', undefined]);
      assert.ok(end.text.startsWith(text));
      for (const kind of ['run.queued', 'run.started', 'turn.settled', 'run.ended']) assert.ok(kinds.has(kind), kind);
      const again = await rt.session(session.id);
      assert.equal((await again.view()).status, 'idle');
      await rt.close();
    });

    test('a run that needs a person comes to rest with its waits, and goes on when they are answered', async () => {
      const rt = await createRuntime({ ...where, agents: [assistant] });
      const session = await rt.open('assistant');
      const run = await session.send('call pay {"amount": 7}');
      for await (const event of run.events()) assert.notEqual(event.kind, 'run.ended');
      const rest = await run.result();
      assert.deepEqual([rest.status, rest.waits?.length, paid.includes(7)], ['waiting', 1, false]);
      for (const wait of rest.waits ?? [])
        await session.resolve(wait.id, { decision: 'approve', digest: wait.digest ?? '' });
      assert.equal((await run.result()).text, 'pay: paid 7');
      assert.deepEqual(
        paid.splice(0).filter((amount) => amount === 7),
        [7],
      );
      await rt.close();
    });
  });
}

test('a session is there after a restart, and a key opens or finds one', async () => {
  const data = fresh();
  let id = '';
  const options = { agents: [assistant, agent({ name: 'other', model: 'demo' })], data };
  const first = await createRuntime(options);
  const session = await first.open('assistant', { key: 'order 1' });
  await (await session.send('hello')).result();
  ({ id } = session);
  await first.close();
  const second = await createRuntime(options);
  try {
    const found = await second.session(id);
    assert.equal((await (await found.send('What is 1 + 1?')).result()).text, '1 + 1 = 2');
    const keyed = await second.open('assistant', { key: 'order 1' });
    assert.equal(keyed.id, id);
    assert.equal((await keyed.send('again')).id, 'r3');
    await assert.rejects(second.open('other', { key: 'order 1' }), { code: 'invalid_state' });
  } finally {
    await second.close();
  }
});

test('an agent or a session that is not there is refused by name', async () => {
  await within({}, async (rt) => {
    const notFound = (error: unknown): boolean => error instanceof ApiError && error.code === 'not_found';
    await assert.rejects(rt.open('nobody'), notFound);
    await assert.rejects(rt.session('ses_00000000000000000000000000'), notFound);
  });
});

test('data that is open is refused, with the address of the server that has it', async () => {
  const data = fresh();
  await within({ store: 'sqlite', data }, async (rt) => {
    const open = async (): Promise<unknown> => createRuntime({ agents: [assistant], data });
    await assert.rejects(open, (error) => error instanceof DataInUseError && error.server === null);
    const server = await serve(rt, { port: 0 });
    writeServerFile(data, { pid: process.pid, url: server.url });
    await assert.rejects(open, (error) => {
      assert.ok(error instanceof DataInUseError);
      assert.deepEqual([error.code, error.server], ['data_in_use', { pid: process.pid, url: server.url }]);
      assert.ok(error.message.includes(server.url));
      return true;
    });
    await server.close();
  });
});

test('a start that fails leaves nothing open', async () => {
  const data = fresh();
  const broken = { ...pay, name: 'broken', input: { type: 'nonsense' } };
  const bad: AgentDefinition = { ...assistant, name: 'bad', tools: [broken] };
  await assert.rejects(createRuntime({ agents: [bad], data }), (error) => error instanceof ConfigError);
  await within({ store: 'sqlite', data }, async () => undefined);
});

test('a data folder that cannot be one is refused with its path', async () => {
  const data = fresh();
  writeFileSync(data, 'a file');
  await assert.rejects(createRuntime({ agents: [assistant], data }), { code: 'invalid_config', path: 'data' });
});

test('data that cannot be opened is refused with its folder and what to do', async () => {
  const broken = fresh();
  mkdirSync(broken);
  writeFileSync(join(broken, 'perdure.db'), 'this is no database '.repeat(500));
  await assert.rejects(createRuntime({ data: broken, agents: [assistant] }), (error: StoreError) => {
    assert.equal(error.code, 'damaged');
    assert.match(error.message, new RegExp(`^${broken}: .*copy`));
    return true;
  });
  const newer = fresh();
  await (await createRuntime({ data: newer, agents: [assistant] })).close();
  const db = new DatabaseSync(join(newer, 'perdure.db'));
  db.exec("UPDATE meta SET value = 99 WHERE name = 'schema'");
  db.close();
  await assert.rejects(createRuntime({ data: newer, agents: [assistant] }), (error: StoreError) => {
    assert.equal(error.code, 'data_too_new');
    assert.match(error.message, new RegExp(`^${newer}: .*newer Perdure`));
    return true;
  });
});

test('an image is attached by its content and sent with a message', async () => {
  await within({}, async (rt) => {
    const image = await rt.attach(
      Buffer.from('89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de', 'hex'),
      'a.png',
    );
    const session = await rt.open('assistant');
    const run = await session.send([{ type: 'text', text: 'Look' }, image]);
    assert.equal((await run.result()).text, 'You said: Look\nYou gave me: a.png (image/png, 33 bytes)');
    await assert.rejects(
      rt.attach(Buffer.from([0])),
      (error) => error instanceof ApiError && error.code === 'invalid_request',
    );
  });
});

test('closing twice is closing once', async () => {
  const rt = await createRuntime({ agents: [assistant], store: 'memory' });
  await Promise.all([rt.close(), rt.close()]);
  await rt.close();
});

test('a handler answers as the server does: host, token, errors', async () => {
  await within({}, async (rt) => {
    const open = handler(rt);
    assert.equal((await open(new Request('http://localhost/v1/agents'))).status, 200);
    assert.equal((await open(new Request('http://evil.example/v1/agents'))).status, 403);
    const headers = { host: 'evil.example' };
    assert.equal((await open(new Request('http://localhost/v1/agents', { headers }))).status, 403);
    const named = handler(rt, { allowedHosts: ['agents.example'] });
    assert.equal((await named(new Request('http://agents.example/v1/agents'))).status, 200);
    const locked = handler(rt, { token: 'let me in' });
    assert.equal((await locked(new Request('http://evil.example/v1/agents'))).status, 401);
    const body = JSON.stringify({ input: 'What is 2 + 3?', wait: true });
    const json = { 'content-type': 'application/json' };
    const response = await open(new Request('http://localhost/v1/runs', { method: 'POST', body, headers: json }));
    const { run } = (await response.json()) as { run: { text: string } };
    assert.deepEqual([response.status, run.text], [200, '2 + 3 = 5']);
  });
});

test('a server listens until it is closed; a busy port and an open host without a token are refused', async () => {
  await within({}, async (rt) => {
    const server = await serve(rt, { port: 0 });
    assert.equal((await fetch(`${server.url}/health/live`)).status, 200);
    const code = (wanted: string) => (error: unknown) => error instanceof ListenError && error.code === wanted;
    await assert.rejects(serve(rt, { port: server.port }), code('port_in_use'));
    await assert.rejects(serve(rt, { port: 0, host: '0.0.0.0' }), code('token_required'));
    await server.close();
    await assert.rejects(fetch(`${server.url}/health/live`));
  });
});

test('no secret of the environment or the configuration is in an entry or an answer', async () => {
  const secrets = {
    OPENAI_API_KEY: 'sk-EXAMPLE-0123456789abcdef',
    GROQ_API_KEY: 'gsk-EXAMPLE-0123456789abcdef',
    PERDURE_TOKEN: 'token-EXAMPLE-1',
    HOUSE: 'house-EXAMPLE-1',
  };
  const { HOUSE, ...env } = secrets;
  const leak = tool({
    name: 'leak',
    description: 'Tells everything.',
    input: { type: 'object', properties: {} },
    run: (_args, context) => [...Object.values(secrets), context.secret('HOUSE')].join(' '),
  });
  const teller = agent({ name: 'teller', model: 'demo', tools: [leak] });
  const rt = await startRuntime({ agents: [teller], store: 'memory', secrets: { HOUSE } }, env);
  try {
    const run = await (await rt.open('teller')).send('call leak {}');
    let all = '';
    for await (const event of run.events()) all += JSON.stringify(event);
    all += JSON.stringify(await run.result());
    for (const [name, value] of Object.entries(secrets)) {
      assert.ok(!all.includes(value), name);
      assert.ok(all.includes(`{{secret:${name}}}`), name);
    }
  } finally {
    await rt.close();
  }
});

test('a hook that throws blocks', async () => {
  const hook = {
    name: 'guard',
    outcome: () => {
      throw new Error('broken');
    },
  };
  await within({ hooks: [hook] }, async (rt) => {
    const end = await (await (await rt.open('assistant')).send('What is 2 + 3?')).result();
    assert.notEqual(end.status, 'completed');
    assert.ok(!end.text.includes('5'));
  });
});

test('limits of the configuration hold for an agent that has none', async () => {
  await within({ limits: { calls: 0 } }, async (rt) => {
    const end = await (await (await rt.open('assistant')).send('call pay {"amount": 1}')).result();
    assert.deepEqual([end.status, end.reason], ['limited', 'calls']);
  });
});
