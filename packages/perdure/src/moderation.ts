/** Moderation with the key that this process has. */
import type { OpenAiModerationOptions } from '@perdure/models';
import { openAiModeration } from '@perdure/models';
import { checked, environment, system } from '@perdure/runtime';
import type { Moderator } from '@perdure/runtime/ports';
import { z } from 'zod';

const text = z.string().optional();
const optionsSchema = z.strictObject({ apiKey: text, model: text, baseUrl: text });

/**
 * OpenAI's moderation, for `moderation()`. `apiKey`: default OPENAI_API_KEY. Close it when it is needed no more. Throws
 * ModelConfigError where there is no key, or for an address that is none; ConfigError for an option that there is not.
 */
export function openaiModeration(options: Partial<Omit<OpenAiModerationOptions, 'timers'>> = {}): Moderator {
  checked<unknown>(optionsSchema, options, 'invalid_config', 'openaiModeration');
  const { apiKey = environment()['OPENAI_API_KEY'] ?? '', ...rest } = options;
  return openAiModeration({ ...rest, apiKey, timers: system.timers });
}
