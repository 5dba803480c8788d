import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GrantView } from '@perdure/contract';
import { createMemoryDisk, openMemoryStore } from '@perdure/stores/memory';
import { createVirtualSystem } from '@perdure/testkit';
import type { DocStore } from '../ports.ts';
import { grantOf, PolicyDocuments } from './documents.ts';

const { clock } = createVirtualSystem();
const SESSION = 'ses_00000000000000000000000000';
const grant = (answer: string, forMs?: number): GrantView =>
  grantOf({ decision: 'allow', tool: 'shell' }, forMs, {
    session: SESSION,
    wait: 'w1',
    answer,
    by: { kind: 'approver', id: 'ann' },
    at: 0,
  });

/** On a store of which `put` and `get` can be changed. */
function world(over: (docs: DocStore) => Partial<DocStore> = () => ({})) {
  const { docs } = openMemoryStore({ clock, disk: createMemoryDisk() }).tenant('default');
  const own = { ...docs, ...over(docs) };
  return { docs, policies: new PolicyDocuments(own, false, clock) };
}
const told = async (policies: PolicyDocuments) =>
  (await policies.inForce('worker', SESSION)).filed.map(({ rule }) => rule);

test('a grant lifts nothing, and nobody is shown it, until its answer is in the log', async () => {
  const { policies } = world();
  const given = grant('yes');
  await policies.propose('tenant', given);
  assert.deepEqual([await told(policies), (await policies.get('tenant')).grants], [[], []]);
  await assert.rejects(policies.revoke('tenant', given.id, 1), { code: 'not_found' });
  await policies.confirm('tenant', given.id, null);
  assert.deepEqual([await told(policies), (await policies.get('tenant')).grants], [[given.rule], [given]]);
  await policies.revoke('tenant', given.id, 1);
  await policies.confirm('tenant', given.id, null);
  assert.deepEqual(await told(policies), [], 'one that was revoked stays revoked');
});

test('of two answers to one wait that was granted, only the one that was taken counts, as it was given', async () => {
  const { policies } = world();
  const [short, long] = [grant('for a minute', 60_000), grant('for ever')];
  await policies.propose('tenant', long);
  await policies.propose('tenant', short);
  await policies.confirm('tenant', short.id, short);
  await policies.withdraw('tenant', long.id);
  await policies.withdraw('tenant', short.id);
  assert.deepEqual(await told(policies), [short.rule]);
});

test('a grant whose revocation was written counts no more, though nobody heard that it was', async () => {
  let isDeaf = false;
  const { policies } = world((docs) => ({
    put: async (...args) => {
      const put = await docs.put(...args);
      if (isDeaf) throw new Error('the answer was lost');
      return put;
    },
  }));
  const given = grant('yes');
  await policies.confirm('tenant', given.id, given);
  assert.deepEqual(await told(policies), [given.rule]);
  isDeaf = true;
  await assert.rejects(policies.revoke('tenant', given.id, 1));
  assert.deepEqual(await told(policies), []);
});

test('what was read of the rules before a change is not what is known after it', async () => {
  let held: PromiseWithResolvers<void> | null = null;
  const { policies, docs } = world((inner) => ({
    get: async (...args) => {
      const doc = await inner.get(...args);
      const wait = held;
      held = null;
      await wait?.promise;
      return doc;
    },
  }));
  const given = grant('yes');
  const made = { rules: [], grants: [given] };
  await docs.put('policy', 'tenant', made, 0);
  held = Promise.withResolvers<void>();
  const slow = held;
  const before = told(policies);
  await new Promise((resolve) => setImmediate(resolve));
  await policies.revoke('tenant', given.id, 1);
  slow.resolve();
  assert.deepEqual(await before, [given.rule], 'it had asked before');
  assert.deepEqual(await told(policies), []);
});

test('what is read while a change is on its way is asked for again', async () => {
  const [arriving, answering] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const { policies, docs } = world((inner) => ({
    put: async (...args) => {
      await arriving.promise;
      const put = await inner.put(...args);
      await answering.promise;
      return put;
    },
  }));
  const given = grant('yes');
  await docs.put('policy', 'tenant', { rules: [], grants: [given] }, 0);
  const revoked = policies.revoke('tenant', given.id, 1);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(await told(policies), [given.rule]);
  arriving.resolve();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(await told(policies), [], 'it is written, though nobody has heard');
  answering.resolve();
  await revoked;
});
