/**
 * The workspaces of a tenant: for each name a head, which says which tree it stands at.
 *
 * H1 Bodies are stored before the tree that names them, and the tree before the head: what a head names is there.
 * H2 A head moves by compare-and-swap: whoever moves it names the tree it takes it from.
 * H3 A head remembers by which keys it was last moved. What moves it under a key does so once: asked again after any
 *    crash, it finds that it did, from which tree to which.
 */
import type { Tree, TreeFile } from '@perdure/contract';
import { decodeTree, encodeTree, isLink, sizeOfTree, TreeError } from '@perdure/contract';
import { LIMITS } from '../limits.ts';
import type { BlobStore, Clock, Digest, Doc, DocStore } from '../ports.ts';

/** One move of a head. `origin`: what moved it, for people. */
export type Move = { key: string; before: Digest | null; after: Digest; at: number; origin: string };
export type Head = {
  name: string;
  /** Grows with each move. */
  revision: number;
  tree: Digest;
  files: number;
  bytes: number;
  updatedAt: number;
  /** The last ones, oldest first. */
  moves: readonly Move[];
};
export type Wanted = {
  /** The tree to move it from; null: there is no such workspace yet. */
  from: Digest | null;
  to: Digest;
  key: string;
  origin: string;
  /** The tree was made elsewhere: that its files have the sizes that it says is looked at. */
  foreign?: true;
};
/** `conflict`: it stands elsewhere, at `head`; null: there is no such workspace. */
export type Moved = { ok: true; head: Head; move: Move } | { ok: false; head: Head | null };

/** There is no such tree here, it is none, or a content of it is not here. */
export class TreeMissing extends Error {
  readonly code = 'tree_missing';
}

const KIND = 'workspace';

export class Workspaces {
  readonly #docs: DocStore;
  readonly #blobs: BlobStore;
  readonly #clock: Clock;
  /** By digest, the least recently used first: what a digest names does not change. */
  readonly #trees = new Map<Digest, Tree>();

  constructor({ docs, blobs, clock }: { docs: DocStore; blobs: BlobStore; clock: Clock }) {
    this.#docs = docs;
    this.#blobs = blobs;
    this.#clock = clock;
  }

  /** Null: there is no such workspace. */
  async head(name: string): Promise<Head | null> {
    const doc = await this.#docs.get(KIND, name);
    return doc === null ? null : headOf(doc);
  }

  /** By name. */
  async list(after: string | null, limit: number): Promise<Head[]> {
    return (await this.#docs.list(KIND, { after, limit })).map(headOf);
  }

  /** Throws TreeMissing. */
  async tree(digest: Digest): Promise<Tree> {
    const known = this.#trees.get(digest);
    this.#trees.delete(digest);
    const tree = known ?? (await this.#readTree(digest));
    this.#trees.set(digest, tree);
    for (const [oldest] of this.#trees) {
      if (this.#trees.size <= LIMITS.keptTrees) break;
      this.#trees.delete(oldest);
    }
    return tree;
  }

  async #readTree(digest: Digest): Promise<Tree> {
    const bytes = await this.#blobs.get(digest);
    if (bytes === null) throw new TreeMissing(`tree ${digest} is not here`);
    try {
      return decodeTree(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    } catch (error) {
      if (error instanceof TreeError || error instanceof TypeError)
        throw new TreeMissing(`what ${digest} names is no tree: ${error.message}`);
      throw error;
    }
  }

  /** Which of these contents are not here. */
  async missing(digests: Iterable<Digest>): Promise<Digest[]> {
    const missing: Digest[] = [];
    for (const digest of digests) if (!(await this.#blobs.has(digest))) missing.push(digest);
    return missing;
  }

  /** Keeps a tree, so that a head can be moved to it. Throws TreeError. */
  async keep(tree: Tree): Promise<Digest> {
    return this.#blobs.put(Buffer.from(encodeTree(tree)));
  }

  /**
   * Moves a head (H2, H3), or makes the workspace. Throws TreeMissing where the tree, or a content that the tree before
   * did not have, is not here.
   */
  async move(name: string, wanted: Wanted): Promise<Moved> {
    for (;;) {
      const doc = await this.#docs.get(KIND, name);
      const head = doc === null ? null : headOf(doc);
      const before = head?.moves.findLast(({ key }) => key === wanted.key);
      if (head !== null && before !== undefined) return { ok: true, head, move: before };
      if ((head?.tree ?? null) !== wanted.from) return { ok: false, head };
      const move: Move = {
        key: wanted.key,
        before: wanted.from,
        after: wanted.to,
        at: this.#clock.now(),
        origin: wanted.origin,
      };
      const record = { tree: wanted.to, ...(await this.#checked(wanted)), updatedAt: move.at };
      const moves = [...(head?.moves ?? []), move].slice(-LIMITS.keptMoves);
      const put = await this.#docs.put(KIND, name, { ...record, moves }, doc?.revision ?? 0);
      if (put.ok) return { ok: true, head: { name, revision: put.revision, ...record, moves }, move };
    }
  }

  /** H1. */
  async #checked({ from, to, foreign }: Wanted): Promise<{ files: number; bytes: number }> {
    const tree = await this.tree(to);
    const known = new Map<Digest, number>();
    // What was lost of the tree before is no reason not to leave it.
    const left = from === null ? null : await this.tree(from).catch(() => null);
    for (const node of left?.values() ?? []) if (!isLink(node)) known.set(node.digest, node.bytes);
    const fresh = new Set<Digest>();
    const sized = new Map<string, TreeFile>();
    for (const [path, node] of tree) {
      if (isLink(node)) continue;
      if (!known.has(node.digest)) fresh.add(node.digest);
      if (known.get(node.digest) !== node.bytes) sized.set(path, node);
    }
    const [lost, ...more] = await this.missing(fresh);
    if (lost !== undefined) throw new TreeMissing(`content ${lost} and ${more.length} others of the tree are not here`);
    if (foreign === true) await this.#measure(sized);
    return sizeOfTree(tree);
  }

  /** Limits, and what people are shown, go by the sizes that a tree says. Throws TreeMissing. */
  async #measure(files: ReadonlyMap<string, TreeFile>): Promise<void> {
    const sizes = new Map<Digest, number>();
    for (const [path, { digest, bytes }] of files) {
      const size = sizes.get(digest) ?? (await this.#blobs.get(digest))?.byteLength ?? 0;
      sizes.set(digest, size);
      if (size !== bytes) throw new TreeMissing(`${path} has ${size} bytes, and the tree says ${bytes}`);
    }
  }

  /** Takes the name away; `from`: only where it stands at this tree. False: it stands elsewhere, or is not there. */
  async delete(name: string, from: Digest | null): Promise<boolean> {
    for (;;) {
      const doc = await this.#docs.get(KIND, name);
      if (doc === null || (from !== null && headOf(doc).tree !== from)) return false;
      if ((await this.#docs.put(KIND, name, null, doc.revision)).ok) return true;
    }
  }
}

function headOf({ id, revision, doc }: Doc): Head {
  return { name: id, revision, ...(doc as Omit<Head, 'name' | 'revision'>) };
}
