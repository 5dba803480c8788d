import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HistoryPage, HistoryQuery, ToolDefinition } from '@perdure/runtime/ports';
import { contextOf } from '../test/context.ts';
import { searchHistory } from './search-history.ts';

const hit = {
  session: 'ses_2',
  agent: 'assistant',
  title: 'Tea',
  seq: 4,
  at: Date.UTC(2030, 0, 31, 8, 5, 59),
  run: 'r2',
  role: 'user',
  snippet: 'the kettle',
  taint: [],
} as const;

async function ask(tool: ToolDefinition, args: unknown, page: HistoryPage | Error) {
  const asked: HistoryQuery[] = [];
  const history = async (query: HistoryQuery): Promise<HistoryPage> => {
    asked.push(query);
    if (page instanceof Error) throw page;
    return page;
  };
  const result = await tool.run(args, { ...contextOf(), history });
  assert.ok(typeof result === 'object' && 'content' in result);
  return { asked, content: result.content, isError: 'isError' in result && result.isError === true };
}

describe('search_history', () => {
  it('asks for the conversations with its own agent, or with all', async () => {
    const page = { hits: [], next: null, behind: false };
    const own = await ask(searchHistory(), { query: 'kettle' }, page);
    assert.deepEqual(own.asked, [{ text: 'kettle', limit: 10, agent: 'assistant' }]);
    const all = await ask(searchHistory({ of: 'all' }), { query: 'kettle', limit: 3, cursor: 't1' }, page);
    assert.deepEqual(all.asked, [{ text: 'kettle', limit: 3, cursor: 't1' }]);
    assert.equal(own.content, '[nothing was found]');
  });

  it('answers with who said it where and when, and says when that is not all', async () => {
    const page = { hits: [hit, { ...hit, session: 'ses_1' }], next: 't9', behind: true };
    const { content } = await ask(searchHistory(), { query: 'kettle' }, page);
    assert.deepEqual(String(content).split('\n'), [
      '2030-01-31T08:05Z user in session ses_2 (Tea), r2: the kettle',
      '2030-01-31T08:05Z user in this conversation, r2: the kettle',
      '[up to here; there is more: go on with cursor t9]',
      '[the index is still being made: what was said lately may be missing; ask again later]',
    ]);
  });

  it('tells what is wrong with a query, and throws what is wrong elsewhere', async () => {
    const wrong = Object.assign(new Error('the query holds no word'), { code: 'invalid_request' });
    const refused = await ask(searchHistory(), { query: '-' }, wrong);
    assert.deepEqual([refused.content, refused.isError], ['invalid_arguments: the query holds no word', true]);
    await assert.rejects(ask(searchHistory(), { query: 'x' }, new Error('the store is gone')), /the store is gone/);
  });
});
