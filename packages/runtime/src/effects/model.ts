/** One model call: bounded in time, with an outcome for everything that can come of it. */
import { bounded } from './deadline.ts';
import { LIMITS } from '../limits.ts';
import type { Delta, GenerateOutcome, GenerateRequest, Logger, ModelAdapter, Timers } from '../ports.ts';

export type Asking = {
  signal: AbortSignal;
  /** Who asks, for the log of the process. */
  fields: { session: string; run: string | null; effect: string };
  delta(delta: Delta): void;
  /** Writes down the name of an answer that can be asked for again; false where that cannot be. */
  accepted(response: string): Promise<boolean>;
};

/** Never throws. */
export async function askModel(
  { timers, logger }: { timers: Timers; logger: Logger },
  adapter: Pick<ModelAdapter, 'generate'>,
  request: GenerateRequest,
  asking: Asking,
): Promise<GenerateOutcome> {
  const { signal } = asking;
  let isHeld = request.resume !== undefined;
  const accepted = async (response: string): Promise<void> => {
    isHeld = await asking.accepted(response);
  };
  const ended = await bounded(
    timers,
    { timeoutMs: LIMITS.generateMs, graceMs: LIMITS.abortGraceMs, signal },
    (inner) => {
      const context = { signal: inner, delta: (delta: Delta) => asking.delta(delta) };
      return adapter.generate(request, request.params.background === true ? { ...context, accepted } : context);
    },
  );
  // Our patience ended, not the answer: where it has a name it is asked for again.
  const timedOut = isHeld ? ({ ...TIMED_OUT, resumable: true } as const) : TIMED_OUT;
  switch (ended.ended) {
    case 'value':
      return wasTimeout(ended.value, signal) ? { ...ended.value, ...timedOut } : ended.value;
    case 'thrown': {
      logger.error({ ...asking.fields, error: String(ended.error) }, 'a model adapter threw');
      const detail = 'the model adapter failed';
      return { type: 'failed', code: 'adapter_error', detail, retry: 'no', spent: { kind: 'bound' } };
    }
    case 'timeout':
      return { type: 'failed', ...timedOut, spent: { kind: 'bound' } };
    case 'aborted':
      return {
        type: 'failed',
        code: 'aborted',
        detail: 'the model call was stopped',
        retry: 'no',
        spent: { kind: 'bound' },
      };
    default: {
      const never: never = ended;
      return never;
    }
  }
}

const TIMED_OUT = {
  code: 'timeout',
  detail: `the model did not answer within ${LIMITS.generateMs} ms`,
  retry: 'now',
} as const;

type Failed = Extract<GenerateOutcome, { type: 'failed' }>;
/** Nobody but our own time limit asked it to stop. */
const wasTimeout = (outcome: GenerateOutcome, signal: AbortSignal): outcome is Failed =>
  outcome.type === 'failed' && outcome.code === 'aborted' && !signal.aborted;
