/**
 * One durable conversation with an agent.
 *  S1 A session is opened once; the first message may open it in the same append.
 *  S2 Configuration has revisions; a change takes the revision it saw, and binds runs that start after it.
 *  S3 A closing session takes nothing new, and is closed when nothing of it runs.
 *  S4 Context slots have revisions; a change may name the one it saw, and is refused where that is gone.
 *  S5 What a call has changed in a workspace is told once, however late: a session that is closed hears of it, too.
 */
import { closeSessionAccount } from './budget.ts';
import type { Command, Input, Rejection } from './commands.ts';
import { configRefs, located, mergeConfig, refusalOfConfig } from './config.ts';
import { setSlot, slotOf, unsetSlot } from './context.ts';
import type { Entry, Event, EventData } from './events.ts';
import type { CallId } from './ids.ts';
import { isCallId, runOf } from './ids.ts';
import { LIMITS } from './limits.ts';
import type { Slot, State } from './state.ts';
import { hear } from './state.ts';
import type { Config, Receipt, TreeChanged } from './values.ts';

type Open = Extract<Command, { kind: 'open' }>;

export function openSession(state: State, command: Open, input: Input): Event[] | Rejection | { receipt: Receipt } {
  const { id, tenant, agent, key, config, payload } = command;
  if (state.phase !== 'fresh') {
    if (state.opened?.input === input.id && state.opened.payload !== (payload ?? null))
      return { code: 'submission_conflict', message: `submission ${input.id} opened the session with another payload` };
    return { receipt: { seq: 1 } };
  }
  const refusal = config === undefined ? null : refusalOfConfig(input.facts, config);
  if (refusal !== null) return refusal;
  const data: EventData['session.opened'] = { id, tenant, agent };
  if (key !== undefined) data.key = key;
  if (config !== undefined) data.config = config;
  if (payload !== undefined) data.payload = payload;
  return [withConfigRefs({ kind: 'session.opened', data }, config)];
}

function withConfigRefs(event: Event, config: Config | undefined): Event {
  const refs = configRefs(config ?? {});
  if (refs.length > 0) event.refs = refs;
  return event;
}

export function configure(
  state: State,
  command: Extract<Command, { kind: 'configure' }>,
  input: Input,
): Event[] | Rejection | { receipt: Receipt } {
  if (state.configured?.input === input.id) return { receipt: state.configured.receipt };
  if (state.phase !== 'open') return closed;
  if (command.ifRevision !== state.revision) {
    return {
      code: 'revision_conflict',
      message: `the configuration is at revision ${state.revision}`,
      details: { revision: state.revision },
    };
  }
  const refusal = refusalOfConfig(input.facts, mergeConfig(state.config, command.config));
  return refusal ?? [configured(state.revision + 1, command.config)];
}

export function configured(revision: number, config: Config): Event {
  return withConfigRefs({ kind: 'session.configured', data: { revision, config } }, config);
}

const closed: Rejection = { code: 'session_closed', message: 'the session is closed' };

export function closeSession(state: State, cancelled: Event[]): Event[] | Rejection | { receipt: Receipt } {
  if (state.phase === 'closing' || state.phase === 'closed') return { receipt: { seq: state.head } };
  if (state.phase !== 'open') return closed;
  return [{ kind: 'session.closing', data: {} }, ...cancelled];
}

export function remember(
  state: State,
  command: Extract<Command, { kind: 'remember' }>,
): Event[] | Rejection | { receipt: Receipt } {
  if (state.phase !== 'open') return closed;
  const { key, ref, ifRevision } = command;
  const known = slotOf(state.context, key);
  // Sent again by whoever saw an earlier revision, it is there already; a revision that never was is a mistake.
  if (known?.digest === ref.digest && (ifRevision ?? 0) <= known.revision) return { receipt: { seq: known.seq } };
  const stale = staleSlot(known, key, ifRevision);
  if (stale !== null) return stale;
  if (known === undefined && state.context.slots.length >= LIMITS.slots) {
    return { code: 'rate_limited', message: `a session has at most ${LIMITS.slots} context slots` };
  }
  return [{ kind: 'context.set', refs: [ref.digest], data: { key, ref, revision: state.context.revision + 1 } }];
}

/** S4: the slot is not as whoever wants to change it saw it; a slot that is not there is at revision 0. */
function staleSlot(known: Slot | undefined, key: string, ifRevision: number | undefined): Rejection | null {
  const revision = known?.revision ?? 0;
  if (ifRevision === undefined || ifRevision === revision) return null;
  return {
    code: 'revision_conflict',
    message: `context slot ${key} is at revision ${revision}`,
    details: { revision },
  };
}

export function forget(state: State, command: Extract<Command, { kind: 'forget' }>): Event[] | Rejection {
  if (state.phase !== 'open') return closed;
  const known = slotOf(state.context, command.key);
  if (known === undefined) return { code: 'not_found', message: `no context slot ${command.key}` };
  const stale = staleSlot(known, command.key, command.ifRevision);
  if (stale !== null) return stale;
  return [{ kind: 'context.unset', data: { key: command.key } }];
}

export function evolveSession(state: State, entry: Entry): void {
  switch (entry.kind) {
    case 'session.opened':
      state.id = entry.data.id;
      state.tenant = entry.data.tenant;
      state.agent = entry.data.agent;
      state.key = entry.data.key ?? null;
      state.config = located(entry.data.config ?? {}, entry.seq);
      mounted(state, entry.data.config);
      state.revision = 1;
      state.opened = { input: entry.input, payload: entry.data.payload ?? null };
      state.createdAt = entry.at;
      state.phase = 'open';
      return;
    case 'session.configured':
      state.revision = entry.data.revision;
      state.config = mergeConfig(state.config, located(entry.data.config, entry.seq));
      mounted(state, entry.data.config);
      state.configured = { input: entry.input, receipt: { seq: entry.seq } };
      return;
    case 'workspace.changed':
      evolveChanged(state, entry);
      return;
    case 'session.closing':
      state.phase = 'closing';
      if (state.compactionAsked !== null) state.compactionAsked = { ...state.compactionAsked, open: false };
      return;
    case 'session.closed':
      state.phase = 'closed';
      return;
    case 'session.moved':
      state.phase = 'moved';
      state.movedTo = entry.data.to;
      return;
    case 'budget.raised':
      // Other accounts are the ledger's: raising one of them changes nothing here.
      if (entry.data.account === state.id) state.caps = { ...state.caps, ...entry.data.cap };
      return;
    case 'context.set': {
      const { key, ref, revision = state.context.revision + 1 } = entry.data;
      setSlot(state.context, { ...ref, key, seq: entry.seq, revision, at: entry.at, by: entry.by });
      return;
    }
    case 'context.unset':
      unsetSlot(state.context, entry.data.key);
      return;
    case 'budget.overrun':
      // What no run answers for closes the account of the session.
      if (entry.run === undefined) closeSessionAccount(state, entry.data.limit);
      return;
    case 'effect.late':
      if (entry.effect !== undefined) hear(state, entry.effect, entry.data.attempt);
      return;
    default:
    // Kinds of later versions and of runs that have ended change nothing here.
  }
}

/** What is not on record yet of what a call has changed [S5]. */
export function tellChanges(state: State, call: CallId, changes: readonly TreeChanged[]): Event[] {
  const told = state.changed.get(call) ?? [];
  return changes.flatMap(({ workspace, before, after }): Event[] => {
    if (told.includes(workspace)) return [];
    const data = { workspace, before, after };
    return [{ kind: 'workspace.changed', run: runOf(call), effect: call, refs: [before, after], data }];
  });
}

function evolveChanged(state: State, { effect, data }: Extract<Entry, { kind: 'workspace.changed' }>): void {
  const { workspace, after } = data;
  if (state.trees.has(workspace)) state.trees.set(workspace, after);
  if (effect === undefined || !isCallId(effect)) return;
  const told = state.changed.get(effect) ?? [];
  if (!told.includes(workspace)) state.changed.set(effect, [...told, workspace]);
}

function mounted(state: State, config: Config | undefined): void {
  if (config?.mounts === undefined) return;
  state.trees = new Map(config.mounts.map(({ workspace, tree }) => [workspace, tree]));
}
