/**
 * The heads of workspaces as they really moved: each move, whoever made it, is held against what it may be (H1 to H3 of
 * the runtime's workspaces), and what the log tells of it against what it was.
 */
import assert from 'node:assert/strict';
import type { Tree, TreeNode } from '@perdure/contract';
import { decodeTree, encodeTree, isLink, sameNode } from '@perdure/contract';
import type { Entry, RunId } from '@perdure/engine';
import { LIMITS, sha256, Workspaces } from '@perdure/runtime';
import type { TenantStore } from '@perdure/runtime/ports';
import { CRAFT } from './crafts.ts';
import { stateOf } from './coverage.ts';
import type { Outside } from './outside.ts';
import type { Sim } from './sim.ts';
import type { Log, Named } from './truth.ts';

/** The one that sessions mount. */
export const SITE = 'site';
export const FIRST_FILES: { readonly [path: string]: string } = { 'a.txt': 'one\nend\n', 'notes/b.txt': 'two\nend\n' };
export const CHANGING: ReadonlySet<string> = new Set(['write_file', 'edit_file']);

type Move = { key: string; before: string | null; after: string; origin: string };
/** `isInTime`: it was made before its run had ended. */
type Seen = Move & { isInTime: boolean };
type Head = { revision: number; moves: Seen[] };
export type FileArgs = { path: string; content?: string; edits?: { old: string; new: string }[] };

export class Heads {
  readonly #heads = new Map<string, Head>();
  readonly #trees = new Map<string, Tree>();
  readonly #texts = new Map<string, string>();
  /** What calls that change files were dispatched with, by key. */
  readonly #asked = new Map<string, FileArgs>();
  /** Pushes that somebody is about to make: from tree to tree. */
  readonly #pushes = new Set<string>();
  readonly #sim: Sim;
  readonly #outside: Outside;

  constructor(sim: Sim, outside: Outside) {
    this.#sim = sim;
    this.#outside = outside;
  }

  /** Makes the workspace that sessions mount, before any process is there. */
  async found({ docs, blobs }: TenantStore): Promise<void> {
    const tree = new Map<string, TreeNode>();
    for (const [path, text] of Object.entries(FIRST_FILES))
      tree.set(path, { digest: await blobs.put(Buffer.from(text)), bytes: text.length });
    const workspaces = new Workspaces({ docs, blobs, clock: this.#sim.clock });
    const to = await workspaces.keep(tree);
    await workspaces.move(SITE, { from: null, to, key: 'first', origin: 'made' });
    const doc = await docs.get('workspace', SITE);
    this.moved(SITE, doc?.doc, doc?.revision ?? 0);
  }

  asked(key: string, args: FileArgs): void {
    this.#asked.set(key, args);
  }

  pushing(from: string, to: string): void {
    this.#pushes.add(`${from} ${to}`);
  }

  /** Whether it ever stood at this tree. */
  hasStood(workspace: string, tree: string): boolean {
    return this.#heads.get(workspace)?.moves.some(({ after }) => after === tree) === true;
  }

  /** As it stands. */
  now(workspace: string): Tree {
    return this.#trees.get(this.#heads.get(workspace)?.moves.at(-1)?.after ?? '') ?? new Map();
  }

  text(digest: string): string {
    return this.#texts.get(digest) ?? '';
  }

  /** A head was written. */
  moved(workspace: string, doc: unknown, revision: number): void {
    const { tree, moves } = doc as { tree: string; moves: Move[] };
    const move = moves.at(-1);
    assert.ok(move !== undefined && move.after === tree, `${workspace} stands where it was moved to [H2]`);
    const head = this.#heads.get(workspace) ?? { revision: 0, moves: [] };
    this.#heads.set(workspace, head);
    const before = head.moves.at(-1)?.after ?? null;
    assert.equal(revision, head.revision + 1, `each move of ${workspace} is one revision [H2]`);
    assert.equal(move.before, before, `${workspace} is moved from where it stands: no change is lost [H2]`);
    const kept = head.moves.slice(1 - LIMITS.keptMoves).map(({ key }) => key);
    assert.deepEqual(
      moves.slice(0, -1).map(({ key }) => key),
      kept,
      `${workspace} remembers who moved it [H3]`,
    );
    assert.ok(!head.moves.some(({ key }) => key === move.key), `${workspace} is moved once by ${move.origin} [H3]`);
    const run = this.#runOf(move.key);
    head.revision = revision;
    head.moves.push({ ...move, isInTime: run !== null && !run.log.ends.has(run.id) });
    this.#keep(workspace, tree);
    const trees = { before: this.#trees.get(before ?? '') ?? new Map<string, TreeNode>(), after: this.tree(tree) };
    this.#check(workspace, move, trees);
  }

  /** One that a head stood at. */
  tree(digest: string): Tree {
    const tree = this.#trees.get(digest);
    assert.ok(tree !== undefined, `a head stood at ${digest} once`);
    return tree;
  }

  /** H1: nothing is torn. */
  #keep(workspace: string, digest: string): void {
    const { disk } = this.#sim;
    const bytes = disk.blob(digest);
    assert.ok(bytes !== undefined, `the tree that ${workspace} is moved to is there [H1]`);
    const tree = decodeTree(Buffer.from(bytes).toString());
    this.#trees.set(digest, tree);
    for (const [path, node] of tree) {
      if (isLink(node) || this.#texts.has(node.digest)) continue;
      const content = disk.blob(node.digest);
      assert.equal(content?.length, node.bytes, `${path} of ${workspace} is there, whole [H1]`);
      this.#texts.set(node.digest, Buffer.from(content).toString());
    }
  }

  #runOf(key: string): { id: RunId; log: Log } | null {
    const named = this.#sim.truth.effects.get(key);
    const log = this.#sim.truth.logs.get(named?.session ?? '');
    return named?.run === null || named === undefined || log === undefined ? null : { id: named.run, log };
  }

  #check(workspace: string, move: Move, trees: { before: Tree; after: Tree }): void {
    const { key, origin } = move;
    const undone = /^undo of (ses_\w+)\.(r\d+) by /.exec(origin);
    if (undone !== null) return this.#checkUndo(workspace, `${undone[1]}`, `${undone[2]}`, trees);
    const named = this.#sim.truth.effects.get(key);
    if (named?.tool === CRAFT) return this.#checkCraft(workspace, named, move, trees);
    if (named !== undefined) return this.#checkCall(workspace, named, trees);
    if (origin.startsWith('pushed by '))
      return assert.ok(this.#pushes.has(`${move.before} ${move.after}`), `${workspace} is as somebody pushed it [H2]`);
    assert.equal(move.before, null, `${workspace} is moved by nobody: ${origin} [P5]`);
  }

  /** A call changes what it was asked to, in what its session may write; and that is what it did. */
  #checkCall(workspace: string, named: Named, { before, after }: { before: Tree; after: Tree }): void {
    const what = `${named.session} ${named.effect}`;
    const log = this.#sim.truth.logs.get(named.session);
    const mount = log?.state.config.mounts?.find((each) => each.workspace === workspace);
    assert.equal(mount?.mode, 'read-write', `${what} changes what is mounted to be changed [P15]`);
    const args = this.#asked.get(named.key);
    assert.ok(args !== undefined, `${what} was dispatched before it changes ${workspace} [P5]`);
    const changed = changedIn(before, after);
    assert.deepEqual(changed, [args.path], `${what} changes what it was asked to change, and nothing else [H2]`);
    const [old, fresh] = [before, after].map((tree) => this.#textAt(tree, args.path));
    const [edit] = args.edits ?? [];
    const wanted = edit === undefined ? args.content : old?.replace(edit.old, () => edit.new);
    assert.equal(fresh, wanted, `${what} leaves ${args.path} as it was asked to [H2]`);
    this.#outside.happen(this.#outside.deed(named.key), named.tool, 'keyed');
  }

  #checkCraft(workspace: string, named: Named, move: Move, { before, after }: { before: Tree; after: Tree }): void {
    const state = this.#sim.truth.logs.get(named.session)?.state;
    const mount = state?.config.mounts?.find((each) => each.workspace === workspace);
    assert.equal(mount?.mode, 'read-write', `${named.effect} changes what is mounted to be changed [P15]`);
    if (state !== undefined) this.#sim.coverage.hit('craft', stateOf(state));
    this.#outside.crafts.moved(workspace, named.key, move, before, after);
  }

  #textAt(tree: Tree, path: string): string | undefined {
    const node = tree.get(path);
    return node === undefined || isLink(node) ? undefined : this.#texts.get(node.digest);
  }

  /** What the run changed is as it was, and what others changed is as they left it. */
  #checkUndo(workspace: string, session: string, run: string, { before, after }: { before: Tree; after: Tree }): void {
    const what = `the undo of ${session} ${run}`;
    const first = new Map<string, TreeNode | undefined>();
    const last = new Map<string, TreeNode | undefined>();
    const inTime = new Set<string>();
    for (const { key, before: from, after: to, isInTime } of this.#heads.get(workspace)?.moves ?? []) {
      const named = this.#sim.truth.effects.get(key);
      if (named?.session !== session || named.run !== run || from === null) continue;
      for (const path of changedIn(this.tree(from), this.tree(to))) {
        if (!first.has(path)) first.set(path, this.tree(from).get(path));
        last.set(path, this.tree(to).get(path));
        if (isInTime) inTime.add(path);
      }
    }
    for (const path of changedIn(before, after)) {
      assert.ok(first.has(path), `${what} puts back ${path}, which the run has not changed [H2, undo]`);
      assert.ok(sameNode(before.get(path), last.get(path)), `${what} keeps what others made of ${path} [H2, undo]`);
      assert.ok(sameNode(after.get(path), first.get(path)), `${what} leaves ${path} as it was before [undo]`);
    }
    for (const path of inTime)
      assert.ok(sameNode(after.get(path), first.get(path)), `${what} puts back all of the run: ${path} [undo]`);
  }

  /** What the log tells of changes is what was changed; a file that was written was written. */
  seen(entry: Entry, named: Named | undefined): void {
    if (named === undefined) return;
    const what = `${named.session} ${named.effect}`;
    if (entry.kind === 'workspace.changed') {
      const { workspace, before, after } = entry.data;
      const move = this.#heads.get(workspace)?.moves.find(({ key }) => key === named.key);
      assert.deepEqual([move?.before, move?.after], [before, after], `what is told of ${what} is what it did [P6]`);
      this.#outside.crafts.told(named.key);
    }
    const args = this.#asked.get(named.key);
    if (entry.kind !== 'call.settled' || entry.data.outcome !== 'done' || entry.data.code !== undefined) return;
    if (!CHANGING.has(named.tool)) return;
    const isThere = [...this.#heads.values()].some(({ moves }) =>
      moves.some(({ key, after }) => key === named.key || this.#has(after, args)),
    );
    assert.ok(isThere, `${what} is done, and was never to be seen [P1]`);
  }

  #has(tree: string, args: FileArgs | undefined): boolean {
    const text = args === undefined ? undefined : this.#textAt(this.tree(tree), args.path);
    return (
      text !== undefined && (text === args?.content || args?.edits?.every((edit) => text.includes(edit.new)) === true)
    );
  }

  /** What is on the disk is what was acknowledged, and no body of it, old or new, is gone. */
  async checkEnd({ docs }: TenantStore): Promise<void> {
    for (const [name, { revision, moves }] of this.#heads) {
      const doc = await docs.get('workspace', name);
      assert.equal(doc?.revision, revision, `the disk holds the last head of ${name} [P1]`);
      assert.equal(
        (doc.doc as { tree: string }).tree,
        moves.at(-1)?.after,
        `${name} stands where it was moved to [P1]`,
      );
    }
    for (const digest of [...this.#trees.keys(), ...this.#texts.keys()])
      assert.ok(this.#sim.disk.blob(digest) !== undefined, `${digest}, which a head once named, is there [H1]`);
  }
}

function changedIn(before: Tree, after: Tree): string[] {
  const paths = [...new Set([...before.keys(), ...after.keys()])];
  return paths.filter((path) => !sameNode(before.get(path), after.get(path)));
}

/** A tree as it is stored. */
export const treeBytes = (tree: Tree): Buffer => Buffer.from(encodeTree(tree));
/** As the tools tell one content from another. */
export const digestOf = (text: string): string => sha256(text).slice(0, 16);
