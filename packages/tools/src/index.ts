export { ask } from './ask.ts';
export { ToolOptionsError } from './failure.ts';
export type { ToolFailureCode } from './failure.ts';
export { files } from './files/index.ts';
export type { FilesOptions } from './files/index.ts';
export { LIMITS } from './limits.ts';
export { ToolFailure } from './failure.ts';
export { GuardFailure } from './network/failure.ts';
export type { GuardCode } from './network/failure.ts';
export { createGuardedFetch } from './network/fetch.ts';
export type { GuardedAnswer, GuardedFetch, GuardedRequest } from './network/fetch.ts';
export type { NetworkOptions } from './network/rules.ts';
export { readMore } from './read-more.ts';
export { createBare, createBubblewrap } from './sandbox/index.ts';
export type { BubblewrapOptions } from './sandbox/index.ts';
export { searchHistory } from './search-history.ts';
export type { SearchHistoryOptions } from './search-history.ts';
export { jobs, shell } from './shell/index.ts';
export { keepCopy } from './shell/kept.ts';
export type { Copy } from './shell/kept.ts';
export type { MountedShellOptions, ShellOptions } from './shell/index.ts';
export { agentsFiles } from './skills/agents-files.ts';
export type { AgentsFilesOptions } from './skills/agents-files.ts';
export { skills } from './skills/skill.ts';
export type { SkillsOptions } from './skills/skill.ts';
export { sleep } from './sleep.ts';
export { todo } from './todo.ts';
export type { TodoItem } from './todo.ts';
export type { SearchEndpoint } from './web/endpoints.ts';
export { webFetch } from './web/fetch.ts';
export type { WebFetchOptions } from './web/fetch.ts';
export { webSearch } from './web/search.ts';
export type { WebSearchOptions } from './web/search.ts';
export type { Excludes, LeftOut, Placement, PlaceOptions, Plan, Scanned, TreeFolder } from './trees/index.ts';
export {
  CREDENTIALS,
  excludesOf,
  openTreeFolder,
  planPlacements,
  USUALLY_EXCLUDED,
  withUnseen,
} from './trees/index.ts';
