/** Whose words a model has read: a fold that follows the engine's labels, and what people are told of them. */
import type { Taint } from '@perdure/engine';
import type { Progress } from './progress.ts';
import type { Entry } from './stream.ts';

export const isTrusted = ({ kind }: Entry['by']): boolean => kind === 'user' || kind === 'key';

/** What enters the context brings its labels; before `applyToTurn`, which begins a turn by forgetting the calls of the last. */
export function applyToTaint(state: Progress, entry: Entry): void {
  const run = state.runs.get(entry.run ?? '');
  switch (entry.kind) {
    case 'context.set':
      if (!isTrusted(entry.by) && entry.by.kind !== 'system') taint(state, ['input'], `slot ${entry.data.key}`);
      break;
    case 'run.steered':
      if (run !== undefined && !isTrusted(entry.by)) run.steered = true;
      break;
    case 'run.started':
      if (run?.trusted === false) taint(state, ['input'], run.id);
      break;
    case 'turn.requested':
    case 'compaction.requested':
    case 'run.ended':
      if (run === undefined) break;
      for (const call of run.asked) taint(state, call.taint, call.id);
      if (run.steered) taint(state, ['input'], run.id);
      run.steered = false;
      break;
    default:
  }
}

function taint(state: Progress, labels: readonly Taint[], from: string): void {
  for (const label of labels) {
    if (state.taint.every((known) => known.label !== label)) state.taint.push({ label, from });
  }
}

/** ` The model had read words of the web (r1t1c0) when it asked.`, or nothing. */
export function taintedText(taint: readonly { label: Taint; from: string }[]): string {
  if (taint.length === 0) return '';
  const words = taint.map(({ label, from }) => `${TAINTS[label]} (${from})`).join(', ');
  return ` The model had read ${words} when it asked.`;
}

const TAINTS: { readonly [label in Taint]: string } = {
  web: 'what the web says',
  file: 'what files say',
  tool: 'what an outside tool says',
  input: 'a message of somebody untrusted',
};
