import { system } from '@perdure/runtime';
import { modelSuite } from '@perdure/testkit';
import { createModelSource } from './source.ts';

modelSuite({
  name: 'demo',
  open: async () => ({
    source: createModelSource({ env: {}, system }),
    model: 'demo',
    prompts: { text: 'say It is five.', call: 'call add {"a": 2, "b": 3}' },
  }),
});
