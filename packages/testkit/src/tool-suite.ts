/** The laws that a tool keeps: that it does what its schema and its class say. For tools of one's own. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { misfitOf } from '@perdure/runtime';
import type { ToolContext, ToolDefinition } from '@perdure/runtime/ports';

export type ToolSuiteOptions = {
  /** Fresh each time, with an outside of its own. */
  open: () => {
    tool: ToolDefinition;
    /** How often the outside was changed under this key, or at all. */
    happened?: (key: string) => number | Promise<number>;
    /** What `ctx.secret(name)` gives. */
    secrets?: { readonly [name: string]: string };
  };
  /** Arguments that it takes, and that it can be run with. */
  takes: readonly unknown[];
  /** Arguments that its schema refuses. */
  refuses?: readonly unknown[];
};

type Opened = ReturnType<ToolSuiteOptions['open']>;

const contextOf = ({ secrets = {} }: Opened, key: string, attempt = 1): ToolContext => ({
  key,
  attempt,
  signal: new AbortController().signal,
  session: 'ses_aaaaaaaaaaaaaaaaaaaaaaaaaa',
  agent: 'tester',
  run: 'r1',
  call: 'r1t1c0',
  progress: () => {},
  callback: () => ({ path: '/v1/callbacks/token', token: 'token' }),
  blobs: { put: async () => assert.fail('the suite keeps no blobs'), get: async () => null },
  secret: (name) => secrets[name],
  history: async () => ({ hits: [], next: null, behind: false }),
  result: async () => null,
  jobs: {
    start: async () => assert.fail('the suite has no jobs'),
    read: async () => null,
    write: async () => false,
    stop: async () => null,
    state: async () => null,
    begun: async () => null,
  },
  workspaces: {
    mounts: [],
    open: async () => assert.fail('the suite mounts nothing'),
    earlier: async () => null,
    content: async () => assert.fail('the suite mounts nothing'),
    change: async () => assert.fail('the suite mounts nothing'),
  },
  sandbox: {
    kind: 'unavailable',
    probe: async () => assert.fail('the suite has no sandbox'),
    run: async () => assert.fail('the suite has no sandbox'),
    close: async () => {},
  },
});

/** Registers the laws that every tool keeps, as tests of node:test. */
export function toolSuite(options: ToolSuiteOptions): void {
  const { tool } = options.open();
  void describe(`tool suite: ${tool.name}`, () => {
    void test('it is declared so that a model can call it', () => {
      assert.match(tool.name, /^[A-Za-z0-9_-]{1,64}$/);
      assert.notEqual(tool.description.trim(), '');
      assert.equal(tool.input['type'], 'object');
    });
    void test('its schema takes what it takes, and refuses what it refuses', () => {
      for (const args of options.takes) assert.equal(misfitOf(tool.input, args), null, JSON.stringify(args));
      for (const args of options.refuses ?? []) assert.notEqual(misfitOf(tool.input, args), null, JSON.stringify(args));
    });
    void test('it runs, and what it says is JSON', async () => {
      for (const args of options.takes) {
        const opened = options.open();
        const result = await opened.tool.run(args, contextOf(opened, 'key-1'));
        assert.equal(typeof JSON.stringify(result), 'string');
      }
    });
    if (tool.effect === 'pure') pureLaws(options);
    if (tool.effect === 'keyed') keyedLaws(options);
    if (tool.verify !== undefined) verifyLaws(options);
  });
}

function pureLaws(options: ToolSuiteOptions): void {
  void test('pure: it may run again, and changes nothing', async () => {
    const opened = options.open();
    for (const attempt of [1, 2]) await opened.tool.run(options.takes[0], contextOf(opened, 'key-1', attempt));
    if (opened.happened !== undefined) assert.equal(await opened.happened('key-1'), 0);
  });
}

function keyedLaws(options: ToolSuiteOptions): void {
  void test('keyed: the same key changes the outside once, another key once more', async () => {
    const opened = options.open();
    assert.ok(
      opened.happened !== undefined,
      'a keyed tool is tested with `happened`: it says what the outside has seen',
    );
    for (const attempt of [1, 2, 3]) await opened.tool.run(options.takes[0], contextOf(opened, 'key-1', attempt));
    assert.equal(await opened.happened('key-1'), 1, 'three attempts with one key are one change');
    await opened.tool.run(options.takes[0], contextOf(opened, 'key-2'));
    assert.equal(await opened.happened('key-2'), 1, 'another key is another change');
  });
}

function verifyLaws(options: ToolSuiteOptions): void {
  void test('verify: it knows what happened and what did not, and changes nothing itself', async () => {
    const opened = options.open();
    const { tool, happened } = opened;
    const [args] = options.takes;
    const before = await tool.verify?.('key-1', args, contextOf(opened, 'key-1'));
    assert.notEqual(before?.outcome, 'done', 'what nobody did was not done');
    if (happened !== undefined) assert.equal(await happened('key-1'), 0);
    await tool.run(args, contextOf(opened, 'key-1'));
    const after = await tool.verify?.('key-1', args, contextOf(opened, 'key-1'));
    assert.notEqual(after?.outcome, 'failed', 'what was done did not fail');
    if (happened !== undefined) assert.equal(await happened('key-1'), 1);
  });
}
