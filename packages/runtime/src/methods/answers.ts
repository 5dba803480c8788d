/** Answers on their way in: what a person or another system says to a wait, with its content as bodies. */
import type { AnswerInput } from '@perdure/contract';
import { ApiError } from '@perdure/contract';
import type { Answer, Call, Wait } from '@perdure/engine';
import type { Agents } from '../definitions/agents.ts';
import type { Bodies } from '../effects/bodies.ts';
import { argumentsDigest, canonicalJson, sha256 } from '../log/digest.ts';
import { LIMITS } from '../limits.ts';
import { misfitOf } from '../definitions/schema.ts';

/** The digest of what was answered: the same again is the same receipt, anything else a conflict (W1). */
export const answerDigest = (answer: unknown): string => sha256(canonicalJson(answer));

export async function answerOf(
  wait: Pick<Wait, 'id' | 'kind'>,
  call: Call | undefined,
  agent: string,
  agents: Agents,
  given: AnswerInput,
  bodies: Bodies,
): Promise<Answer> {
  const fits = (name: string): boolean => name in given;
  const note = async (text: string): Promise<{ digest: string; bytes: number }> => bodies.add({ content: text });
  switch (wait.kind) {
    case 'approval': {
      if (!('digest' in given)) break;
      const answer: Answer = { kind: 'approval', decision: given.decision, digest: given.digest };
      if (given.note !== undefined) answer.note = await note(given.note);
      if (given.arguments !== undefined) {
        if (call === undefined) throw new ApiError('invalid_state', `wait ${wait.id} has no call to edit`);
        answer.edited = await edited(call, agent, agents, given.arguments, bodies);
      }
      return answer;
    }
    case 'question':
      if ('answer' in given) return { kind: 'question', ref: await note(given.answer) };
      break;
    case 'outcome': {
      if (!('outcome' in given)) break;
      const text = given.content ?? given.note;
      return text === undefined
        ? { kind: 'outcome', outcome: given.outcome }
        : { kind: 'outcome', outcome: given.outcome, ref: await note(text) };
    }
    case 'budget':
      if ('cap' in given)
        return { kind: 'budget', decision: 'raise', cap: given.cap as { tokens?: number; nanoUsd?: number } };
      if ('decision' in given && given.decision === 'deny') return { kind: 'budget', decision: 'deny' };
      break;
    case 'tool':
      if ('decision' in given && (given.decision === 'back' || given.decision === 'gone'))
        return { kind: 'tool', decision: given.decision };
      break;
    default:
  }
  const form = Object.keys(given).filter(fits).join(', ');
  throw new ApiError(
    'invalid_request',
    `wait ${wait.id} is of kind ${wait.kind}: an answer with ${form} does not fit it`,
    { details: { wait: wait.id, kind: wait.kind } },
  );
}

/** An approver's arguments: valid for the tool, with a digest of their own; both are recorded. */
async function edited(
  call: Call,
  agent: string,
  agents: Agents,
  given: unknown,
  bodies: Bodies,
): Promise<NonNullable<Extract<Answer, { kind: 'approval' }>['edited']>> {
  // What runs is what is stored: the digest is taken of the arguments without secrets.
  const args = bodies.clean(given);
  const tool = agents.get(agent)?.tools.get(call.name);
  const digest = argumentsDigest(call.name, args);
  const misfit = tool === undefined ? null : misfitOf(tool.input, args);
  const wrong = Buffer.byteLength(JSON.stringify(args)) > LIMITS.argumentBytes ? 'they are too large' : misfit;
  if (wrong !== null)
    throw new ApiError('invalid_request', `the edited arguments do not fit ${call.name}: ${wrong}`, {
      details: { path: 'arguments' },
    });
  return { digest, ref: bodies.add(args) };
}
