import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { SessionIndex } from '@perdure/runtime/ports';
import { packIndex, unpackIndex } from './rows.ts';

const count = fc.nat();
const records: fc.Arbitrary<SessionIndex> = fc.record(
  {
    agent: fc.string(),
    key: fc.option(fc.string()),
    title: fc.string(),
    status: fc.constantFrom('idle', 'running', 'waiting', 'closed', 'quarantined'),
    activeRun: fc.option(fc.string()),
    queue: fc.array(fc.string(), { maxLength: 3 }),
    revision: count,
    usage: fc.record({
      input: count,
      cachedInput: count,
      cacheWrite: count,
      output: count,
      reasoning: count,
      source: fc.constantFrom('provider', 'bound'),
    }),
    cost: fc.record({ nanoUsd: count, price: fc.option(fc.string()) }),
    createdAt: count,
    updatedAt: count,
    dueAt: fc.option(count),
    outstanding: count,
    waits: fc.array(fc.record({ id: fc.string(), kind: fc.string(), run: fc.string() }), { maxLength: 2 }),
    forkedFrom: fc.record({ session: fc.string(), seq: count }),
    movedTo: fc.string(),
  },
  {
    requiredKeys: [
      ...(['agent', 'key', 'title', 'status', 'activeRun', 'queue', 'revision', 'usage', 'cost'] as const),
      ...(['createdAt', 'updatedAt', 'dueAt', 'outstanding', 'waits'] as const),
    ],
  },
);
// Plain objects, as they are everywhere else.
const index = records.map((one) => JSON.parse(JSON.stringify(one)) as SessionIndex);

test('the index of a session is read from its row as it was written', () => {
  fc.assert(
    fc.property(index, (written) => {
      const { agent, status, key } = written;
      assert.deepEqual(unpackIndex({ agent, status, key, doc: packIndex(written) }), written);
    }),
  );
});

test('the index of a row that an earlier build wrote is what its document says', () => {
  fc.assert(
    fc.property(index, (written) => {
      const { agent, status, key } = written;
      assert.deepEqual(unpackIndex({ agent, status, key, doc: JSON.stringify(written) }), written);
    }),
  );
});
