/** The contract's methods over the parts of a host: thin, because every rule about sessions is in the engine. */
import type { Parts } from './host.ts';
import { catalogMethods } from './methods/catalog.ts';
import { viewMethods } from './methods/reads.ts';
import { runMethods } from './methods/runs.ts';
import { sessionMethods } from './methods/sessions.ts';
import type { Methods } from './methods/shared.ts';
import { waitMethods } from './methods/waits.ts';

export function createMethods(parts: Parts): Methods {
  return {
    ...sessionMethods(parts),
    ...runMethods(parts),
    ...viewMethods(parts),
    ...waitMethods(parts),
    ...catalogMethods(parts),
  };
}
