/** Trees of workspaces and folders of this machine: one is made of the other, without a link ever being followed. */
import type { TreeFile } from '@perdure/contract';
import { openRoot } from '../files/root.ts';
import type { Excludes } from './excludes.ts';
import type { Placement, PlaceOptions } from './place.ts';
import { placeNode, sweep } from './place.ts';
import type { Scanned } from './scan.ts';
import { readScanned, scanFolder } from './scan.ts';

export { CREDENTIALS, excludesOf, USUALLY_EXCLUDED } from './excludes.ts';
export type { Excludes } from './excludes.ts';
export { planPlacements, withUnseen } from './merge.ts';
export type { Plan } from './merge.ts';
export type { Owner, Placement, PlaceOptions } from './place.ts';
export type { LeftOut, Scanned } from './scan.ts';

export type TreeFolder = {
  /** All of it, as a tree, and what cannot be in one. Throws ToolFailure `too_large`. */
  scan(excludes: Excludes, signal: AbortSignal): Promise<Scanned>;
  /** A content that was found at a path. Throws ToolFailure `changed` where it is another one by now. */
  read(path: string, node: TreeFile, signal: AbortSignal): Promise<Buffer>;
  /** Takes away what a placing that was killed left beside its place. */
  sweep(signal: AbortSignal): Promise<void>;
  /** Throws ToolFailure `changed` where something else is there than was seen; nothing of it is touched then. */
  place(placement: Placement, options: PlaceOptions): Promise<void>;
};

/** Throws ToolOptionsError `invalid_root`. */
export function openTreeFolder(path: string): TreeFolder {
  const root = openRoot({ root: path });
  return {
    scan: async (excludes, signal) => scanFolder(root, excludes, signal),
    read: async (at, node, signal) => readScanned(root, at, node, signal),
    sweep: async (signal) => sweep(root, signal),
    place: async (placement, options) => placeNode(root, placement, options),
  };
}
