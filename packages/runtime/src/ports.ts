/**
 * Everything the runtime asks of the outside, behind one import: time and chance, stores, models, tools. A store, a
 * model, a tool or a driver is written against these types alone. Failures of the outside are values with a code; only
 * bugs throw, unless a method says otherwise.
 */
export type {
  AccountId,
  Amount,
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
  Frame,
  Head,
  LeaseStore,
  LedgerOp,
  LogStore,
  Origin,
  Page,
  RunRow,
  SessionIndex,
  SessionRow,
  Snapshot,
  SnapshotStore,
  Store,
  StoredFrame,
  TenantStore,
} from './ports/stores.ts';
export { StoreDamage } from './ports/stores.ts';
export type {
  AskedCall,
  Delta,
  Effort,
  GenerateContext,
  GenerateOutcome,
  GenerateParams,
  GenerateRequest,
  JsonSchema,
  ListPrice,
  LoadedPart,
  Modality,
  ModelAdapter,
  ModelInfo,
  ModelSource,
  NeutralItem,
  Part,
  ResolvedModel,
  ToolDeclaration,
} from './ports/models.ts';
export type { ToolContent, ToolContext, ToolDefinition, ToolParks, ToolResult } from './ports/tools.ts';
