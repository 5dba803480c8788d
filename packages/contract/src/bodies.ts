/**
 * What stands in the bodies that entries refer to, as the folds read it. A body comes inline beside its reference
 * (`{digest, bytes, body}`) or from a lookup by digest; one that was erased or is not at hand reads as absent.
 */
import type { Part } from './params.ts';

/** Of `run.queued` and `run.steered`. */
export type MessageBody = { parts: readonly Part[] };
/** Of `turn.settled`: what the model said; `arguments` is the text the model wrote, as it was. */
export type TurnBody = {
  text: string;
  reasoning?: string;
  calls: readonly { id: string; name: string; arguments: string }[];
};
/** Of `call.settled` and of answers: `content` is for the model, `details` for people. */
export type ResultBody = { content: unknown; details?: unknown };
/** Of `wait.opened`. */
export type PromptBody = { question?: string; choices?: readonly string[]; note?: string };

/** Finds a body by its digest; `undefined` when it is erased or not at hand. */
export type Bodies = (digest: string) => unknown;
type Ref = { digest: string; bytes: number; body?: unknown };

export const noBodies: Bodies = () => undefined;

/** The body as it is, inline or looked up. */
export const readBody = (ref: Ref | undefined, bodies: Bodies): unknown => {
  if (ref === undefined) return undefined;
  return ref.body === undefined ? bodies(ref.digest) : ref.body;
};
const isRecord = (value: unknown): value is { [key: string]: unknown } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export function readMessage(ref: Ref | undefined, bodies: Bodies): MessageBody | undefined {
  const body = readBody(ref, bodies);
  if (typeof body === 'string') return { parts: [{ type: 'text', text: body }] };
  if (Array.isArray(body)) return { parts: body.filter(isPart) };
  return isRecord(body) && Array.isArray(body['parts']) ? { parts: body['parts'].filter(isPart) } : undefined;
}

const isPart = (value: unknown): value is Part => {
  if (!isRecord(value)) return false;
  if (value['type'] === 'text') return typeof value['text'] === 'string';
  return (value['type'] === 'image' || value['type'] === 'file') && typeof value['digest'] === 'string';
};

export function readTurn(ref: Ref | undefined, bodies: Bodies): TurnBody | undefined {
  const body = readBody(ref, bodies);
  if (!isRecord(body) || typeof body['text'] !== 'string') return undefined;
  const calls = Array.isArray(body['calls']) ? body['calls'].filter(isAskedCall) : [];
  const turn: TurnBody = { text: body['text'], calls };
  if (typeof body['reasoning'] === 'string' && body['reasoning'] !== '') turn.reasoning = body['reasoning'];
  return turn;
}

const isAskedCall = (value: unknown): value is TurnBody['calls'][number] =>
  isRecord(value) && typeof value['name'] === 'string' && typeof value['arguments'] === 'string';

export function readResult(ref: Ref | undefined, bodies: Bodies): ResultBody | undefined {
  const body = readBody(ref, bodies);
  if (body === undefined) return undefined;
  if (!isRecord(body) || !('content' in body)) return { content: body };
  return body['details'] === undefined
    ? { content: body['content'] }
    : { content: body['content'], details: body['details'] };
}

export function readPrompt(ref: Ref | undefined, bodies: Bodies): PromptBody | undefined {
  const body = readBody(ref, bodies);
  if (typeof body === 'string') return { question: body };
  if (!isRecord(body)) return undefined;
  const prompt: PromptBody = {};
  if (typeof body['question'] === 'string') prompt.question = body['question'];
  if (typeof body['note'] === 'string') prompt.note = body['note'];
  const { choices } = body;
  if (Array.isArray(choices)) prompt.choices = choices.filter((choice) => typeof choice === 'string');
  return prompt;
}

/** The texts of a message, joined; files and images are named in brackets. */
export function textOf(parts: readonly Part[]): string {
  return parts.map((part) => (part.type === 'text' && part.name === undefined ? part.text : markOf(part))).join('\n');
}

const markOf = ({ type, name, mediaType = '' }: Part): string =>
  `[${type === 'image' ? 'image' : 'file'} ${name ?? mediaType}]`;
