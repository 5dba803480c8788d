/** The contract's methods over the parts of a host: thin, because every rule about sessions is in the engine. */
import type { Parts } from '../parts.ts';
import { budgetMethods } from './budgets.ts';
import { catalogMethods } from './catalog.ts';
import { contextMethods } from './context.ts';
import { viewMethods } from './folds.ts';
import { forkMethods } from './forks.ts';
import { nodeMethods } from './nodes.ts';
import { policyMethods } from './policies.ts';
import { runMethods } from './runs.ts';
import { searchMethods } from './search.ts';
import { secretMethods } from './secrets.ts';
import { sessionMethods } from './sessions.ts';
import type { Methods } from './shared.ts';
import { transferMethods } from './transfers.ts';
import { waitMethods } from './waits.ts';
import { workspaceMethods } from './workspaces.ts';

export function createMethods(parts: Parts): Methods {
  return {
    ...sessionMethods(parts),
    ...forkMethods(parts),
    ...transferMethods(parts),
    ...runMethods(parts),
    ...contextMethods(parts),
    ...policyMethods(parts),
    ...viewMethods(parts),
    ...searchMethods(parts),
    ...waitMethods(parts),
    ...catalogMethods(parts),
    ...nodeMethods(parts),
    ...workspaceMethods(parts),
    ...budgetMethods(parts),
    ...secretMethods(parts),
  };
}
