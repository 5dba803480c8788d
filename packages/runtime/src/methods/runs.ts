import type { Params, RunView } from '@perdure/contract';
import type { Command } from '@perdure/engine';
import type { Caller } from '../api.ts';
import { derivedSessionId } from '../log/digest.ts';
import type { Parts } from '../parts.ts';
import { LIMITS } from '../limits.ts';
import type { RunRow } from '../ports.ts';
import { untilRest, isEnded } from '../streams/rest.ts';
import { agentFor, sendInput } from './sends.ts';
import type { Answered, Methods } from './shared.ts';
import { actorOf, checkAgentModel, given, ok } from './shared.ts';

type RunMethod =
  | 'runs.start'
  | 'runs.get'
  | 'runs.cancel'
  | 'runs.hold'
  | 'runs.release'
  | 'runs.unqueue'
  | 'runs.create'
  | 'runs.list'
  | 'runs.find';

export function runMethods(parts: Parts): Pick<Methods, RunMethod> {
  const { reads, store } = parts;
  const onRun =
    (kind: 'cancel' | 'hold' | 'release' | 'unqueue') =>
    async (caller: Caller, { session, run }: Params<'runs.get'>): Promise<{ status: number; result: RunView }> => {
      const command = { kind, run } as Command;
      const since = parts.system.clock.monotonicMs();
      await parts.submit(session, { id: parts.newId(), by: actorOf(caller), bodies: [], command });
      return { status: 202, result: await reads.run(session, run, since) };
    };
  return {
    'runs.start': async (caller, { session, input, mode, submission, priority, config }) => {
      const message = { input, submission: submission ?? parts.newId(), mode, priority, config, open: undefined };
      const since = parts.system.clock.monotonicMs();
      const { receipt } = await parts.submit(session, await sendInput(parts, message, actorOf(caller)));
      return { status: 202, result: { run: await reads.run(session, receipt.run ?? '', since), seq: receipt.seq } };
    },
    'runs.get': async (_caller, { session, run }) => ok(await reads.run(session, run)),
    'runs.cancel': onRun('cancel'),
    'runs.hold': onRun('hold'),
    'runs.release': onRun('release'),
    'runs.unqueue': onRun('unqueue'),
    'runs.create': async (caller, params) => oneShot(parts, caller, params),
    'runs.list': async (_caller, { agent, status, cursor, limit }) => {
      const page = await store.log.runs({ limit, ...given({ agent, status, cursor }) });
      const runs = await Promise.all(page.items.map(async ({ session, ...row }) => listed(parts, session, row)));
      return ok(page.next === null ? { runs } : { runs, next: page.next });
    },
    'runs.find': async (_caller, { session, run }) =>
      ok({ session: await reads.session(session), run: await reads.run(session, run) }),
  };
}

/**
 * A row is written when its status changes: what one that is under way has used by now, its session says. One whose session
 * cannot be read now is shown as its row has it: a list does not fail for one of its items.
 */
async function listed({ reads }: Parts, session: string, row: RunRow): Promise<RunView> {
  const live = row.status === 'running' ? await reads.run(session, row.run).catch(() => null) : null;
  return live?.status === row.status ? live : reads.runRow(session, row);
}

async function oneShot(parts: Parts, caller: Caller, params: Params<'runs.create'>): Answered<'runs.create'> {
  const { reads, system } = parts;
  const since = system.clock.monotonicMs();
  const agent = agentFor(parts.agents, params.agent);
  checkAgentModel(parts, agent, params.config?.model);
  const submission = params.submission ?? parts.newId();
  const id = params.submission === undefined ? parts.newSession() : derivedSessionId(parts.tenant, submission);
  const open = { id, tenant: parts.tenant, agent };
  const message = { input: params.input, submission, mode: 'queue' as const, priority: 0, config: params.config, open };
  const { receipt } = await parts.submit(id, await sendInput(parts, message, actorOf(caller)));
  const run = receipt.run ?? '';
  const view = params.wait
    ? await untilRest(parts, id, run, params.timeoutMs ?? LIMITS.waitTimeoutMs)
    : await reads.run(id, run, since);
  return {
    status: params.wait && isEnded(view) ? 200 : 202,
    result: { session: await reads.session(id, since), run: view, seq: receipt.seq },
  };
}
