/**
 * Providers that speak Chat Completions, with what sets each apart from OpenAI's own API. A model is `NAME/MODEL`, where
 * MODEL may hold further slashes; an endpoint record of the same name takes a preset's place, quirks included.
 *
 * Each row was read in the provider's documentation on 2026-11-20; where the documentation is silent the comment says
 * what the provider answers.
 */
import type { Clock } from '@perdure/runtime/ports';
import { createOpenAiChat } from './openai-chat/adapter.ts';
import { problemOfUrl } from './http/url.ts';
import { CHAT_URL, openEndpoint, type Quirks } from './openai-chat/endpoint.ts';
import { ANTHROPIC_URL, keyMissing, OPENAI_URL, variable, type Environment, type OpenedProvider } from './provider.ts';

export type Preset = {
  /** With its version, as the official client takes it. */
  baseUrl: string;
  /** Names another address. `read` turns a value that is no base URL into one. */
  baseUrlEnv: string;
  read?: (value: string) => string;
  /** What may hold the key: the first one that is set. */
  keyEnv: readonly string[];
  /** A server of one's own asks for none. */
  keyless?: true;
  quirks: Quirks;
};

export const PRESETS: { readonly [name: string]: Preset } = {
  // https://openrouter.ai/docs/api-reference/overview: `max_tokens`; usage in the last chunk; reasoning_details are sent
  // back as they came (https://openrouter.ai/docs/use-cases/reasoning-tokens).
  openrouter: {
    baseUrl: 'https://openrouter.ai/api/v1',
    baseUrlEnv: 'OPENROUTER_BASE_URL',
    keyEnv: ['OPENROUTER_API_KEY'],
    quirks: { maxTokensField: 'max_tokens' },
  },
  // https://docs.ollama.com/api/openai-compatibility, "supported request fields"; OLLAMA_HOST as its own client reads it.
  ollama: {
    baseUrl: 'http://127.0.0.1:11434/v1',
    baseUrlEnv: 'OLLAMA_HOST',
    read: ollamaUrl,
    keyEnv: ['OLLAMA_API_KEY'],
    keyless: true,
    quirks: { maxTokensField: 'max_tokens' },
  },
  // https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html: the parameters of OpenAI's own API.
  vllm: {
    baseUrl: 'http://127.0.0.1:8000/v1',
    baseUrlEnv: 'VLLM_BASE_URL',
    keyEnv: ['VLLM_API_KEY'],
    keyless: true,
    quirks: {},
  },
  // https://api-docs.deepseek.com/api/create-chat-completion: `max_tokens`, response_format `json_object` alone.
  // https://api-docs.deepseek.com/guides/thinking_mode: thinking is on unless it is switched off, and then the reasoning of
  // each turn with calls must come back. Thinking with a forced tool is a 400, "does not support this tool_choice".
  deepseek: {
    baseUrl: 'https://api.deepseek.com',
    baseUrlEnv: 'DEEPSEEK_BASE_URL',
    keyEnv: ['DEEPSEEK_API_KEY'],
    quirks: { maxTokensField: 'max_tokens', noJsonSchema: true, reasoningWithCalls: true, noForcedThinking: true },
  },
  // https://console.groq.com/docs/api-reference#chat-create. A message with `reasoning_content` is a 400, "unsupported".
  groq: {
    baseUrl: 'https://api.groq.com/openai/v1',
    baseUrlEnv: 'GROQ_BASE_URL',
    keyEnv: ['GROQ_API_KEY'],
    quirks: { dropReasoning: true },
  },
  // https://docs.together.ai/reference/chat-completions-1: `max_tokens`.
  together: {
    baseUrl: 'https://api.together.xyz/v1',
    baseUrlEnv: 'TOGETHER_BASE_URL',
    keyEnv: ['TOGETHER_API_KEY'],
    quirks: { maxTokensField: 'max_tokens' },
  },
  // https://docs.mistral.ai/api/endpoint/chat: what is not in its list is a 422 (`stream_options`, `max_completion_tokens`);
  // the last chunk of a stream has the usage unasked. Ids of calls are nine letters and digits, and after a tool's answer
  // comes the assistant's (400, "Unexpected role 'user' after role 'tool'").
  // https://docs.mistral.ai/studio-api/conversations/advanced/prompt-caching: `prompt_cache_key`, one a conversation.
  mistral: {
    baseUrl: 'https://api.mistral.ai/v1',
    baseUrlEnv: 'MISTRAL_BASE_URL',
    keyEnv: ['MISTRAL_API_KEY'],
    quirks: {
      maxTokensField: 'max_tokens',
      noStreamOptions: true,
      shortCallIds: true,
      assistantAfterTool: true,
      cacheKey: true,
    },
  },
  // https://ai.google.dev/gemini-api/docs/openai. Signatures of thoughts come as members of calls and go back as they came;
  // without one the request is a 400 (https://ai.google.dev/gemini-api/docs/thought-signatures, with the word for calls
  // of another model).
  google: {
    baseUrl: 'https://generativelanguage.googleapis.com/v1beta/openai',
    baseUrlEnv: 'GEMINI_BASE_URL',
    keyEnv: ['GEMINI_API_KEY', 'GOOGLE_API_KEY'],
    quirks: { signedCalls: true },
  },
};

/** Opens a preset with what the environment says of it. */
export function openPreset(name: string, preset: Preset, env: Environment, clock: Clock): OpenedProvider {
  const { baseUrlEnv, keyEnv, keyless = false, quirks, read = (value): string => value } = preset;
  const given = variable(env, baseUrlEnv);
  const baseUrl = given === undefined ? preset.baseUrl : read(given);
  const problem = problemOfUrl(baseUrl, CHAT_URL);
  if (problem !== null) return { ok: false, message: `${baseUrlEnv}: ${problem}` };
  const apiKeyEnv = keyEnv.find((key) => variable(env, key) !== undefined);
  if (apiKeyEnv === undefined && !keyless) {
    return { ok: false, message: keyMissing(name, keyEnv.join(' or ')) };
  }
  const opened = openEndpoint({ name, baseUrl, quirks, ...(apiKeyEnv === undefined ? {} : { apiKeyEnv }) }, env);
  return opened.ok ? { ok: true, provider: createOpenAiChat(opened.endpoint, clock) } : opened;
}

/** `baseUrl`: where the key is sent, whatever the environment makes of that. */
export type ProviderKey = {
  provider: string;
  keyEnv: readonly string[];
  found: string | null;
  keyless: boolean;
  baseUrl: string;
};

/** Which variable holds the key of each provider; null where none does. */
export function keysFound(env: Environment): ProviderKey[] {
  type Reached = Pick<Preset, 'baseUrl' | 'baseUrlEnv' | 'keyEnv' | 'keyless' | 'read'>;
  const openai: Reached = { keyEnv: ['OPENAI_API_KEY'], baseUrl: OPENAI_URL, baseUrlEnv: 'OPENAI_BASE_URL' };
  const all: { [name: string]: Reached } = {
    openai,
    'openai-chat': openai,
    anthropic: { keyEnv: ['ANTHROPIC_API_KEY'], baseUrl: ANTHROPIC_URL, baseUrlEnv: 'ANTHROPIC_BASE_URL' },
    ...PRESETS,
  };
  return Object.entries(all).map(([provider, { keyEnv, keyless = false, baseUrl, baseUrlEnv, read }]) => {
    const found = keyEnv.find((key) => variable(env, key) !== undefined) ?? null;
    const given = variable(env, baseUrlEnv);
    return { provider, keyEnv, found, keyless, baseUrl: given === undefined ? baseUrl : (read?.(given) ?? given) };
  });
}

/**
 * `0.0.0.0:8080`, `box`, `http://box` → a base URL. Without a port it is 11434; with a scheme and without a port it is
 * that of the scheme. An address to listen on is reached at the loopback. (ollama/ollama, envconfig: `Host`)
 */
function ollamaUrl(host: string): string {
  const named = host.includes('://') ? host : `http://${host}`;
  if (!URL.canParse(named)) return named;
  const url = new URL(named);
  if (url.port === '' && !host.includes('://')) url.port = '11434';
  if (url.hostname === '0.0.0.0') url.hostname = '127.0.0.1';
  return `${url.href.replace(/\/+$/, '')}/v1`;
}
