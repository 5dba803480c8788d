/**
 * Documents as one process reaches them. A head and a document of grants are written in two completions, as an append is:
 * the commit, and its acknowledgement. What is committed is held against what it may be.
 */
import type { DocStore, TenantStore } from '@perdure/runtime/ports';
import type { Sim } from './sim.ts';

type Put = Parameters<DocStore['put']>;
type Wrote = Awaited<ReturnType<DocStore['put']>>;

/** What a process does with a write on its way: see `Process`. */
export type Writing = {
  /** The commit, once it gets there; it may get there without its process. */
  commit(label: string, work: () => Promise<Wrote>): Promise<Wrote>;
  call(label: string, work: () => Promise<Wrote>): Promise<Wrote>;
};

export function documentsOf(sim: Sim, of: () => TenantStore, writing: Writing): Pick<DocStore, 'put'> {
  return {
    put: async (...put) => {
      const [kind, id] = put;
      if (kind !== 'workspace' && kind !== 'policy') return writing.call('docs.put', async () => of().docs.put(...put));
      return writing.commit(`put ${kind} ${id}`, async () => write(sim, of(), put));
    },
  };
}

async function write(sim: Sim, { docs }: TenantStore, put: Put): Promise<Wrote> {
  const [kind, id, doc] = put;
  const wrote = await docs.put(...put);
  if (!wrote.ok) return wrote;
  sim.scheduler.note(`committed ${kind} ${id} ${wrote.revision}`);
  try {
    if (kind === 'policy') sim.grants.written(id, doc);
    else if (doc !== null) sim.heads.moved(id, doc, wrote.revision);
  } catch (error) {
    sim.fail(error);
  }
  return wrote;
}
