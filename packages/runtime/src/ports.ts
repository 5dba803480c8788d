/**
 * Everything the runtime asks of the outside, behind one import: time and chance, stores, models, tools. A store, a
 * model, a tool or a driver is written against these types alone. Failures of the outside are values with a code; only
 * bugs throw, unless a method says otherwise.
 */
export type {
  AccountId,
  Amount,
  CacheRule,
  CompactsBound,
  Caps,
  Cost,
  Digest,
  EffectClass,
  Price,
  Rates,
  Retry,
  RunStatus,
  Shortage,
  Spent,
  Usage,
} from '@perdure/engine';
export type { Clock, Logger, Random, System, Timer, Timers } from './ports/system.ts';
export type {
  AccountRow,
  Append,
  AppendResult,
  BlobStore,
  Body,
  Change,
  CommittedChange,
  DamageReport,
  Doc,
  DocStore,
  DueSessions,
  Fence,
  Frame,
  Head,
  HeldLease,
  LeaseStore,
  LedgerOp,
  LogStore,
  OpenAccount,
  Origin,
  Page,
  ReadTenant,
  RunRow,
  Said,
  SaidHit,
  SessionIndex,
  SessionRow,
  Snapshot,
  SnapshotStore,
  Store,
  StoredFrame,
  TenantStore,
  TextIndex,
} from './ports/stores.ts';
export { sessionLease, StoreDamage } from './ports/stores.ts';
export type {
  AskedCall,
  Delta,
  Effort,
  GenerateContext,
  GenerateOutcome,
  GenerateParams,
  CompactRequest,
  GenerateRequest,
  JsonSchema,
  ListPrice,
  LoadedPart,
  Modality,
  ModelAdapter,
  ModelInfo,
  ModelSource,
  Moderator,
  NeutralItem,
  Part,
  ResolvedModel,
  ToolDeclaration,
} from './ports/models.ts';
export type { JobState, JobView, SessionJobs } from './ports/jobs.ts';
export type { Found, Mount, Placed, SessionWorkspaces, WorkspaceErrorCode } from './ports/workspaces.ts';
export { WorkspaceError } from './ports/workspaces.ts';
export type {
  Sandbox,
  SandboxEnd,
  SandboxErrorCode,
  SandboxFolder,
  SandboxLimits,
  SandboxOptions,
  SandboxProcess,
  SandboxReport,
  SandboxWall,
} from './ports/sandbox.ts';
export { SandboxError } from './ports/sandbox.ts';
export type {
  FoundPage,
  HistoryPage,
  HistoryQuery,
  MountedTree,
  Reached,
  Source,
  ToolContent,
  ToolContext,
  ToolDefinition,
  ToolParks,
  ToolResult,
} from './ports/tools.ts';
