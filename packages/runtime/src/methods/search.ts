import type { Parts } from '../parts.ts';
import type { Methods } from './shared.ts';
import { given, ok } from './shared.ts';

export function searchMethods({ search }: Parts): Pick<Methods, 'messages.search'> {
  return {
    'messages.search': async (_caller, { q, agent, cursor, limit }) => {
      const { hits, next, behind } = await search({ text: q, limit, ...given({ agent, cursor }) });
      return ok({ hits: [...hits], ...(next === null ? {} : { next }), ...(behind ? { behind: true as const } : {}) });
    },
  };
}
