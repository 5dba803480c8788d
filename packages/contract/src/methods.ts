/**
 * The table of methods. One row yields the route, the OpenAPI operation and the typed client's method; whatever else
 * speaks Perdure is made from it too. `params` merges what stands in the path, the query and the body: names in braces
 * are in the path; of the rest, GET and DELETE take them from the query, POST, PUT and PATCH from the body (`body` names the
 * one parameter that is the whole body).
 */
import type { z } from 'zod';
import { BUDGET_METHODS } from './methods/budgets.ts';
import { CONTEXT_METHODS } from './methods/context.ts';
import { POLICY_METHODS } from './methods/policies.ts';
import { RUN_METHODS } from './methods/runs.ts';
import { SECRET_METHODS } from './methods/secrets.ts';
import { SESSION_METHODS } from './methods/sessions.ts';
import { VIEW_METHODS } from './methods/views.ts';
import { WORKSPACE_METHODS } from './methods/workspaces.ts';

export type { Method, Verb } from './methods/method.ts';
export { COMMON_ERRORS } from './methods/method.ts';

/** Every method of the interface, by name: what REST, JSON-RPC, the client and the command are made of. */
export const METHODS = {
  ...SESSION_METHODS,
  ...RUN_METHODS,
  ...CONTEXT_METHODS,
  ...POLICY_METHODS,
  ...VIEW_METHODS,
  ...WORKSPACE_METHODS,
  ...BUDGET_METHODS,
  ...SECRET_METHODS,
};
export type MethodName = keyof typeof METHODS;
/** What a method's handler is given: defaults are in. */
export type Params<K extends MethodName> = z.output<(typeof METHODS)[K]['params']>;
/** What a caller writes: what has a default may be left out. */
export type ParamsInput<K extends MethodName> = z.input<(typeof METHODS)[K]['params']>;
export type Result<K extends MethodName> = z.output<(typeof METHODS)[K]['result']>;

/** The names in a path's braces, in order. */
export function pathParams(path: string): string[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? '');
}
