import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '@perdure/contract';
import { createWorld, errorOf } from '../test/fakes.ts';
import { LIMITS } from './limits.ts';

const unknown = (): never => {
  throw new ApiError('not_found', 'there is no such callback here');
};
const post = { method: 'POST', json: { paid: true } };

test('who guesses at callbacks is told to come later, and one that is right is taken all the same', async () => {
  let nowMs = 0;
  const { api, request, logged } = createWorld({ token: 'right', clock: { now: () => 0, monotonicMs: () => nowMs } });
  const answer = (path: string): number => (path.endsWith('known') ? 202 : unknown());
  api.answer = ({ params }) => ({ status: answer((params as { token: string }).token), result: {} });
  for (let n = 0; n < LIMITS.openMisses; n += 1)
    assert.equal((await request(`/v1/callbacks/guess${n}`, post)).status, 404);
  const limited = await request('/v1/callbacks/guess', post);
  assert.deepEqual([limited.status, (await errorOf(limited)).code], [429, 'rate_limited']);
  assert.equal(limited.headers.get('retry-after'), '1');
  assert.equal((await request('/v1/callbacks/known', post)).status, 202);
  assert.equal((await request('/v1/callbacks/guess', post)).status, 429);
  assert.equal(logged.filter((line) => line.startsWith('callbacks under unknown tokens')).length, 1, 'said once');
  nowMs += LIMITS.openMissesMs;
  assert.equal((await request('/v1/callbacks/guess', post)).status, 404, 'and forgotten after a while');
});

test('callbacks take so many places at once, and give them back however they end', async () => {
  const { api, request } = createWorld();
  const gate = Promise.withResolvers<void>();
  api.call = async () => gate.promise.then(unknown);
  const held = Array.from({ length: LIMITS.openRequests }, async () => request('/v1/callbacks/a', post));
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal((await request('/v1/callbacks/a', post)).status, 429);
  gate.resolve();
  await Promise.all(held);
  api.call = async () => ({ status: 202, result: {} }) as never;
  assert.equal((await request('/v1/callbacks/a', post)).status, 202);
});

test('nothing else comes in by that door', async () => {
  const { api, request } = createWorld({ token: 'right' });
  const addresses = ['/v1/callbacks', '/v1/callbacks/', '/v1/callbacks/a/b', '/v1/sessions/x/waits/w1'];
  for (const path of addresses) assert.equal((await request(path, post)).status, 401, path);
  assert.equal((await request('/v1/callbacks/a', { method: 'GET' })).status, 401);
  const rpc = { jsonrpc: '2.0', id: 1, method: 'callbacks.resolve', params: { token: 'a', payload: 1 } };
  assert.equal((await request('/v1/rpc', { json: rpc })).status, 401);
  assert.equal(api.calls.length, 0);
});
