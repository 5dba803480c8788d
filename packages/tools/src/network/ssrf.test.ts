/** Every way to write an address that must not be reached, against a server that records what it gets. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { webFetchOver } from '../web/fetch.ts';
import { dial } from './connect.ts';
import { GuardFailure } from './failure.ts';
import type { NetworkSeams } from './fetch.ts';
import { createGuardedFetch } from './fetch.ts';
import type { Address } from './resolve.ts';
import type { NetworkOptions } from './rules.ts';

const never = new AbortController().signal;
const got: string[] = [];
let answer: (request: IncomingMessage, response: ServerResponse) => void = (_request, response) => response.end('got');
let port = 0;
const server = createServer((request, response) => {
  got.push(`${request.headers.host ?? ''}${request.url ?? ''}`);
  answer(request, response);
});
before(async () => {
  // All of this machine's own addresses, of both families where it has both.
  server.listen({ host: '::', port: 0 });
  await once(server, 'listening').catch(async () => once(server.listen(0, '0.0.0.0'), 'listening'));
  ({ port } = server.address() as AddressInfo);
});
after(() => server.close());

const v4 = (address: string): Address => ({ address, family: 4 });
const v6 = (address: string): Address => ({ address, family: 6 });

/** Loopback in every notation that a URL, or a resolver of C, knows. */
const LOOPBACK =
  `127.0.0.1 127.1 127.0.1 127.0.0.1. 127.255.255.254 2130706433 0x7f000001 0X7F000001 017700000001 0x7f.1
  0x7f.0.0.1 0177.0.0.1 0177.0x0.0.1 127.0x0.1 127.0.0x0.0x1 00000177.1 0x0000007f.0.0.0x01 127.00.000.01 0x7f.0x1
  １２７.０.０.１ ⑫⑦.0.0.1 127。0。0。1 127．0．0．1 127｡0｡0｡1 ０ｘ７ｆ.1 ２１３０７０６４３３ 127.%30.0.1 %31%32%37.0.0.1 127%2e0%2e0%2e1
  [::1] [0:0:0:0:0:0:0:1] [0000:0000:0000:0000:0000:0000:0000:0001] [::0001] [0::1] [::0:1] [::0.0.0.1]
  [::ffff:127.0.0.1] [::ffff:7f00:1] [0:0:0:0:0:ffff:127.0.0.1] [::FFFF:7F00:0001] [::127.0.0.1] [::7f00:1]
  [::ffff:0:127.0.0.1] [64:ff9b::127.0.0.1] [64:ff9b::7f00:1] [64:ff9b:1::7f00:1] [2002:7f00:1::] [2002:7f00:0001::1]
  [2001:0:7f00:1::] [2001::7f00:1] [2001:0:4136:e378:8000:63bf:80ff:fffe] [fe80::5efe:127.0.0.1]
  [::1%25lo] [::1%lo] [::1%251] [::ffff:127.0.0.1%25eth0] [fe80::1%25eth0] [fe80::1%lo0]
  0 0.0.0.0 0.0 0x0 00 0.0.0.1 0.1.2.3 [::] [0:0:0:0:0:0:0:0] [::ffff:0.0.0.0] ０ 000.000.000.000`.split(/\s+/);

/** Networks that are nobody's public machine. */
const INNER = `10.0.0.1 10.255.255.255 012.0.0.1 0xa000001 167772161 172.16.0.1 172.31.255.255 2886729729 192.168.0.1
  192.168.1.254 0xc0a80101 3232235777 0300.0250.1.1 192.168.257 169.254.169.254 169.254.0.1 0xa9fea9fe 2852039166
  0251.0376.0251.0376 0xA9.0xFE.0xA9.0xFE 169.254.43518 169.16689662 １６９.254.169.254 100.64.0.1 100.100.100.200 100.127.255.255
  168.63.129.16 192.0.0.1 192.0.0.192 192.0.2.1 192.31.196.1 192.52.193.1 192.88.99.1 192.175.48.1 198.18.0.1 198.19.255.255
  198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255 4294967295 0xffffffff
  [fe80::1] [febf::1] [fec0::1] [feff::1] [fc00::1] [fd00::1] [fd00:ec2::254] [fd20:ce::254] [ff02::1] [ff0e::1] [100::1]
  [2001:db8::1] [2001:10::1] [2001:20::1] [2001:2::1] [2001:3::1] [2001:4:112::1] [2620:4f:8000::1] [3fff::1] [5f00::1]
  [64:ff9b::a9fe:a9fe] [64:ff9b::10.0.0.1] [64:ff9b:1::a9fe:a9fe] [2002:a9fe:a9fe::1] [2002:c0a8:101::] [2002:0a00:0001::]
  [::ffff:169.254.169.254] [::ffff:a9fe:a9fe] [::ffff:10.0.0.1] [::ffff:192.168.1.1] [::ffff:0:a9fe:a9fe] [::a9fe:a9fe]
  [::10.0.0.1] [4000::1] [8000::1] [e000::1] [1::1] [::2] [0:1::1] [ffff::1]`.split(/\s+/);

/** What a name may be answered with; the name itself is harmless. */
const ANSWERS: readonly (readonly Address[])[] = [
  ...['127.0.0.1', '127.0.0.2', '0.0.0.0', '10.1.2.3', '172.20.0.1', '192.168.0.10', '169.254.169.254'].map((a) => [
    v4(a),
  ]),
  ...['100.64.1.1', '100.100.100.200', '168.63.129.16', '224.0.0.251', '255.255.255.255', '198.51.100.7'].map((a) => [
    v4(a),
  ]),
  ...['::1', '::', '::ffff:127.0.0.1', '::ffff:8.8.8.8', 'fe80::1', 'fe80::1%eth0', 'fd00::1', '64:ff9b::7f00:1'].map(
    (a) => [v6(a)],
  ),
  ...['2002:7f00:1::', '2001:db8::1', 'ff02::1', '::127.0.0.1', '2606:4700::1111%lo'].map((a) => [v6(a)]),
  [v4('8.8.8.8'), v4('127.0.0.1')],
  [v4('127.0.0.1'), v4('8.8.8.8')],
  [v4('8.8.8.8'), v6('::1')],
  [v6('2606:4700::1111'), v4('127.0.0.1')],
  [v6('2606:4700::1111'), v4('8.8.8.8'), v4('10.0.0.1')],
  [v6('::1'), v4('1.1.1.1')],
  [v4('8.8.8.8'), v6('::ffff:127.0.0.1')],
  [v4('1.1.1.1'), v4('8.8.8.8'), v4('9.9.9.9'), v4('169.254.169.254')],
  [],
  // A resolver that hands on what it was told.
  [v4('0x7f000001')],
  [v4('127.1')],
  [v4('2130706433')],
  [v4('')],
  [v4('localhost')],
];

/** Words around a host that try to make two readers of one URL disagree. P: the recording server's port, AT: @. */
const TRICKS =
  `http://public.test@127.0.0.1:P/ http://127.0.0.1:P@public.test/ http://USER@127.0.0.1:P/ http://USER@public.test:P/ http://@127.0.0.1:P/
  http://:AT127.0.0.1:P/ http://public.test:80AT127.0.0.1:P/ http://public.test%40127.0.0.1:P/ http://127.0.0.1:P#@public.test/
  http://127.0.0.1:P\\ATpublic.test/ http:\\\\127.0.0.1:P/ http:/127.0.0.1:P/ http:127.0.0.1:P/
  http:///127.0.0.1:P/ http:////127.0.0.1:P/ http://127.0.0.1:P?@public.test/ http://127.0.0.1:0P/ http://127.0.0.1:00000P/
  HTTP://127.0.0.1:P/ hTtP://127.0.0.1:P/ http://localhost:P/ http://LOCALHOST:P/ http://localhost.:P/ http://ｌｏｃａｌｈｏｓｔ:P/
  http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:P/ http://lo\tcalhost:P/ http://loc\nalhost:P/ http://local%68ost:P/ http://loc­alhost:P/ http://sub.localhost:P/
  http://localhost..:P/ http://.localhost:P/ http://127.0.0.1..:P/ http://127.0.0.1.nip.test:P/ http://[::1].public.test:P/
  http://[::1:P/ http://::1:P/ http://[127.0.0.1]:P/ http://[::1]]:P/ http://127.0.0.1:P:80/ http://127.0.0.1%00.public.test:P/
  http://127.0.0.1%20:P/ http://127.0.0.1%09:P/ http://127.0.0.1%0d%0aHost:public.test:P/ http://public.test%2f@127.0.0.1:P/
  http://①②⑦.⓪.⓪.①:P/ http://0x7f.0x0.0x0.0x1:P/ http://0x7F.00.0x00000.0001:P/ http://1.2.3.256:P/ http://1.2.3.4.5:P/ http://127.0.0.08:P/
  https://127.0.0.1:P/ https://localhost:P/ https://[::1]:P/ ftp://127.0.0.1:P/ file:///etc/passwd file://127.0.0.1/etc/passwd
  gopher://127.0.0.1:P/_GET dict://127.0.0.1:P/ ldap://127.0.0.1:P/ ws://127.0.0.1:P/ data:text/plain,x javascript:0 blob:http://127.0.0.1:P/x
  about:blank view-source:http://127.0.0.1:P/ jar:http://127.0.0.1:P!/ unix:/var/run/docker.sock http+unix://%2Fvar%2Frun%2Fdocker.sock/
  //127.0.0.1:P/ 127.0.0.1:P /127.0.0.1:P http:// http://: http://? http://# http://public.test:22/ http://public.test:6379/
  http://public.test:25/ http://public.test:0/ http://public.test:65536/ http://public.test:-1/ http://a..b:P/ http://-:P/ http://*:P/`.split(
    / +|\n +/,
  );

/** Where a server that may be asked sends the next request: P its port. */
const TARGETS =
  `http://127.0.0.1:P/ http://localhost:P/ http://[::1]:P/ http://2130706433:P/ http://0x7f.1:P/ http://0:P/ //127.0.0.1:P/
  http://169.254.169.254/latest/meta-data/ http://[::ffff:127.0.0.1]:P/ http://[64:ff9b::7f00:1]:P/ http://evil.test:P/ http://a:bATvouched.test:P/
  https://127.0.0.1:P/ file:///etc/passwd ftp://vouched.test:P/ gopher://127.0.0.1:P/ http://１２７.0.0.1:P/ http://mixed.test:P/`.split(
    /\s+/,
  );
const STATUSES = [301, 302, 303, 307, 308];

/** As much as an operator can grant, short of the very server: any refusal left is the guard's. */
const granted = (): NetworkOptions => ({ http: true, ports: [port] });
const url = (text: string): string => text.replaceAll('AT', '@').replaceAll(/P(?=[/\\]|$)/g, String(port));

/** As a server writes into a header what is not ASCII. */
const bytesOf = (text: string): string => Buffer.from(text).toString('latin1');

/** Nothing of these tests leaves the machine: a public address is dialled at the recording server, and told. */
type Dialled = { dialled: string[]; seams: NetworkSeams };
function network(names: { readonly [name: string]: readonly Address[] } = {}): Dialled {
  const dialled: string[] = [];
  const own: { readonly [name: string]: readonly Address[] } = {
    localhost: [v4('127.0.0.1'), v6('::1')],
    'sub.localhost': [v4('127.0.0.1')],
    'public.test': [v4('8.8.8.8')],
    '127.0.0.1.nip.test': [v4('127.0.0.1')],
    'evil.test': [v4('127.0.0.1')],
    'mixed.test': [v4('8.8.8.8'), v4('127.0.0.1')],
    'vouched.test': [v4('127.0.0.1')],
    ...names,
  };
  return {
    dialled,
    seams: {
      resolve: async (name) => own[name] ?? [],
      dial: async (way, signal) => {
        dialled.push(...way.addresses.map(({ address }) => address));
        const forbidden = way.addresses.filter(({ address }) => !['8.8.8.8', '1.1.1.1', '127.0.0.1'].includes(address));
        assert.deepEqual(forbidden, [], 'an address was dialled');
        return dial({ addresses: [v4('127.0.0.1')], port: way.port === 80 ? port : way.port }, signal);
      },
    },
  };
}

let cases = 0;
async function refused(text: string, seams: NetworkSeams, options: NetworkOptions = granted()): Promise<void> {
  cases += 1;
  const before = got.length;
  await assert.rejects(createGuardedFetch(options, seams)(text, { maxBytes: 1000 }, never), GuardFailure, text);
  assert.deepEqual(got.slice(before), [], `${text} reached the server`);
}

void describe('requests at addresses that nobody may reach', () => {
  void test('the server that records is there to be reached: one that the operator vouches for is', async () => {
    const fetch = createGuardedFetch({ origins: [`http://127.0.0.1:${port}`] });
    const found = await fetch(`http://127.0.0.1:${port}/here`, { maxBytes: 1000 }, never);
    assert.equal(String(found.body), 'got');
    assert.deepEqual(got, [`127.0.0.1:${port}/here`]);
  });

  void test('an address of this machine is refused in every notation', async () => {
    for (const host of LOOPBACK)
      for (const scheme of ['http', 'https']) await refused(`${scheme}://${host}:${port}/`, network().seams);
    assert.deepEqual(network().dialled, []);
  });

  void test('an address of any network that is not public is refused in every notation', async () => {
    for (const host of INNER) await refused(`https://${host}/`, network().seams);
    for (const host of INNER) await refused(`http://${host}:${port}/`, network().seams);
  });

  void test('a name is refused when any of its addresses is not public', async () => {
    for (const answers of ANSWERS) {
      const { seams, dialled } = network({ 'name.test': answers });
      await refused(`http://name.test:${port}/`, seams);
      await refused(`https://name.test/`, seams);
      assert.deepEqual(dialled, []);
    }
  });

  void test('no word around a host makes another one of it', async () => {
    for (const trick of TRICKS) {
      const { seams, dialled } = network();
      await refused(url(trick), seams);
      assert.deepEqual(dialled, [], trick);
    }
  });

  void test('what one reader takes for the host and another one for the path leads where it was judged', async () => {
    for (const trick of ['http://public.test:P/@127.0.0.1:P/', String.raw`http://public.test:P\@127.0.0.1:P/`]) {
      cases += 1;
      const { seams, dialled } = network();
      await createGuardedFetch(granted(), seams)(url(trick), { maxBytes: 1000 }, never);
      assert.deepEqual(dialled, ['8.8.8.8'], trick);
    }
  });

  void test('a redirect is judged as if it had been asked for, whatever its status', async () => {
    for (const status of STATUSES)
      for (const target of TARGETS) {
        cases += 1;
        answer = (_request, response) => response.writeHead(status, { location: bytesOf(url(target)) }).end();
        const { seams } = network();
        const options = { ...granted(), origins: [`http://vouched.test:${port}`] };
        const before = got.length;
        await assert.rejects(
          createGuardedFetch(options, seams)(`http://vouched.test:${port}/start`, { maxBytes: 1000 }, never),
          GuardFailure,
          target,
        );
        assert.deepEqual(got.slice(before), [`vouched.test:${port}/start`], `${status} ${target}`);
      }
    answer = (_request, response) => response.end('got');
  });

  void test('a name that is answered differently the second time is asked for once', async () => {
    for (const later of ['127.0.0.1', '169.254.169.254', '10.0.0.1', '::1']) {
      cases += 1;
      let asked = 0;
      const dialled: string[] = [];
      const resolve = async (): Promise<readonly Address[]> => {
        asked += 1;
        return [asked === 1 ? v4('8.8.8.8') : { address: later, family: later.includes(':') ? 6 : 4 }];
      };
      const through: NetworkSeams['dial'] = async ({ addresses }, signal) => {
        dialled.push(...addresses.map(({ address }) => address));
        return dial({ addresses: [v4('127.0.0.1')], port }, signal);
      };
      const fetch = createGuardedFetch(granted(), { resolve, dial: through });
      const found = await fetch(`http://rebinding.test:${port}/`, { maxBytes: 1000 }, never);
      assert.equal(found.status, 200);
      assert.deepEqual([asked, dialled], [1, ['8.8.8.8']]);
      // The next hop asks anew, and is judged anew.
      await assert.rejects(fetch(`http://rebinding.test:${port}/`, { maxBytes: 1000 }, never), {
        code: 'forbidden_address',
      });
      assert.deepEqual(dialled, ['8.8.8.8']);
    }
  });

  void test('a redirect to a name that has been rebound is refused', async () => {
    cases += 1;
    let asked = 0;
    answer = (_request, response) => response.writeHead(302, { location: '/again' }).end();
    const resolve = async (): Promise<readonly Address[]> => [v4(asked++ === 0 ? '8.8.8.8' : '127.0.0.1')];
    const through: NetworkSeams['dial'] = async (_way, signal) => dial({ addresses: [v4('127.0.0.1')], port }, signal);
    const fetch = createGuardedFetch(granted(), { resolve, dial: through });
    const before = got.length;
    await assert.rejects(fetch(`http://rebinding.test:${port}/`, { maxBytes: 1000 }, never), {
      code: 'forbidden_address',
    });
    assert.equal(got.length, before + 1);
    answer = (_request, response) => response.end('got');
  });

  void test('an operator who vouches for a server lets in neither its metadata nor its neighbours', async () => {
    for (const [origin, asked, address] of [
      ['http://169.254.169.254', 'http://169.254.169.254/latest/meta-data/', ''],
      ['http://[fe80::1]', 'http://[fe80::1]/', ''],
      ['http://[fd00:ec2::254]', 'http://[fd00:ec2::254]/', ''],
      ['http://100.100.100.200', 'http://100.100.100.200/', ''],
      ['http://0.0.0.0', 'http://0.0.0.0/', ''],
      ['http://wiki.test', 'http://wiki.test/', '169.254.169.254'],
      ['http://wiki.test', 'http://wiki.test/', '168.63.129.16'],
      ['http://wiki.test', 'http://other.test/', '127.0.0.1'],
      ['http://wiki.test', 'https://wiki.test/', '127.0.0.1'],
      ['http://wiki.test', 'http://wiki.test:8080/', '127.0.0.1'],
      ['http://wiki.test', 'http://sub.wiki.test/', '127.0.0.1'],
      ['http://wiki.test', 'http://wiki.test.evil.test/', '127.0.0.1'],
    ] as const) {
      const names = Object.fromEntries([[new URL(asked).hostname, [v4(address)]]]);
      await refused(asked, network(names).seams, { http: true, ports: [8080], origins: [origin] });
    }
  });

  void test('through a proxy nothing private is asked for either', async () => {
    const asked: string[] = [];
    const proxy = createServer().on('connect', (request: IncomingMessage, socket: Socket) => {
      asked.push(request.url ?? '');
      const onward = connect(port, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        socket.pipe(onward).pipe(socket);
      });
    });
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    const at = (proxy.address() as AddressInfo).port;
    const options = { http: true, ports: [port], proxy: `http://me:wordAT127.0.0.1:${at}`.replaceAll('AT', '@') };
    const names = (name: string): readonly Address[] => (name === 'inner.test' ? [v4('10.0.0.1')] : []);
    const resolve = async (name: string): Promise<readonly Address[]> =>
      name === '127.0.0.1' ? [v4(name)] : names(name);
    for (const host of ['inner.test', '127.0.0.1', '[::1]', '2130706433', '169.254.169.254', '[64:ff9b::7f00:1]'])
      await refused(`http://${host}:${port}/`, { resolve }, options);
    assert.deepEqual(asked, []);
    const found = await createGuardedFetch(options, { resolve })(
      `http://unknown.test:${port}/x`,
      { maxBytes: 1000 },
      never,
    );
    assert.equal(String(found.body), 'got');
    assert.deepEqual(asked, [`unknown.test:${port}`]);
    proxy.close();
  });

  void test('by default nothing but https at its own port leaves', async () => {
    for (const text of [
      'http://public.test/',
      'https://public.test:8443/',
      'https://public.test:80/',
      `http://public.test:${port}/`,
      'ws://public.test/',
    ])
      await refused(text, network().seams, {});
  });

  void test('the tool tells a model what was refused, and nothing of what is there', async () => {
    const tool = webFetchOver(granted(), network().seams);
    const result = await tool.run({ url: `http://evil.test:${port}/` }, { signal: never } as never);
    assert.deepEqual(result, {
      content: 'forbidden_address: evil.test leads to an address that is not public',
      details: { code: 'forbidden_address', message: 'evil.test leads to an address that is not public' },
      isError: true,
    });
  });

  void test('there are more than 300 of them', () => assert.ok(cases >= 300, `${cases} cases`));
});
