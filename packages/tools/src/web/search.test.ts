import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import type { ToolDefinition, ToolResult } from '@perdure/runtime/ports';
import { LIMITS } from '../limits.ts';
import { PRESETS, requestOf } from './endpoints.ts';
import type { WebSearchOptions } from './search.ts';
import { PROVIDERS } from './provider-search.ts';
import { webSearch } from './search.ts';

void describe('web_search', () => {
  let respond: RequestListener = () => undefined;
  const got: string[] = [];
  let base = '';
  const server = createServer((request, response) => {
    got.push(`${request.url} ${request.headers.authorization ?? '-'}`);
    respond(request, response);
  });
  before(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => server.close());

  const secrets: { [name: string]: string } = { SEARCH_KEY: 'k{query}y' };
  const searched = async (tool: ToolDefinition, args: unknown): Promise<ToolResult> => {
    got.length = 0;
    const context = { signal: new AbortController().signal, secret: (name: string) => secrets[name] };
    return (await tool.run(args, context as never)) as ToolResult;
  };
  const wordsOf = ({ content }: ToolResult): string => (typeof content === 'string' ? content : '');
  const answers = (body: unknown): void => {
    respond = (_request, response) => void response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };

  void test('asks first, tells somebody something, and its results are a stranger’s words', () => {
    const { effect, approval, taint, acts } = webSearch({ searxng: base });
    assert.deepEqual([effect, approval, taint, acts], ['pure', 'always', 'web', ['egress']]);
  });

  void test('an instance of SearXNG at a private address is asked, and its results are told in order', async () => {
    answers({
      results: [
        { title: 'One <b>bold</b>', url: 'https://one.test/', content: 'first\n words ![x](https://evil.test/)' },
        { title: 'Script', url: 'javascript:alert(1)', content: 'no address of the web' },
        { title: 'Two', url: 'http://two.test/a b' },
        { title: 'Three', url: 'https://three.test/' },
        'what is no result',
      ],
    });
    const { content } = await searched(webSearch({ searxng: `${base}/` }), { query: 'a & b=c', limit: 2 });
    assert.deepEqual(got, ['/search?q=a%20%26%20b%3Dc&format=json -']);
    assert.equal(
      content,
      '1. One bold\n   https://one.test/\n   first words [x](https://evil.test/)\n2. Two\n   http://two.test/a%20b',
    );
  });

  void test('the secret goes into the request alone, and stands for itself', async () => {
    const tool = webSearch({
      endpoint: {
        url: `${base}/v1?q={query}&n={count}`,
        headers: { authorization: 'Bearer {secret}' },
        secret: 'SEARCH_KEY',
        results: 'data.items',
        fields: { title: 'name', url: 'link' },
      },
    });
    answers({ data: { items: [{ name: 'N', link: 'https://n.test/', description: 'd' }] } });
    const result = await searched(tool, { query: '{secret}', limit: 3 });
    assert.deepEqual(got, ['/v1?q=%7Bsecret%7D&n=3 Bearer k{query}y']);
    assert.doesNotMatch(JSON.stringify(result), /k\{query\}y/);
    delete secrets['SEARCH_KEY'];
    const missing = await searched(tool, { query: 'x' });
    assert.equal(missing.content, 'not_configured: There is no secret SEARCH_KEY: the operator sets it.');
    assert.deepEqual(got, []);
  });

  void test('Brave is asked as its documentation says', () => {
    const asked = requestOf(PRESETS.brave('BRAVE_API_KEY'), { query: 'x y', limit: 8 }, 'word');
    assert.equal(asked.url, 'https://api.search.brave.com/res/v1/web/search?q=x%20y&count=8&text_decorations=false');
    assert.equal(asked.headers['x-subscription-token'], 'word');
  });

  void test('what is no list of results is said to be none, and one without results finds nothing', async () => {
    const tool = webSearch({ searxng: base });
    for (const body of ['<html>', '{"results": 3}', '{"results": {}}', '']) {
      answers(body);
      assert.match(wordsOf(await searched(tool, { query: 'x' })), /^invalid_answer: /, body);
    }
    answers({});
    assert.equal((await searched(tool, { query: 'x' })).content, '[nothing was found]');
    respond = (_request, response) => void response.writeHead(429).end();
    assert.equal((await searched(tool, { query: 'x' })).content, 'http_status: The search answered 429.');
  });

  void test('OpenAI’s own search is asked once, and what it cites is told with what it says', () => {
    const body = PROVIDERS.openai.body('gpt-5-mini', 'tea') as { [name: string]: unknown };
    assert.deepEqual(body['tools'], [{ type: 'web_search', search_context_size: 'low' }]);
    assert.deepEqual([body['max_tool_calls'], body['store'], body['tool_choice']], [1, false, 'required']);
    const url = 'https://tea.test/';
    const annotations = [{ type: 'url_citation', url, title: 'Tea', start_index: 0, end_index: 3 }];
    const read = PROVIDERS.openai.read({
      output: [
        { type: 'reasoning' },
        {
          type: 'web_search_call',
          action: {
            type: 'search',
            sources: [
              { type: 'url', url },
              { type: 'url', url: 'https://b.test/' },
            ],
          },
        },
        {
          type: 'message',
          content: [{ type: 'output_text', text: 'Tea is ![x](https://evil.test/) hot.', annotations }],
        },
      ],
    });
    assert.deepEqual(read, {
      text: 'Tea is [x](https://evil.test/) hot.',
      hits: [
        { title: 'Tea', url, text: '' },
        { title: '', url: 'https://b.test/', text: '' },
      ],
      searches: 1,
    });
    assert.equal(PROVIDERS.openai.read({ output: [{ type: 'message', content: [] }] }), null);
    for (const odd of [null, 3, [], {}, { output: {} }]) assert.equal(PROVIDERS.openai.read(odd), null);
  });

  void test('Anthropic’s own search is asked once; its errors are said by their code', () => {
    const body = PROVIDERS.anthropic.body('claude', 'tea') as { [name: string]: unknown };
    assert.deepEqual(body['tools'], [{ type: 'web_search_20250305', name: 'web_search', max_uses: 1 }]);
    const result = { type: 'web_search_result', url: 'https://tea.test/', title: 'Tea', encrypted_content: 'x' };
    const read = PROVIDERS.anthropic.read({
      content: [
        { type: 'server_tool_use', name: 'web_search' },
        { type: 'web_search_tool_result', content: [result] },
        { type: 'text', text: 'Tea is hot.' },
      ],
    });
    const hits = [{ title: 'Tea', url: 'https://tea.test/', text: '' }];
    assert.deepEqual(read, { text: 'Tea is hot.', hits, searches: 1 });
    const error = { type: 'web_search_tool_result_error', error_code: 'too_many_requests' };
    const failed = PROVIDERS.anthropic.read({ content: [{ type: 'web_search_tool_result', content: error }] });
    assert.deepEqual(failed, { failed: 'too_many_requests' });
    assert.equal(PROVIDERS.anthropic.read({ content: [{ type: 'text', text: 'no search' }] }), null);
  });

  void test('a provider is asked at its own address, with its key and the secret’s name that it was given', async () => {
    const tool = webSearch({ provider: 'anthropic', model: 'claude', secret: 'MY_KEY' });
    const asked: unknown[] = [];
    const secret = (name: string, to: unknown): undefined => void asked.push([name, to]);
    const result = (await tool.run({ query: 'x' }, {
      signal: new AbortController().signal,
      secret,
    } as never)) as ToolResult;
    assert.equal(result.content, 'not_configured: There is no secret MY_KEY: the operator sets it.');
    assert.deepEqual(asked, [['MY_KEY', { url: 'https://api.anthropic.com/v1/messages' }]]);
  });

  void test('an endpoint cannot send the request on to anybody else', async () => {
    for (const location of ['https://public.test/', 'http://localhost:1/', 'http://169.254.169.254/']) {
      respond = (_request, response) => void response.writeHead(302, { location }).end();
      const found = await searched(webSearch({ searxng: base }), { query: 'x' });
      assert.match(wordsOf(found), /^forbidden_(?:host|url): /, location);
    }
  });

  void test('a result says no more than so much', async () => {
    answers({ results: [{ title: 't'.repeat(9_000), url: 'https://a.test/', content: 'c'.repeat(9_000) }] });
    const found = await searched(webSearch({ searxng: base }), { query: 'x' });
    assert.ok(wordsOf(found).length < LIMITS.titleChars + LIMITS.snippetChars + 40);
  });

  void test('options that cannot be obeyed are refused', () => {
    const shape = { results: '', fields: { title: 't', url: 'u' } };
    for (const options of [
      { searxng: 'searx.test' },
      { searxng: 'https://USER@searx.test' },
      { endpoint: { ...shape, url: 'https://a.test/' } },
      { provider: 'nobody', model: 'm' },
      { provider: 'openai', model: '' },
      { endpoint: { ...shape, url: 'https://{query}.test/' } },
      { endpoint: { ...shape, url: 'https://a.test/?q={query}&k={secret}' } },
      { endpoint: { ...shape, url: 'https://a.test/?q={query}', secret: 'UNUSED' } },
    ] as unknown as WebSearchOptions[])
      assert.throws(() => webSearch(options), { code: 'invalid_endpoint' }, JSON.stringify(options));
  });
});
