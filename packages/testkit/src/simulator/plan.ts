/** What one seed turns on: a random subset of the faults at random rates, so that no fault hides another. */
import type { Caps, Limits } from '@perdure/engine';
import type { Prng } from './random.ts';
import type { Order } from './scheduler.ts';

/** Probabilities: of a fault at each occasion for it, or (`...EachSecond`) in each virtual second. */
export type Faults = {
  crashBeforeAppend: number;
  crashAfterAppend: number;
  crashBeforeEffect: number;
  crashAfterEffect: number;
  crashBeforeOutcome: number;
  crashEachSecond: number;
  drainEachSecond: number;
  takeoverEachSecond: number;
  secondWriterEachSecond: number;
  pauseEachSecond: number;
  clockEachSecond: number;
  fullEachSecond: number;
  refusalEachSecond: number;
  toolGone: number;
  conflict: number;
  ambiguous: number;
  slowStore: number;
  readFails: number;
  storeStopsEachSecond: number;
  snapshotDamaged: number;
  snapshotForeign: number;
  snapshotOld: number;
  snapshotOtherEngine: number;
  lostMessage: number;
  doubledMessage: number;
  toolThrows: number;
  toolHangs: number;
  answerLost: number;
  deafToAbort: number;
  modelFails: number;
  modelHangs: number;
  answerGone: number;
  oddAnswer: number;
  overrun: number;
  wrongDigest: number;
  secondAnswer: number;
  deny: number;
  edit: number;
  disconnect: number;
  slowReader: number;
  frozenEachSecond: number;
  partitionEachSecond: number;
  lostWakeup: number;
  clockSkew: number;
};
export type FaultName = keyof Faults;

/** What a client does next, `afterMs` after what it did before. */
export type Op =
  | { op: 'send'; afterMs: number; mode: 'queue' | 'steer' | 'interrupt' }
  | {
      op: 'cancel' | 'hold' | 'release' | 'unqueue' | 'configure' | 'fork' | 'compact' | 'close' | 'undo';
      afterMs: number;
    };

export type SessionPlan = { limits: Partial<Limits>; ops: readonly Op[]; subscribers: number };

/** Something that is done at one exact place of a simulation: right after the completion with this number. */
export type Intervention = { event: number; act: Act };
export const ACTS = ['crash', 'drain', 'cancel', 'steer', 'interrupt', 'approve-twice', 'fork', 'compact'] as const;
export type Act = (typeof ACTS)[number];

/** What a simulation that enumerates does instead of drawing: the calls of the first turn, and what is done when. */
export type Script = { calls: readonly string[]; interventions: readonly Intervention[] };

/** Processes that share the store, in place of one that owns it. */
export type NodesPlan = { workers: number; gateways: number; leaseMs: number };

export type BudgetsPlan = {
  tenant: { day?: Caps; month?: Caps; total?: Caps };
  agent: { day?: Caps; month?: Caps; total?: Caps } | null;
  dayEndsInMs: number | null;
};

/** All sessions mount one workspace. `pushEachMs`: how often somebody else changes it, at the most seldom; null: never. */
export type WorkspacesPlan = { mode: 'read-write' | 'read-only'; pushEachMs: number | null };

/** How often who approves does so for like calls, and how often (ms) such a grant is revoked, at the most seldom; null: never. */
export type GrantsPlan = { always: number; revokeEachMs: number | null };

export type Plan = {
  nodes: NodesPlan | null;
  script?: Script;
  order: Order;
  faults: Faults;
  /** Until then faults are injected; after it the world heals. */
  healAtMs: number;
  sessions: readonly SessionPlan[];
  /** How long a port of the store, and a message on the network, take at most. */
  storeMs: number;
  networkMs: number;
  /** How often people look for what waits for them, at the most seldom. */
  peopleMs: number;
  /** Effects under way at once. */
  effects: number;
  /** How eager the model is to call tools, 0 to 1. */
  calls: number;
  /** Bounds of the runtime that are drawn small, so that what lies behind them is reached. */
  knobs: Readonly<Record<string, number>>;
  approvalTtlMs: number | null;
  /** The agent asks for a structured answer. */
  structured: boolean;
  /** Its answers are kept by the provider, and asked for again. */
  background: boolean;
  /** The models of its route, in their order. */
  route: readonly string[];
  /** What its models can read: a small window is soon full. Null: as the scripted model has it. */
  windowTokens: number | null;
  /** Budgets above the sessions, and how long before a day ends it begins; null: there are none. */
  budgets: BudgetsPlan | null;
  workspaces: WorkspacesPlan | null;
  grants: GrantsPlan | null;
  /** Whether the provider compacts for the first model, in a way that no other model can read; and a cheap one summarises. */
  compacts: 'no' | 'opaque' | 'readable';
};

const RATES: Readonly<Record<FaultName, number>> = {
  crashBeforeAppend: 0.06,
  crashAfterAppend: 0.06,
  crashBeforeEffect: 0.08,
  crashAfterEffect: 0.08,
  crashBeforeOutcome: 0.08,
  crashEachSecond: 0.15,
  drainEachSecond: 0.1,
  takeoverEachSecond: 0.1,
  secondWriterEachSecond: 0.15,
  pauseEachSecond: 0.1,
  clockEachSecond: 0.1,
  fullEachSecond: 0.05,
  refusalEachSecond: 0.05,
  toolGone: 0.6,
  conflict: 0.1,
  ambiguous: 0.05,
  slowStore: 0.1,
  readFails: 0.05,
  storeStopsEachSecond: 0.1,
  snapshotDamaged: 0.3,
  snapshotForeign: 0.3,
  snapshotOld: 0.3,
  snapshotOtherEngine: 0.2,
  lostMessage: 0.2,
  doubledMessage: 0.2,
  toolThrows: 0.2,
  toolHangs: 0.25,
  answerLost: 0.1,
  deafToAbort: 0.5,
  modelFails: 0.25,
  modelHangs: 0.05,
  answerGone: 0.1,
  oddAnswer: 0.15,
  overrun: 0.05,
  wrongDigest: 0.3,
  secondAnswer: 0.3,
  deny: 0.3,
  edit: 0.3,
  disconnect: 0.15,
  slowReader: 0.2,
  frozenEachSecond: 0.15,
  partitionEachSecond: 0.1,
  lostWakeup: 0.3,
  clockSkew: 0.5,
};
export const FAULT_NAMES = Object.keys(RATES) as FaultName[];

export const noFaults = (): Faults => Object.fromEntries(FAULT_NAMES.map((name) => [name, 0])) as Faults;

/** `of`: what this seed is to be about in any case. */
export function planOf(random: Prng, of: 'workspaces' | 'grants' | null = null): Plan {
  const faults = noFaults();
  const density = random.pick([0.15, 0.3, 0.5, 0.8]);
  for (const name of FAULT_NAMES) {
    if (random.chance(density)) faults[name] = RATES[name] * random.pick([0.3, 1, 2]);
  }
  const nodes = nodesOf(random.fork('nodes'));
  const workspaces = workspacesOf(random.fork('workspaces'), of === 'workspaces');
  const grants = grantsOf(random.fork('grants'), of === 'grants', workspaces !== null);
  // Where one process owns the data, no other one writes documents.
  if (grants !== null && nodes === null) faults.secondWriterEachSecond = 0;
  return {
    nodes,
    order: random.chance(0.5) ? 'uniform' : 'priority',
    faults,
    healAtMs: random.between(5, 40) * 1_000,
    sessions: sessionsOf(random, workspaces),
    workspaces,
    grants,
    storeMs: random.pick([0, 5, 20, 200]),
    networkMs: random.pick([0, 5, 30]),
    peopleMs: random.pick([1_000, 6_000, 30_000]),
    effects: random.pick([1, 2, 512]),
    calls: random.pick([0.6, 0.9, 1]),
    // How often nodes look around is time that must pass, and nothing that this is about.
    knobs: { ...knobsOf(random), ...(nodes === null ? {} : knobsOfNodes(nodes)) },
    approvalTtlMs: random.chance(0.2) ? random.between(1_000, 20_000) : null,
    structured: random.chance(0.3),
    background: random.chance(0.4),
    route: random.chance(0.4) ? ['scripted', 'scripted/second', 'scripted/third'] : ['scripted'],
    windowTokens: random.chance(0.4) ? random.pick([300, 800, 2_000]) : null,
    compacts: random.pick(['no', 'no', 'opaque', 'opaque', 'readable']),
    budgets: random.chance(0.35) ? budgetsOf(random) : null,
  };
}

const knobsOfNodes = ({ leaseMs }: NodesPlan): Record<string, number> => ({
  nodesMs: 2_000,
  idleHoldMs: leaseMs / 3,
  homecomingMs: 20_000,
});

/** Wall time at the beginning, ms: the same for all but those that are to see a day end. */
export function beginOf({ budgets }: Plan): number {
  const endsIn = budgets?.dayEndsInMs ?? null;
  return endsIn === null ? EPOCH_MS : Math.ceil(EPOCH_MS / DAY_MS) * DAY_MS - endsIn;
}
const EPOCH_MS = 1_800_000_000_000;
const DAY_MS = 24 * 60 * 60_000;

/** So little that sessions together come to an end of it, and so much that each may begin. */
function budgetsOf(random: Prng): BudgetsPlan {
  const cap = (): Caps =>
    random.chance(0.6) ? { tokens: random.between(2, 20) * 1_000 } : { nanoUsd: random.between(3, 40) * 1_000 };
  const caps = (): BudgetsPlan['tenant'] => ({ [random.pick(['day', 'day', 'month', 'total'] as const)]: cap() });
  return {
    tenant: caps(),
    agent: random.chance(0.4) ? caps() : null,
    dayEndsInMs: random.chance(0.5) ? random.between(1, 60) * 1_000 : null,
  };
}

function nodesOf(random: Prng): NodesPlan | null {
  if (!random.chance(0.3)) return null;
  return { workers: random.between(1, 3), gateways: random.between(0, 2), leaseMs: random.pick([6_000, 10_000]) };
}

function workspacesOf(random: Prng, isWanted: boolean): WorkspacesPlan | null {
  if (!random.chance(0.15) && !isWanted) return null;
  const mode = random.chance(0.9) || isWanted ? 'read-write' : 'read-only';
  return { mode, pushEachMs: random.chance(0.5) ? random.pick([1_000, 5_000]) : null };
}

/** Tools that change files ask first. */
function grantsOf(random: Prng, isWanted: boolean, asks: boolean): GrantsPlan | null {
  if (!random.chance(asks ? 0.6 : 0.15) && !isWanted) return null;
  const always = random.pick(isWanted ? [1] : [0.3, 0.7]);
  return { always, revokeEachMs: random.pick([2_000, 8_000, null]) };
}

function sessionsOf(random: Prng, workspaces: WorkspacesPlan | null): SessionPlan[] {
  const sessions = Array.from({ length: random.pick([1, 1, 1, 2]) }, () => sessionPlan(random));
  if (workspaces === null) return sessions;
  const more = random.fork('undo');
  return sessions.map(({ ops, ...rest }) => ({
    ...rest,
    ops: ops.flatMap((op): Op[] => (more.chance(0.3) ? [op, { op: 'undo', afterMs: more.between(0, 10_000) }] : [op])),
  }));
}

function sessionPlan(random: Prng): SessionPlan {
  const ops: Op[] = [];
  for (let n = random.between(0, 7); n > 0; n -= 1) ops.push(opOf(random));
  if (random.chance(0.15)) ops.push({ op: 'close', afterMs: random.between(0, 15_000) });
  return { limits: limitsOf(random), ops, subscribers: random.pick([0, 1, 1, 2]) };
}

function opOf(random: Prng): Op {
  const afterMs = random.chance(0.3) ? random.between(0, 50) : random.between(0, 8_000);
  const op = random.pick([
    'send',
    'send',
    'send',
    'cancel',
    'cancel',
    'hold',
    'release',
    'unqueue',
    'configure',
    'fork',
    'compact',
  ]);
  if (op !== 'send') return { op: op as Exclude<Op['op'], 'send'>, afterMs };
  return { op, afterMs, mode: random.pick(['queue', 'steer', 'steer', 'interrupt', 'interrupt']) };
}

function limitsOf(random: Prng): Partial<Limits> {
  const limits: Partial<Limits> = { turns: random.between(2, 8), calls: random.between(2, 16) };
  if (random.chance(0.15)) limits.deadlineMs = random.between(5, 120) * 1_000;
  if (random.chance(0.15)) limits.tokens = random.between(4, 30) * 1_000;
  if (random.chance(0.15)) limits.nanoUsd = random.between(5, 60) * 1_000;
  if (random.chance(0.2)) {
    limits.session = random.chance(0.5)
      ? { tokens: random.between(4, 40) * 1_000 }
      : { nanoUsd: random.between(5, 80) * 1_000 };
  }
  return limits;
}

function knobsOf(random: Prng): Record<string, number> {
  const knobs: Record<string, number> = {};
  const small = (name: string, values: number[]): void => {
    if (random.chance(0.4)) knobs[name] = random.pick(values);
  };
  // Few logs here grow as long as one that is worth a snapshot elsewhere.
  knobs['snapshotEntries'] = random.pick([1, 5, 20, 1_000]);
  small('snapshotAtEvictionEntries', [1, 10]);
  small('readFrames', [1, 2, 3]);
  small('hotSessions', [0, 1]);
  small('hotIdleMs', [0, 2_000]);
  small('hotBodies', [1, 3]);
  small('streamQueueItems', [1, 2, 4]);
  small('sweepPage', [1]);
  return knobs;
}
