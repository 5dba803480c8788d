/** Follows one run to its end, asks who is at the terminal, and knows with which code to end. */
import type { Client, Entry, SessionEvent, WaitView } from '@perdure/contract';
import { ApiError } from '@perdure/contract';
import { LIMITS } from '../limits.ts';
import { choicesOf, described } from './answers.ts';
import type { ExitCode } from './exit.ts';
import { EXIT } from './exit.ts';
import { tell } from './output.ts';
import type { Renderer } from './render.ts';
import { time } from './time.ts';

export type Bounds = { timeoutMs: number | null; maxEvents: number };
export type Following = {
  client: Client;
  session: string;
  run: string;
  /** Entries after this seq. */
  after: number;
  bounds: Bounds;
  renderer: Renderer;
  ask: Ask | null;
  /** An interrupt cancels the run; another signal ends the watching, and the run goes on. */
  stopped: Promise<NodeJS.Signals>;
};
/** Puts a wait to a person; false: nobody is there (any more). Ends with its signal. Rejects with ApiError. */
export type Ask = (wait: WaitView, signal: AbortSignal) => Promise<boolean>;

/** Needs an answer of somebody; a timer and a child come by themselves. */
const ASKS = new Set<WaitView['kind']>(['approval', 'question', 'outcome', 'budget', 'tool', 'callback']);

/** Never rejects: what goes wrong is told and has its code. */
export async function follow(of: Following): Promise<ExitCode> {
  const { client, session, bounds, renderer } = of;
  const run = of.run as `r${number}`;
  const abort = new AbortController();
  const asking = new AbortController();
  const timer =
    bounds.timeoutMs === null ? null : time.timers.set(bounds.timeoutMs, () => abort.abort('the time is up'));
  void of.stopped.then(async (signal) => {
    asking.abort();
    if (signal === 'SIGINT') await cancel(client, session, run);
    else abort.abort(`stopped by ${signal}`);
  });
  abort.signal.addEventListener('abort', () => asking.abort());
  const watched = new Watched();
  const options = { after: of.after, signal: abort.signal, maxAttempts: LIMITS.streamAttempts };
  try {
    let count = 0;
    for await (const event of client.events(session, options)) {
      if (isOver(event)) return await endedUnseen(of, run);
      if (watched.take(event, run, renderer)) count += 1;
      if (event.type === 'entry' && event.entry.kind === 'run.ended' && event.entry.run === run)
        return exitOf(event.entry.data.status);
      if (watched.needsSomebody && (await attend(of, watched, asking.signal))) return EXIT.needsPerson;
      if (watched.mayWaitBehind() && (await attendAhead(of, watched, asking.signal))) return EXIT.needsPerson;
      if (count >= bounds.maxEvents) return goesOn(of, `${count} events were shown`);
    }
    return goesOn(of, String(abort.signal.reason));
  } catch (error) {
    renderer.rest();
    tell(`perdure: the stream of ${session} is lost: ${error instanceof Error ? error.message : String(error)}\n`);
    return EXIT.streamLost;
  } finally {
    renderer.rest();
    timer?.cancel();
    abort.abort();
  }
}

/** What of a stream concerns the run: which of its waits are open. */
class Watched {
  readonly #open = new Set<string>();
  readonly asked = new Set<string>();
  #live = false;
  #queued = false;
  /** Something of another run waits for somebody, or may have before this was watched. */
  #ahead = true;

  get needsSomebody(): boolean {
    return this.#live && this.#open.size > 0;
  }

  /** The run may be queued behind one that waits for somebody; true once for each such moment. */
  mayWaitBehind(): boolean {
    if (!this.#live || !this.#queued || !this.#ahead) return false;
    this.#ahead = false;
    return true;
  }

  /** True when the event was shown. */
  take(event: SessionEvent, run: string, renderer: Renderer): boolean {
    if (event.type === 'caught-up') this.#live = true;
    if (event.type === 'delta' && event.delta.run === run) {
      renderer.delta(event.delta);
      return true;
    }
    if (event.type !== 'entry') return false;
    if (event.entry.run !== run) {
      if (event.entry.kind === 'wait.opened' && ASKS.has(event.entry.data.kind)) this.#ahead = true;
      return false;
    }
    renderer.entry(event.entry);
    this.#note(event.entry);
    return true;
  }

  #note(entry: Entry): void {
    if (entry.kind === 'run.queued') this.#queued = true;
    if (entry.kind === 'run.started') this.#queued = false;
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

function exitOf(status: 'completed' | 'limited' | 'failed' | 'cancelled'): ExitCode {
  if (status === 'completed') return EXIT.ok;
  return status === 'cancelled' ? EXIT.cancelled : EXIT.failed;
}

/** The stream ended or passed entries by before the run's end was seen: how the run stands decides. */
async function endedUnseen({ client, session }: Following, run: `r${number}`): Promise<ExitCode> {
  const { status } = await client.call('runs.get', { session, run });
  if (status === 'completed' || status === 'limited' || status === 'failed' || status === 'cancelled')
    return exitOf(status);
  tell(`perdure: the stream of ${session} ended before the run did (${status})\n`);
  return EXIT.streamLost;
}

function goesOn({ session, run, renderer }: Following, why: string): ExitCode {
  renderer.rest();
  tell(`perdure: ${why}; the run goes on: perdure sessions watch ${session}, perdure explain ${session}.${run}\n`);
  return EXIT.timeout;
}

/** Asks whoever is there; true when nobody is and the run does nothing else until somebody answers. */
async function attend(of: Following, watched: Watched, signal: AbortSignal): Promise<boolean> {
  const open = (await openWaits(of)).filter((wait) => wait.run === of.run);
  return open.length > 0 && attendTo(of, of.run, open, watched, signal);
}

/** The same for the run that this one is queued behind. */
async function attendAhead(of: Following, watched: Watched, signal: AbortSignal): Promise<boolean> {
  const { client, session, run, renderer } = of;
  const open = await openWaits(of);
  const ahead = open.find((wait) => wait.run !== run)?.run;
  if (ahead === undefined) return false;
  if ((await client.call('runs.get', { session, run: run as `r${number}` })).status !== 'queued') return false;
  renderer.rest();
  tell(`perdure: the message is queued behind ${ahead}, which waits for somebody\n`);
  const waits = open.filter((wait) => wait.run === ahead);
  return attendTo(of, ahead, waits, watched, signal);
}

async function openWaits({ client, session }: Following): Promise<WaitView[]> {
  const { waits } = await client.call('waits.list', { session, limit: 1_000 });
  return waits.filter(({ kind }) => ASKS.has(kind));
}

async function attendTo(
  of: Following,
  run: string,
  open: readonly WaitView[],
  watched: Watched,
  signal: AbortSignal,
): Promise<boolean> {
  const { client, session, renderer, ask } = of;
  if (ask !== null) {
    for (const wait of open.filter(({ id }) => !watched.asked.has(id))) {
      watched.asked.add(wait.id);
      renderer.rest();
      if (!(await ask(wait, signal))) return !signal.aborted && nobody(of, open);
    }
    return false;
  }
  const view = await client.call('runs.get', { session, run: run as `r${number}` });
  if (view.status !== 'waiting') return false;
  return nobody(of, open);
}

function nobody({ session, renderer }: Following, open: readonly WaitView[]): true {
  renderer.rest();
  tell('perdure: the run waits for somebody; it costs nothing until it is answered\n');
  for (const wait of open) {
    tell(`  ${session}.${wait.id}  ${described(wait)}\n`);
    const choices = choicesOf(wait);
    if (choices !== null) tell(`    perdure waits answer ${session}.${wait.id} … (${choices})\n`);
  }
  return true;
}
