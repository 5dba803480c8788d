/** What the methods share: their shape, who acts, pages. */
import type { MethodName, Params, Result } from '@perdure/contract';
import { ApiError } from '@perdure/contract';
import type { Actor } from '@perdure/engine';
import type { Caller } from '../api.ts';
import type { Parts } from '../parts.ts';
import type { Known } from '../definitions/notices.ts';
import type { Route } from '../definitions/route.ts';
import { checkRoute } from './sends.ts';

export type Answered<K extends MethodName> = Promise<{ status: number; result: Result<K> }>;
export type Methods = { [K in MethodName]: (caller: Caller, params: Params<K>) => Answered<K> };

export const ok = <T>(result: T): { status: number; result: T } => ({ status: 200, result });
export const actorOf = ({ actor }: Caller): Actor => ({ kind: actor.kind, id: actor.id });

/** Drops what was not given: an absent filter is absent, not undefined. */
export function given<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const kept: { [K in keyof T]?: Exclude<T[K], undefined> } = {};
  for (const name in values) {
    const value = values[name];
    if (value !== undefined) kept[name] = value as Exclude<T[typeof name], undefined>;
  }
  return kept;
}

/** The agents of this process, for notices. */
export const knownAgents = ({ agents }: Pick<Parts, 'agents'>): Known[] =>
  agents.list().map(({ definition: { name }, tools }) => ({ name, tools: [...tools.values()] }));

/** Pages of a fold: the cursor is a position, because what a log says of its past does not change. */
export function pageOf<T>(all: readonly T[], cursor: string | undefined, limit: number): { items: T[]; next?: string } {
  const from = cursor === undefined ? 0 : Number(cursor);
  if (!Number.isSafeInteger(from) || from < 0)
    throw new ApiError('invalid_request', `${cursor} is not a cursor of this list`, { details: { path: 'cursor' } });
  const items = all.slice(from, from + limit);
  return from + limit < all.length ? { items, next: String(from + limit) } : { items };
}

/** The agent's own model, or the one that is asked for: said now, not when the run fails. */
export function checkAgentModel(parts: Parts, agent: string, override: Route | undefined): void {
  const route = override ?? parts.agents.get(agent)?.manifest.model;
  if (route !== undefined) checkRoute(parts.models, route);
}
