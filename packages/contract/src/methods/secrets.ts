/** Rows on secrets: their names, versions and bindings. No method gives a value back. */
import { z } from 'zod';
import { LIMITS } from '../limits.ts';
import { cursor, limit, next } from './method.ts';
import type { Method } from './method.ts';

const name = z
  .string()
  .regex(/^[A-Za-z0-9_.-]{1,128}$/, 'has letters, digits, _, . and -, at most 128')
  .describe('What tools ask for it by, and what stands in its place wherever it would appear.');
const bound = (what: z.ZodString): z.ZodArray<z.ZodString> => z.array(what).max(LIMITS.secretBindings);
const word = z.string().min(1).max(LIMITS.nameChars);
const bindings = {
  hosts: bound(
    z
      .string()
      .max(LIMITS.nameChars)
      .regex(/^(?:\*\.)?[A-Za-z0-9._-]+$|^\[[0-9a-fA-F:]+\]$/, 'is a host: api.example.com, or *.example.com'),
  )
    .exactOptional()
    .describe('It goes to these hosts alone.'),
  tools: bound(word).exactOptional().describe('Only these tools are given it; none: this process alone.'),
  commands: bound(
    word.regex(
      /^[^\s'"\\$`|&;<>()]+$/,
      'is the name of one program, such as curl; what stands behind it is not looked at',
    ),
  )
    .exactOptional()
    .describe('Only commands of these programs are given it.'),
};

export const secretViewSchema = z.strictObject({
  name,
  /** Grows with each value. */
  version: z.int().min(1),
  /** Wall time, ms. */
  setAt: z.int().min(0),
  /** Which key it is sealed with: a name of the key, and nothing of it. */
  key: z.string(),
  ...bindings,
  /** Why it is given to nobody: `secret_key_missing`, `secret_key_unknown`, `secret_damaged`, … */
  problem: z.string().exactOptional(),
  /** Of a change: what may not be meant, such as a tool that no agent here has. It was made all the same. */
  notices: z.array(z.string()).exactOptional(),
});
export type SecretView = z.output<typeof secretViewSchema>;

export const providerViewSchema = z.strictObject({
  provider: z.string(),
  /** What its key is called, as a variable and as a secret. */
  names: z.array(z.string()),
  /** Where its key comes from; null: there is none. */
  from: z.enum(['environment', 'secret']).nullable(),
  /** The one of its names that is used. */
  used: z.string().nullable(),
  /** It works without a key. */
  keyless: z.boolean(),
  /** Why a stored key is not used. */
  problem: z.string().exactOptional(),
  /** Where it is reached. */
  host: z.string(),
});
export type ProviderView = z.output<typeof providerViewSchema>;

export const SECRET_METHODS = {
  'secrets.list': {
    verb: 'GET',
    path: '/secrets',
    params: z.strictObject({ cursor, limit }),
    result: z.strictObject({ secrets: z.array(secretViewSchema), next }),
    status: [200],
    errors: [],
    scope: 'read',
    summary: 'Secrets by name, with what they are bound to; never their values',
  },
  'secrets.set': {
    verb: 'PUT',
    path: '/secrets/{name}',
    params: z.strictObject({
      name,
      value: z.string().min(LIMITS.secretMinChars).max(LIMITS.secretMaxChars),
      ...bindings,
      ifVersion: z
        .int()
        .min(0)
        .exactOptional()
        .describe('Only where it is at this version; 0: only where there is none.'),
    }),
    result: secretViewSchema,
    status: [200],
    errors: ['revision_conflict', 'invalid_state', 'storage_full'],
    scope: 'write',
    summary: 'Sets a secret: sealed at rest, out of sight from now on, given where it is bound to; it is not read back',
  },
  'secrets.delete': {
    verb: 'DELETE',
    path: '/secrets/{name}',
    params: z.strictObject({ name }),
    /** `shredded`: copies of the data from before do not open either. */
    result: z.strictObject({ shredded: z.boolean() }),
    status: [200],
    errors: ['not_found', 'revision_conflict', 'invalid_state', 'storage_full'],
    scope: 'write',
    summary: 'Deletes a secret; where the keys are kept beside the data they are changed, so that no copy of it opens',
  },
  'secrets.rotate': {
    verb: 'POST',
    path: '/secret-keys',
    params: z.strictObject({}),
    result: z.strictObject({
      /** The key that all are sealed with now; null: there is none. */
      key: z.string().nullable(),
      resealed: z.int().min(0),
      /** Keys that nothing is sealed with any more, to be taken away where they are given. */
      left: z.int().min(0),
    }),
    status: [200],
    errors: ['revision_conflict', 'invalid_state', 'storage_full'],
    scope: 'write',
    summary: 'Seals all secrets with a new key, or with the first of those that are given, while they are used',
  },
  'providers.list': {
    verb: 'GET',
    path: '/providers',
    params: z.strictObject({}),
    result: z.strictObject({ providers: z.array(providerViewSchema) }),
    status: [200],
    errors: [],
    scope: 'read',
    summary: 'Providers of models, and where the key of each comes from',
  },
} as const satisfies { [name: string]: Method };
