/** Secrets that the data itself keeps: tokens that are made with one can be told from others. */
import { base32 } from '../log/digest.ts';
import type { System, TenantStore } from '../ports.ts';

/** A secret of this data: what is made with it can be told from what another's data made, by each of its processes. */
export async function ownSecret(store: TenantStore, system: System, id: 'callback' | 'nodes'): Promise<string> {
  for (;;) {
    const known = await store.docs.get('secret', id);
    if (known !== null) return String(known.doc);
    await store.docs.put('secret', id, base32(system.random.bytes(32)), 0);
  }
}
