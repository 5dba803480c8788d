import type { AgentView } from '@perdure/contract';
import { DEFAULT_LIMITS } from '@perdure/engine';
import type { Registered } from '../definitions/agents.ts';
import type { Parts } from '../parts.ts';
import { notFound } from './views.ts';
import type { Methods } from './shared.ts';
import { ok, pageOf } from './shared.ts';

type CatalogMethod = 'agents.list' | 'agents.get' | 'models.list';

export function catalogMethods(parts: Parts): Pick<Methods, CatalogMethod> {
  return {
    'agents.list': async (_caller, { cursor, limit }) => {
      const { items, next } = pageOf(parts.agents.list(), cursor, limit);
      const agents = items.map(agentView);
      return ok(next === undefined ? { agents } : { agents, next });
    },
    'agents.get': async (_caller, { name }) => {
      const registered = parts.agents.get(name);
      if (registered === undefined) throw notFound(`agent ${name}`);
      return ok(agentView(registered));
    },
    'models.list': async (_caller, { cursor, limit }) => {
      const { items, next } = pageOf(parts.models.list(), cursor, limit);
      const models = items.map(({ id, provider, windowTokens, maxOutputTokens, price, known }) => ({
        id,
        provider,
        windowTokens,
        maxOutputTokens,
        price,
        known,
      }));
      return ok(next === undefined ? { models } : { models, next });
    },
  };
}

function agentView({ manifest, digest }: Registered): AgentView {
  return {
    name: manifest.agent,
    hash: digest,
    description: manifest.description,
    model: typeof manifest.model === 'string' ? manifest.model : [...manifest.model],
    tools: manifest.tools.map(({ name, description, effect, approval, edits, input }) => ({
      name,
      description,
      class: effect,
      approval,
      ...(edits === undefined ? {} : { edits }),
      input,
    })),
    limits: { ...DEFAULT_LIMITS, ...manifest.limits } as AgentView['limits'],
    policies: manifest.policies as AgentView['policies'],
  };
}
