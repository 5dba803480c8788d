import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { agentsFiles, files, jobs, searchHistory, shell, skills, webFetch, webSearch } from './index.ts';

const root = mkdtempSync(join(tmpdir(), 'perdure-options-'));
after(() => rmSync(root, { recursive: true, force: true }));

type Given = { [option: string]: unknown };
const MADE: { readonly [tool: string]: { make: (options: never) => unknown; options: Given } } = {
  files: { make: files, options: { root, hide: ['a'], hardLinks: 'refuse', prefix: 'x_', write: true } },
  'files of mounts': { make: files, options: { mounts: true, prefix: 'x_', write: true } },
  shell: { make: shell, options: { root, write: true, read: [root], hosts: [], env: { A: 'b' }, secrets: [] } },
  'shell on mounts': { make: shell, options: { mounts: true, limits: { processes: 8 } } },
  jobs: { make: jobs, options: { root, write: true } },
  'jobs on mounts': { make: jobs, options: { mounts: true } },
  webFetch: { make: webFetch, options: { hosts: [], deny: [], http: true, ports: [8443], origins: [] } },
  'webSearch by searxng': { make: webSearch, options: { searxng: 'https://searx.example' } },
  'webSearch by brave': { make: webSearch, options: { brave: { secret: 'BRAVE' } } },
  'webSearch by provider': { make: webSearch, options: { provider: 'openai', model: 'gpt-5-mini' } },
  skills: { make: skills, options: { folders: root, trusted: false } },
  agentsFiles: { make: agentsFiles, options: { root, from: '.', trusted: false } },
  searchHistory: { make: searchHistory, options: { of: 'all' } },
};

for (const [tool, { make, options }] of Object.entries(MADE)) {
  test(`${tool}: an option that there is not is refused by its name, and one of another kind`, () => {
    const made = make as (given: Given) => unknown;
    assert.ok(made(options));
    assert.throws(() => made({ ...options, wriet: true }), { code: 'invalid_options', message: /no option wriet$/ });
    for (const name of Object.keys(options))
      assert.throws(
        () => made({ ...options, [name]: 7 }),
        (error: Error) => error.message.includes(name),
        name,
      );
  });
}

test('jobs take no secrets, and a shell on mounts no folder: neither would have them', () => {
  const refused = { code: 'invalid_options' };
  assert.throws(() => jobs({ root, secrets: ['TOKEN'] } as never), refused);
  assert.throws(() => shell({ mounts: true, root } as never), refused);
  assert.throws(() => files({ mounts: false, root } as never), refused);
});
