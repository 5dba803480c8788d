import type { Entry, Explanation, Params } from '@perdure/contract';
import {
  applyProgress,
  applyTrace,
  applyTranscript,
  diffSessions,
  emptyProgress,
  emptyTrace,
  emptyTranscript,
  explainRun,
  noBodies,
  viewTrace,
  viewTranscript,
} from '@perdure/contract';
import type { Parts } from '../parts.ts';
import { LIMITS } from '../limits.ts';
import type { LogStore } from '../ports.ts';
import { notFound } from './views.ts';
import { wireFrame } from '../log/wire.ts';
import { isEnded } from '../streams/rest.ts';
import { isServed } from './nodes.ts';
import type { Answered, Methods } from './shared.ts';
import { ok, pageOf } from './shared.ts';

type ViewMethod = 'sessions.diff' | 'turns.request' | 'events.list' | 'messages.list' | 'trace.get' | 'explain.get';

export function viewMethods(parts: Parts): Pick<Methods, ViewMethod> {
  const { reads, store } = parts;
  const check = async (session: string): Promise<void> => {
    if ((await store.log.get(session)) === null) throw notFound(`session ${session}`);
  };
  return {
    'turns.request': async (_caller, { session, run, n }) => ok(await reads.request(session, run, n)),
    'events.list': async (_caller, params) => listEvents(parts, params),
    'messages.list': async (_caller, { session, cursor, limit }) => {
      await check(session);
      const transcript = emptyTranscript(noBodies);
      for await (const entry of reads.entries(session)) applyTranscript(transcript, entry);
      const { items, next } = pageOf(viewTranscript(transcript), cursor, limit);
      return ok(next === undefined ? { messages: items } : { messages: items, next });
    },
    'trace.get': async (_caller, { session, run, cursor, limit }) => {
      await check(session);
      const trace = emptyTrace();
      for await (const entry of reads.entries(session)) applyTrace(trace, entry);
      const { items, next } = pageOf(viewTrace(trace, run), cursor, limit);
      return ok(next === undefined ? { spans: items } : { spans: items, next });
    },
    'sessions.diff': async (_caller, { session, other }) => {
      await Promise.all([check(session), check(other)]);
      return ok(await diffSessions(reads.entries(session), reads.entries(other)));
    },
    'explain.get': async (_caller, { session, run }) => {
      await check(session);
      const progress = emptyProgress();
      for await (const entry of reads.entries(session)) applyProgress(progress, entry);
      const explanation = explainRun(progress, run, parts.system.clock.now());
      if (explanation === null) throw notFound(`run ${run}`);
      const { agent, status, causes } = explanation;
      if (!isEnded({ status }) && parts.quarantine.has(session)) causes.unshift(QUARANTINED);
      else if (NEEDS_WORKER.has(status) && !(await isServed(parts, agent))) causes.unshift(noWorker(agent));
      return ok(explanation);
    },
  };
}

const QUARANTINED: Explanation['causes'][number] = {
  code: 'quarantined',
  text: 'Its session is quarantined: its own step failed again and again. The server’s log says how.',
  next: 'perdure sessions readmit tries it again, perdure sessions delete removes it.',
};

/** What a run of this status does next is done by a worker. */
const NEEDS_WORKER: ReadonlySet<Explanation['status']> = new Set(['queued', 'running', 'cancelling']);

const noWorker = (agent: string): Explanation['causes'][number] => ({
  code: 'no_worker',
  text: `No worker lives that takes agent ${agent}: nothing is done for it, and nothing is lost.`,
  next: `Start one: perdure worker --agents ${agent}`,
});

async function listEvents(
  parts: Parts,
  { session, after, limit, waitMs }: Params<'events.list'>,
): Answered<'events.list'> {
  const { log } = parts.store;
  const watch = parts.watches.of(session);
  let late = waitMs === 0;
  const isLate = (): void => {
    late = true;
    watch.stir();
  };
  const timer = parts.system.timers.set(waitMs, isLate);
  parts.stopping.addEventListener('abort', isLate, { once: true });
  try {
    for (;;) {
      const change = watch.next();
      const row = await log.get(session);
      if (row === null) throw notFound(`session ${session}`);
      const events = await pageOfEntries(log, session, after, limit);
      if (events.length > 0 || late || parts.stopping.aborted)
        // A cursor beyond the head would pass over what comes: the next one never is.
        return ok({ events, next: events.at(-1)?.seq ?? Math.min(after, row.head.seq), head: row.head.seq });
      await change;
    }
  } finally {
    timer.cancel();
    parts.stopping.removeEventListener('abort', isLate);
    watch.close();
  }
}

/** A frame may be large and hold many entries: they are read a few at a time. */
async function pageOfEntries(log: LogStore, session: string, after: number, limit: number): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (let cursor = after; entries.length < limit;) {
    const frames = await log.read(session, { after: cursor, limit: Math.min(limit, LIMITS.pageFrames) });
    entries.push(...frames.flatMap(wireFrame).filter(({ seq }) => seq > cursor));
    cursor = entries.at(-1)?.seq ?? cursor;
    if (frames.length < Math.min(limit, LIMITS.pageFrames)) break;
  }
  return entries.slice(0, limit);
}
