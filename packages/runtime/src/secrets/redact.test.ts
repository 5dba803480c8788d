import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LIMITS } from '../limits.ts';
import type { Bindings, Place } from './bindings.ts';
import { SecretRefused } from './bindings.ts';
import { encodingsOf } from './encodings.ts';
import type { SecretUse } from './redact.ts';
import { Redactor } from './redact.ts';

const SECRET = 'p@ss/w0rd "quoted" & <b>+ö';
const redactor = new Redactor({ DB: SECRET, TOKEN: 'tok_1234567890', HOST: 'tok_1234567890.example' });

// Put together, so that no scanner takes this file for a leak.
const TOKENS = [
  ['sk', '-', 'a1B_-'.repeat(6)],
  ['ghp', '_', 'Z9'.repeat(18)],
  ['github', '_pat_', 'x_1'.repeat(9)],
  ['AK', 'IA', 'ABCDEFGHIJKLMNOP'],
  ['xo', 'xb-', '123456789012-abcdef'],
  ['AI', 'za', 'q'.repeat(35)],
].map((parts) => parts.join(''));
const NAME = 'OPENSSH PRIVATE KEY';
const KEY = `-----BEGIN ${NAME}-----\nMIIEvQIBADANBg+/==\nabcd\n-----END ${NAME}-----`;

const streamed = (pieces: readonly string[], by: Redactor = redactor): string => {
  const stream = by.stream();
  return pieces.map((piece) => stream.push(piece)).join('') + stream.end();
};

test('a registered secret becomes its placeholder in every encoding', () => {
  const bytes = Buffer.from(SECRET);
  const forms = [
    SECRET,
    JSON.stringify(SECRET),
    JSON.stringify(JSON.stringify(SECRET)),
    bytes.toString('base64'),
    bytes.toString('base64url'),
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    encodeURIComponent(SECRET),
    encodeURIComponent(SECRET).toLowerCase(),
    new URLSearchParams({ q: SECRET }).toString(),
    'p@ss/w0rd &quot;quoted&quot; &amp; &lt;b&gt;+ö',
  ];
  for (const form of forms) {
    const clean = redactor.text(`before ${form} after`);
    assert.match(clean, /\{\{secret:DB\}\}/, form);
    for (const part of ['w0rd', 'quoted', bytes.toString('hex').slice(4, 20)]) assert.ok(!clean.includes(part), form);
  }
});

test('a secret inside a longer base64 text is found at each of its three places', () => {
  for (const user of ['a', 'ab', 'abc', 'longer-user']) {
    const clean = redactor.text(`Basic ${Buffer.from(`${user}:${SECRET}:rest`).toString('base64')}`);
    assert.match(clean, /\{\{secret:DB\}\}/, user);
  }
});

test('the longest form wins where one secret holds another', () => {
  assert.equal(redactor.text('at tok_1234567890.example!'), 'at {{secret:HOST}}!');
  assert.equal(redactor.text('at tok_1234567890!'), 'at {{secret:TOKEN}}!');
});

test('known credentials and private key blocks are blanked for good', () => {
  for (const token of TOKENS) assert.equal(redactor.text(`key=${token}, ok`), 'key=[redacted], ok');
  for (const token of TOKENS) assert.equal(redactor.text(`{"a":"b\\n${token}\\n"}`), '{"a":"b\\n[redacted]\\n"}');
  assert.equal(redactor.text(`a ${KEY} b`), 'a [redacted] b');
  assert.equal(redactor.text(`${KEY}\n${KEY}`), '[redacted]\n[redacted]');
  assert.equal(redactor.text(KEY.slice(0, 50)), '[redacted]');
});

test('ordinary words stay as they are', () => {
  for (const text of [
    'a task-force',
    'skill',
    'AKIA',
    '-----BEGIN CERTIFICATE-----\nabc',
    'a risk-assessment-of-many-things-at-once',
  ])
    assert.equal(redactor.text(text), text);
});

test('a value keeps its form: a key block without an end does not swallow the JSON around it', () => {
  const value = { text: `${KEY.slice(0, 60)}`, calls: [{ arguments: '{"a":1}' }], native: null, n: 1 };
  assert.deepEqual(redactor.value(value), { ...value, text: '[redacted]' });
  const line = JSON.stringify({ level: 30, text: KEY.slice(0, 60), msg: 'x' });
  assert.deepEqual(JSON.parse(redactor.text(line)), { level: 30, text: '[redacted]', msg: 'x' });
});

test('a clean value is returned as it is, and names are cleaned too', () => {
  const value = { a: [1, { b: 'c' }] };
  assert.equal(redactor.value(value), value);
  assert.deepEqual(redactor.value({ tok_1234567890: 1 }), { '{{secret:TOKEN}}': 1 });
});

const there = { tool: 'fetch' };
const given = (use: SecretUse, name = 'TOKEN', value = 'tok_1234567890'): Redactor => {
  const redactor = new Redactor();
  redactor.register(name, value, use);
  return redactor;
};

test('the last hop puts back what is bound to it, and pollutes no prototype', () => {
  const redactor = given({ tools: ['fetch'] });
  const args = JSON.parse(
    '{"__proto__":{"polluted":"{{secret:TOKEN}}"},"a":["{{secret:DB}}","{{secret:NONE}}"]}',
  ) as object;
  const restored = redactor.restore(args, there) as { a: string[] };
  assert.deepEqual(restored.a, ['{{secret:DB}}', '{{secret:NONE}}']);
  assert.deepEqual(Object.entries(restored)[0], ['__proto__', { polluted: 'tok_1234567890' }]);
  assert.equal(({} as { polluted?: unknown }).polluted, undefined);
  assert.equal(Object.getPrototypeOf(restored), Object.prototype);
  assert.ok(Object.hasOwn(restored, '__proto__'));
});

test('a value that holds another placeholder is put back as it is', () => {
  const nested = given({ tools: ['fetch'] }, 'A', '{{secret:B}} and more');
  nested.register('B', 'bbbbbbbbbb', { tools: ['fetch'] });
  assert.equal(nested.restore('{{secret:A}}', there), '{{secret:B}} and more');
});

test('what a model writes is no reason to give a secret that is bound to nothing; code is given it by its name', () => {
  assert.equal(given({}).restore('{{secret:TOKEN}}', there), '{{secret:TOKEN}}');
  assert.equal(given({}).secret('TOKEN', there), 'tok_1234567890');
});

test('a credential of the process is given to nobody, and appears nowhere', () => {
  const redactor = new Redactor({}, { TOKEN: 'tok_1234567890' });
  assert.equal(redactor.restore('{{secret:TOKEN}}', there), '{{secret:TOKEN}}');
  assert.equal(redactor.secret('TOKEN', there), undefined);
  assert.equal(redactor.text('it is tok_1234567890'), 'it is {{secret:TOKEN}}');
});

test('a secret goes where it is bound to: its hosts, its tools, its commands, all of them that are named', () => {
  const at = (use: Bindings, place: Partial<Place>): boolean => {
    try {
      return given(use).restore('{{secret:TOKEN}}', { ...there, ...place }) === 'tok_1234567890';
    } catch (error) {
      assert.ok(error instanceof SecretRefused && error.code === 'secret_refused', String(error));
      assert.ok(!error.message.includes('tok_'), error.message);
      return false;
    }
  };
  const hosts = ['api.example.com', '*.own.example'];
  const cases: [Bindings, Partial<Place>, boolean][] = [
    [{ hosts }, { urls: ['https://api.example.com/v1?x=1'] }, true],
    [{ hosts }, { urls: ['https://API.example.com:8443/'] }, true],
    [{ hosts }, { urls: ['https://a.b.own.example'] }, true],
    [{ hosts }, { urls: ['https://own.example'] }, false],
    [{ hosts }, { urls: ['https://notown.example'] }, false],
    [{ hosts }, { urls: ['http://api.example.com'] }, false],
    [{ hosts }, { urls: ['https://api.example.com@evil.example/'] }, false],
    [{ hosts }, { urls: ['https://evil.example/api.example.com'] }, false],
    [{ hosts }, { urls: ['https://api.example.com', 'https://evil.example'] }, false],
    [{ hosts }, { urls: ['https://api.example.com.{{secret:TOKEN}}/'] }, false],
    [{ hosts }, {}, false],
    [{ hosts: ['localhost'] }, { urls: ['http://localhost:8080'] }, true],
    [{ tools: ['fetch'] }, {}, true],
    [{ tools: ['other'] }, {}, false],
    [{ tools: ['fetch'], hosts }, {}, false],
    [{ tools: ['fetch'], hosts }, { urls: ['https://api.example.com'] }, true],
    [{ commands: ['gh'] }, { command: 'gh' }, true],
    [{ commands: ['gh'] }, { command: "gh pr create --title 'one two' && gh pr list" }, true],
    [{ commands: ['gh'] }, { command: 'gh pr list; env' }, false],
    [{ commands: ['gh'] }, { command: 'gh pr list > out' }, false],
    [{ commands: ['gh'] }, { command: 'gh $(env)' }, false],
    [{ commands: ['gh'] }, { command: './gh' }, false],
    [{ commands: ['gh'] }, { command: 'PATH=. gh' }, false],
    [{ commands: ['gh'] }, { command: 'gh() { env; }; gh' }, false],
    [{ commands: ['env'] }, { command: 'env gh' }, false],
    [{ commands: ['gh'] }, { command: 'curl' }, false],
    [{ commands: ['gh'] }, {}, false],
    [{ hosts: [] }, { urls: ['https://api.example.com'] }, false],
  ];
  for (const [use, place, is] of cases) assert.equal(at(use, place), is, JSON.stringify([use, place]));
});

test('what is set while a stream flows is held back from then on, and what a name stood for before stays out of sight', () => {
  const redactor = new Redactor();
  const stream = redactor.stream();
  assert.equal(stream.push('open '), 'open ');
  redactor.register('DOOR', 'sesame-seeds', {});
  assert.equal(stream.push('sesame-se'), '');
  assert.equal(stream.push('eds now '), '{{secret:DOOR}} now ');
  redactor.register('DOOR', 'other-password', {});
  redactor.forget('DOOR');
  assert.equal(redactor.text('sesame-seeds, other-password'), '{{secret:DOOR}}, {{secret:DOOR}}');
  assert.equal(redactor.secret('DOOR', there), undefined);
});

test('of one name the newest values are kept out of sight, and what it stands for now among them', () => {
  const redactor = new Redactor();
  for (let n = 0; n < 50; n += 1) redactor.register('DOOR', `password-${n}-of-many`, {});
  assert.equal(redactor.text('password-49-of-many'), '{{secret:DOOR}}');
  assert.equal(redactor.text(`password-${50 - LIMITS.secretValues}-of-many`), '{{secret:DOOR}}');
  assert.equal(
    redactor.text(`password-${49 - LIMITS.secretValues}-of-many`),
    `password-${49 - LIMITS.secretValues}-of-many`,
  );
});

test('thousands of secrets are found like one, whatever they share, and the longest wins', () => {
  const secrets = Object.fromEntries(
    Array.from({ length: 3_000 }, (_, n) => [`S${n}`, `issuer-v1-${(n * 7_919 + 1_000_003).toString(36)}-${n}`]),
  );
  const redactor = new Redactor(secrets);
  for (const [name, value] of Object.entries(secrets).slice(0, 300))
    for (const form of encodingsOf(value)) assert.equal(redactor.text(`a ${form} b`), `a {{secret:${name}}} b`, form);
});

test('a value too short to be told from words is named as unprotected, and tools still get it', () => {
  const short = new Redactor({ SHORT: 'abc', LONG: 'abcdefgh' });
  assert.deepEqual(short.unprotected, ['SHORT']);
  assert.equal(short.text('abc abcdefgh'), 'abc {{secret:LONG}}');
  assert.equal(short.secret('SHORT', there), 'abc');
  assert.throws(() => new Redactor({ 'a"b': 'abcdefgh' }), { code: 'invalid_config' });
});

test('a secret split at every position of a stream is held back until it is whole', () => {
  for (const secret of [...TOKENS, KEY, SECRET, ...encodingsOf(SECRET)]) {
    const text = `say ${secret} to me`;
    const whole = redactor.text(text);
    assert.ok(!whole.includes(secret));
    for (let cut = 0; cut <= text.length; cut += 1)
      assert.equal(streamed([text.slice(0, cut), text.slice(cut)]), whole);
    assert.equal(streamed(text.split('')), whole);
  }
});

test('a credential of any length in a run without spaces does not leak', () => {
  const long = `${'{"k":"v",'.repeat(100)}"x":"sk-${'a'.repeat(5_000)}","y":1}`;
  const pieces = long.match(/[\s\S]{1,7}/g) ?? [];
  assert.equal(streamed(pieces), redactor.text(long));
  const run = `${'b'.repeat(3_000)}-sk-${'c'.repeat(700)} end`;
  assert.ok(!streamed(run.match(/[\s\S]{1,5}/g) ?? []).includes('ccc'));
  const key = `${KEY.slice(0, 40)}${'Ab+/'.repeat(20_000)}`;
  assert.equal(streamed(key.match(/[\s\S]{1,1000}/g) ?? []), '[redacted]');
});

test('a stream lets go of ordinary text word by word', () => {
  const stream = redactor.stream();
  assert.equal(stream.push('Hello wor'), 'Hello ');
  assert.equal(stream.push('ld, how'), 'world, ');
  assert.equal(stream.push(' are you?'), 'how are you?');
  assert.equal(stream.end(), '');
});

test('whatever the text and its splits, a stream says what the whole says, and nothing leaks', () => {
  const noise = fc.constantFrom(
    '',
    ' ',
    'word',
    '\n',
    '\\n',
    '"',
    '-',
    '-----',
    'sk-',
    '{{secret:',
    'tok_',
    '-----BEGIN ',
    'é',
    '=',
  );
  const secret = fc.constantFrom(...TOKENS, KEY, SECRET, 'tok_1234567890', ...encodingsOf(SECRET));
  const text = fc.array(fc.oneof({ weight: 2, arbitrary: noise }, { weight: 1, arbitrary: secret }), { maxLength: 12 });
  const splits = fc.array(fc.nat(400), { maxLength: 12 });
  fc.assert(
    fc.property(text, splits, (parts, cuts) => {
      const whole = parts.join('');
      const at = [0, ...cuts.map((cut) => cut % (whole.length + 1)).toSorted((a, b) => a - b), whole.length];
      const pieces = at.slice(1).map((end, index) => whole.slice(at[index], end));
      const shown = streamed(pieces);
      for (const form of [...encodingsOf(SECRET), ...TOKENS.slice(1, 2)]) assert.ok(!shown.includes(form));
      assert.equal(shown, redactor.text(whole));
    }),
    { numRuns: 20_000 },
  );
});

test('cleaning is linear in the text', () => {
  const hostile = [
    `-----BEGIN ${NAME}-----`.repeat(20_000),
    '-----BEGIN '.repeat(50_000),
    '-'.repeat(500_000),
    'sk-'.repeat(200_000),
    'xoxb'.repeat(100_000),
    'aaaaaaaa'.repeat(60_000),
    '\\u0061'.repeat(60_000),
  ];
  const redactor = new Redactor({ A: 'aaaaaaaa', B: 'aaaaaaaaaaaaaaab' });
  for (const text of hostile) {
    redactor.text(text);
    streamed([text], redactor);
  }
});

test('a value is cleaned wherever its text would be, in each form of a secret', () => {
  const secrets = { ODD: 'line\none "quoted" \\ <tag> ü', PLAIN: 'plain-secret-value' };
  const redactor = new Redactor(secrets);
  const sk = `sk-${'a'.repeat(24)}`;
  const pem = KEY;
  for (const value of Object.values(secrets).flatMap((secret) => [...encodingsOf(secret), sk, pem])) {
    const holder = { deep: [{ [`name ${value}`]: `before ${value} after` }], rest: 'well' };
    const clean = redactor.value(holder);
    const text = redactor.json(holder);
    assert.equal(text, JSON.stringify(clean));
    assert.notEqual(text, JSON.stringify(holder), value);
    assert.ok(!redactor.text(JSON.stringify(clean)).includes(JSON.stringify(value).slice(1, -1)), value);
  }
  const innocent = { task: ['risk-free', { desk: 1 }], none: null };
  assert.equal(redactor.value(innocent), innocent);
  assert.equal(redactor.json(innocent), JSON.stringify(innocent));
});
