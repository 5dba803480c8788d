// Who may import whom: the import table of the design, as data. A package without a row here fails the check.

export type Row = {
  /** Workspace packages it may import, without their scope. */
  readonly workspace: readonly string[];
  /** Workspace packages and libraries of which only types may be imported; they belong in devDependencies. */
  readonly typeOnly: readonly string[];
  readonly libraries: readonly string[];
  /** Node's own modules: none (it must run in a browser or anywhere), or all except the listed ones. */
  readonly node: 'none' | { readonly except: readonly string[] };
  /** Names that may not be taken from a module of Node, and then neither may the module as a whole. */
  readonly bannedNames: Readonly<Record<string, readonly string[]>>;
  /** Files to which `node.except` and `bannedNames` do not apply. */
  readonly free: readonly string[];
};

const TIME = ['node:timers', 'node:timers/promises', 'node:perf_hooks'];
const SERVERS = ['node:http', 'node:https', 'node:http2', 'node:net', 'node:tls', 'node:dgram', 'node:sqlite'];
const RANDOM = [
  'getRandomValues',
  'randomBytes',
  'randomFill',
  'randomFillSync',
  'randomInt',
  'randomUUID',
  'webcrypto',
];

const row = (given: Partial<Row>): Row => ({
  workspace: [],
  typeOnly: [],
  libraries: [],
  node: { except: TIME },
  bannedNames: {},
  free: [],
  ...given,
});

export const PACKAGES_MAX = 12;

export const TABLE: Readonly<Record<string, Row>> = {
  engine: row({ node: 'none' }),
  contract: row({ libraries: ['zod'], typeOnly: ['engine'], node: 'none' }),
  runtime: row({
    workspace: ['engine', 'contract'],
    libraries: ['zod', 'ajv', 'ajv-formats', 'pino', 're2js', 'unbash'],
    node: { except: [...TIME, ...SERVERS, 'node:process', 'node:child_process'] },
    bannedNames: { 'node:crypto': RANDOM },
    free: ['system.ts'],
  }),
  stores: row({ workspace: ['runtime'], libraries: ['pg'] }),
  models: row({
    workspace: ['runtime'],
    libraries: ['undici', 'eventsource-parser'],
    typeOnly: ['openai', '@anthropic-ai/sdk'],
  }),
  tools: row({ workspace: ['runtime', 'contract'], libraries: ['zod', 're2js', 'ipaddr.js', 'turndown', 'yaml'] }),
  drivers: row({ workspace: ['runtime'], libraries: ['@restatedev/restate-sdk'] }),
  gateway: row({ workspace: ['runtime', 'contract'], libraries: ['hono', '@hono/node-server', 'ws'] }),
  testkit: row({
    workspace: ['engine', 'runtime', 'contract', 'gateway'],
    libraries: ['fast-check'],
    node: { except: [] },
  }),
  perdure: row({
    workspace: ['engine', 'contract', 'runtime', 'stores', 'models', 'tools', 'drivers', 'gateway'],
    libraries: ['@restatedev/restate-sdk', '@restatedev/restate-server', 'pg', 'pino-pretty', 'pino', 'zod'],
    node: { except: [] },
  }),
};

/** Only these files of a package may use the testkit outside of tests: the public part that `perdure/testing` exports. */
export const TESTKIT_DOORS: readonly string[] = ['packages/perdure/src/testing.ts'];

/** Files beside the program: they run at development time only and may use Node and any devDependency. */
export const TOOLING = /^packages\/[^/]+\/(scripts\/|src\/generate\.ts$)/;
export const TESTS = /(\.test\.ts$)|(^packages\/[^/]+\/test\/)/;
