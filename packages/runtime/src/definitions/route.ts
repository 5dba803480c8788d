/** A route: one model, or several in the order in which they are tried. */
import type { Config, MediaBound, Member, Price, Unfit } from '@perdure/engine';
import { z } from 'zod';
import { LIMITS } from '../limits.ts';
import type { ListPrice, ModelInfo, ModelSource } from '../ports.ts';

export type Route = string | readonly string[];

const ROUTE = `a model, or a list of 1 to ${LIMITS.routeModels} of them, each once`;
export const routeSchema = z.union(
  [
    z.string().min(1),
    z
      .array(z.string().min(1))
      .min(1)
      .max(LIMITS.routeModels)
      .refine((models) => new Set(models).size === models.length, ROUTE),
  ],
  ROUTE,
);

export type Tier = NonNullable<Config['tier']>;

/** What an agent says for all its runs, where their configuration does not. */
export type Manner = Pick<Config, 'tier' | 'background'>;
export const mannerSchema = {
  tier: z.enum(['default', 'flex', 'priority']).optional(),
  background: z.boolean().optional(),
};
/** Only what was said: what binds a run has no empty places. */
export function mannerOf({ tier, background }: { [K in keyof Manner]: Manner[K] | undefined }): Manner {
  return { ...(tier === undefined ? {} : { tier }), ...(background === undefined ? {} : { background }) };
}

export const modelsIn = (route: Route): readonly string[] => (typeof route === 'string' ? [route] : route);

export type ResolvedRoute =
  | { ok: true; infos: [ModelInfo, ...ModelInfo[]] }
  | { ok: false; model: string; message: string };

/** Every model of a route must be there: one that is missing would be missed when it is needed. */
export function resolveRoute(models: ModelSource, route: Route): ResolvedRoute {
  const infos: ModelInfo[] = [];
  for (const model of modelsIn(route)) {
    const resolved = models.resolve(model);
    if (!resolved.ok) return { ok: false, model, message: resolved.message };
    infos.push(resolved.info);
  }
  const [first, ...others] = infos;
  if (first === undefined) return { ok: false, model: '', message: 'the list of models is empty' };
  return { ok: true, infos: [first, ...others] };
}

/** What a run asks for that one of its models does not give; null: nothing. What is accepted is obeyed (P15). */
export function unfitOf(infos: readonly ModelInfo[], config: Config): Unfit | null {
  const { maxOutputTokens, tier, effort, background } = config;
  for (const { id, ...info } of infos) {
    if (maxOutputTokens !== undefined && info.known && maxOutputTokens > info.maxOutputTokens) {
      const unfit = `model ${id} gives at most ${info.maxOutputTokens} tokens of output, not ${maxOutputTokens}`;
      return { unfit, path: 'maxOutputTokens' };
    }
    if (effort !== undefined && info.effort !== undefined && !info.effort.includes(effort)) {
      const levels = info.effort.length === 0 ? 'no levels of effort' : `efforts ${info.effort.join(', ')}`;
      return { unfit: `model ${id} takes ${levels}, not ${effort}`, path: 'effort' };
    }
    if (background === true && info.background !== true)
      return { unfit: `model ${id} is not known to keep answers that can be asked for again`, path: 'background' };
    if (tier !== undefined && tier !== 'default' && info.tiers?.[tier] === undefined)
      return { unfit: `model ${id} is not known to be sold with tier ${tier}`, path: 'tier' };
  }
  return null;
}

/** The same of its choice of a tool. */
export function unfitChoice(
  { agent: name, tools }: { agent: string; tools: readonly { name: string; defer?: true }[] },
  { toolChoice }: Config,
): Unfit | null {
  if (toolChoice === undefined || toolChoice === 'auto' || toolChoice === 'none') return null;
  const isThere =
    toolChoice === 'required'
      ? tools.length > 0
      : tools.some((each) => each.name === toolChoice.tool && each.defer !== true);
  if (isThere) return null;
  const missing = toolChoice === 'required' ? 'no tools' : `no tool ${toolChoice.tool}`;
  return { unfit: `agent ${name} has ${missing}`, path: 'toolChoice' };
}

export type Wanted = {
  maxOutputTokens: number | undefined;
  output: boolean;
  tier: Tier | undefined;
  /** Its provider may compact. */
  native: boolean;
};

/** What a run is bound to of one model. */
export function memberOf(info: ModelInfo, wanted: Wanted): Member {
  const { tier } = wanted;
  const price = tier === undefined || tier === 'default' ? info.price : (info.tiers?.[tier] ?? null);
  const member: Member = {
    model: info.id,
    maxOutputTokens: wanted.maxOutputTokens ?? info.maxOutputTokens,
    price: price === null ? null : unsourced(price),
  };
  if (wanted.output && info.structured !== true) member.instructed = true;
  if (info.windowTokens !== null) member.windowTokens = info.windowTokens;
  const media = mediaOf(info);
  if (media !== null) member.media = media;
  if (info.cache !== undefined) member.cache = info.cache;
  if (wanted.native && info.compacts !== undefined) member.compacts = info.compacts;
  return member;
}

/** Where a provider says no number for one, its window bounds it, as it bounds them all. Null: it takes text alone. */
function mediaOf({ modalities = {}, windowTokens }: ModelInfo): MediaBound | null {
  const { image, file } = modalities;
  if (image === undefined && file === undefined) return null;
  const media: MediaBound = windowTokens === null ? {} : { most: windowTokens };
  if (image !== undefined) media.image = image.maxTokens ?? windowTokens;
  if (file !== undefined) media.file = file.maxTokens ?? windowTokens;
  return media;
}

/** A log says which price counted, not where it was read. */
function unsourced({ source: _source, date: _date, ...price }: ListPrice): Price {
  return price;
}
