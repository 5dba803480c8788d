import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  argumentsDigest,
  base32,
  bodyDigest,
  canonicalJson,
  chained,
  chainHash,
  derivedSessionId,
  effectKey,
  mac,
  sameText,
  saltedBody,
  sessionId,
} from './digest.ts';
import { LIMITS } from '../limits.ts';

const random = { bytes: (count: number) => Uint8Array.from({ length: count }, (_, at) => at * 7) };

test('canonical JSON has the members in the order of their UTF-16 units', () => {
  // The sorting example of RFC 8785, section 3.2.3.
  const value = {
    '\u20ac': 'Euro Sign',
    '\r': 'Carriage Return',
    '\ufb33': 'Hebrew Letter Dalet With Dagesh',
    '1': 'One',
    '\ud83d\ude00': 'Emoji: Grinning Face',
    '\u0080': 'Control',
    '\u00f6': 'Latin Small Letter O With Diaeresis',
  };
  const names = [...canonicalJson(value).matchAll(/:"([^"]+)"/g)].map(([, name]) => name);
  assert.deepEqual(names, [
    'Carriage Return',
    'One',
    'Control',
    'Latin Small Letter O With Diaeresis',
    'Euro Sign',
    'Emoji: Grinning Face',
    'Hebrew Letter Dalet With Dagesh',
  ]);
});

test('canonical JSON has the number and string forms of ECMAScript', () => {
  // Number samples of RFC 8785, appendix B, and its example of section 3.2.2.
  const numbers: [number, string][] = [
    [0, '0'],
    [-0, '0'],
    [5e-324, '5e-324'],
    [1.7976931348623157e308, '1.7976931348623157e+308'],
    [9007199254740992, '9007199254740992'],
    [295147905179352830000, '295147905179352830000'],
    [9.999999999999997e22, '9.999999999999997e+22'],
    [1e23, '1e+23'],
    [999999999999999700000, '999999999999999700000'],
    [1e21, '1e+21'],
    [0.000001, '0.000001'],
    [Number('333333333.33333329'), '333333333.3333333'],
    [4.5, '4.5'],
    [2e-3, '0.002'],
    [1e-27, '1e-27'],
  ];
  for (const [value, text] of numbers) assert.equal(canonicalJson(value), text);
  assert.equal(canonicalJson('\u20ac$\u000f\nA\'B"\\\\"/'), '"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"');
  assert.equal(canonicalJson({ b: [null, true, false], a: {} }), '{"a":{},"b":[null,true,false]}');
});

test('what JSON cannot say, and what is too deep, is refused', () => {
  for (const value of [Number.NaN, Infinity, undefined, () => 1, 1n, Symbol('s')])
    assert.throws(() => canonicalJson(value), { code: 'not_canonical' });
  const deep = (depth: number): unknown => JSON.parse('['.repeat(depth) + ']'.repeat(depth));
  assert.equal(canonicalJson(deep(LIMITS.jsonDepth)).length, LIMITS.jsonDepth * 2);
  assert.throws(() => canonicalJson(deep(LIMITS.jsonDepth + 2)), { code: 'not_canonical' });
  assert.throws(() => canonicalJson(deep(200_000)), { code: 'not_canonical' });
});

test('the order of members does not matter to a digest, and everything else does', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 })), (value) => {
      const turned = Object.fromEntries(Object.entries(value).toReversed());
      assert.equal(argumentsDigest('t', turned), argumentsDigest('t', value));
      assert.deepEqual(JSON.parse(canonicalJson(value)), JSON.parse(JSON.stringify(value)));
      assert.notEqual(argumentsDigest('u', value), argumentsDigest('t', value));
    }),
  );
  assert.notEqual(argumentsDigest('t', { a: 1 }), argumentsDigest('t', { a: '1' }));
  assert.notEqual(argumentsDigest('t', JSON.parse('{"__proto__":1}')), argumentsDigest('t', {}));
});

test('the key of an effect is always the same, and no two effects share one', () => {
  assert.equal(effectKey('default', 'ses_a', 'r1t1c0'), effectKey('default', 'ses_a', 'r1t1c0'));
  const names = ['default', 'other'].flatMap((tenant) =>
    ['ses_a', 'ses_b'].flatMap((session) =>
      ['r1t1', 'r1t1c0', 'r1t1c1'].map((effect) => effectKey(tenant, session, effect)),
    ),
  );
  assert.equal(new Set(names).size, 12);
  assert.notEqual(effectKey('a', 'b,c', 'd'), effectKey('a,b', 'c', 'd'));
  assert.match(names[0] ?? '', /^[a-z2-7]{52}$/);
});

test('the same small text has another digest in another body', () => {
  const one = saltedBody('yes', random);
  const two = saltedBody('yes', { bytes: (count) => new Uint8Array(count) });
  assert.notEqual(one.digest, two.digest);
  assert.equal(bodyDigest(one.salt, one.text), one.digest);
});

test('a session id sorts by when it was made and is random beyond that, or always the same for the same names', () => {
  const instant = fc.integer({ min: 0, max: 2 ** 48 - 1 });
  fc.assert(
    fc.property(instant, instant, (a, b) => {
      const [one, other] = [sessionId(random, a), sessionId(random, b)];
      assert.match(one, /^ses_[a-z2-7]{26}$/);
      assert.equal(one < other, a < b);
    }),
  );
  assert.notEqual(sessionId(random, 1), sessionId({ bytes: (count) => new Uint8Array(count) }, 1));
  assert.equal(derivedSessionId('t', 's'), derivedSessionId('t', 's'));
  assert.notEqual(derivedSessionId('t', 's'), derivedSessionId('ts', ''));
});

test('a frame is hashed as it is written: whatever is in it', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      for (const previous of ['', 'ab'.repeat(32)]) {
        const { bytes, hash } = chained(previous, JSON.stringify(text));
        assert.equal(Buffer.from(bytes).toString(), JSON.stringify(text));
        assert.equal(hash, chainHash(previous, bytes));
      }
    }),
  );
});

test('base32 is that of RFC 4648 in lower case without padding', () => {
  const vectors = {
    '': '',
    f: 'my',
    fo: 'mzxq',
    foo: 'mzxw6',
    foob: 'mzxw6yq',
    fooba: 'mzxw6ytb',
    foobar: 'mzxw6ytboi',
  };
  for (const [text, coded] of Object.entries(vectors)) assert.equal(base32(Buffer.from(text)), coded);
  // Beyond what is written in place.
  assert.equal(base32(Buffer.alloc(50, 'foobar')).slice(0, 9), 'mzxw6ytbo');
  assert.equal(base32(Buffer.alloc(50)), 'a'.repeat(80));
});

test('a mac tells its own text and secret from all others', () => {
  assert.ok(sameText(mac('secret', 'a'), mac('secret', 'a')));
  assert.ok(!sameText(mac('secret', 'a'), mac('secret', 'b')));
  assert.ok(!sameText(mac('secret', 'a'), mac('other', 'a')));
  assert.ok(!sameText('a', 'ab'));
});
