/** Perdure as a library: define agents, run them durably, serve them over HTTP. */
export type {
  AgentDefinition,
  AgentOptions,
  ExportOptions,
  ForkOptions,
  Guard,
  GuardAction,
  Hook,
  HookEvent,
  HookVerdict,
  LogFormat,
  LogLevel,
  RunEndView,
  SendOptions,
  Session,
  SessionRun,
  ToolOptions,
} from '@perdure/runtime';
export {
  agent,
  canary,
  ConfigError,
  injectionPatterns,
  moderation,
  schemaGuard,
  secretPatterns,
  sizeGuard,
  tool,
  wait,
} from '@perdure/runtime';
export type {
  MountedTree,
  Source,
  ToolContent,
  ToolContext,
  ToolDefinition,
  ToolParks,
  ToolResult,
} from '@perdure/runtime/ports';
export type {
  AnswerInput,
  ConfigPatch,
  Delta,
  Entry,
  ErrorCode,
  InputPart,
  MessageInput,
  Part,
  ReceiptView,
  RunView,
  SessionView,
  WaitView,
} from '@perdure/contract';
export { ApiError } from '@perdure/contract';
export type { EndpointRecord, ModelRecord, PriceRecord, Quirks } from '@perdure/models';
export { ModelConfigError } from '@perdure/models';
export { StoreError } from '@perdure/stores/sqlite';
export type {
  AgentsFilesOptions,
  FilesOptions,
  SearchHistoryOptions,
  MountedShellOptions,
  ShellOptions,
  SkillsOptions,
  TodoItem,
  WebFetchOptions,
  WebSearchOptions,
  SearchEndpoint,
} from '@perdure/tools';
export type { Listening } from '@perdure/gateway';
export { ListenError } from '@perdure/gateway';
export type { AgentFolderOptions } from './agent-folders.ts';
export { loadAgents } from './agent-folders.ts';
export type { Config, ConfigFile, Limits, Policies } from './config.ts';
export { defineConfig } from './config.ts';
export { openaiModeration } from './moderation.ts';
export { DataInUseError } from './errors.ts';
export type { Sharing } from './node.ts';
export type { Runtime, RuntimeOptions } from './runtime.ts';
export { createRuntime } from './runtime.ts';
export type { HandlerOptions, ServeOptions } from './serve.ts';
export { handler, serve } from './serve.ts';
export {
  agentsFiles,
  ask,
  files,
  jobs,
  readMore,
  searchHistory,
  shell,
  skills,
  todo,
  webFetch,
  webSearch,
} from '@perdure/tools';
export { sleep } from './sleep.ts';
