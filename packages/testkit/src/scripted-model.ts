/**
 * A strict in-process model for tests. It has no timers and no randomness: an answer comes when the script says so.
 * A call the script does not expect fails that call and the test; a step nobody used fails the test; each request is
 * recorded.
 */
import type {
  AskedCall,
  Delta,
  GenerateContext,
  GenerateOutcome,
  GenerateRequest,
  ModelAdapter,
  ModelInfo,
  ModelSource,
  NeutralItem,
  Price,
  Retry,
  Spent,
  Usage,
} from '@perdure/runtime/ports';

type Done = Extract<GenerateOutcome, { type: 'done' }>;

export type ScriptedAnswer = {
  text?: string;
  reasoning?: string;
  /** Arguments may be an object (sent as JSON) or the exact text; `id` defaults to one made of the request's key. */
  calls?: readonly { name: string; arguments?: unknown; id?: string }[];
  /** Default: `calls` when there are calls, else `end`. */
  stop?: Done['stop'];
  /** Members that are missing are counted: one token for four bytes. */
  usage?: Partial<Usage>;
  native?: unknown;
  /** How many pieces the text streams in; default 2. */
  pieces?: number;
  /** The answer, its deltas included, is held back until this settles, or the call is aborted. */
  hold?: Promise<unknown>;
};
export type ScriptedFailure = {
  fail: string;
  detail?: string;
  retry?: Retry;
  spent?: Spent;
  resumable?: true;
  /** Streamed before it fails. */
  text?: string;
  hold?: Promise<unknown>;
};
export type ScriptedReply = ScriptedAnswer | ScriptedFailure;
export type ScriptStep = ScriptedReply | ((call: ScriptedCall) => ScriptedReply | Promise<ScriptedReply>);

/** One request as it came in. `items` are the neutral items of `rendered`, parsed. */
export type ScriptedCall = {
  request: GenerateRequest;
  items: readonly NeutralItem[];
  signal: AbortSignal;
  /** It asks the provider to compact the conversation itself: answered with `native`, and text where others can read it. */
  compacts: boolean;
  /** Counts calls from 0. */
  n: number;
  /** Gives the answer a name by which it can be asked for again, of a request for one that is kept (`background`). */
  accept(response: string): Promise<void>;
  outcome: GenerateOutcome | null;
};

export type ScriptedModel = {
  source: ModelSource;
  /** Every call so far, the unexpected ones included. */
  calls: readonly ScriptedCall[];
  /** How many calls have no outcome yet. */
  active(): number;
  /** Resolves with call number `n` (from 0) as soon as it has come in. */
  called(n: number): Promise<ScriptedCall>;
  /** Adds steps behind those that are left. */
  expect(...steps: ScriptStep[]): void;
  /** Throws, naming them, when a call was unexpected or a step is left. */
  verify(): void;
};

export type ScriptedOptions = {
  /** Ids that resolve, default `scripted` alone; `scripted/NAME` always does. */
  models?: readonly string[];
  price?: ModelInfo['price'];
  windowTokens?: number | null;
  maxOutputTokens?: number;
  /** It can be told the schema of its answer; default true. */
  structured?: boolean;
  /** What else is known of a model, by its id. */
  info?: (id: string) => Partial<ModelInfo>;
};

/** One nano-USD for a token of input, two for one of output: costs a test can add up. */
const PRICE: Price & { source: string; date: string } = {
  id: 'scripted',
  input: 1_000,
  cachedInput: 500,
  cacheWrite: 1_000,
  output: 2_000,
  source: 'made up for tests',
  date: '2026-01-01',
};

/**
 * A model that follows `script`: steps, used once each and in order; or one function that answers every call (any
 * number of them: for simulations, where crashes decide how often a call is made).
 */
export function createScriptedModel(
  script: readonly ScriptStep[] | ((call: ScriptedCall) => ScriptedReply | Promise<ScriptedReply>),
  options: ScriptedOptions = {},
): ScriptedModel {
  const steps = typeof script === 'function' ? [] : [...script];
  const calls: ScriptedCall[] = [];
  const watchers: { n: number; seen(call: ScriptedCall): void }[] = [];
  const problems: string[] = [];

  const next = async (call: ScriptedCall): Promise<ScriptedReply> => {
    const step = typeof script === 'function' ? script : steps.shift();
    if (step === undefined) {
      problems.push(`call ${call.n} was not expected: ${JSON.stringify(call.items.at(-1) ?? null)}`);
      return { fail: 'unexpected_call', detail: `the script has no step for call ${call.n}` };
    }
    return typeof step === 'function' ? step(call) : step;
  };

  const take = async (
    request: GenerateRequest,
    context: GenerateContext,
    compacts: boolean,
  ): Promise<GenerateOutcome> => {
    if (context.signal.aborted) return failure('aborted', 'aborted before it was sent');
    const items = JSON.parse(`[${request.rendered}]`) as NeutralItem[];
    const accept = async (response: string): Promise<void> => context.accepted?.(response);
    const { signal } = context;
    const call: ScriptedCall = { request, items, signal, compacts, n: calls.length, accept, outcome: null };
    calls.push(call);
    for (const watcher of watchers) if (watcher.n === call.n) watcher.seen(call);
    call.outcome = await play(call, context, next).catch((error: unknown) => {
      problems.push(`the step of call ${call.n} threw: ${String(error)}`);
      return failure('step_threw', String(error));
    });
    return call.outcome;
  };

  const adapter: ModelAdapter = {
    render: (item) => JSON.stringify(item),
    body: renderBody,
    generate: async (request, context) => take(request, context, false),
    compact: async (request, { signal }) => take(request, { signal, delta: () => undefined }, true),
  };

  return {
    source: sourceOf(adapter, options),
    calls,
    active: () => calls.filter((call) => call.outcome === null).length,
    called: (n) => {
      const call = calls[n];
      return call === undefined ? new Promise((seen) => watchers.push({ n, seen })) : Promise.resolve(call);
    },
    expect: (...more) => void steps.push(...more),
    verify: () => {
      const left = steps.length === 0 ? [] : [`${steps.length} steps were not used`];
      const all = [...problems, ...left];
      if (all.length > 0) throw new Error(`the scripted model is not satisfied: ${all.join('; ')}`);
    },
  };
}

async function play(
  call: ScriptedCall,
  context: GenerateContext,
  next: (call: ScriptedCall) => Promise<ScriptedReply>,
): Promise<GenerateOutcome> {
  const reply = await untilAborted(next(call), context.signal);
  if (reply === null) return aborted();
  const held = await untilAborted(Promise.resolve(reply.hold), context.signal);
  if (held === null) return aborted();
  if ('fail' in reply) {
    if (reply.text !== undefined) context.delta({ part: 'text', text: reply.text });
    const failed = failure(reply.fail, reply.detail ?? 'as scripted', reply.retry, reply.spent);
    return reply.resumable === true ? { ...failed, resumable: true } : failed;
  }
  const done = answerOf(call.request, reply);
  for (const delta of deltasOf(done, reply.pieces ?? 2)) context.delta(delta);
  return done;
}

/** Null when the signal aborts first. The promise's own rejection passes through. */
async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | null> {
  if (signal.aborted) {
    promise.catch(() => undefined);
    return null;
  }
  const gone = Promise.withResolvers<null>();
  const stop = (): void => gone.resolve(null);
  signal.addEventListener('abort', stop, { once: true });
  try {
    return await Promise.race([promise, gone.promise]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

type Failed = Extract<GenerateOutcome, { type: 'failed' }>;

function failure(code: string, detail: string, retry: Retry = 'no', spent: Spent = { kind: 'none' }): Failed {
  return { type: 'failed', code, detail, retry, spent };
}

const aborted = (): GenerateOutcome => failure('aborted', 'the call was aborted', 'no', { kind: 'bound' });

function answerOf(request: GenerateRequest, reply: ScriptedAnswer): Done {
  const calls: AskedCall[] = (reply.calls ?? []).map((call, n) => ({
    id: call.id ?? `call_${request.key.slice(0, 12)}_${n}`,
    name: call.name,
    arguments: typeof call.arguments === 'string' ? call.arguments : JSON.stringify(call.arguments ?? {}),
  }));
  const text = reply.text ?? '';
  const said = text + calls.map((call) => call.name + call.arguments).join('');
  const usage: Usage = {
    input: tokens(renderBody(request)),
    cachedInput: 0,
    cacheWrite: 0,
    output: tokens(said),
    reasoning: tokens(reply.reasoning ?? ''),
    source: 'provider',
    ...reply.usage,
  };
  const stop = reply.stop ?? (calls.length > 0 ? 'calls' : 'end');
  return { type: 'done', stop, text, reasoning: reply.reasoning ?? '', calls, usage, native: reply.native ?? null };
}

const tokens = (text: string): number => Math.ceil(Buffer.byteLength(text) / 4);

function deltasOf(done: Done, pieces: number): Delta[] {
  const deltas: Delta[] = done.reasoning === '' ? [] : [{ part: 'reasoning', text: done.reasoning }];
  const size = Math.max(1, Math.ceil(done.text.length / pieces));
  for (let at = 0; at < done.text.length; at += size) {
    deltas.push({ part: 'text', text: done.text.slice(at, at + size) });
  }
  for (const [n, call] of done.calls.entries()) {
    deltas.push({ part: 'arguments', call: n, name: call.name, text: call.arguments });
  }
  return deltas;
}

function renderBody(request: GenerateRequest): string {
  const { model, instructions, tools, params, output } = request;
  const head = JSON.stringify({ model, instructions, tools, params, ...(output === undefined ? {} : { output }) });
  return `${head.slice(0, -1)},"items":[${request.rendered}]}`;
}

function sourceOf(adapter: ModelAdapter, options: ScriptedOptions): ModelSource {
  const {
    models = ['scripted'],
    price = PRICE,
    windowTokens = 128_000,
    maxOutputTokens = 4_096,
    structured = true,
    info,
  } = options;
  const infoOf = (id: string): ModelInfo => ({
    id,
    provider: 'scripted',
    windowTokens,
    maxOutputTokens,
    price,
    known: price !== null,
    structured,
    ...info?.(id),
  });
  return {
    resolve: (model) =>
      models.includes(model) || model.startsWith('scripted/')
        ? { ok: true, info: infoOf(model), adapter }
        : { ok: false, message: `the scripted model knows ${models.join(', ')}, not ${model}` },
    list: () => models.map(infoOf),
    close: () => Promise.resolve(),
  };
}
