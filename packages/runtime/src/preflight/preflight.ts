/**
 * Every unfinished session, folded by this build and looked at with these agents, tools, policies and models: what a
 * deployment would meet, before it is one. Nothing is called and nothing is written.
 */
import type { Call } from '@perdure/engine';
import type { Agents, Manifest } from '../definitions/agents.ts';
import { askedIn } from '../effects/calls.ts';
import { LIMITS } from '../limits.ts';
import { canonicalJson } from '../log/digest.ts';
import type { Reading } from '../log/prefix.ts';
import { PrefixFold } from '../log/prefix.ts';
import { indexOf } from '../log/views.ts';
import type { Digest, ModelSource, ReadTenant, SessionIndex, SessionRow, StoredFrame } from '../ports.ts';
import { StoreDamage } from '../ports.ts';
import { filedIn, filedNow } from '../policy/documents.ts';
import type { Finding, Looking } from './findings.ts';
import { findingsOf } from './findings.ts';

export type PreflightOptions = {
  /** Wall ms: rules expire. */
  now: number;
  store: ReadTenant;
  agents: Agents;
  models: ModelSource;
  /** Runs what folds a page of a session in one go (see marks.ts). Default: just so. */
  alone?: Reading['alone'];
  /** Sessions that are not looked at. */
  skip?: (session: string) => boolean;
};

/** `changed`: only what a run in flight is pinned to is another now. `failed`: its log cannot be folded as it was. */
export type Verdict = 'unchanged' | 'changed' | 'attention' | 'failed';
export type SessionPreflight = {
  session: string;
  agent: string;
  status: SessionIndex['status'];
  verdict: Verdict;
  findings: Finding[];
};

/** One session after the other, in no order that means anything; each once. */
export async function* preflight(options: PreflightOptions): AsyncGenerator<SessionPreflight> {
  const { store, skip } = options;
  const seen = new Set<string>();
  for await (const row of unfinished(store.log)) {
    if (seen.has(row.id) || skip?.(row.id) === true) continue;
    seen.add(row.id);
    const findings = await lookAt(options, row);
    const { id: session, agent, status } = row;
    yield { session, agent, status, verdict: verdictOf(findings), findings };
  }
}

function verdictOf(findings: readonly Finding[]): Verdict {
  if (findings.some(({ code }) => code === 'fold_failed' || code === 'fold_differs')) return 'failed';
  if (findings.some(({ code }) => code !== 'pin_changed')) return 'attention';
  return findings.length > 0 ? 'changed' : 'unchanged';
}

/** Those that run or wait, and those that could start and do not. */
async function* unfinished(log: ReadTenant['log']): AsyncGenerator<SessionRow> {
  for (const status of ['running', 'waiting'] as const) {
    let cursor: string | undefined;
    do {
      const query = { status, limit: LIMITS.sweepPage };
      const page = await log.list(cursor === undefined ? query : { ...query, cursor });
      yield* page.items;
      cursor = page.next ?? undefined;
    } while (cursor !== undefined);
  }
  let after: string | null = null;
  do {
    const page: { sessions: string[]; next: string | null } = await log.due({
      now: Number.MAX_SAFE_INTEGER,
      after,
      limit: LIMITS.sweepPage,
    });
    for (const session of page.sessions) {
      const row = await log.get(session);
      if (row?.status === 'idle') yield row;
    }
    after = page.next;
  } while (after !== null);
}

async function lookAt(options: PreflightOptions, row: SessionRow): Promise<Finding[]> {
  const fold = new PrefixFold();
  const failed = await folded(options, row, fold);
  if (failed !== null) return failed === 'gone' ? [] : [failed];
  const differs = differenceOf(row, indexOf(fold.state, row.title));
  const found = await contentFindings(options, row, fold);
  if (differs.length === 0) return found;
  const text = `its log leads to another ${differs.join(', ')} than it did`;
  return [{ code: 'fold_differs', text, seq: row.head.seq }, ...found];
}

async function contentFindings(options: PreflightOptions, { id }: SessionRow, fold: PrefixFold): Promise<Finding[]> {
  try {
    return await findingsOf(fold.state, await lookingFor(options, id, fold.state.agent));
  } catch (error) {
    return [failure('its content cannot be read', error, fold.head.seq)];
  }
}

function failure(what: string, error: unknown, at: number): Finding {
  const text = `${what}: ${error instanceof Error ? error.message : String(error)}`;
  return { code: 'fold_failed', text, seq: error instanceof StoreDamage ? error.report.seq : at };
}

/** Folds the log up to the head that the row names; what goes wrong says where. */
async function folded(
  { store: { log }, alone = (_session, work) => work() }: PreflightOptions,
  { id, head }: SessionRow,
  fold: PrefixFold,
): Promise<Finding | 'gone' | null> {
  let at = 1;
  const add = (frames: readonly StoredFrame[]): void => {
    for (const frame of frames) {
      at = frame.first;
      if (frame.first <= head.seq) fold.add(frame);
    }
  };
  try {
    while (fold.head.seq < head.seq) {
      const frames = await log.read(id, { after: fold.head.seq, limit: LIMITS.readFrames });
      // Deleted meanwhile: there is nothing to go wrong.
      if (frames.length === 0) return 'gone';
      alone(id, () => add(frames));
    }
    return null;
  } catch (error) {
    return failure('its log cannot be folded', error, at);
  }
}

/** What is read of a session without folding it was written by the build before: it is what that build's fold said. */
function differenceOf(row: SessionRow, now: SessionIndex): string[] {
  const names: (keyof SessionIndex)[] = [
    'agent',
    'key',
    'status',
    'activeRun',
    'queue',
    'waits',
    'revision',
    'usage',
    'cost',
  ];
  return names.filter((name) => canonicalJson(row[name] ?? null) !== canonicalJson(now[name] ?? null));
}

async function lookingFor(
  { store, agents, models, now }: PreflightOptions,
  session: string,
  agent: string,
): Promise<Looking> {
  const blobText = async (digest: Digest): Promise<string | null> => {
    const blob = await store.blobs.get(digest);
    return blob === null ? null : Buffer.from(blob).toString();
  };
  return {
    now,
    agents,
    models,
    filed: await filedNow(store.docs, agent, session),
    async filedThen(digest) {
      const text = await blobText(digest);
      return text === null ? null : filedIn(text);
    },
    async manifest(digest) {
      const text = await blobText(digest);
      return text === null ? null : (JSON.parse(text) as Manifest);
    },
    async askedWith({ arguments: at }: Call) {
      const { seq, digest } = at.body;
      const text = (await store.log.body(session, seq, digest))?.text ?? (await blobText(digest));
      if (text === null) return undefined;
      return at.at === 'edit' ? { args: JSON.parse(text) as unknown, reached: null } : askedIn(text, at.index);
    },
  };
}

export type PreflightCounts = { sessions: number } & Record<Verdict, number>;
export const noCounts = (): PreflightCounts => ({ sessions: 0, unchanged: 0, changed: 0, attention: 0, failed: 0 });

export function count(counts: PreflightCounts, { verdict }: SessionPreflight): void {
  counts.sessions += 1;
  counts[verdict] += 1;
}
