import type { AgentView, ModelView } from '@perdure/contract';
import { DEFAULT_LIMITS } from '@perdure/engine';
import type { Registered } from '../definitions/agents.ts';
import type { Parts } from '../parts.ts';
import type { ModelInfo, ModelSource } from '../ports.ts';
import { notFound } from './views.ts';
import type { Methods } from './shared.ts';
import { ok, pageOf } from './shared.ts';

type CatalogMethod = 'agents.list' | 'agents.get' | 'models.list';

export function catalogMethods(parts: Parts): Pick<Methods, CatalogMethod> {
  return {
    'agents.list': async (_caller, { cursor, limit }) => {
      const { items, next } = pageOf(parts.agents.list(), cursor, limit);
      const agents = items.map((each) => agentView(each, parts));
      return ok(next === undefined ? { agents } : { agents, next });
    },
    'agents.get': async (_caller, { name }) => {
      const registered = parts.agents.get(name);
      if (registered === undefined) throw notFound(`agent ${name}`);
      return ok(agentView(registered, parts));
    },
    'models.list': async (_caller, { cursor, limit }) => {
      const { items, next } = pageOf(parts.models.list(), cursor, limit);
      const models = items.map((info) => modelView(info, parts.models));
      return ok(next === undefined ? { models } : { models, next });
    },
  };
}

function modelView(info: ModelInfo, models: ModelSource): ModelView {
  const { id, provider, windowTokens, maxOutputTokens, price, known, modalities = {}, effort, cache } = info;
  const { structured = false, background = false, tiers = {} } = info;
  const resolved = models.resolve(id);
  return {
    id,
    provider,
    windowTokens,
    maxOutputTokens,
    price,
    known,
    modalities,
    structured,
    background,
    tiers,
    ...(effort === undefined ? {} : { effort: [...effort] }),
    ...(cache === undefined ? {} : { cache }),
    ...(resolved.ok ? { ready: true } : { ready: false, missing: resolved.message }),
  };
}

function agentView({ definition, manifest, digest }: Registered, { sandbox }: Parts): AgentView {
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
    sandbox: sandbox.kind,
    policies: manifest.policies as AgentView['policies'],
    queue: definition.queue,
  };
}
