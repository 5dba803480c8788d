/** One tool-using run of a real model, under a cap of money: two calls of which the second needs what the first gave. */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { z } from 'zod';
import { agent, tool, type SessionRun } from '../../src/index.ts';
import { startRuntime } from '../../src/runtime.ts';
import type { Environment } from '../../src/settings.ts';

/** Two US cents: enough for the search with any model of the table, thoughts included. */
export const CAP_NANO_USD = 20_000_000;
const TIMEOUT_MS = 180_000;

type UsdPerMillion = { input: number; output: number };
/**
 * A small model with tools for each provider. `price` where the catalog has none, not below the provider's own; null: a
 * server of one's own, of which nobody knows what runs there.
 */
export const LIVE_MODELS: { readonly [provider: string]: { model: string; price?: UsdPerMillion } | null } = {
  openai: { model: 'openai/gpt-5-nano' },
  'openai-chat': { model: 'openai-chat/gpt-5-nano' },
  anthropic: { model: 'anthropic/claude-haiku-5-5' },
  // Its price is that of whoever answers: this is above all of them.
  openrouter: { model: 'openrouter/openai/gpt-oss-120b', price: { input: 1, output: 3 } },
  deepseek: { model: 'deepseek/deepseek-flash' },
  groq: { model: 'groq/openai/gpt-oss-20b' },
  together: { model: 'together/deepseek-ai/DeepSeek-V4.1-Flash' },
  mistral: { model: 'mistral/mistral-large-2512' },
  google: { model: 'google/gemini-2.5-flash' },
  ollama: null,
  vllm: null,
};

export type SearchOptions = {
  model: string;
  env: Environment;
  price?: UsdPerMillion;
  capNanoUsd?: number;
  /** What the key opens and what the box holds; made up anew for each run, so that no model can guess them. */
  key?: string;
  marbles?: number;
};

/**
 * Runs the search and checks it: both tools asked, in order, the answer right, the usage the provider's own, the bill
 * within the cap. Throws AssertionError with how the run ended. Nothing is written to disk.
 */
export async function search(options: SearchOptions): Promise<{ nanoUsd: number; tokens: number }> {
  const { model, env, price, capNanoUsd = CAP_NANO_USD, key = `K${randomInt(1e5, 1e6)}` } = options;
  const { marbles = randomInt(1_000, 10_000) } = options;
  const asked: string[] = [];
  const findKey = tool({
    name: 'find_key',
    description: 'Finds the key of a box.',
    input: z.object({ colour: z.string().describe('Colour of the box') }),
    effect: 'pure',
    run: () => {
      asked.push('find_key');
      return `The key is ${key}.`;
    },
  });
  const openBox = tool({
    name: 'open_box',
    description: 'Opens a box with its key and says what it holds.',
    input: z.object({ key: z.string() }),
    effect: 'pure',
    run: (input) => {
      asked.push('open_box');
      return input.key === key ? `The box holds ${marbles} marbles.` : 'The key does not fit.';
    },
  });
  const rt = await startRuntime(
    {
      store: 'memory',
      log: { level: 'silent' },
      agents: [
        agent({
          name: 'searcher',
          model,
          instructions: 'Use the tools for what you cannot know. Call one tool at a time.',
          tools: [findKey, openBox],
          limits: { turns: 8, nanoUsd: capNanoUsd },
        }),
      ],
      ...(price === undefined ? {} : { models: { prices: { [model]: price } } }),
    },
    env,
  );
  try {
    const session = await rt.open('searcher');
    const sent = await session.send('How many marbles are in the blue box? Answer with the number alone.');
    const end = await sent.result({ timeoutMs: TIMEOUT_MS });
    const { status, reason, detail, usage, cost, text, waits = [] } = end;
    const said = await failures(sent);
    const told = JSON.stringify({ model, status, reason, detail, said, text, waits, usage, cost });
    assert.equal(status, 'completed', told);
    assert.deepEqual([asked[0], asked.at(-1)], ['find_key', 'open_box'], told);
    assert.ok(text.replaceAll(/[^\d]/g, '').includes(String(marbles)), told);
    assert.equal(usage.source, 'provider', told);
    assert.ok(cost.price !== null && cost.nanoUsd <= capNanoUsd, told);
    return { nanoUsd: cost.nanoUsd, tokens: usage.input + usage.cachedInput + usage.cacheWrite + usage.output };
  } finally {
    await rt.close();
  }
}

/** What the provider said where it failed. */
async function failures(run: SessionRun): Promise<string[]> {
  const said: string[] = [];
  for await (const entry of run.events()) {
    if (entry.kind !== 'turn.settled' || entry.data.outcome !== 'failed') continue;
    said.push(`${entry.data.code}: ${entry.data.detail ?? ''}`);
  }
  return said;
}
