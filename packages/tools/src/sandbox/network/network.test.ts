import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { isPublic } from '../../network/addresses.ts';
import { allows, hostRules } from '../../network/hosts.ts';
import { startProxy } from './proxy.ts';
import type { Proxy } from './proxy.ts';

void test('a host is allowed by its exact name or by what it ends with, at its port', () => {
  const rules = hostRules(['example.com', '*.example.org', 'git.example.net:9418']);
  for (const [host, port] of [
    ['example.com', 443],
    ['EXAMPLE.com', 80],
    ['example.com.', 443],
    ['a.b.example.org', 443],
    ['git.example.net', 9418],
  ] as const)
    assert.equal(allows(rules, host, port), true, `${host}:${port}`);
  for (const [host, port] of [
    ['a.example.com', 443],
    ['badexample.com', 443],
    ['example.com.evil.test', 443],
    ['example.org', 443],
    ['badexample.org', 443],
    ['example.com', 22],
    ['git.example.net', 443],
    ['', 443],
  ] as const)
    assert.equal(allows(rules, host, port), false, `${host}:${port}`);
});

void test('what is no name of a host is refused when it is written', () => {
  for (const host of [
    '',
    '*',
    '*.',
    '127.0.0.1',
    '::1',
    '[::1]',
    'a b',
    'https://a.test',
    'a..b',
    'a.test:99999',
    'a.test/x',
    '.a',
  ])
    assert.throws(() => hostRules([host]), { code: 'invalid_host' }, host);
});

void test('an address that is of no public machine is not public, however it is written', () => {
  const hidden = `127.0.0.1 127.9.9.9 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 169.254.169.254 100.64.0.1
    100.127.255.255 0.0.0.0 0.1.2.3 192.0.0.1 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 239.1.1.1 240.0.0.1
    255.255.255.255 168.63.129.16 192.88.99.1 :: ::1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::127.0.0.1 fe80::1 fc00::1
    fd00:ec2::254 ff02::1 64:ff9b::7f00:1 64:ff9b:1::1 2001::1 2001:db8::1 2002:7f00:1:: 100::1 3fff::1 5f00::1 fec0::1
    example.com 1 0x7f000001 127.1 8.8.8.8.`.split(/\s+/);
  for (const address of [...hidden, '', '8.8.8.8 ']) assert.equal(isPublic(address), false, address);
  for (const address of ['8.8.8.8', '1.1.1.1', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '2a00:1450:4001::1'])
    assert.equal(isPublic(address), true, address);
});

void describe('the proxy', () => {
  const folder = mkdtempSync(join(tmpdir(), 'perdure-proxy-'));
  const server = createServer((asked, response) => {
    response.setHeader(
      'x-seen',
      `${asked.method} ${asked.url} ${asked.headers.host} ${asked.headers['proxy-authorization']}`,
    );
    asked.pipe(response);
  });
  let proxy: Proxy;
  let port = 0;
  const path = join(folder, 'socket');
  before(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    ({ port } = server.address() as AddressInfo);
    const rules = hostRules([`granted.test:${port}`, `private.test:${port}`, `localhost:${port}`]);
    const resolve = async (host: string): Promise<string> => {
      if (host === 'granted.test') return '127.0.0.1';
      throw new Error(`${host} leads to an address that is not public`);
    };
    proxy = await startProxy({ rules, path, resolve });
  });
  after(() => {
    proxy.close();
    server.close();
    rmSync(folder, { recursive: true });
  });

  const plain = async (url: string): Promise<{ status: number; seen: string; body: string }> =>
    new Promise((resolve, reject) => {
      const headers = { 'proxy-authorization': 'secret', host: 'other.test' };
      const asking = request({ socketPath: path, path: url, method: 'POST', headers }, (response) => {
        let body = '';
        response.on('data', (piece) => (body += String(piece)));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, seen: String(response.headers['x-seen']), body }),
        );
      });
      asking.on('error', reject);
      asking.end('sent');
    });
  const tunnel = async (target: string, then = ''): Promise<string> => {
    const socket = connect(path);
    let got = '';
    socket.on('data', (piece) => {
      if (got === '' && String(piece).includes(' 200 ')) socket.write(then);
      got += String(piece);
    });
    socket.write(`CONNECT ${target} HTTP/1.1\r\nhost: ${target}\r\n\r\n`);
    await once(socket, 'close');
    return got;
  };

  void test('a granted host is reached, with its own name and without what is the proxy’s', async () => {
    const got = await plain(`http://granted.test:${port}/a?b=c`);
    assert.deepEqual(got, { status: 200, seen: `POST /a?b=c granted.test:${port} undefined`, body: 'sent' });
    const asked = `GET /x HTTP/1.1\r\nhost: granted.test\r\nconnection: close\r\n\r\n`;
    assert.match(
      await tunnel(`granted.test:${port}`, asked),
      /^HTTP\/1\.1 200 Connection established\r\n\r\nHTTP\/1\.1 200 OK/,
    );
  });

  void test('no other host is, nor one by its address, nor one that leads to where nobody may go', async () => {
    for (const host of [
      'other.test',
      'granted.test.evil.test',
      '127.0.0.1',
      'private.test',
      'localhost',
      '2130706433',
      '0x7f.1',
    ])
      for (const got of [String((await plain(`http://${host}:${port}/`)).status), await tunnel(`${host}:${port}`)])
        assert.match(got, /^403|^HTTP\/1\.1 403/, host);
    for (const target of [
      `[::1]:${port}`,
      'granted.test',
      `granted.test:${port + 1}`,
      ':1',
      `a@granted.test:${port}:1`,
    ])
      assert.match(await tunnel(target), /^HTTP\/1\.1 4/, target);
    for (const url of ['/', `https://granted.test:${port}/`, 'ftp://granted.test/'])
      assert.equal((await plain(url)).status, 403, url);
    assert.equal((await plain(`http://granted.test@127.0.0.1:${port}/`)).status, 403);
  });
});
