import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { System } from '@perdure/runtime/ports';
import { CATALOG_MODELS } from './catalog/info.ts';
import { ModelConfigError, openEndpoint, type EndpointRecord } from './openai-chat/endpoint.ts';
import { createModelSource, type ModelSourceOptions } from './source.ts';

const system: System = {
  clock: { now: () => 0, monotonicMs: () => 0 },
  timers: { set: () => ({ cancel: () => undefined }) },
  random: { bytes: (count) => new Uint8Array(count) },
};
const source = (options: Partial<ModelSourceOptions> = {}) => createModelSource({ env: {}, system, ...options });
const local: EndpointRecord = { name: 'local', baseUrl: 'http://127.0.0.1:9/v1' };

function refusal(options: Partial<ModelSourceOptions>, model: string): string {
  const found = source(options).resolve(model);
  assert.ok(!found.ok, `${model} resolved`);
  return found.message;
}
function info(options: Partial<ModelSourceOptions>, model: string) {
  const found = source(options).resolve(model);
  assert.ok(found.ok, JSON.stringify(found));
  return found.info;
}

describe('the model source', () => {
  it('says which key is missing and what does without one', () => {
    assert.match(refusal({}, 'openai-chat/gpt-4o'), /set OPENAI_API_KEY.*'demo'/);
    assert.match(refusal({ env: { OPENAI_API_KEY: '  ' } }, 'openai-chat/gpt-4o'), /set OPENAI_API_KEY/);
    const keyed = { endpoints: [{ ...local, apiKeyEnv: 'LOCAL_KEY' }] };
    assert.match(refusal(keyed, 'local/m'), /local needs a key: set LOCAL_KEY/);
    assert.equal(info({ ...keyed, env: { LOCAL_KEY: 'k' } }, 'local/m').provider, 'local');
    assert.equal(info({ endpoints: [local] }, 'local/m').id, 'local/m');
  });

  it('says what there is when a provider is unknown or no model is named', () => {
    assert.match(
      refusal({ endpoints: [local] }, 'nope/m'),
      /'nope'.*demo, openai\/MODEL, openai-chat\/MODEL, anthropic\/MODEL.*, local\/MODEL/,
    );
    assert.match(refusal({}, 'openai-chat'), /names no model/);
    assert.match(refusal({}, 'constructor/x'), /no endpoint 'constructor'/);
  });

  it('speaks to OpenAI by either of its interfaces, with the same key and the same models', () => {
    assert.match(refusal({}, 'openai/gpt-5'), /openai needs a key: set OPENAI_API_KEY.*'demo'/);
    const env = { OPENAI_API_KEY: 'k' };
    const own = (id: string) => {
      const { id: _, provider: __, background: ___, compacts: ____, summarizer, ...rest } = info({ env }, id);
      assert.equal(summarizer, `${id.split('/')[0] ?? ''}/gpt-6-luna`);
      const { flex, priority } = rest.tiers ?? {};
      return { ...rest, price: rest.price?.output, tiers: [flex?.output, priority?.output] };
    };
    assert.deepEqual(own('openai/gpt-5-mini'), own('openai-chat/gpt-5-mini'));
    assert.equal(own('openai/gpt-5-mini').known, true);
    assert.equal(info({ env }, 'openai/gpt-0').background, true);
    assert.equal(info({ env }, 'openai-chat/gpt-5-mini').background, undefined);
    assert.deepEqual(info({ env }, 'openai/gpt-5-mini').compacts, { maxOutputTokens: 128_000, opaque: true });
    // How much the compaction of a model writes that nobody knows could not be reserved.
    assert.equal(info({ env }, 'openai/gpt-0').compacts, undefined);
    assert.equal(info({ env }, 'openai-chat/gpt-5-mini').compacts, undefined);
    assert.deepEqual(own('openai/gpt-5.4').tiers, [7_500_000, 30_000_000]);
    assert.equal(info({ env }, 'openai/gpt-5.4').tiers?.flex?.id, 'openai/gpt-5.4@2026-11-20/flex');
    assert.match(
      refusal({ env: { ...env, OPENAI_BASE_URL: 'https://host/v1/responses' } }, 'openai/x'),
      /leave out \/responses/,
    );
  });

  it('knows of each provider a cheap model that summarises for the others: it has a price, and reads much', () => {
    const infos = new Map(
      source()
        .list()
        .map((each) => [each.id, each]),
    );
    for (const id of CATALOG_MODELS) {
      const [provider] = id.split('/');
      const cheap = infos.get(infos.get(id)?.summarizer ?? '');
      assert.ok(cheap !== undefined && cheap.price !== null, id);
      assert.deepEqual([cheap.provider, (cheap.windowTokens ?? 0) >= 100_000], [provider, true]);
    }
    // Nobody knows what else there is at a place of the configuration that has taken its name.
    const other = info({ endpoints: [{ ...local, name: 'openai' }] }, 'openai/gpt-5');
    assert.deepEqual([other.summarizer, other.compacts], [undefined, undefined]);
  });

  it('says what is wrong with OPENAI_BASE_URL, and takes it blank as unset', () => {
    const env = { OPENAI_API_KEY: 'k' };
    assert.match(
      refusal({ env: { ...env, OPENAI_BASE_URL: 'api.openai.com' } }, 'openai-chat/x'),
      /OPENAI_BASE_URL.*not a URL/,
    );
    assert.equal(info({ env: { ...env, OPENAI_BASE_URL: ' ' } }, 'openai-chat/gpt-4o').known, true);
  });

  it('takes anthropic by the names of its official client, and says what is wrong with them', () => {
    const env = { ANTHROPIC_API_KEY: 'k' };
    assert.match(refusal({}, 'anthropic/claude-opus-5-5'), /set ANTHROPIC_API_KEY.*'demo'/);
    const based = (url: string) => ({ env: { ...env, ANTHROPIC_BASE_URL: url } });
    for (const url of ['https://proxy.example/v1', 'https://proxy.example/a/v1/messages/']) {
      assert.match(refusal(based(url), 'anthropic/x'), /ANTHROPIC_BASE_URL: leave out \/v1/);
    }
    assert.match(
      refusal(based('proxy.example'), 'anthropic/x'),
      /ANTHROPIC_BASE_URL.*like https:\/\/api\.anthropic\.com/,
    );
    const opus = info(based(' '), 'anthropic/claude-opus-5-5');
    assert.deepEqual(
      [opus.price?.input, opus.price?.cacheWrite, opus.price?.cachedInput],
      [4_000_000, 5_000_000, 200_000],
    );
    assert.deepEqual([opus.windowTokens, opus.structured, opus.effort?.includes('none')], [1_000_000, true, false]);
    assert.equal(info({ env }, 'anthropic/claude-haiku-5-5').price?.above?.tokens, 100_000);
    assert.equal(info({ env }, 'anthropic/claude-fable-5-2').price, null);
    assert.equal(info({ env }, 'anthropic/claude-next').known, false);
  });

  it('has demo with no key, priced at zero', () => {
    const { price: free, known: isKnown, background } = info({}, 'demo');
    assert.deepEqual([free?.output, isKnown, background], [0, true, true]);
    assert.equal(info({}, 'demo/small').id, 'demo/small');
  });

  it('prices the catalog in integers with source and date, and accepts what it does not know, unpriced', () => {
    const env = { OPENAI_API_KEY: 'k' };
    const mini = info({ env }, 'openai-chat/gpt-4o-mini');
    assert.deepEqual([mini.price?.input, mini.price?.cachedInput, mini.price?.output], [150_000, 75_000, 600_000]);
    assert.match(mini.price?.source ?? '', /^https:/);
    assert.match(mini.price?.date ?? '', /^\d{4}-\d\d-\d\d$/);
    const listed = new Map(
      source()
        .list()
        .map((known) => [known.id, known]),
    );
    for (const model of CATALOG_MODELS) {
      const { price, windowTokens, maxOutputTokens, effort = [], cache } = listed.get(model) ?? assert.fail(model);
      assert.ok(windowTokens !== null && maxOutputTokens < windowTokens, model);
      assert.equal(new Set(effort).size, effort.length, model);
      assert.ok(cache === undefined || (cache.minTokens >= cache.stepTokens && cache.lifetimeMs > 0), model);
      if (price === null) continue;
      for (const rate of [price.input, price.cachedInput, price.cacheWrite, price.output]) {
        assert.ok(Number.isSafeInteger(rate) && rate > 0, model);
      }
      assert.ok(price.cachedInput <= price.input && price.input < price.output, model);
      assert.ok(price.above === undefined || (price.above.input > price.input && price.above.output > price.output));
    }
    const unknown = info({ env }, 'openai-chat/toString');
    assert.deepEqual([unknown.price, unknown.known, unknown.maxOutputTokens], [null, false, 4_096]);
  });

  it('lets the configuration set a price, in dollars for a million tokens', () => {
    const prices = {
      'local/m': { input: 0.18, output: 0.6 },
      'openai-chat/gpt-4o': { input: 1, cachedInput: 0.1, output: 2 },
    };
    const options = { endpoints: [local], prices, env: { OPENAI_API_KEY: 'k' } };
    const { price, known } = info(options, 'local/m');
    assert.deepEqual([price?.input, price?.cachedInput, price?.output, known], [180_000, 180_000, 600_000, false]);
    assert.equal(info(options, 'openai-chat/gpt-4o').price?.cachedInput, 100_000);
    const listed = source(options)
      .list()
      .map((model) => model.id);
    assert.ok(listed.includes('demo') && listed.includes('openai-chat/gpt-4o') && listed.includes('local/m'));
    assert.equal(new Set(listed).size, listed.length);
  });

  it('lets the configuration say what a model takes, and nothing of what it does not name', () => {
    const catalog = {
      'local/m': {
        windowTokens: 32_000,
        maxOutputTokens: 8_000,
        image: 900,
        file: true,
        structured: true,
        effort: ['high'],
      },
      'openai-chat/gpt-4o': { image: false, maxOutputTokens: 100 },
    } as const;
    const options = { endpoints: [local], catalog, env: { OPENAI_API_KEY: 'k' } };
    const own = info(options, 'local/m');
    assert.deepEqual(
      [own.windowTokens, own.maxOutputTokens, own.structured, own.effort],
      [32_000, 8_000, true, ['high']],
    );
    assert.deepEqual(own.modalities, { image: { maxTokens: 900 }, file: { maxTokens: null } });
    const known = info(options, 'openai-chat/gpt-4o');
    assert.deepEqual(known.modalities, { file: { maxTokens: null } });
    assert.deepEqual([known.windowTokens, known.maxOutputTokens], [128_000, 100]);
    assert.ok(
      source(options)
        .list()
        .some(({ id }) => id === 'local/m'),
    );
    const long = { aboveTokens: 1_000, input: 2, output: 4 };
    const priced = info({ ...options, prices: { 'local/m': { input: 1, output: 2, longPrompt: long } } }, 'local/m');
    assert.deepEqual(priced.price?.above, {
      tokens: 1_000,
      input: 2e6,
      cachedInput: 2e6,
      cacheWrite: 2e6,
      output: 4e6,
    });
  });

  it('refuses a wrong record with the path of what is wrong', () => {
    const path = (options: Partial<ModelSourceOptions>): string => {
      try {
        source(options);
      } catch (error) {
        assert.ok(error instanceof ModelConfigError && error.code === 'invalid_config', String(error));
        return error.path;
      }
      return assert.fail('it was accepted');
    };
    const endpoint = (more: object) => path({ endpoints: [{ ...local, ...more }] });
    assert.equal(endpoint({ name: 'Up Case' }), 'models.endpoints[0].name');
    assert.equal(endpoint({ name: 'demo' }), 'models.endpoints[0].name');
    assert.equal(endpoint({ baseURL: 'x' }), 'models.endpoints[0].baseURL');
    assert.equal(endpoint({ quirks: { noDonne: true } }), 'models.endpoints[0].quirks.noDonne');
    assert.equal(endpoint({ apiKey: ' ' }), 'models.endpoints[0].apiKey');
    assert.equal(endpoint({ apiKey: 'k', apiKeyEnv: 'K' }), 'models.endpoints[0].apiKey');
    assert.equal(endpoint({ idleTimeoutMs: 0 }), 'models.endpoints[0].idleTimeoutMs');
    assert.equal(path({ endpoints: [local, local] }), 'models.endpoints[1].name');
    assert.equal(path({ prices: { 'a/b': { input: -1, output: 1 } } }), "models.prices['a/b'].input");
    for (const name of ['m', 'nowhere/m', 'openai/', '/m', ''])
      assert.equal(
        path({ prices: { [name]: { input: 1, output: 1 } } }),
        `models.prices['${name}']`,
        'would never count',
      );
    assert.equal(path({ catalog: { 'gpt-5': { windowTokens: 1 } } }), "models.catalog['gpt-5']");
    const longPrompt = { aboveTokens: 0.5, input: 1, output: 1 };
    assert.equal(
      path({ prices: { 'a/b': { input: 1, output: 1, longPrompt } } }),
      "models.prices['a/b'].longPrompt.aboveTokens",
    );
    const model = (record: object) => path({ catalog: { 'a/b': record } });
    assert.equal(model({ window: 1 }), "models.catalog['a/b'].window");
    assert.equal(model({ windowTokens: 0 }), "models.catalog['a/b'].windowTokens");
    assert.equal(model({ image: 'yes' }), "models.catalog['a/b'].image");
    assert.equal(model({ effort: ['much'] }), "models.catalog['a/b'].effort");
    assert.equal(
      path({ prices: { 'a/b': { input: 1 } as { input: number; output: number } } }),
      "models.prices['a/b'].output",
    );
  });

  it('takes a base URL as the official client does, and refuses one that cannot be meant', () => {
    const pathOf = (baseUrl: string): string => {
      const opened = openEndpoint({ ...local, baseUrl }, {});
      assert.ok(opened.ok);
      return `${opened.endpoint.origin}${opened.endpoint.basePath}/chat/completions`;
    };
    assert.equal(pathOf('https://api.openai.com/v1'), 'https://api.openai.com/v1/chat/completions');
    assert.equal(pathOf('https://api.openai.com/v1/'), 'https://api.openai.com/v1/chat/completions');
    assert.equal(pathOf('http://localhost:11434/v1//'), 'http://localhost:11434/v1/chat/completions');
    assert.equal(pathOf('https://host'), 'https://host/chat/completions');
    assert.equal(pathOf('https://host/a/b/v1'), 'https://host/a/b/v1/chat/completions');
    for (const baseUrl of [
      'api.openai.com/v1',
      'ftp://host/v1',
      ['https://user', 'word@host/v1'].join(':'),
      'https://host/v1?x=1',
      'https://host/v1#x',
      'https://host/v1/chat/completions',
      '',
    ]) {
      assert.throws(() => source({ endpoints: [{ ...local, baseUrl }] }), ModelConfigError, baseUrl);
    }
  });
});
