/** What a command and all that it starts have together: how many they are, and their memory. */
import type { SandboxLimits, SandboxWall, Timers } from '@perdure/runtime/ports';
import { SandboxError } from '@perdure/runtime/ports';
import { LIMITS } from '../limits.ts';
import type { Bound, Group, Groups } from './groups.ts';
import { findGroups, openGroup } from './groups.ts';

/** Looked up once, when the first command needs it. */
export function lookedUp(): () => Groups {
  let found: Groups | null = null;
  return () => (found ??= findGroups());
}

/** Null: there is none here. Throws SandboxError `sandbox_unavailable` where a bound that was asked for cannot be held. */
export function groupFor(groups: Groups, limits: SandboxLimits, timers: Timers): Group | null {
  const { processes, memoryBytes, scratchBytes, totalMemoryBytes } = limits;
  const why = whyNot(groups, 'memory');
  if (totalMemoryBytes !== undefined && why !== null)
    throw new SandboxError(
      'sandbox_unavailable',
      `the memory of a command with all that it starts cannot be bounded here (${why}): take totalMemoryBytes out of its limits, or start Perdure where it can be`,
    );
  if (groups.base === null) return null;
  const usual = memoryBytes * LIMITS.groupProcesses + scratchBytes * SCRATCH_FOLDERS;
  const bounds = { processes: processes + LIMITS.groupOwnTasks, memoryBytes: totalMemoryBytes ?? usual };
  return openGroup(groups, bounds, timers);
}

/** `/tmp` and `/dev/shm`. */
const SCRATCH_FOLDERS = 2;

function whyNot(groups: Groups, bound: Bound): string | null {
  if (groups.base === null) return groups.why;
  return groups.bounds.includes(bound) ? null : `the control groups in ${groups.base} do not bound it`;
}

/** It holds either way: it says what. */
export function togetherWall(groups: Groups): SandboxWall {
  const bounded = (bound: Bound, held: string, not: string): string =>
    whyNot(groups, bound) === null ? `${held} by a control group` : not;
  const parts = [
    bounded('pids', 'processes', 'processes by the limit of their user'),
    bounded('memory', 'memory', 'memory is not bounded, so that each of them may take its own bound'),
  ];
  const where = groups.base === null ? groups.why : `in ${groups.base}`;
  return { wall: 'limits of all together', holds: true, detail: `${parts.join('; ')} (${where})` };
}
