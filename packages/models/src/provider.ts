import type { Clock, ModelAdapter } from '@perdure/runtime/ports';

/** A provider that is spoken to: its adapter, and the connections behind it. */
export type Provider = {
  adapter: ModelAdapter;
  /** Ends what is under way (`aborted`). */
  close(): Promise<void>;
};

export type Environment = { readonly [name: string]: string | undefined };
/** `message` says what to do: which key is missing, which URL is wrong. */
export type OpenedProvider = { ok: true; provider: Provider } | { ok: false; message: string };
/** Opens a provider with what the environment says of it, under the names its official client reads. */
export type OpenProvider = (env: Environment, clock: Clock) => OpenedProvider;

/** A variable of the environment; blank is unset. */
export function variable(env: Environment, name: string): string | undefined {
  const value = env[name]?.trim();
  return value === '' ? undefined : value;
}

export const OPENAI_URL = 'https://api.openai.com/v1';
export const ANTHROPIC_URL = 'https://api.anthropic.com';

/** What there is to do where a provider has no key. */
export const keyMissing = (provider: string, variables: string): string =>
  `${provider} needs a key: set ${variables}, or keep one here by perdure auth login ${provider}; the model 'demo' needs none`;
