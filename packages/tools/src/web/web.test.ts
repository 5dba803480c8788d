import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { brotliCompressSync, constants, deflateSync, gzipSync } from 'node:zlib';
import type { ToolDefinition, ToolResult } from '@perdure/runtime/ports';
import { LIMITS } from '../limits.ts';
import { textOf } from './charset.ts';
import { webFetch } from './fetch.ts';
import { pageOf } from './markdown.ts';

void describe('a page as Markdown', () => {
  const read = (html: string): string => pageOf(html, 'https://site.test/a/b').markdown;

  void test('keeps what it says: headings, lists, code, tables, links in full', () => {
    const html = `<html><head><title> A
      page </title></head><body><h1>One <em>two</em></h1><ul><li>a</li><li>b</li></ul><pre><code class="language-js">let x;
</code></pre><table><tr><th>n</th><th>v</th></tr><tr><td>1</td><td>a|b</td></tr></table><p><a href="../c?d=1">on</a></p></body></html>`;
    const { title, markdown } = pageOf(html, 'https://site.test/a/b');
    assert.equal(title, 'A page');
    assert.equal(
      markdown,
      [
        '# One _two_',
        '-   a\n-   b',
        '```js\nlet x;\n```',
        '| n | v |\n| --- | --- |\n| 1 | a\\|b |',
        '[on](https://site.test/c?d=1)',
      ].join('\n\n'),
    );
  });

  void test('has nothing that a screen would load or run', () => {
    for (const html of [
      '<img src="https://evil.test/?secret">',
      '<p>![x](https://evil.test/?secret)</p>',
      '<img src=x onerror=alert(1) alt="![y](https://evil.test/)">',
      '<a href="javascript:alert(1)"><img src="https://evil.test/a.png"></a>',
      '<a href="https://site.test/)![x](https://evil.test/)">go</a>',
      '<picture><source srcset="https://evil.test/a"><img src="https://evil.test/b"></picture>',
      '<svg><image href="https://evil.test/"/></svg><video poster="https://evil.test/"></video>',
      '<iframe src="https://evil.test/"></iframe><object data="https://evil.test/"></object>',
      '<p>&lt;img src="https://evil.test/"&gt;</p><link rel="stylesheet" href="https://evil.test/">',
    ]) {
      const markdown = read(html);
      // An image of Markdown is an exclamation mark that nothing escapes, before a bracket that nothing escapes.
      assert.doesNotMatch(markdown, /(?<!\\)!\[/, html);
      assert.doesNotMatch(markdown, /javascript:|(?<!\\)<(?:img|svg|iframe|object|script|link)/i, html);
    }
  });

  void test('leaves out what nobody is shown', () => {
    const html = `<p>seen</p><!-- unseen --><p hidden>unseen</p><p style="color:red; display:none">unseen</p>
      <div aria-hidden="true">unseen</div><script>unseen</script><style>unseen</style><noscript>unseen</noscript>
      <template>unseen</template><p style="visibility: hidden">unseen</p><textarea>unseen</textarea>`;
    assert.equal(read(html), 'seen');
  });

  void test('is of the place that its own base names, if that is of the web', () => {
    assert.equal(read('<base href="/docs/"><a href="x">l</a>'), '[l](https://site.test/docs/x)');
    assert.equal(read('<base href="javascript:1"><a href="x">l</a>'), '[l](https://site.test/a/x)');
  });
});

void test('text is read as its mark, its server or its document says it is written', () => {
  const utf8 = Buffer.from('größer');
  const latin = Buffer.from('größer', 'latin1');
  assert.equal(textOf(utf8, null, true), 'größer');
  assert.equal(textOf(latin, 'iso-8859-1', false), 'größer');
  assert.equal(textOf(latin, null, true), 'größer');
  assert.equal(textOf(Buffer.from([0xef, 0xbb, 0xbf, ...utf8]), 'iso-8859-1', false), 'größer');
  assert.equal(textOf(Buffer.from('﻿größer', 'utf16le'), null, true), 'größer');
  assert.equal(textOf(Buffer.from([0x82, 0xb1, 0x82, 0xf1]), 'shift_jis', false), 'こん');
  const meta = Buffer.concat([Buffer.from('<meta charset="windows-1251">'), Buffer.from([0xcf, 0xf0])]);
  assert.equal(textOf(meta, null, true).slice(-2), 'Пр');
  const old = '<meta http-equiv="Content-Type" content="text/html; charset=koi8-r">';
  assert.equal(textOf(Buffer.concat([Buffer.from(old), Buffer.from([0xf0])]), null, true).slice(-1), 'П');
  assert.equal(textOf(utf8, 'no-such-charset', false), 'größer');
});

void describe('web_fetch', () => {
  let respond: RequestListener = () => undefined;
  let tool: ToolDefinition;
  let base = '';
  const server = createServer((request, response) => respond(request, response));
  before(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    tool = webFetch({ origins: [base] });
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  const fetched = async (path = '/', signal = new AbortController().signal): Promise<ToolResult> =>
    (await tool.run({ url: `${base}${path}` }, { signal } as never)) as ToolResult;
  const textFrom = ({ content }: ToolResult): string => (typeof content === 'string' ? content : '');
  const gives = (body: string | Buffer, headers: { [name: string]: string } = {}, status = 200): void => {
    respond = (_request, response) => void response.writeHead(status, headers).end(body);
  };
  const codeOf = async (): Promise<string> => textFrom(await fetched()).split(':')[0] ?? '';

  void test('reads again freely, and asks first', () => {
    assert.deepEqual([tool.effect, tool.approval, tool.taint, tool.acts], ['pure', 'always', 'web', ['egress']]);
  });

  void test('gives a page with its title and where it came from', async () => {
    respond = (request, response) => {
      if (request.url === '/') return void response.writeHead(302, { location: '/new' }).end();
      response.setHeader('content-type', 'text/html; charset=utf-8').end('<title>T</title><p>Hello');
    };
    const { content, details } = await fetched();
    assert.equal(content, `${base}/new\nTitle: T\n\nHello`);
    assert.deepEqual(details, {
      url: `${base}/new`,
      status: 200,
      type: 'text/html',
      bytes: 24,
      redirects: 1,
      title: 'T',
    });
  });

  void test('gives text and JSON as they are, and no other kind', async () => {
    for (const type of [
      'text/plain',
      'application/json',
      'application/ld+json; charset=utf-8',
      'text/csv',
      'application/xml',
    ]) {
      gives('{"a": 1}', { 'content-type': type });
      assert.equal((await fetched()).content, `${base}/\n\n{"a": 1}`, type);
    }
    for (const type of ['application/pdf', 'image/png', 'application/octet-stream', 'application/zip', 'video/mp4']) {
      gives('x', { 'content-type': type });
      assert.equal(await codeOf(), 'unsupported_type', type);
    }
    gives(Buffer.from([0x7f, 0x45, 0, 0]));
    assert.equal(await codeOf(), 'unsupported_type');
  });

  void test('says the status of what is not there', async () => {
    gives('<p>no', { 'content-type': 'text/html' }, 404);
    assert.equal((await fetched()).content, `http_status: ${base}/ answered 404 Not Found`);
  });

  void test('reads what is packed, and only what was asked for', async () => {
    for (const [encoding, pack] of [
      ['gzip', gzipSync],
      ['deflate', deflateSync],
      ['br', brotliCompressSync],
    ] as const) {
      gives(pack('packed'), { 'content-type': 'text/plain', 'content-encoding': encoding });
      assert.equal((await fetched()).content, `${base}/\n\npacked`, encoding);
    }
    for (const encoding of ['gzip, gzip', 'zstd', 'compress', 'constructor']) {
      gives(gzipSync(gzipSync('x')), { 'content-type': 'text/plain', 'content-encoding': encoding });
      assert.equal(await codeOf(), 'invalid_answer', encoding);
    }
    gives(gzipSync('cut short').subarray(0, 12), { 'content-type': 'text/plain', 'content-encoding': 'gzip' });
    assert.equal(await codeOf(), 'invalid_answer');
  });

  void test('what unpacks to more than it may is refused, and takes no memory for it', async () => {
    const zeros = Buffer.alloc(100 * 1024 * 1024);
    const bombs = {
      gzip: gzipSync(zeros),
      deflate: deflateSync(zeros),
      br: brotliCompressSync(zeros, { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } }),
    };
    for (const [encoding, bomb] of Object.entries(bombs)) {
      gives(bomb, { 'content-type': 'text/plain', 'content-encoding': encoding });
      const before = process.memoryUsage().rss;
      assert.equal(await codeOf(), 'too_large', encoding);
      assert.ok(process.memoryUsage().rss - before < 50 * 1024 * 1024, encoding);
    }
  });

  void test('an answer that never ends is dropped where it becomes too large, said beforehand or not', async () => {
    let sent = 0;
    respond = (_request, response) => {
      response.setHeader('content-type', 'text/plain');
      const piece = Buffer.alloc(64 * 1024, 'x');
      const more = (): void => {
        while (!response.destroyed && response.write(piece)) sent += piece.length;
        response.once('drain', more);
      };
      more();
    };
    assert.equal(await codeOf(), 'too_large');
    assert.ok(sent < LIMITS.pageBytes * 8, `${sent} bytes were taken`);
    gives('', { 'content-type': 'text/plain', 'content-length': String(LIMITS.pageBytes + 1) });
    assert.equal(await codeOf(), 'too_large');
  });

  void test('headers and redirects have an end', async () => {
    gives('x', { 'content-type': 'text/plain', 'x-long': 'x'.repeat(LIMITS.headerBytes) });
    assert.equal(await codeOf(), 'invalid_answer');
    respond = (_request, response) => void response.writeHead(302, { location: '/again' }).end();
    assert.equal(await codeOf(), 'too_many_redirects');
  });

  void test('a page that was made to take for ever ends with its call, and holds nobody up', async () => {
    const attributes = Array.from({ length: 60_000 }, (_, index) => `a${index}=1`).join(' ');
    respond = ({ url }, response) =>
      void response.setHeader('content-type', 'text/html').end(url === '/quick' ? '<p>quick' : `<p ${attributes}>x`);
    const stop = new AbortController();
    const slow = fetched('/', stop.signal);
    const aborted = assert.rejects(slow, /enough/);
    assert.match(textFrom(await fetched('/quick')), /quick/);
    stop.abort(new Error('enough'));
    await aborted;
  });

  void test('a page that is nested without end cannot be read, and says so', async () => {
    gives('<i>'.repeat(10_000), { 'content-type': 'text/html' });
    assert.equal(await codeOf(), 'unreadable');
  });

  void test('a call that is given up leaves no request behind', async () => {
    const stop = new AbortController();
    const closed = new Promise((resolve) => {
      respond = (request) => {
        request.socket.once('close', resolve);
        stop.abort(new Error('given up'));
      };
    });
    await assert.rejects(fetched('/', stop.signal), /given up/);
    await closed;
  });
});

void test('options that cannot be obeyed are refused', () => {
  for (const [options, code] of [
    [{ hosts: ['127.0.0.1'] }, 'invalid_host'],
    [{ deny: ['https://a.test'] }, 'invalid_host'],
    [{ ports: [0] }, 'invalid_port'],
    [{ origins: ['wiki.test'] }, 'invalid_origin'],
    [{ origins: ['http://wiki.test/path'] }, 'invalid_origin'],
    [{ origins: ['http://a:b@wiki.test'] }, 'invalid_origin'],
    [{ proxy: 'https://proxy.test' }, 'invalid_proxy'],
    [{ proxy: 'proxy.test:3128' }, 'invalid_proxy'],
  ] as const)
    assert.throws(() => webFetch(options), { code }, JSON.stringify(options));
});
