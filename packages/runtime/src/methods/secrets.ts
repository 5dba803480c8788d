/** Secrets by name: set, listed, deleted, and never read back. */
import type { Params, SecretView } from '@perdure/contract';
import { ApiError } from '@perdure/contract';
import { noticesOfTools, withNotices } from '../definitions/notices.ts';
import type { Parts } from '../parts.ts';
import type { Bindings } from '../secrets/bindings.ts';
import { SecretsError } from '../secrets/errors.ts';
import type { SecretInfo } from '../secrets/vault.ts';
import type { Answered, Methods } from './shared.ts';
import { knownAgents, ok, pageOf } from './shared.ts';
import { notFound } from './views.ts';

type SecretMethod = 'secrets.list' | 'secrets.set' | 'secrets.delete' | 'secrets.rotate' | 'providers.list';

export function secretMethods(parts: Parts): Pick<Methods, SecretMethod> {
  const { vault } = parts;
  return {
    'secrets.list': async (_caller, { cursor, limit }) => {
      await vault.fresh();
      const { items, next } = pageOf(vault.list(), cursor, limit);
      const secrets = items.map(viewOf);
      return ok(next === undefined ? { secrets } : { secrets, next });
    },
    'secrets.set': async (_caller, params) => set(parts, params),
    'secrets.delete': async (_caller, { name }) => {
      const deleted = await told(async () => vault.delete(name));
      if (deleted === false) throw notFound(`secret ${name}`);
      return ok(deleted);
    },
    'secrets.rotate': async () => ok(await told(async () => vault.rotate())),
    'providers.list': async () => ok({ providers: [...parts.providers()] }),
  };
}

async function set(parts: Parts, params: Params<'secrets.set'>): Answered<'secrets.set'> {
  const { vault } = parts;
  const { name, value, hosts, tools, commands, ifVersion } = params;
  if (!value.isWellFormed() || value.includes('\0'))
    throw new ApiError('invalid_request', 'a secret is text, without a NUL', { details: { path: 'value' } });
  const bindings: Bindings = {
    ...(hosts === undefined ? {} : { hosts }),
    ...(tools === undefined ? {} : { tools }),
    ...(commands === undefined ? {} : { commands }),
  };
  const view = viewOf(await told(async () => vault.set(name, value, bindings, ifVersion)));
  return ok(withNotices(view, noticesOfTools(tools ?? [], knownAgents(parts))));
}

/** In the contract's codes; `details.problem` says which it is. */
async function told<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof SecretsError)) throw error;
    const code = error.code === 'secret_conflict' ? 'revision_conflict' : 'invalid_state';
    throw new ApiError(code, error.message, { details: { problem: error.code } });
  }
}

function viewOf({ name, version, bindings, setAt, key, problem }: SecretInfo): SecretView {
  const { hosts, tools, commands } = bindings;
  return {
    name,
    version,
    setAt,
    key,
    ...(hosts === undefined ? {} : { hosts: [...hosts] }),
    ...(tools === undefined ? {} : { tools: [...tools] }),
    ...(commands === undefined ? {} : { commands: [...commands] }),
    ...(problem === null ? {} : { problem }),
  };
}
