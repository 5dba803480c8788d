/**
 * One message of JSON-RPC answered over the table of methods, whichever transport brought it. The calls of a batch start
 * in its order and run side by side; their answers stand in that order.
 */
import { ApiError, METHODS, RPC_CODES, SUBSCRIPTIONS } from '@perdure/contract';
import type { MethodName } from '@perdure/contract';
import type { Api, Caller } from '@perdure/runtime';
import type { Clock, Logger } from '@perdure/runtime/ports';
import { told } from '../failure.ts';
import { createChecker, parseJson } from '../input.ts';
import { LIMITS } from '../limits.ts';
import type { Call, Id, Message } from './message.ts';
import { errorText, readMessage, resultText, RpcFailure } from './message.ts';

/** What a call gives; `begin` is called once its answer is on its way: what must not overtake it starts there. */
export type Given = { result: unknown; begin?: () => void };
/** Does what a call asks for. Rejects with ApiError. */
export type Perform = (caller: Caller, call: Call) => Promise<Given>;
/** `text` null: nothing asked for an answer. */
export type Answered = { text: string | null; begin: (() => void)[] };
export type Answerer = (message: Uint8Array | string, caller: Caller, perform: Perform) => Promise<Answered>;

/** Never rejects. */
export function createAnswerer({ logger, clock }: { logger: Logger; clock: Clock }): Answerer {
  const one = async (call: Message['calls'][number], caller: Caller, perform: Perform): Promise<Answered> => {
    if ('error' in call) return { text: errorText(call.id, call.error, caller.requestId), begin: [] };
    const startedMs = clock.monotonicMs();
    const { id, method } = call;
    const { outcome, answered } = await perform(caller, call).then(
      ({ result, begin }) => ({
        outcome: 'done',
        answered: { text: textFor(id, (to) => resultText(to, result)), begin: begin === undefined ? [] : [begin] },
      }),
      (failure: unknown) => {
        const error = told(failure, caller.requestId, logger);
        const text = textFor(id, (to) => errorText(to, error, caller.requestId));
        return { outcome: error.code, answered: { text, begin: [] } };
      },
    );
    const durationMs = Math.round(clock.monotonicMs() - startedMs);
    logger.debug(
      { requestId: caller.requestId, method: method.slice(0, LIMITS.rpcNameChars), outcome, durationMs },
      'call',
    );
    return answered;
  };
  return async (given, caller, perform) => {
    let message: Message;
    try {
      message = readMessage(parsed(given));
    } catch (failure) {
      return { text: errorText(null, told(failure, caller.requestId, logger), caller.requestId), begin: [] };
    }
    const { calls, isBatch } = message;
    const all = await Promise.all(calls.map((call) => one(call, caller, perform)));
    const begin = all.flatMap((answered) => answered.begin);
    const texts = all.flatMap(({ text }) => (text === null ? [] : [text]));
    if (texts.length === 0) return { text: null, begin };
    return { text: isBatch ? `[${texts.join(',')}]` : texts.join(''), begin };
  };
}

const textFor = (id: Id | undefined, write: (id: Id) => string): string | null => (id === undefined ? null : write(id));

function parsed(given: Uint8Array | string): unknown {
  try {
    return parseJson(given);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    throw new RpcFailure(RPC_CODES.parseError, error.code, error.message);
  }
}

/** The methods of the table. Rejects with `not_found` for another name. */
export function createMethods(api: Api): Perform {
  const methods = new Map(
    (Object.keys(METHODS) as MethodName[]).map((name) => {
      const check = createChecker(METHODS[name]);
      const call = async (caller: Caller, params: unknown) =>
        (await api.call(caller, name, check(params ?? {}))).result;
      return [name as string, call];
    }),
  );
  return async (caller, { method, params }) => {
    const call = methods.get(method);
    if (call !== undefined) return { result: await call(caller, params) };
    if (!Object.hasOwn(SUBSCRIPTIONS, method)) throw unknownMethod(method);
    throw new RpcFailure(RPC_CODES.methodNotFound, 'method_not_allowed', `${method} needs a WebSocket at this address`);
  };
}

const unknownMethod = (method: string): RpcFailure =>
  new RpcFailure(RPC_CODES.methodNotFound, 'not_found', `there is no method ${method.slice(0, LIMITS.rpcNameChars)}`);
