/** Requests of clients: they may be lost, doubled, or break off; what was acknowledged is checked the moment it is. */
import type { ErrorCode, MethodName, Params, Result } from '@perdure/contract';
import { ApiError } from '@perdure/contract';
import type { Caller, Host } from '@perdure/runtime';
import type { Processes } from './cluster.ts';
import type { Process } from './process.ts';
import type { Sim } from './sim.ts';

export type Reply<T> = { ok: true; status: number; result: T } | { ok: false; code: ErrorCode | 'lost' };

type Work<T> = (host: Host, caller: Caller) => Promise<{ status: number; result: T }>;

/** Nothing was decided: the same request again. */
const AGAIN: ReadonlySet<ErrorCode | 'lost'> = new Set(['lost', 'unavailable', 'storage_full', 'rate_limited']);

export class Network {
  readonly #sim: Sim;
  readonly #cluster: Processes;
  #requests = 0;

  constructor(sim: Sim, cluster: Processes) {
    this.#sim = sim;
    this.#cluster = cluster;
  }

  /** One request. `acked` is called with each success that a process gave, whether or not it arrives. */
  async request<K extends MethodName>(
    method: K,
    params: Params<K>,
    acked: (result: Result<K>) => void = () => {},
  ): Promise<Reply<Result<K>>> {
    return this.#send(method, async (host, caller) => host.call(caller, method, params), acked);
  }

  /** Content on its way to the store, until it is there. Returns its digest. */
  async upload(bytes: Uint8Array): Promise<string> {
    for (;;) {
      const put = async (host: Host, caller: Caller) => ({ status: 200, result: await host.putBlob(caller, bytes) });
      const answer = await this.#send('upload', put, () => {});
      if (answer.ok) return answer.result;
      await this.#sim.scheduler.sleep('net', 'upload again', this.#sim.random.between(50, 2_000));
    }
  }

  async #send<T>(label: string, work: Work<T>, acked: (result: T) => void): Promise<Reply<T>> {
    const { scheduler, random } = this.#sim;
    return new Promise((resolve) => {
      let answered = false;
      const reply = (answer: Reply<T>): void => {
        if (answered) return;
        answered = true;
        scheduler.add('net', `reply ${label}`, random.between(0, this.#sim.plan.networkMs), () => resolve(answer));
      };
      const send = (): void => {
        scheduler.add('net', `request ${label}`, random.between(0, this.#sim.plan.networkMs), () => {
          if (this.#sim.fault('lostMessage')) reply({ ok: false, code: 'lost' });
          else this.#deliver(label, work, acked, reply);
        });
      };
      send();
      if (this.#sim.fault('doubledMessage')) send();
    });
  }

  #deliver<T>(label: string, work: Work<T>, acked: (result: T) => void, reply: (answer: Reply<T>) => void): void {
    const process = this.#cluster.front();
    if (process?.host === null || process === null) {
      reply({ ok: false, code: 'lost' });
      return;
    }
    this.#requests += 1;
    const caller: Caller = {
      tenant: 'default',
      actor: { kind: 'user', id: 'client' },
      requestId: `q${this.#requests}`,
    };
    const end = process.connect(() => reply({ ok: false, code: 'lost' }));
    void work(process.host, caller).then(
      ({ status, result }) => {
        if (!process.alive) return;
        end();
        try {
          if (!process.stale) acked(result);
        } catch (error) {
          this.#sim.fail(error);
        }
        reply(this.#sim.fault('lostMessage') ? { ok: false, code: 'lost' } : { ok: true, status, result });
      },
      (error: unknown) => {
        if (!process.alive) return;
        end();
        reply({ ok: false, code: this.#codeOf(error, process, label) });
      },
    );
  }

  #codeOf(error: unknown, process: Process, method: string): ErrorCode | 'lost' {
    if (error instanceof ApiError && error.code !== 'internal') return error.code;
    // A process whose data another one has taken can only break off.
    if (!this.#cluster.has(process)) return 'lost';
    const text = error instanceof Error ? `${error.stack}` : String(error);
    this.#sim.fail(new Error(`${method} failed inside: ${text}`));
    return 'lost';
  }

  /** Asks until something is decided. A code that is not among `expected` fails the simulation. */
  async ask<K extends MethodName>(
    method: K,
    params: Params<K>,
    expected: readonly ErrorCode[],
    acked?: (result: Result<K>) => void,
  ): Promise<Reply<Result<K>>> {
    const { scheduler, random } = this.#sim;
    for (;;) {
      const answer = await this.request(method, params, acked);
      if (answer.ok) return answer;
      if (!AGAIN.has(answer.code)) {
        if (!expected.includes(answer.code as ErrorCode))
          this.#sim.fail(new Error(`${method} ${JSON.stringify(params)} was refused with ${answer.code}`));
        return answer;
      }
      await scheduler.sleep('net', `retry ${method}`, random.between(50, 2_000));
    }
  }
}
