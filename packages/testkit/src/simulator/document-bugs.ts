/** Known kinds of bug in what is kept as documents: heads of workspaces, and grants. See `bugs.ts`. */
import type { Host } from '@perdure/runtime';
import { sha256 } from '@perdure/runtime';
import type { Store, TenantStore } from '@perdure/runtime/ports';
import { OTHER_TENANT } from './grants.ts';
import type { Process } from './process.ts';
import type { Sim } from './sim.ts';

export const WORKSPACE_BUGS = {
  'head-uncompared': 'a head is moved from wherever it stands',
  'head-before-body': 'a content is stored after the head that names it has moved',
  'move-forgotten': 'a head does not remember by which calls it was moved',
  'job-torn': 'of what a job has left, only the first part is kept',
  'job-kept-early': 'what a job does is kept while it goes on',
  'job-over-others': 'what a job has left is put over what others have changed meanwhile',
  'job-conflict-unsaid': 'what of a job is not kept is not said',
  'job-untold': 'what a job has changed is told by its own process or by nobody',
  'undo-of-others': 'an undo puts the workspace back to where it stood, with what others have changed since',
} as const;
export const GRANT_BUGS = {
  'grant-too-wide': 'a grant allows the tool, where the folder was shown',
  'grant-remembered': 'a process goes by a grant that it knew, and asks nobody whether it was revoked',
  'grant-for-ever': 'nobody looks at the time of a grant',
  'grant-before-answer': 'a grant counts before the answer that it comes with does',
  'grant-of-others': 'what another tenant has granted counts where a tenant has granted nothing',
} as const;
export type DocumentBug = keyof typeof WORKSPACE_BUGS | keyof typeof GRANT_BUGS;

/** A content is on its way for so long. */
const LATE_MS = 3_000;
/** Nothing is shorter but the files of this simulation. */
const FILE_BYTES = 40;

export function wrapDocuments(sim: Sim, process: Process, store: Store, name: string): TenantStore {
  const tenant = store.tenant(name);
  const { docs, blobs } = tenant;
  switch (sim.bug) {
    case 'head-uncompared': {
      const put: typeof docs.put = async (kind, id, doc, revision) =>
        docs.put(kind, id, doc, kind === 'workspace' ? ((await docs.get(kind, id))?.revision ?? 0) : revision);
      return { ...tenant, docs: { ...all(docs), put } };
    }
    case 'head-before-body':
      return { ...tenant, blobs: late(process, blobs) };
    case 'job-untold': {
      const list: typeof docs.list = async (kind, page) => (kind === 'job-changes' ? [] : docs.list(kind, page));
      return { ...tenant, docs: { ...all(docs), list } };
    }
    case 'move-forgotten': {
      const get: typeof docs.get = async (kind, id) => {
        const doc = await docs.get(kind, id);
        return doc === null || kind !== 'workspace' ? doc : { ...doc, doc: { ...(doc.doc as object), moves: [] } };
      };
      return { ...tenant, docs: { ...all(docs), get } };
    }
    case 'grant-too-wide':
      return {
        ...tenant,
        docs: { ...all(docs), put: rewriting(docs, ({ rule }) => ({ rule: { ...rule, tool: '*' } })) },
      };
    case 'grant-before-answer':
      return { ...tenant, docs: { ...all(docs), put: rewriting(docs, () => ({ pending: undefined })) } };
    case 'grant-of-others':
      return { ...tenant, docs: { ...all(docs), ...borrowing(docs, store.tenant(OTHER_TENANT).docs) } };
    default:
      return tenant;
  }
}

type Docs = TenantStore['docs'];
type Granted = { rule: { decision: string; tool: string } };

const all = (docs: Docs): Docs => ({
  get: async (...args) => docs.get(...args),
  put: async (...args) => docs.put(...args),
  list: async (...args) => docs.list(...args),
  search: async (...args) => docs.search(...args),
});

const rewriting =
  (docs: Docs, change: (grant: Granted) => object): Docs['put'] =>
  async (kind, id, doc, revision) => {
    if (kind !== 'policy' || doc === null) return docs.put(kind, id, doc, revision);
    const { grants, ...rest } = doc as { grants: Granted[] };
    const changed = grants.map((grant) => ({ ...grant, ...change(grant) }));
    return docs.put(kind, id, JSON.parse(JSON.stringify({ ...rest, grants: changed })), revision);
  };

function borrowing(docs: Docs, other: Docs): Pick<Docs, 'get' | 'list'> {
  return {
    get: async (kind, id) => {
      const own = await docs.get(kind, id);
      if (own !== null || kind !== 'policy') return own;
      const theirs = await other.get(kind, id);
      return theirs === null ? null : { ...theirs, revision: 0 };
    },
    list: async (kind, page) => {
      const theirs = kind === 'policy' ? await other.list(kind, page) : [];
      return [...(await docs.list(kind, page)), ...theirs];
    },
  };
}

/** Says at once that a content is there, and stores it when it can. */
function late(process: Process, blobs: TenantStore['blobs']): TenantStore['blobs'] {
  const coming = new Map<string, Uint8Array>();
  return {
    ...blobs,
    put: async (bytes) => {
      if (bytes.length > FILE_BYTES) return blobs.put(bytes);
      const digest = sha256(bytes);
      coming.set(digest, bytes);
      void process.wait('a content is stored', LATE_MS).then(async () => blobs.put(bytes));
      return digest;
    },
    has: async (digest) => coming.has(digest) || blobs.has(digest),
    get: async (digest) => coming.get(digest) ?? blobs.get(digest),
  };
}

export function wrapDocumentHost(sim: Sim, host: Host): Host {
  if (sim.bug === 'undo-of-others') return { ...host, call: rollingBack(sim, host) };
  if (sim.bug !== 'grant-remembered' && sim.bug !== 'grant-for-ever') return host;
  const { policies } = host.parts;
  const asked = policies.inForce.bind(policies);
  const known = new Map<string, Awaited<ReturnType<typeof asked>>['filed']>();
  policies.inForce = async (...args) => {
    const { filed, text } = await asked(...args);
    if (sim.bug === 'grant-for-ever') {
      const lasting = filed.map(({ rule: { expiresAt: _ended, ...rule }, told }) => ({ rule, told }));
      return { filed: lasting, text };
    }
    const [agent, session] = args;
    const before = (known.get(`${agent} ${session}`) ?? []).filter(({ told }) => !filed.some((is) => is.told === told));
    known.set(`${agent} ${session}`, [...filed, ...before]);
    return { filed: [...filed, ...before], text };
  };
  return host;
}

function rollingBack(sim: Sim, host: Host): Host['call'] {
  return async (caller, method, params) => {
    if (method !== 'runs.undo') return host.call(caller, method, params);
    const { session, run } = params as { session: string; run: string };
    const entries = sim.truth.logs.get(session)?.entries ?? [];
    const first = entries.find((entry) => entry.kind === 'workspace.changed' && entry.run === run);
    if (first?.kind !== 'workspace.changed') return host.call(caller, method, params);
    const { workspace, before } = first.data;
    const { workspaces } = host.parts;
    const origin = `undo of ${session}.${run} by user client`;
    try {
      const head = await workspaces.head(workspace);
      if (head !== null)
        await workspaces.move(workspace, { from: head.tree, to: before, key: host.parts.newId(), origin });
    } catch {
      // Trouble with the store is told as ever.
      return host.call(caller, method, params);
    }
    return { status: 200, result: { workspaces: [] } } as Awaited<ReturnType<typeof host.call<typeof method>>>;
  };
}
