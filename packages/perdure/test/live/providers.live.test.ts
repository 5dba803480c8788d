// `npm run test:live`: the search with a real model of each provider whose key is in the environment or in `.env`.
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { keysFound } from '@perdure/models';
import { merged, readDotenv } from '../../src/environment.ts';
import { LIVE_MODELS, search } from './search.ts';

const root = join(import.meta.dirname, '../../../..');
const env = merged(process.env, readDotenv(root));
/** `ollama/qwen3:8b openrouter/maker/model`: other models than the table's, one a provider. */
const chosen = (env['PERDURE_LIVE_MODELS'] ?? '').split(/[\s,]+/).filter((model) => model !== '');

describe('a search with two tools', { concurrency: 4 }, () => {
  for (const { provider, keyEnv, found, keyless } of keysFound(env)) {
    const own = chosen.find((model) => model.startsWith(`${provider}/`));
    // What answers at one's own address costs nothing.
    const free = keyless ? { price: { input: 0, output: 0 } } : {};
    const asked = own === undefined ? LIVE_MODELS[provider] : { model: own, ...free };
    const missing =
      found === null && !keyless
        ? `${keyEnv.join(' and ')} not set`
        : asked
          ? false
          : `no model in PERDURE_LIVE_MODELS, such as ${provider}/NAME`;
    test(`${provider}${asked ? ` with ${asked.model}` : ''}`, { skip: missing }, async (t) => {
      if (!asked) return;
      const { nanoUsd, tokens } = await search({ ...asked, env });
      t.diagnostic(`${tokens} tokens, $${(nanoUsd / 1e9).toFixed(6)}`);
    });
  }
});
