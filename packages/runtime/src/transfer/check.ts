/** Whether an exported file can be imported: read whole and folded, before anything is written. */
import type { Mount, State } from '@perdure/engine';
import { UnknownEntry } from '../log/frame.ts';
import { mountsAsKnown } from '../workspaces/forked.ts';
import { PrefixFold } from '../log/prefix.ts';
import type { Digest } from '../ports.ts';
import { contentsOf, Named } from './export.ts';
import type { Header } from './format.ts';
import { BadExport } from './format.ts';
import type { Open } from './read.ts';
import { readItems } from './read.ts';

export type Checked = {
  header: Header;
  /** The key by which the session is found where it comes from; null: it has none. */
  key: string | null;
  entries: number;
  blobs: number;
  /** Blobs that were lost where the file comes from: what they held reads as erased. */
  missing: Digest[];
  /** What it has mounted, as it knew it last. */
  mounts: Mount[];
};

/** Throws BadExport; and UnknownEntry for entries of a newer Perdure. */
export async function checkExport(open: Open): Promise<Checked> {
  const fold = new PrefixFold();
  const named = new Named();
  const found = new Set<Digest>();
  const missing = new Set<Digest>();
  /** What the entries name that is not among their bodies, and has not come yet. Frames come before all blobs. */
  let awaited: Set<Digest> | null = null;
  const arrived = (digest: Digest, among: Set<Digest>): void => {
    awaited ??= new Set(named.blobs());
    if (!awaited.delete(digest)) throw new BadExport(0, `has blob ${digest}, which no entry names, or a second time`);
    among.add(digest);
  };
  const follows = (digests: readonly Digest[]): void => {
    for (const digest of digests) if (!found.has(digest) && !missing.has(digest)) awaited?.add(digest);
  };
  let header: Header | null = null;
  for await (const item of readItems(open)) {
    if (item.type === 'header') header = item.header;
    if (item.type === 'frame') {
      const { first, count } = item.frame;
      const entries = taken(fold, item.frame);
      if (entries.length !== count || entries[0]?.seq !== first)
        throw new BadExport(0, `has a frame at ${first} that does not hold what it says`);
      named.add(item.frame);
    }
    if (item.type === 'blob') {
      arrived(item.digest, found);
      if (named.isTree(item.digest)) follows(contentsOf(item.bytes));
    }
    if (item.type === 'missing') arrived(item.digest, missing);
    if (item.type === 'ledger') checkLedger(fold.state, item.spent);
  }
  if (header === null) throw new BadExport(0, 'is empty');
  checkHeader(header, fold.state);
  const [lost] = awaited ?? named.blobs();
  if (lost !== undefined) throw new BadExport(0, `lacks blob ${lost}`);
  const { key } = fold.state;
  return {
    header,
    key,
    entries: fold.head.seq,
    blobs: found.size,
    missing: [...missing],
    mounts: mountsAsKnown(fold.state),
  };
}

function checkHeader(header: Header, { id, tenant, agent, phase }: State): void {
  const isOf = id === header.session && tenant === header.tenant && agent === header.agent;
  if (!isOf || (phase === 'moved') !== header.sealed) throw new BadExport(1, 'does not say what the entries say');
}

function taken(fold: PrefixFold, frame: Parameters<PrefixFold['add']>[0]): ReturnType<PrefixFold['add']> {
  try {
    return fold.add(frame);
  } catch (error) {
    if (error instanceof UnknownEntry) throw error;
    throw new BadExport(0, `holds what is no log at entry ${frame.first}`);
  }
}

function checkLedger({ spent }: State, told: { tokens: number; nanoUsd: number }): void {
  if (spent.tokens !== told.tokens || spent.nanoUsd !== told.nanoUsd)
    throw new BadExport(0, 'has accounts that are not those of its entries');
}
