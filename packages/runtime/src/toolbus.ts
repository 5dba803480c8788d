/** Runs tools: arguments in, an honest outcome out. Whatever a tool does, the run goes on. */
import type { BodyRef, Call, Run, State, ToolOutcome } from '@perdure/engine';
import { contentText } from './assemble.ts';
import { bounded } from './deadline.ts';
import { effectKey, mac } from './digest.ts';
import type { Hook } from './hooks.ts';
import { runHooks } from './hooks.ts';
import { LIMITS } from './limits.ts';
import type {
  Body,
  Clock,
  Logger,
  TenantStore,
  Timers,
  ToolContent,
  ToolContext,
  ToolDefinition,
  ToolParks,
  ToolResult,
} from './ports.ts';
import type { Redactor } from './redact.ts';

export type Bodies = { add(text: string): Promise<BodyRef>; list: Body[] };

export type Toolbus = {
  run(call: ToolCall, tool: ToolDefinition, args: unknown, signal: AbortSignal, bodies: Bodies): Promise<ToolOutcome>;
  verify(
    call: ToolCall,
    tool: ToolDefinition,
    args: unknown,
    signal: AbortSignal,
    bodies: Bodies,
  ): Promise<ToolOutcome>;
};
export type ToolCall = {
  state: Pick<State, 'id' | 'tenant'>;
  run: Pick<Run, 'id'>;
  call: Pick<Call, 'id' | 'name' | 'class' | 'timeoutMs'>;
  attempt: number;
};

export type ToolbusOptions = {
  store: TenantStore;
  clock: Clock;
  timers: Timers;
  logger: Logger;
  redactor: Redactor;
  hooks: readonly Hook[];
  /** Makes callback tokens of this data that nobody else can make. */
  callbackSecret: string;
  progress(session: string, run: string, call: string, text: string): void;
};

export function createToolbus(options: ToolbusOptions): Toolbus {
  return {
    run: async (on, tool, args, signal, bodies) => runTool(options, on, tool, args, signal, bodies),
    verify: async (on, tool, args, signal, bodies) => verifyCall(options, on, tool, args, signal, bodies),
  };
}

function contextOf(options: ToolbusOptions, on: ToolCall, signal: AbortSignal): ToolContext {
  const { store, redactor, callbackSecret } = options;
  return {
    key: effectKey(on.state.tenant, on.state.id, on.call.id),
    attempt: on.attempt,
    signal,
    session: on.state.id,
    run: on.run.id,
    call: on.call.id,
    progress: (text) => options.progress(on.state.id, on.run.id, on.call.id, redactor.text(text)),
    callback: () => {
      const token = callbackToken(callbackSecret, on.state.tenant, on.state.id, on.call.id);
      return { path: `/v1/callbacks/${token}`, token };
    },
    blobs: { put: async (bytes) => store.blobs.put(bytes), get: async (digest) => store.blobs.get(digest) },
    secret: (name) => redactor.secret(name),
  };
}

async function runTool(
  options: ToolbusOptions,
  on: ToolCall,
  tool: ToolDefinition,
  args: unknown,
  signal: AbortSignal,
  bodies: Bodies,
): Promise<ToolOutcome> {
  const { timers, clock, redactor } = options;
  const bounds = { timeoutMs: on.call.timeoutMs, graceMs: LIMITS.abortGraceMs, signal };
  const ended = await bounded(timers, bounds, async (inner) =>
    tool.run(redactor.restore(args), contextOf(options, on, inner)),
  );
  switch (ended.ended) {
    case 'value':
      return isParked(ended.value)
        ? parked(ended.value, clock, bodies, redactor)
        : finished(options, on, ended.value, bodies);
    case 'thrown':
      return failed(options, bodies, 'tool_error', `The tool failed: ${messageOf(ended.error)}`);
    default: {
      // It may have happened: only a read may be called failed (P6).
      if (on.call.class !== 'pure') return { type: 'call-unknown', reason: ended.ended };
      const late = `The tool did not answer within ${on.call.timeoutMs} ms.`;
      return failed(options, bodies, ended.ended, ended.ended === 'timeout' ? late : 'The tool was stopped.');
    }
  }
}

async function verifyCall(
  options: ToolbusOptions,
  on: ToolCall,
  tool: ToolDefinition,
  args: unknown,
  signal: AbortSignal,
  bodies: Bodies,
): Promise<ToolOutcome> {
  if (tool.verify === undefined) return { type: 'call-unknown', reason: 'the tool has no verify' };
  const bounds = { timeoutMs: on.call.timeoutMs, graceMs: LIMITS.abortGraceMs, signal };
  const key = effectKey(on.state.tenant, on.state.id, on.call.id);
  const ended = await bounded(options.timers, bounds, async (inner) => {
    const said = await tool.verify?.(key, options.redactor.restore(args), contextOf(options, on, inner));
    return said ?? { outcome: 'unknown' as const };
  });
  if (ended.ended !== 'value') return { type: 'call-unknown', reason: `verify: ${ended.ended}` };
  const said = ended.value;
  if (said.outcome === 'done') return finished(options, on, said.content, bodies);
  if (said.outcome === 'failed') return failed(options, bodies, 'verified_failed', said.message);
  return { type: 'call-unknown', reason: 'verify does not know' };
}

async function failed(options: ToolbusOptions, bodies: Bodies, code: string, message: string): Promise<ToolOutcome> {
  const result = await bodies.add(JSON.stringify({ content: options.redactor.text(message) }));
  return { type: 'call', outcome: 'failed', code, result };
}

/** A result without secrets, past the hooks, cut for the model where it is long. */
async function finished(
  options: ToolbusOptions,
  on: ToolCall,
  returned: ToolResult | ToolContent,
  bodies: Bodies,
): Promise<ToolOutcome> {
  const { redactor, hooks, logger, store } = options;
  const result = asResult(returned);
  const text = redactor.text(contentText(result.content));
  const event = {
    kind: 'call' as const,
    session: on.state.id,
    run: on.run.id,
    effect: on.call.id,
    name: on.call.name,
    text,
  };
  const hooked = await runHooks(hooks, event, logger);
  if (!hooked.ok)
    return failed(options, bodies, 'blocked', `The result was blocked by ${hooked.hook}: ${hooked.reason}`);
  const shown = await preview(hooked.text, async (full) => store.blobs.put(Buffer.from(full)));
  const body: { content: string; details?: unknown; full?: string } = { content: shown.text };
  if (result.details !== undefined) body.details = JSON.parse(redactor.text(JSON.stringify(result.details)));
  if (shown.full !== null) body.full = shown.full;
  const ref = await bodies.add(JSON.stringify(body));
  if (result.isError === true) return { type: 'call', outcome: 'failed', code: 'tool_error', result: ref };
  return { type: 'call', outcome: 'done', result: ref };
}

/** `tenant.session.call.mac`: says whose wait it resolves; derived from the call, so the same after a crash. */
export function callbackToken(secret: string, tenant: string, session: string, call: string): string {
  const name = Buffer.from(JSON.stringify([tenant, session, call])).toString('base64url');
  return `${name}.${mac(secret, name)}`;
}

async function parked(returned: ToolParks, clock: Clock, bodies: Bodies, redactor: Redactor): Promise<ToolOutcome> {
  const { wait } = returned;
  const expiry =
    'expiresInMs' in wait && wait.expiresInMs !== undefined ? { expiresAt: clock.now() + wait.expiresInMs } : {};
  if (wait.kind === 'timer') return { type: 'call-waits', wait: { kind: 'timer', dueAt: clock.now() + wait.afterMs } };
  if (wait.kind === 'question') {
    const prompt = await bodies.add(
      redactor.text(JSON.stringify({ question: wait.question, choices: wait.choices ?? [] })),
    );
    return { type: 'call-waits', wait: { kind: 'question', prompt, ...expiry } };
  }
  if (wait.note === undefined) return { type: 'call-waits', wait: { kind: 'callback', ...expiry } };
  const prompt = await bodies.add(redactor.text(JSON.stringify({ note: wait.note })));
  return { type: 'call-waits', wait: { kind: 'callback', prompt, ...expiry } };
}

const isParked = (value: unknown): value is ToolParks =>
  typeof value === 'object' &&
  value !== null &&
  'wait' in value &&
  typeof value.wait === 'object' &&
  value.wait !== null;

function asResult(value: ToolResult | ToolContent): ToolResult {
  if (typeof value === 'object' && value !== null && 'content' in value) return value as ToolResult;
  return { content: value === undefined ? 'Done.' : value };
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The model reads the beginning; the whole stays as a blob. */
async function preview(
  text: string,
  keep: (full: string) => Promise<string>,
): Promise<{ text: string; full: string | null }> {
  if (text.length <= LIMITS.resultPreviewChars) return { text, full: null };
  const full = await keep(text);
  const head = text.slice(0, LIMITS.resultPreviewChars);
  return {
    text: `${head}\n[cut: ${LIMITS.resultPreviewChars} of ${text.length} characters; ask for a smaller part]`,
    full,
  };
}
