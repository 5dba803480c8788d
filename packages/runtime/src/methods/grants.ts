/** Approvals that hold for like calls: given with an answer to a wait. */
import type { AnswerInput } from '@perdure/contract';
import { ApiError } from '@perdure/contract';
import type { Actor, Call, PolicyRule, Wait } from '@perdure/engine';
import { argumentsOf } from '../effects/calls.ts';
import type { Parts } from '../parts.ts';
import { grantId, grantOf } from '../policy/documents.ts';
import { offerOf } from '../policy/offer.ts';
import { judged } from '../policy/policy.ts';
import { existing } from './views.ts';

/** `confirm`: the answer is in the log. */
type Given = { name: string; confirm(): Promise<void>; takeBack(error: unknown): Promise<void> };
type Asked = { wait: Wait; call: Call | undefined; agent: string };

/**
 * Writes the grant down before the answer that it comes with, so that the same answer, sent again after whatever became of
 * this process, finds it. It counts when its answer is in the log; one that is refused takes it back. Throws ApiError `invalid_request` for what cannot be granted, `too_large`.
 */
export async function giveGrant(
  parts: Parts,
  session: string,
  { wait, call, agent }: Asked,
  said: AnswerInput,
  by: Actor,
  digest: string,
): Promise<Given> {
  const wrong = (message: string): ApiError => new ApiError('invalid_request', message, { details: { path: 'grant' } });
  if (!('grant' in said) || said.grant === undefined || wait.kind !== 'approval' || call === undefined)
    throw wrong('only the approval of a call can be granted');
  if (said.decision !== 'approve') throw wrong('a denial grants nothing');
  if (said.arguments !== undefined)
    throw wrong('what is granted is what was asked for: leave the edited arguments out');
  if (said.digest !== wait.digest) throw wrong(`the digest is not the one that wait ${wait.id} asks to approve`);
  const at = parts.system.clock.now();
  if (wait.expiresAt !== null && wait.expiresAt <= at)
    throw new ApiError('wait_resolved', `wait ${wait.id} has expired`);
  const rule = await offered(parts, session, agent, call);
  if (rule === null)
    throw wrong(`${call.name} with these arguments can be approved this once only: what is like it cannot be told`);
  const scope = scopeOf(said.grant.scope, agent, session);
  const grant = grantOf(rule, said.grant.forMs, { session, wait: wait.id, answer: digest, by, at });
  await parts.policies.propose(scope, grant);
  return {
    name: `${scope}.${grant.id}`,
    confirm: async () => parts.policies.confirm(scope, grant.id, grant),
    async takeBack(error) {
      // Where nobody knows whether the answer was taken, the same answer may come again.
      const isSure = error instanceof ApiError && error.status < 500;
      if (isSure) await parts.policies.withdraw(scope, grant.id);
    },
  };
}

/** The answer is in the log; whoever brought it there may have died before its grant counted. */
export async function confirmGrant(
  { policies }: Parts,
  session: string,
  { wait, agent, digest }: { wait: string; agent: string; digest: string },
  said: AnswerInput,
): Promise<void> {
  if (!('grant' in said) || said.grant === undefined) return;
  await policies.confirm(scopeOf(said.grant.scope, agent, session), grantId(session, wait, digest), null);
}

const scopeOf = (scope: 'session' | 'agent' | 'tenant', agent: string, session: string): string =>
  ({ session: `session:${session}`, agent: `agent:${agent}`, tenant: 'tenant' })[scope];

async function offered(parts: Parts, session: string, agent: string, call: Call): Promise<PolicyRule | null> {
  const tool = parts.agents.get(agent)?.tools.get(call.name);
  if (tool === undefined) throw new ApiError('invalid_state', `the tool ${call.name} is not defined here`);
  const args = await parts.sessions.exclusive(session, async () =>
    argumentsOf(parts.sessions, await existing(parts.sessions, session), call),
  );
  return offerOf(judged(call.name, tool, args));
}
