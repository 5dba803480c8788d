/**
 * What the workspaces that a session has mounted say behind its agent's instructions. It is read before a step that may start
 * a run, since a transition waits for nothing; a run has it as it was then, word for word, in its manifest.
 */
import type { Config, Mount, State } from '@perdure/engine';
import { clipped } from '../effects/clip.ts';
import { LIMITS } from '../limits.ts';
import type { BlobStore, MountedTree, Source } from '../ports.ts';
import type { StepCommand } from '../log/step.ts';
import type { Workspaces } from '../workspaces/workspaces.ts';
import { TreeMissing } from '../workspaces/workspaces.ts';
import type { SourceText } from './sources.ts';

/** What is told under a configuration. */
export type Told = (config: Pick<Config, 'mounts'>) => readonly SourceText[];
export const toldNothing: Told = () => [];

type Options = { workspaces: Workspaces; blobs: Pick<BlobStore, 'get'>; redact: (text: string) => string };

/** The lists of mounts that a run which this command may start could have. */
export function mountsAhead(state: State, command: StepCommand): (readonly Mount[])[] {
  const begins = command.kind === 'open' || command.kind === 'send' || command.kind === 'configure';
  if (state.queue.length === 0 && !begins) return [];
  const given = [
    state.config,
    ...state.queue.map((id) => state.runs.get(id)?.config),
    'config' in command ? command.config : undefined,
    command.kind === 'send' ? command.open?.config : undefined,
  ];
  return given.flatMap((config) => (config?.mounts === undefined || config.mounts.length === 0 ? [] : [config.mounts]));
}

/** Rejects as the stores do; what is not there, or damaged, says nothing: whoever works on it is told. */
export async function readMounted(
  sources: readonly Source[],
  all: readonly (readonly Mount[])[],
  options: Options,
): Promise<Told> {
  const texts = new Map<string, readonly SourceText[]>();
  const trees = new Map<string, MountedTree['tree'] | null>();
  for (const mounts of all) {
    const key = keyOf(mounts);
    if (texts.has(key)) continue;
    const found: MountedTree[] = [];
    for (const { path, workspace } of mounts) {
      const tree = trees.get(workspace) ?? (await treeOf(workspace, options.workspaces));
      trees.set(workspace, tree);
      if (tree !== null) found.push({ path, tree, content: async (digest) => options.blobs.get(digest) });
    }
    texts.set(key, await textsOf(sources, found, options.redact));
  }
  return ({ mounts = [] }) => texts.get(keyOf(mounts)) ?? [];
}

const keyOf = (mounts: readonly Mount[]): string =>
  JSON.stringify(mounts.map(({ path, workspace }) => [path, workspace]));

async function treeOf(name: string, workspaces: Workspaces): Promise<MountedTree['tree'] | null> {
  try {
    const head = await workspaces.head(name);
    return head === null ? null : await workspaces.tree(head.tree);
  } catch (error) {
    if (error instanceof TreeMissing) return null;
    throw error;
  }
}

async function textsOf(
  sources: readonly Source[],
  mounts: readonly MountedTree[],
  redact: (text: string) => string,
): Promise<SourceText[]> {
  const texts: SourceText[] = [];
  for (const { mounted, trusted } of sources) {
    if (mounted === undefined) continue;
    const text = redact(clipped(await mounted.read(mounts), LIMITS.sourceChars)).trim();
    if (text === '') continue;
    texts.push(trusted ? { key: mounted.key, text, tainting: true } : { key: mounted.key, text, untrusted: true });
  }
  return texts;
}
