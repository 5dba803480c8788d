import type { ModelSource, System } from '@perdure/runtime/ports';
import { createDemo, demoInfo } from './demo.ts';

export type ModelSourceOptions = { system: System };

export function createModelSource({ system }: ModelSourceOptions): ModelSource {
  const demo = createDemo(system.timers);
  return {
    resolve: (model) =>
      model === 'demo' || model.startsWith('demo/')
        ? { ok: true, info: demoInfo(model), adapter: demo }
        : { ok: false, message: `no provider for the model ${model}` },
    list: () => [demoInfo('demo')],
    close: () => Promise.resolve(),
  };
}
