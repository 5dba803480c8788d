import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkText } from './hygiene.ts';

// Each sample is joined at run time, or this file would hold what it tests for.
const REFUSED: readonly (readonly [string, readonly string[]])[] = [
  ['a private key', ['-----BEGIN ', 'PRIVATE KEY-----']],
  ['an API key', ['sk-', 'abcdefghijklmnopqrstuvwx']],
  ['an AWS key', ['AKIA', 'ABCDEFGHIJKLMNOP']],
  ['a GitHub token', ['ghp_', 'abcdefghijklmnopqrstuvwxyz0123456789']],
  ['a GitLab token', ['glpat-', 'abcdefghijklmnopqrst']],
  ['a Slack token', ['xoxb-', '1234567890-abc']],
  ['a Google key', ['AIza', 'abcdefghijklmnopqrstuvwxyz012345678']],
  ['an npm token', ['_auth', 'Token=abc']],
  ['a signed token', ['eyJhbGciOiJIUzI1NiJ9', '.eyJzdWIiOiIxMjM0NTY3ODkwIn0', '.abcdefghijklmnop']],
  ['a password in a URL', ['https://me:', 'hunter2@host/']],
  ['the host of a registry', ['https://registry.', 'somewhere.org/']],
  ['the host of a registry', ['https://host/artifactory', '/api/', 'npm/main']],
  ['a path of one machine', ['"/home/', 'somebody/project"']],
  ['a path of one machine', ['"/Users/', 'somebody/project"']],
  ['a path of one machine', ['"/root/', 'project"']],
];

const UNFINISHED = ['<'.repeat(7), '|'.repeat(7), '>'.repeat(7)];

for (const [what, parts] of REFUSED) {
  test(`a file may not hold ${what} (${parts[0]}…)`, () => {
    assert.deepEqual(checkText('a.txt', `first\nhere: ${parts.join('')} \n`), [`a.txt:2 holds ${what}`]);
  });
}

test('a made-up secret that says EXAMPLE passes', () => {
  assert.deepEqual(checkText('a.txt', `${['AKIA', 'IOSFODNN7EXAMPLE'].join('')} sk-example-abcdefghijklmnop`), []);
});

test('a route of the API is no path of a machine', () => {
  assert.deepEqual(checkText('a.txt', 'GET /v1/work/items and docs/root/file'), []);
});

for (const marker of UNFINISHED) {
  test(`a file may not hold a conflict marker (${marker.slice(0, 1)})`, () => {
    assert.deepEqual(checkText('a.md', `first\n${marker} branch\n`), ['a.md:2 holds a merge that was not finished']);
    assert.deepEqual(checkText('a.md', `an example: ${marker} branch\n`), []);
  });
}
