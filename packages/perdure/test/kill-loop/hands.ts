/** Agents with hands while their server is killed: files of a workspace, commands in the sandbox, jobs, approvals for always. */
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { AnswerInput, WaitView } from '@perdure/contract';
import { ApiError, encodeTree } from '@perdure/contract';
import type { HandsModel, HandTask } from './hands-tasks.ts';
import { handMessage, JOBS, LEDGER, planHands, SHARED } from './hands-tasks.ts';
import type { Server } from './server.ts';
import type { World } from './world.ts';

const NOBODY = 65_534;
export const SITE = 'site';
/** A life ends, whatever came of it. */
const NEXT_MS = 10_000;

export type HandSession = { id: string; tasks: HandTask[]; runs: string[] };
export type Hands = {
  sessions: HandSession[];
  /** By scope and id: when (wall ms) its revocation was acknowledged. */
  revoked: Map<string, number>;
  /** By the order of a call: how often a person said that it is to be done again. */
  retried: Map<string, number>;
  granted: number;
  /** When (wall ms) a server was killed. */
  deaths: number[];
};
type Options = { kills: number; sessions: number; settleMs: number; say?: (line: string) => void };

export class HandsPlay {
  readonly hands: Hands = { sessions: [], revoked: new Map(), retried: new Map(), granted: 0, deaths: [] };
  /** Where commands work. */
  readonly effects: string;
  readonly model: HandsModel;
  readonly #world: World;
  #isOpening = true;

  constructor(world: World, model: HandsModel) {
    this.#world = world;
    this.model = model;
    this.effects = join(world.folder, 'effects');
    mkdirSync(this.effects);
    chmodSync(world.folder, 0o755);
    if (process.getuid?.() === 0) chownSync(this.effects, NOBODY, NOBODY);
  }

  start(): Server {
    return this.#world.start({ env: { EFFECTS: this.effects } });
  }

  async kill(): Promise<void> {
    await this.#world.server?.kill();
    this.hands.deaths.push(Date.now());
  }

  /** The lines of a file that commands append to. */
  lines(name: typeof LEDGER | typeof JOBS): string[] {
    const path = join(this.effects, name);
    return existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : [];
  }

  async play({ kills, sessions, settleMs, say }: Options): Promise<void> {
    const world = this.#world;
    // Fills the cache of compiled code, which is written at an orderly end.
    await this.start().ready;
    await this.#found();
    await world.shutDown();
    await this.start().ready;
    for (let n = 0; n < sessions; n += 1) world.background(`session ${n}`, this.#work(`s${n}`));
    world.background('people', this.#people());
    for (let killed = 0; killed < kills && world.violations.length === 0; killed += 1) {
      const asked = this.model.asked + world.dice.between(1, 6);
      await world.until(() => this.model.asked >= asked, NEXT_MS);
      await delay(world.dice.below(200));
      await this.kill();
      await this.start().ready;
      say?.(`life ${world.life}: ${this.hands.sessions.map(({ tasks }) => tasks.length).join(', ')} tasks so far`);
    }
    this.#isOpening = false;
    await this.settle(settleMs);
  }

  async settle(withinMs: number): Promise<void> {
    const world = this.#world;
    const isOver = (): boolean => this.hands.sessions.every(({ tasks, runs }) => tasks.length === runs.length);
    if (!(await world.until(isOver, withinMs)) && world.violations.length === 0)
      world.violate(`runs never ended: ${JSON.stringify(this.hands.sessions)}`);
  }

  /** The workspace that all of them mount. */
  async #found(): Promise<void> {
    const { client } = this.#world;
    const { digest, bytes } = await client.putBlob(new TextEncoder().encode('end\n'));
    const tree = new TextEncoder().encode(encodeTree(new Map([[SHARED, { digest, bytes }]])));
    const { digest: to } = await client.putBlob(tree);
    await client.call('workspaces.move', { workspace: SITE, to });
  }

  async #work(name: string): Promise<void> {
    const first = planHands(`${name}-0`, this.#world.dice);
    const session = await this.open(first);
    if (session === null) return;
    await this.#ended(session, 'r1');
    for (let n = 1; this.#isOpening; n += 1) await this.send(session, planHands(`${name}-${n}`, this.#world.dice));
  }

  /** Opens a session with its first message. Null: it is over. */
  async open(task: HandTask): Promise<HandSession | null> {
    const mounts = [{ path: '/', workspace: SITE, mode: 'read-write' as const }];
    const asked = { agent: 'hand', input: handMessage(task), submission: task.name, config: { mounts } };
    const opened = await this.#world.insist(async (client) => client.call('sessions.create', asked));
    if (opened === null) return null;
    const session: HandSession = { id: opened.session.id, tasks: [task], runs: [] };
    this.hands.sessions.push(session);
    return session;
  }

  /** A message, and what comes of it to its end. */
  async send(session: HandSession, task: HandTask): Promise<void> {
    session.tasks.push(task);
    const asked = { session: session.id, input: handMessage(task), submission: task.name };
    const sent = await this.#world.insist(async (client) => client.call('runs.start', asked));
    if (sent !== null) await this.#ended(session, sent.run.id);
  }

  async #ended(session: HandSession, run: string): Promise<void> {
    for (;;) {
      const asked = { session: session.id, run: run as `r${number}` };
      const view = await this.#world.insist(async (client) => client.call('runs.get', asked));
      if (view === null) return;
      if (view.status === 'completed') break;
      if (view.status === 'failed' || view.status === 'limited' || view.status === 'cancelled')
        return this.#world.violate(`${run} of ${session.id} is ${view.status}: ${JSON.stringify(view)}`);
      await delay(20);
    }
    session.runs.push(run);
  }

  /** They answer what waits, now and then for always; and now and then they take that back. */
  async #people(): Promise<void> {
    const world = this.#world;
    while (!world.over.signal.aborted) {
      await delay(world.dice.between(10, 60));
      for (const { id: session } of this.hands.sessions) await this.#answer(session);
      if (this.#isOpening && world.dice.chance(0.04)) await this.#revoke();
    }
  }

  async #answer(session: string): Promise<void> {
    const listed = await this.#world.insist(async (client) => client.call('waits.list', { session }));
    for (const wait of listed?.waits ?? []) {
      const answer = this.#said(wait);
      if (answer !== null) await this.resolve(wait, answer);
    }
  }

  async resolve(wait: WaitView, answer: AnswerInput): Promise<void> {
    const asked = { session: wait.session, wait: wait.id as `w${number}`, answer };
    try {
      await this.#world.insist(async (client) => client.call('waits.resolve', asked));
      if ('grant' in answer) this.hands.granted += 1;
    } catch (error) {
      if (!(error instanceof ApiError) || !['wait_resolved', 'not_found'].includes(error.code)) throw error;
    }
  }

  /** Null: who is asked about a note of his own (`held`) answers it himself. */
  #said({ kind, digest = '', offer, call }: WaitView): AnswerInput | null {
    const { dice } = this.#world;
    const { path = '', command = '' } = (call?.arguments ?? {}) as { path?: string; command?: string };
    if (path.includes('held')) return null;
    if (kind === 'approval') {
      if (offer === undefined || !dice.chance(0.4)) return { decision: 'approve', digest };
      const forMs = dice.chance(0.3) ? { forMs: dice.between(200, 3_000) } : {};
      return { decision: 'approve', digest, grant: { scope: dice.pick(['session', 'agent', 'tenant']), ...forMs } };
    }
    if (kind !== 'outcome') throw new Error(`nobody expects a wait of kind ${kind}`);
    // They look whether it has happened: nobody else knows.
    const [order = ''] = /(?<=echo )[\w-]+(?= >>)|(?<=made\/|crafted\/)[\w-]+/.exec(command) ?? [];
    if (this.lines(call?.name === 'job_start' ? JOBS : LEDGER).includes(order))
      return { outcome: 'done', content: 'it ran' };
    this.hands.retried.set(order, (this.hands.retried.get(order) ?? 0) + 1);
    return { outcome: 'retry', note: 'nothing was seen of it' };
  }

  async #revoke(): Promise<void> {
    const listed = await this.#world.insist(async (client) => client.call('policies.list', { limit: 100 }));
    const all = (listed?.policies ?? []).flatMap(({ scope, grants }) =>
      grants.filter(({ revokedAt }) => revokedAt === undefined).map(({ id }) => ({ scope, grant: id })),
    );
    const [first] = all;
    if (first !== undefined) await this.revoke(this.#world.dice.pick([first, ...all]));
  }

  async revoke(one: { scope: string; grant: string }): Promise<void> {
    await this.#world.insist(async (client) => client.call('policies.revoke', one));
    const name = `${one.scope}.${one.grant}`;
    this.hands.revoked.set(name, this.hands.revoked.get(name) ?? Date.now());
  }
}
