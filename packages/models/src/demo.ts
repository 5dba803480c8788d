/**
 * The demo model: a small rule-based stand-in that needs no key and no network, so that every feature can be tried and
 * shown. The same request gives the same answer. What a message may command is written at `readScript`.
 */
import type {
  AskedCall,
  GenerateContext,
  GenerateOutcome,
  GenerateRequest,
  ListPrice,
  LoadedPart,
  ModelAdapter,
  ModelInfo,
  NeutralItem,
  Timers,
  ToolDeclaration,
  Usage,
} from '@perdure/runtime/ports';
import { askedTool, forcedTool, readScript, reckon, sampleOf, type Plan } from './demo-script.ts';
import { codeOfStatus, failed, NOTHING, type Failed } from './failures.ts';
import { LIMITS } from './limits.ts';

const FREE: ListPrice = {
  id: 'demo',
  input: 0,
  cachedInput: 0,
  cacheWrite: 0,
  output: 0,
  source: 'runs in this process and bills nothing',
  date: '2026-01-01',
};

export function demoInfo(id: string): ModelInfo {
  return {
    id,
    provider: 'demo',
    windowTokens: LIMITS.demoWindowTokens,
    maxOutputTokens: LIMITS.demoMaxOutputTokens,
    price: FREE,
    known: true,
    modalities: { image: { maxTokens: LIMITS.demoMediaTokens }, file: { maxTokens: LIMITS.demoMediaTokens } },
    structured: true,
    background: true,
    tiers: { flex: FREE, priority: FREE },
  };
}

type Item =
  | { kind: 'message'; text: string; given: string[] }
  | { kind: 'turn' }
  | { kind: 'result'; name: string; outcome: string; content: string };

/** The adapter; its only time is `timers`, for `slow`. */
export function createDemo(timers: Timers): ModelAdapter {
  return {
    render: (item) => JSON.stringify(renderItem(item)),
    body: renderBody,
    generate: (request, context) => generate(timers, request, context),
  };
}

function renderItem(item: NeutralItem): unknown {
  if (item.kind === 'message') {
    const text = item.parts.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n');
    return {
      kind: 'message',
      text,
      given: item.parts.flatMap((part) => (part.type === 'text' ? [] : [describe(part)])),
    };
  }
  if (item.kind === 'result') {
    return { kind: 'result', name: item.name, outcome: item.outcome, content: item.content };
  }
  return { kind: 'turn', text: item.text, calls: item.calls };
}

/** What it was given besides text: it cannot look inside. */
function describe({ type, name, mediaType, base64 }: Exclude<LoadedPart, { type: 'text' }>): string {
  return `${name ?? type} (${mediaType}, ${Buffer.byteLength(base64, 'base64')} bytes)`;
}

function renderBody(request: GenerateRequest): string {
  const { model, instructions, tools, params, output } = request;
  const head = JSON.stringify({ model, instructions, tools, params, ...(output === undefined ? {} : { output }) });
  return `${head.slice(0, -1)},"items":[${request.rendered}]}`;
}

async function generate(timers: Timers, request: GenerateRequest, context: GenerateContext): Promise<GenerateOutcome> {
  if (context.signal.aborted) return aborted();
  const input = tokens(renderBody(request));
  if (input > LIMITS.demoWindowTokens) {
    return failed('context_length', `${input} tokens are more than ${LIMITS.demoWindowTokens}`, 'no', NOTHING);
  }
  const plan = planAnswer(request, JSON.parse(`[${request.rendered}]`) as Item[]);
  const answer = compose(request, plan);
  const failure = failureOf(plan, request.attempt);
  const pieces = failure === null ? piecesOf(answer) : [];
  const { key, params, resume } = request;
  if (params.background === true && resume === undefined) await context.accepted?.(`demo_${key.slice(0, 12)}`);
  // What is asked for again was thought of meanwhile.
  const pauseMs = resume === undefined ? plan.slowMs / Math.max(1, pieces.length) : 0;
  if (pieces.length === 0 && !(await pause(timers, pauseMs, context.signal))) return aborted();
  for (const piece of pieces) {
    if (!(await pause(timers, pauseMs, context.signal))) return aborted();
    context.delta(piece);
  }
  return failure ?? { ...answer, usage: usageOf(input, answer) };
}

type Answer = Extract<GenerateOutcome, { type: 'done' }>;
type Piece = Parameters<GenerateContext['delta']>[0];

/** Stage N of the last message's script, N being the answers given since; plain language when it holds no script. */
function planAnswer(request: GenerateRequest, items: readonly Item[]): Plan {
  const asked = items.findLastIndex((item) => item.kind === 'message');
  const message = items[asked];
  const text = message?.kind === 'message' ? message.text : '';
  const since = items.slice(asked + 1);
  const stage = since.filter((item) => item.kind === 'turn').length;
  const results = since.slice(since.findLastIndex((item) => item.kind === 'turn') + 1);
  const script = readScript(text);
  const plan = script?.[stage] ?? plainPlan(request, text, stage, script?.[0]?.slowMs ?? 0);
  const calls = callable(request) ? plan.calls : [];
  // What fails once has something to say the next time: an empty answer would be a failure of its own.
  const answers = plan.fail === null || plan.fail === 'once';
  const bare = calls.length === 0 && plan.text === null && answers;
  if (!bare) return { ...plan, calls };
  const given = message?.kind === 'message' ? message.given : [];
  return { ...plan, calls, text: conclude({ text, given }, results, plan.calls.length > 0) };
}

function plainPlan(request: GenerateRequest, text: string, stage: number, slowMs: number): Plan {
  const call = stage === 0 ? pickTool(request, text) : null;
  return { calls: call === null ? [] : [call], text: null, fail: null, slowMs };
}

function pickTool(request: GenerateRequest, text: string): Plan['calls'][number] | null {
  const choice = request.params.toolChoice ?? 'auto';
  if (choice === 'auto' || choice === 'none') return askedTool(text, request.tools);
  const named = (tool: ToolDeclaration): boolean => choice === 'required' || tool.name === choice.tool;
  const tool = request.tools.find(named);
  return askedTool(text, request.tools.filter(named)) ?? (tool === undefined ? null : forcedTool(text, tool));
}

function callable(request: GenerateRequest): boolean {
  return request.tools.length > 0 && request.params.toolChoice !== 'none';
}

/** The last word: what the tools gave, else a sum, else an echo. */
function conclude(
  { text, given }: { text: string; given: string[] },
  results: readonly Item[],
  wanted: boolean,
): string {
  const found = results.flatMap((item) =>
    item.kind === 'result'
      ? [`${item.name}${item.outcome === 'done' ? '' : ` (${item.outcome})`}: ${item.content}`]
      : [],
  );
  if (found.length > 0) return found.join('\n');
  if (wanted) return 'I have no tools here.';
  const said = text === '' ? [] : [reckon(text) ?? `You said: ${text}`];
  return [...said, ...given.map((each) => `You gave me: ${each}`)].join('\n');
}

function compose(request: GenerateRequest, plan: Plan): Answer {
  const calls: AskedCall[] = plan.calls.map((call, n) => ({ id: `demo_${request.key.slice(0, 12)}_${n}`, ...call }));
  const done = { type: 'done', reasoning: '', usage: usageOf(0, null), native: null } as const;
  if (calls.length > 0) return { ...done, stop: 'calls', text: plan.text ?? '', calls };
  if (plan.fail === 'filtered') return { ...done, stop: 'filtered', text: '', calls };
  const said = plan.text ?? '';
  const text = request.output === undefined || isJson(said) ? said : JSON.stringify(sampleOf(request.output, said));
  const whole = tokens(text) <= request.params.maxOutputTokens;
  if (whole) return { ...done, stop: 'end', text, calls };
  return { ...done, stop: 'length', text: cut(text, request.params.maxOutputTokens * BYTES_PER_TOKEN), calls };
}

function failureOf(plan: Plan, attempt: number): Failed | null {
  if (plan.fail === null || plan.fail === 'filtered' || plan.calls.length > 0) return null;
  if (plan.fail === 'always') return failed('demo', 'failed as asked', 'no', NOTHING);
  if (plan.fail !== 'once') {
    const { code, retry } = codeOfStatus(Number(plan.fail));
    return failed(code, `failed as asked with status ${plan.fail}`, retry, NOTHING);
  }
  return attempt === 1 ? failed('demo', 'failed once as asked', 'now', NOTHING) : null;
}

const aborted = (): Failed => failed('aborted', 'the call was aborted', 'no', NOTHING);

/** A delta of the demo model, at most: whole characters, never half a surrogate pair. */
const DELTA = /.{1,16}/gsu;

function piecesOf(answer: Answer): Piece[] {
  const text = slices(answer.text).map((piece): Piece => ({ part: 'text', text: piece }));
  const calls = answer.calls.flatMap((call, n) =>
    slices(call.arguments).map((piece): Piece => ({ part: 'arguments', call: n, name: call.name, text: piece })),
  );
  return [...text, ...calls];
}

const slices = (text: string): string[] => text.match(DELTA) ?? [];

/** True after `ms`; false as soon as the signal aborts. */
function pause(timers: Timers, ms: number, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return Promise.resolve(false);
  if (ms <= 0) return Promise.resolve(true);
  return new Promise((resolve) => {
    const stop = (): void => {
      timer.cancel();
      resolve(false);
    };
    const timer = timers.set(ms, () => {
      signal.removeEventListener('abort', stop);
      resolve(true);
    });
    signal.addEventListener('abort', stop, { once: true });
  });
}

const BYTES_PER_TOKEN = 4;
const tokens = (text: string): number => Math.ceil(Buffer.byteLength(text) / BYTES_PER_TOKEN);

function usageOf(input: number, answer: Answer | null): Usage {
  const said = answer === null ? '' : answer.text + answer.calls.map((call) => call.name + call.arguments).join('');
  return { input, cachedInput: 0, cacheWrite: 0, output: tokens(said), reasoning: 0, source: 'provider' };
}

/** The longest beginning that fits the bytes and ends with a whole character. */
function cut(text: string, bytes: number): string {
  const target = new Uint8Array(bytes);
  return text.slice(0, new TextEncoder().encodeInto(text, target).read);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
