import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { createClient, LIMITS } from '@perdure/contract';
import { createWorld, errorOf, SESSION } from '../test/fakes.ts';

const spools = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('perdure-import-'));

function connected(world = createWorld({ token: 'right' })) {
  const go = (url: string, init: RequestInit) => world.gateway.fetch(new Request(url, init));
  return {
    ...world,
    client: createClient({ url: 'http://localhost:7420', token: 'right', fetch: go as typeof fetch }),
  };
}

async function text(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  let whole = '';
  for await (const chunk of chunks) whole += Buffer.from(chunk).toString();
  return whole;
}

test('an export comes line by line, as a file of that session', async () => {
  const { api, request } = createWorld();
  api.lines = ['one\n', 'two\n'];
  const response = await request(`/v1/sessions/${SESSION}/export`);
  assert.deepEqual([response.status, await response.text()], [200, 'one\ntwo\n']);
  assert.equal(response.headers.get('content-disposition'), `attachment; filename="${SESSION}.jsonl"`);
  const by = connected();
  by.api.lines = api.lines;
  assert.equal(await text(by.client.exportSession(SESSION)), 'one\ntwo\n');
  const head = await request(`/v1/sessions/${SESSION}/export`, { method: 'HEAD' });
  assert.deepEqual([head.status, await head.text()], [200, '']);
});

test('an export that fails on the way breaks off: nobody takes what came for all of it', async () => {
  const { api, client } = connected();
  api.lines = ['one\n', new Error('the disk is gone')];
  await assert.rejects(text(client.exportSession(SESSION)), { code: 'unavailable' });
});

test('who leaves an export ends it at its source', async () => {
  const { api, client } = connected();
  let ended = false;
  api.exportSession = async () =>
    (async function* () {
      try {
        for (;;) yield Buffer.from('line\n');
      } finally {
        ended = true;
      }
    })();
  for await (const chunk of client.exportSession(SESSION)) {
    assert.ok(chunk.length > 0);
    break;
  }
  assert.ok(ended);
});

test('an import is read as often as it must be, and its copy on disk is gone afterwards', async () => {
  const { api, client } = connected();
  const before = spools();
  const file = new Uint8Array(Buffer.from('a session'));
  assert.deepEqual(await client.importSession(file), { session: { id: SESSION }, seq: 1 });
  await client.importSession(new Blob([file]).stream());
  assert.deepEqual(api.imported, ['a session', 'a session', 'a session', 'a session']);
  let meanwhile: string[] = ['not asked'];
  api.importSession = async () => {
    meanwhile = spools();
    throw new Error('refused');
  };
  await assert.rejects(client.importSession(file));
  assert.deepEqual(meanwhile, before, 'a process that died there would have left nothing');
  assert.deepEqual(spools(), before);
});

test('an import that is too large is refused, and one with parameters, too', async () => {
  const { request } = createWorld();
  const limits = LIMITS as { importBytes: number };
  const { importBytes } = limits;
  limits.importBytes = 10;
  try {
    const large = await request('/v1/import', { method: 'POST', body: 'x'.repeat(11) });
    assert.deepEqual([large.status, (await errorOf(large)).code], [413, 'too_large']);
  } finally {
    limits.importBytes = importBytes;
  }
  const asked = await request('/v1/import?submission=a', { method: 'POST', body: 'x' });
  assert.deepEqual([asked.status, (await errorOf(asked)).code], [400, 'invalid_request']);
});
