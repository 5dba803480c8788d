export type { RunId, TurnId, CallId, WaitId, CompactionId, EffectId } from './ids.ts';
export { runId, turnId, callId, waitId, compactionId, runOf, turnOf, isCallId, isCompactionId } from './ids.ts';
export { LIMITS, DEFAULT_LIMITS } from './limits.ts';
export type {
  AccountId,
  Act,
  Actor,
  Amount,
  Answer,
  ArgumentCondition,
  ArgumentNames,
  BodyRef,
  Budget,
  BudgetAccount,
  CancelReason,
  CacheRule,
  Caps,
  CompactedBy,
  CompactionCause,
  CompactionConfig,
  CompactsBound,
  Config,
  Cost,
  Digest,
  EffectClass,
  GuardRuling,
  FailReason,
  LimitReason,
  LoopGuard,
  Limits,
  Located,
  Media,
  MediaBound,
  Member,
  Mode,
  Mount,
  Pin,
  PinnedModel,
  Policies,
  PolicyRule,
  Price,
  Rates,
  Receipt,
  RunEnd,
  RunStatus,
  Shortage,
  Taint,
  ToolBreaker,
  ToolChoice,
  TreeChanged,
  Usage,
  WaitKind,
} from './values.ts';
export { ZERO_USAGE, addUsage, tokensOf } from './values.ts';
export type { CallOutcome, CompactionEnd, Entry, Event, EventData, EventKind, Spent, TurnEnd } from './events.ts';
export type {
  Command,
  Facts,
  Input,
  OpenSession,
  Outcome,
  Rejection,
  RejectionCode,
  Retry,
  RuledCall,
  SummaryOutcome,
  ToolOutcome,
  ToolWait,
  TurnOutcome,
  Unfit,
} from './commands.ts';
export { ImpossibleState } from './commands.ts';
export type {
  Call,
  CallPhase,
  Compaction,
  Context,
  Habits,
  Item,
  ItemContent,
  Phase,
  Run,
  Slot,
  State,
  TaintSource,
  Turn,
  Wait,
} from './state.ts';
export { freshState } from './state.ts';
export type { Transition } from './machine.ts';
export { advance, decide, evolve, fold, transition } from './machine.ts';
export type { Effect } from './outstanding.ts';
export { outstanding, statusOf, wakeAt } from './outstanding.ts';
export { costOf, isCapped, lacksPrice, runAccount, sessionAccount, sessionCaps } from './budget.ts';
export { failedOver, memberOf, membersOf, PROVIDER_FAILURES } from './route.ts';
export { isClosedTo, pendingItems, readable } from './context.ts';
export { BREAKER } from './habits.ts';
export { isTrusted } from './taint.ts';
export { takesOf } from './media.ts';
export { mergeConfig, runConfig } from './config.ts';
export { attemptsOf, flying } from './state.ts';
export { decodeState, encodeState } from './snapshot.ts';
