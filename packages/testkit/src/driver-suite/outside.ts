/** The world outside the processes: what was asked of the model, what tools really did, and where a law holds them. */
import type { Retry, ToolDefinition } from '@perdure/runtime/ports';
import { tool, wait } from '@perdure/runtime';
import type { ScriptedModel } from '../scripted-model.ts';
import { createScriptedModel } from '../scripted-model.ts';
import type { Life } from './process.ts';
import { never } from './process.ts';

export type Place = 'model' | `${ToolName} before` | `${ToolName} after`;
export const TOOLS = ['read', 'put', 'pay', 'sign', 'nap', 'ask'] as const;
export type ToolName = (typeof TOOLS)[number];

export type Request = { attempt: number; key: string; aborted: boolean; said: string; at: number };
export type Happened = { tool: ToolName; key: string; attempt: number; session: string };

/** A place where everybody stops until it is opened. */
export type Gate = {
  /** How many have come here. */
  readonly came: number;
  open(): void;
};

type Stop = { came: number; opened: Promise<void>; open(): void };

export class Outside {
  readonly requests: Request[] = [];
  readonly happened: Happened[] = [];
  /** Tools whose signal was aborted while they were held. */
  readonly aborted: ToolName[] = [];
  readonly #stops = new Map<Place, Stop>();
  readonly #failures: { code: string; retry: Retry }[] = [];
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** From now on nobody passes the place. */
  close(place: Place): Gate {
    const { promise, resolve } = Promise.withResolvers<void>();
    const stop: Stop = {
      came: 0,
      opened: promise,
      open: () => {
        if (this.#stops.get(place) === stop) this.#stops.delete(place);
        resolve();
      },
    };
    this.#stops.set(place, stop);
    return stop;
  }

  /** The next request fails so. */
  failNext(code: string, retry: Retry): void {
    this.#failures.push({ code, retry });
  }

  /** Ends for good what is held: for the end of a law. */
  openAll(): void {
    for (const stop of this.#stops.values()) stop.open();
  }

  /** How often the tool did something under one key, most often used first. */
  counts(name: ToolName): number[] {
    const keys = new Map<string, number>();
    for (const { tool: other, key } of this.happened) if (other === name) keys.set(key, (keys.get(key) ?? 0) + 1);
    return [...keys.values()].toSorted((a, b) => b - a);
  }

  async #pass(place: Place, life: Life, signal: AbortSignal): Promise<void> {
    const stop = this.#stops.get(place);
    if (stop === undefined) return;
    stop.came += 1;
    const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    await Promise.race([stop.opened, aborted]);
    if (!life.alive) await never;
  }

  /** The model of one process. */
  model(life: Life): ScriptedModel {
    return createScriptedModel(async ({ request, items, signal }) => {
      const messages = items.flatMap((item, at) => (item.kind === 'message' ? [{ at, text: textOf(item.parts) }] : []));
      const asked = messages.findLast(({ text }) => !text.startsWith('+')) ?? { at: 0, text: '' };
      const seen: Request = {
        attempt: request.attempt,
        key: request.key,
        aborted: false,
        said: messages.map(({ text }) => text).join(' | '),
        at: this.#now(),
      };
      this.requests.push(seen);
      signal.addEventListener('abort', () => void (seen.aborted = true), { once: true });
      await this.#pass('model', life, signal);
      const failure = this.#failures.shift();
      if (failure !== undefined) return { fail: failure.code, retry: failure.retry };
      const turn = items.slice(asked.at).filter(({ kind }) => kind === 'turn').length;
      const names = asked.text.split(';')[turn]?.trim() ?? '';
      if (names === '' || names.startsWith('say')) return { text: `done ${asked.text}` };
      return { calls: names.split(',').map((name) => ({ name: name.trim() })) };
    });
  }

  /** The tools of one process. */
  tools(life: Life): ToolDefinition[] {
    const acts = (name: ToolName, effect: 'pure' | 'keyed' | 'unsafe', approval: 'always' | 'never' = 'never') =>
      tool({
        name,
        description: `Does ${name}.`,
        input: { type: 'object' },
        effect,
        approval,
        run: async (_args, { key, attempt, session, signal }) => {
          await this.#pass(`${name} before`, life, signal);
          if (signal.aborted) this.aborted.push(name);
          signal.throwIfAborted();
          this.happened.push({ tool: name, key, attempt, session });
          await this.#pass(`${name} after`, life, signal);
          return `${name} done`;
        },
      });
    return [
      acts('read', 'pure'),
      acts('put', 'keyed'),
      acts('pay', 'unsafe'),
      acts('sign', 'unsafe', 'always'),
      tool({
        name: 'nap',
        description: 'Parks for a moment.',
        input: { type: 'object' },
        effect: 'pure',
        run: () => wait({ kind: 'timer', afterMs: NAP_MS }),
      }),
      tool({
        name: 'ask',
        description: 'Parks for long.',
        input: { type: 'object' },
        effect: 'pure',
        run: () => wait({ kind: 'timer', afterMs: 600_000 }),
      }),
    ];
  }
}

export const NAP_MS = 300;

const textOf = (parts: readonly { type: string; text?: string }[]): string =>
  parts.map(({ text }) => text ?? '').join('');
