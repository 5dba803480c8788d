import type { Params } from '@perdure/contract';
import {
  applyProgress,
  applyTrace,
  applyTranscript,
  emptyProgress,
  emptyTrace,
  emptyTranscript,
  explainRun,
  noBodies,
  viewTrace,
  viewTranscript,
} from '@perdure/contract';
import type { Parts } from '../host.ts';
import { notFound } from '../reads.ts';
import { createWatch } from '../watch.ts';
import { wireFrame } from '../wire.ts';
import type { Answered, Methods } from './shared.ts';
import { ok, pageOf } from './shared.ts';

type ViewMethod = 'turns.request' | 'events.list' | 'messages.list' | 'trace.get' | 'explain.get';

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
    'explain.get': async (_caller, { session, run }) => {
      await check(session);
      const progress = emptyProgress();
      for await (const entry of reads.entries(session)) applyProgress(progress, entry);
      const explanation = explainRun(progress, run, parts.system.clock.now());
      if (explanation === null) throw notFound(`run ${run}`);
      return ok(explanation);
    },
  };
}

async function listEvents(
  parts: Parts,
  { session, after, limit, waitMs }: Params<'events.list'>,
): Answered<'events.list'> {
  const { log } = parts.store;
  const watch = createWatch(log, session);
  let late = waitMs === 0;
  const timer = parts.system.timers.set(waitMs, () => {
    late = true;
    watch.stir();
  });
  try {
    for (;;) {
      const change = watch.next();
      const row = await log.get(session);
      if (row === null) throw notFound(`session ${session}`);
      const frames = await log.read(session, { after, limit });
      const events = frames
        .flatMap(wireFrame)
        .filter((entry) => entry.seq > after)
        .slice(0, limit);
      if (events.length > 0 || late) return ok({ events, next: events.at(-1)?.seq ?? after, head: row.head.seq });
      await change;
    }
  } finally {
    timer.cancel();
    watch.close();
  }
}
