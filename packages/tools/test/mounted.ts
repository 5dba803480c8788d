/** Workspaces in memory, as the tools of one call reach them. */
import assert from 'node:assert/strict';
import type { Tree, TreeNode } from '@perdure/contract';
import { Jobs, mountedFor, silentLogger, system, Workspaces } from '@perdure/runtime';
import type { Sandbox, TenantStore, ToolContext, ToolDefinition } from '@perdure/runtime/ports';
import { openMemoryStore } from '@perdure/stores/memory';
import { contextOf } from './context.ts';

type Ports = Pick<TenantStore, 'docs' | 'blobs'>;
export type Content = string | Uint8Array | { link: string };
export type MountAt = { path: string; workspace: string; mode?: 'read-only' | 'read-write' };
export type CallOptions = {
  sandbox?: Sandbox;
  mounts?: readonly MountAt[];
  key?: string;
  attempt?: number;
  over?: Ports;
  signal?: AbortSignal;
  jobs?: Jobs;
};

export type Mounted = Awaited<ReturnType<typeof makeMounted>>;

/** A store with the workspace `site`, which is mounted at `/` unless a call says otherwise. */
export async function makeMounted(files: { [path: string]: Content } = {}) {
  const store = openMemoryStore({ clock: system.clock }).tenant('default');
  const workspaces = new Workspaces({ ...store, clock: system.clock });
  let keys = 0;
  const push = async (name: string, contents: { [path: string]: Content }): Promise<string> => {
    const tree = new Map<string, TreeNode>();
    for (const [path, content] of Object.entries(contents)) {
      if (typeof content === 'object' && 'link' in content) tree.set(path, content);
      else {
        const bytes = Buffer.from(content);
        tree.set(path, { digest: await store.blobs.put(bytes), bytes: bytes.length });
      }
    }
    const from = (await workspaces.head(name))?.tree ?? null;
    const to = await workspaces.keep(tree);
    assert.ok((await workspaces.move(name, { from, to, key: `push-${++keys}`, origin: 'push' })).ok);
    return to;
  };
  await push('site', files);
  const treeOf = async (name = 'site'): Promise<Tree> => workspaces.tree((await workspaces.head(name))?.tree ?? '');
  const context = ({
    mounts,
    key = `call-${++keys}`,
    attempt = 1,
    over = store,
    signal,
    sandbox,
    jobs,
  }: CallOptions = {}): ToolContext => {
    const usual: readonly MountAt[] = [{ path: '/', workspace: 'site' }];
    const mounted = (mounts ?? usual).map((mount) => ({ mode: 'read-write' as const, tree: '', ...mount }));
    const on = { workspaces: new Workspaces({ ...over, clock: system.clock }), blobs: over.blobs };
    const call = mountedFor(on, mounted, { key, session: 'ses_1', call: 'r1t1c0' });
    const context = { ...contextOf(signal, sandbox), key, attempt, workspaces: call };
    return jobs === undefined ? context : { ...context, jobs: jobs.of('ses_1', 'r1t1c0') };
  };
  return {
    store,
    workspaces,
    push,
    treeOf,
    context,
    /** Of one process; what it tells is in `told`. */
    jobsIn(sandbox: Sandbox, told: string[] = [], process = 'p1'): Jobs {
      const { docs, blobs } = store;
      const tell = async (_: string, content: string): Promise<void> => void told.push(content);
      const own = {
        timers: system.timers,
        logger: silentLogger,
        process,
        shared: false,
        clean: (text: string) => text,
        changes: { start: async () => {}, stop: () => {}, expect: async () => {}, ended: async () => {} },
      };
      return new Jobs({ sandbox, docs, blobs, ...own, tell });
    },
    async texts(name = 'site'): Promise<{ [path: string]: string }> {
      const texts: { [path: string]: string } = {};
      for (const [path, node] of await treeOf(name))
        texts[path] =
          'link' in node ? `-> ${node.link}` : Buffer.from((await store.blobs.get(node.digest)) ?? []).toString();
      return texts;
    },
    async call(tools: readonly ToolDefinition[], name: string, args: unknown, options: CallOptions = {}) {
      const found = tools.find((tool) => tool.name === name);
      assert.ok(found !== undefined, `no tool ${name}`);
      const result = await found.run(args, context(options));
      assert.ok(typeof result === 'object' && 'content' in result && typeof result.content === 'string');
      const isError = 'isError' in result && result.isError === true;
      return { content: result.content, details: 'details' in result ? result.details : undefined, isError };
    },
  };
}
