/** How a snapshot is written: the text of its prefix, and its checksum. */
import type { Prefix } from '../effects/assemble.ts';
import { ASSEMBLER_VERSION } from '../effects/assemble.ts';
import type { Snapshot } from '../ports.ts';
import { sha256Of } from './digest.ts';

/** What is rendered stands behind the rest as it is: of a long conversation no copy is made to write it or to read it. */
export const textOfPrefix = ({ rendered, ...rest }: Prefix): string =>
  `${JSON.stringify({ version: ASSEMBLER_VERSION, ...rest })}\n${rendered}`;

/** Null where another assembler made it: only the one that did believes it. */
export function prefixIn(text: string): Prefix | null {
  const end = text.indexOf('\n');
  const { version, ...rest } = JSON.parse(text.slice(0, end)) as Omit<Prefix, 'rendered'> & { version: number };
  return version === ASSEMBLER_VERSION ? { ...rest, rendered: text.slice(end + 1) } : null;
}

/** Over everything else that a snapshot says. */
export const snapshotChecksum = (snapshot: Snapshot): string =>
  sha256Of(`${snapshot.engine}\n${snapshot.seq}\n${snapshot.hash}\n`, snapshot.state, '\n', snapshot.prefix);
