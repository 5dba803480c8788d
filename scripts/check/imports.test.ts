import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkFile, type Manifests } from './imports.ts';

const VERSION = '0.1.0';
const manifests: Manifests = {
  '': { name: 'root', devDependencies: { esbuild: '1.0.0' } },
  engine: { name: '@perdure/engine', exports: { '.': './src/index.ts' } },
  contract: {
    name: '@perdure/contract',
    exports: { '.': './src/index.ts' },
    dependencies: { zod: '4.0.0' },
    devDependencies: { '@perdure/engine': VERSION },
  },
  runtime: {
    name: '@perdure/runtime',
    exports: { '.': './src/index.ts' },
    dependencies: { '@perdure/engine': VERSION, '@perdure/contract': VERSION, zod: '4.0.0' },
  },
  stores: { name: '@perdure/stores', exports: { './memory': './m.ts' }, dependencies: { '@perdure/runtime': VERSION } },
  models: { name: '@perdure/models', exports: { '.': './m.ts' }, devDependencies: { openai: '7.0.0' } },
  testkit: { name: '@perdure/testkit', exports: { '.': './src/index.ts' } },
  perdure: { name: 'perdure', exports: { '.': './src/index.ts' } },
};

/** Each row: what is refused, where, which line, and a word of the answer. */
const REFUSED: readonly (readonly [string, string, string, RegExp])[] = [
  ['a module of Node in the engine', 'engine/src/a.ts', "import { join } from 'node:path';", /without Node/],
  ['a module of Node in the contract', 'contract/src/a.ts', "import fs from 'node:fs';", /without Node/],
  ['a library in the engine', 'engine/src/a.ts', "import { z } from 'zod';", /not in the table/],
  ['the runtime in the engine', 'engine/src/a.ts', "import type { A } from '@perdure/runtime';", /not in the table/],
  ['awaiting in the engine', 'engine/src/a.ts', 'const a = await b;', /synchronous/],
  [
    'the engine at run time in the contract',
    'contract/src/a.ts',
    "import { A } from '@perdure/engine';",
    /import type/,
  ],
  ['a library outside the table', 'runtime/src/a.ts', "import a from 'express';", /not in the table/],
  ['a library nobody lists', 'runtime/src/a.ts', "import pino from 'pino';", /does not list/],
  ['timers of Node in the runtime', 'runtime/src/a.ts', "import { setTimeout } from 'node:timers';", /use a port/],
  ['the process in the runtime', 'runtime/src/a.ts', "import { pid } from 'node:process';", /use a port/],
  ['an HTTP server in the runtime', 'runtime/src/a.ts', "import { createServer } from 'node:http';", /use a port/],
  [
    'a store in the runtime',
    'runtime/src/a.ts',
    "import { memory } from '@perdure/stores/memory';",
    /not in the table/,
  ],
  ['random ids in the runtime', 'runtime/src/a.ts', "import { randomUUID } from 'node:crypto';", /randomUUID/],
  ['all of crypto in the runtime', 'runtime/src/a.ts', "import * as crypto from 'node:crypto';", /name what it needs/],
  ['timers of Node in a store', 'stores/src/a.ts', "import { setTimeout } from 'node:timers/promises';", /use a port/],
  ['the engine in a store', 'stores/src/a.ts', "import type { A } from '@perdure/engine';", /not in the table/],
  ['one adapter in another', 'stores/src/a.ts', "import { a } from '@perdure/models';", /not in the table/],
  ['reading the clock in a store', 'stores/src/a.ts', 'const a = new Date();', /clock/],
  ['reading the clock as text in a store', 'stores/src/a.ts', 'const a = Date();', /clock/],
  ['a type-only library at run time', 'models/src/a.ts', "import OpenAI from 'openai';", /import type/],
  ['the testkit in a program', 'perdure/src/a.ts', "import { a } from '@perdure/testkit';", /not in the table/],
  ['the published package in another', 'runtime/src/a.ts', "import { a } from 'perdure';", /not in the table/],
  ['a module of Node without its prefix', 'stores/src/a.ts', "import fs from 'fs';", /node:fs/],
  ['reaching into another package', 'runtime/src/a.ts', "import { a } from '../../engine/src/a.ts';", /reaches out/],
  [
    'a door that a package does not open',
    'runtime/src/a.ts',
    "import { a } from '@perdure/engine/fold';",
    /does not export/,
  ],
  ['a test in a program', 'runtime/src/a.ts', "import { a } from './b.test.ts';", /imports the test/],
  ['exporting everything', 'stores/src/a.ts', "export * from './b.ts';", /list the names/],
  ['a dynamic import past the table', 'engine/src/a.ts', "const a = import('node:fs');", /without Node/],
  ['a library a test has not listed', 'runtime/src/a.test.ts', "import a from 'express';", /does not list/],
];

for (const [what, path, source, answer] of REFUSED) {
  test(`the check refuses ${what}`, () => {
    const problems = checkFile(`packages/${path}`, source, manifests);
    assert.equal(problems.length, 1, problems.join('\n'));
    assert.match(problems[0] ?? '', answer);
  });
}

const ALLOWED: readonly (readonly [string, string, string])[] = [
  ['types of the engine in the contract', 'contract/src/a.ts', "import type { A } from '@perdure/engine';"],
  ['the ports in a store', 'stores/src/a.ts', "import type { Clock } from '@perdure/runtime';"],
  ['hashing in the runtime', 'runtime/src/a.ts', "import { createHash } from 'node:crypto';"],
  ['the system in system.ts', 'runtime/src/system.ts', "import { randomBytes } from 'node:crypto';"],
  ['types of a vendor in a model', 'models/src/a.ts', "import type { OpenAI } from 'openai';"],
  ['a date made of a number in a store', 'stores/src/a.ts', 'const a = new Date(at).toISOString();'],
  ['a date as a type in a store', 'stores/src/a.ts', 'const a = (b: Date): number => b.getTime();'],
  ['a ban that is only named in a comment', 'engine/src/a.ts', "// await import('node:fs')"],
  [
    'Node, packages and devDependencies in a test',
    'engine/src/a.test.ts',
    "import 'node:fs';\nimport '@perdure/testkit';\nimport 'esbuild';",
  ],
  ['the testkit in the testing door', 'perdure/src/testing.ts', "export { a } from '@perdure/testkit';"],
  ['Node in a generator', 'contract/src/generate.ts', "import { readFileSync } from 'node:fs';"],
];

for (const [what, path, source] of ALLOWED) {
  test(`the check allows ${what}`, () => {
    assert.deepEqual(checkFile(`packages/${path}`, source, manifests), []);
  });
}
