import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { call } from '../test/context.ts';
import { LIMITS } from './limits.ts';
import { todo } from './todo.ts';

describe('todo', () => {
  const tools = [todo()];
  const item = (text: string, status = 'pending'): unknown => ({ text, status });

  it('answers with the whole list, for a model and as data', async () => {
    const items = [item('look', 'completed'), item(' think\nhard ', 'in_progress'), item('act')];
    const { content, details } = await call(tools, 'todo', { items });
    assert.equal(content, '[x] look\n[>] think hard\n[ ] act\n2 of 3 left.');
    assert.deepEqual(details, {
      items: [item('look', 'completed'), item('think\nhard', 'in_progress'), item('act')],
    });
    assert.equal((await call(tools, 'todo', { items: [item('look', 'completed')] })).content, '[x] look\nAll is done.');
    assert.equal((await call(tools, 'todo', { items: [] })).content, 'The list is empty.');
  });

  it('is pure, runs unasked, and refuses what is no list', async () => {
    assert.deepEqual([tools[0]?.effect, tools[0]?.approval], ['pure', 'never']);
    for (const items of [
      [item('')],
      [item('x', 'done')],
      [item('x'.repeat(LIMITS.todoChars + 1))],
      Array.from({ length: LIMITS.todoItems + 1 }, (_, n) => item(`${n}`)),
    ])
      assert.match((await call(tools, 'todo', { items })).content, /^invalid_arguments: /);
  });
});
