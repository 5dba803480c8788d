/** Follows one run to its end, asks who is at the terminal, and knows with which code to end. */
import type { Client, Entry, RunView, SessionEvent, WaitView } from '@perdure/contract';
import { ApiError } from '@perdure/contract';
import { system } from '@perdure/runtime';
import { LIMITS } from '../limits.ts';
import { CHOICES, described } from './answers.ts';
import type { ExitCode } from './exit.ts';
import { EXIT } from './exit.ts';
import { tell } from './output.ts';
import type { Renderer } from './render.ts';

export type Bounds = { timeoutMs: number | null; maxEvents: number };
export type Following = {
  client: Client;
  session: string;
  run: string;
  /** Entries after this seq. */
  after: number;
  bounds: Bounds;
  renderer: Renderer;
  /** Answers a wait; null: there is nobody to ask. Rejects with ApiError. */
  ask: ((wait: WaitView) => Promise<void>) | null;
  /** Resolves when the person wants to stop: the run is then cancelled. */
  stopped: Promise<unknown>;
};
export type Followed = { exit: ExitCode; run: RunView | null };

/** Needs an answer of somebody; a timer and a child come by themselves. */
const ASKS = new Set<WaitView['kind']>(['approval', 'question', 'outcome', 'budget', 'tool', 'callback']);

/** Never rejects: what goes wrong is told and has its code. */
export async function follow(of: Following): Promise<Followed> {
  const { client, session, bounds, renderer } = of;
  const run = of.run as `r${number}`;
  const abort = new AbortController();
  const timer = bounds.timeoutMs === null ? null : system.timers.set(bounds.timeoutMs, () => abort.abort('timeout'));
  void of.stopped.then(async () => cancel(client, session, run));
  const watched = new Watched();
  const options = { after: of.after, signal: abort.signal, maxAttempts: LIMITS.streamAttempts };
  try {
    let count = 0;
    for await (const event of client.events(session, options)) {
      if (isOver(event)) return await ended(of, run);
      if (watched.take(event, run, renderer)) count += 1;
      if (event.type === 'entry' && event.entry.kind === 'run.ended' && event.entry.run === run)
        return await ended(of, run);
      if (watched.needsSomebody && (await attend(of, watched))) return { exit: EXIT.needsPerson, run: null };
      if (count >= bounds.maxEvents) return goesOn(of, `${count} events were shown`);
    }
    return goesOn(of, 'the time is up');
  } catch (error) {
    renderer.rest();
    tell(`perdure: the stream of ${session} is lost: ${error instanceof Error ? error.message : String(error)}\n`);
    return { exit: EXIT.streamLost, run: null };
  } finally {
    timer?.cancel();
    abort.abort();
  }
}

/** What of a stream concerns the run: which of its waits are open. */
class Watched {
  readonly #open = new Set<string>();
  readonly asked = new Set<string>();
  #live = false;

  get needsSomebody(): boolean {
    return this.#live && this.#open.size > 0;
  }

  /** True when the event was shown. */
  take(event: SessionEvent, run: string, renderer: Renderer): boolean {
    if (event.type === 'caught-up') this.#live = true;
    if (event.type === 'delta' && event.delta.run === run) {
      renderer.delta(event.delta);
      return true;
    }
    if (event.type !== 'entry' || event.entry.run !== run) return false;
    renderer.entry(event.entry);
    this.#note(event.entry);
    return true;
  }

  #note(entry: Entry): void {
    if (entry.kind === 'wait.opened' && ASKS.has(entry.data.kind)) this.#open.add(entry.data.wait);
    if (entry.kind === 'wait.resolved') this.#open.delete(entry.data.wait);
  }
}

/** The stream cannot show the run's end any more: the session is over, or a part of the log was passed by. */
const isOver = ({ type }: SessionEvent): boolean => type === 'end' || type === 'resync';

async function cancel(client: Client, session: string, run: `r${number}`): Promise<void> {
  try {
    await client.call('runs.cancel', { session, run });
  } catch (error) {
    // It ended by itself meanwhile.
    if (!(error instanceof ApiError && error.code === 'invalid_state'))
      tell(`perdure: the run could not be cancelled: ${String(error)}\n`);
  }
}

/** The run as it stands; by its status the code to end with. */
async function ended({ client, session, renderer }: Following, run: `r${number}`): Promise<Followed> {
  renderer.rest();
  const view = await client.call('runs.get', { session, run });
  switch (view.status) {
    case 'completed':
      return { exit: EXIT.ok, run: view };
    case 'cancelled':
      return { exit: EXIT.cancelled, run: view };
    case 'failed':
    case 'limited':
      return { exit: EXIT.failed, run: view };
    case 'queued':
    case 'running':
    case 'waiting':
    case 'held':
    case 'cancelling':
      tell(`perdure: the stream of ${session} ended before the run did (${view.status})\n`);
      return { exit: EXIT.streamLost, run: view };
    default: {
      const never: never = view.status;
      return never;
    }
  }
}

function goesOn({ session, run, renderer }: Following, why: string): Followed {
  renderer.rest();
  tell(`perdure: ${why}; the run goes on: perdure sessions watch ${session}, perdure explain ${session}.${run}\n`);
  return { exit: EXIT.timeout, run: null };
}

/** Asks whoever is there; true when nobody is and the run does nothing else until somebody answers. */
async function attend(of: Following, watched: Watched): Promise<boolean> {
  const { client, session, run, renderer, ask } = of;
  const { waits } = await client.call('waits.list', { session, limit: 1_000 });
  const open = waits.filter((wait) => wait.run === run && ASKS.has(wait.kind));
  if (open.length === 0) return false;
  if (ask !== null) {
    for (const wait of open.filter(({ id }) => !watched.asked.has(id))) {
      watched.asked.add(wait.id);
      renderer.rest();
      await ask(wait);
    }
    return false;
  }
  const view = await client.call('runs.get', { session, run: run as `r${number}` });
  if (view.status !== 'waiting') return false;
  renderer.rest();
  tell('perdure: the run waits for somebody; it costs nothing until it is answered\n');
  for (const wait of open) {
    tell(`  ${session}.${wait.id}  ${described(wait)}\n`);
    const choices = CHOICES[wait.kind];
    if (choices !== null) tell(`    perdure waits answer ${session}.${wait.id} … (${choices})\n`);
  }
  return true;
}
