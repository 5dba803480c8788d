/** All models of a runtime: providers of the configuration's own, and the ones that are built in. */
import { createModelSource } from '@perdure/models';
import { system } from '@perdure/runtime';
import type { ModelSource } from '@perdure/runtime/ports';
import type { Config } from './config.ts';
import type { Environment } from './settings.ts';

/** Models whose keys may change: what was opened with those before is closed with the rest. */
export type KeyedModels = ModelSource & { rekey(env: Environment): void };

export function keyedModels(models: Config['models'], env: Environment): KeyedModels {
  const all = [modelsOf(models, env)];
  const newest = (): ModelSource => all[all.length - 1] as ModelSource;
  return {
    rekey: (keyed) => void all.push(modelsOf({ ...models, providers: {} }, keyed)),
    resolve: (id) => (isOwn(models, id) ? (all[0] as ModelSource) : newest()).resolve(id),
    list: () => (all[0] as ModelSource).list(),
    close: async () => void (await Promise.all(all.map(async (source) => source.close()))),
  };
}

const isOwn = (models: Config['models'], id: string): boolean =>
  Object.hasOwn(models?.providers ?? {}, id.split('/', 1)[0] ?? '');

/** A model `NAME/…` is asked of the provider with that name, whether or not there is a built-in one. */
export function modelsOf(models: Config['models'], env: Environment): ModelSource {
  const { providers = {}, ...rest } = models ?? {};
  const builtIn = createModelSource({ ...rest, env, system });
  const own = new Map(Object.entries(providers));
  return {
    resolve: (id) => (own.get(id.split('/', 1)[0] ?? '') ?? builtIn).resolve(id),
    list: () => [...[...own.values()].flatMap((provider) => provider.list()), ...builtIn.list()],
    async close() {
      await Promise.all([...own.values(), builtIn].map(async (source) => source.close()));
    },
  };
}
