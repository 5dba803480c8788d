/**
 * Jobs on what a session has mounted. Each works on a copy, in two strokes, and what it has left there when it ends is to
 * be in the workspace: whole, once, beside what others have changed meanwhile, told by the log; what is not, is said.
 */
import assert from 'node:assert/strict';
import type { Tree, TreeNode } from '@perdure/contract';
import { sameNode } from '@perdure/contract';
import { sha256 } from '@perdure/runtime';
import type { Mount, Placed, SessionWorkspaces, TenantStore, ToolContext } from '@perdure/runtime/ports';
import type { Process } from './process.ts';
import type { Sim } from './sim.ts';
import type { Named } from './truth.ts';
import type { Place } from './workshop.ts';

export const CRAFT = 'craft';
/** Others change it, too. */
const CONTESTED = 'a.txt';
const EARLY_MS = 1_000;

/** As the tools of the shell keep what a job has changed. */
export type KeepCopy = (
  workspaces: SessionWorkspaces,
  copy: { mount: Mount; found: Tree; here: Tree },
  placed: (path: string, node: TreeNode | undefined) => Promise<Placed | null>,
) => Promise<string[]>;

type Craft = {
  named: Named;
  /** What its copy was made of. */
  found: Tree;
  /** What it has written there by now, by path. */
  left: Map<string, string>;
  hasEnded: boolean;
  /** How the workspace was moved for it. */
  move: { workspace: string; before: string | null; after: string; conflicts: string[] } | null;
  isTold: boolean;
  /** It could not be kept, and the job says so. */
  failed: boolean;
};

const nodeOf = (text: string): TreeNode => ({ digest: sha256(text), bytes: text.length });
const noteOf = (path: string): string => `\n[not kept: ${path}]`;
const FAILED = '\n[nothing is kept]';

/** What moved nothing is not told. */
const isHeard = ({ move, isTold }: Craft): boolean => isTold || move === null || move.before === move.after;

export class Crafts {
  /** By the key of the call that started it. */
  readonly #crafts = new Map<string, Craft>();
  readonly #sim: Sim;

  constructor(sim: Sim) {
    this.#sim = sim;
  }

  /** The tool: starts one as `job_start` does. */
  async start(process: Process, context: ToolContext, place: Place): Promise<string> {
    const { workspaces, jobs, key, session, call } = context;
    const [mount] = workspaces.mounts;
    const named = this.#sim.truth.effects.get(key);
    if (mount === undefined || named === undefined) throw new Error('nothing is mounted');
    const { tree: found } = await workspaces.open(mount);
    const craft: Craft = {
      named,
      found,
      left: new Map(),
      hasEnded: false,
      move: null,
      isTold: false,
      failed: false,
    };
    this.#crafts.set(key, craft);
    await jobs.start(['work', key], place, async () => {
      if (process.fault('crashBeforeEffect', session)) return process.gone();
      const said = mount.write ? await this.#keep(workspaces, mount, craft) : '';
      // Where nobody else tells, that shows when its own process dies.
      if (this.#sim.bug === 'job-untold' && this.#sim.faulty()) process.crash();
      return process.fault('crashAfterEffect', session) || !process.alive ? process.gone() : said;
    });
    if (this.#sim.bug === 'job-kept-early')
      this.#sim.spawn(
        process
          .wait('a job is kept early', EARLY_MS)
          .then(async () => void (await this.#keep(workspaces, mount, craft))),
      );
    if (process.fault('crashBeforeOutcome', session)) return process.gone();
    return `job ${call} runs`;
  }

  /** A stroke of its work; false: this key is none of these. */
  stroke(key: string, isLast: boolean): void {
    const craft = this.#crafts.get(key);
    if (craft === undefined || craft.hasEnded) return;
    const { effect, session } = craft.named;
    craft.left.set(`made/${effect}-${session}/${isLast ? 'b' : 'a'}`, `${key}\n`);
    if (isLast) craft.left.set(CONTESTED, `${effect}\nend\n`);
  }

  ended(key: string): void {
    const craft = this.#crafts.get(key);
    if (craft !== undefined) craft.hasEnded = true;
  }

  async #keep(workspaces: SessionWorkspaces, mount: Mount, craft: Craft): Promise<string> {
    const { bug, keep } = this.#sim;
    const here = new Map<string, TreeNode>(craft.found);
    for (const [path, text] of craft.left) here.set(path, nodeOf(text));
    const placed = async (path: string): Promise<Placed> => ({
      content: Buffer.from(craft.left.get(path) ?? ''),
      executable: false,
    });
    try {
      if ((bug === 'job-torn' || bug === 'job-over-others') && craft.left.size > 0) {
        const paths = [...craft.left.keys()].slice(0, bug === 'job-torn' ? 1 : Infinity);
        const all = await Promise.all(paths.map(async (path) => [path, await placed(path)] as const));
        while (!(await workspaces.change(mount, await workspaces.open(mount), new Map(all))));
        return '';
      }
      const conflicts = (await keep?.(workspaces, { mount, found: craft.found, here }, placed)) ?? [];
      return bug === 'job-conflict-unsaid' ? '' : conflicts.map(noteOf).join('');
    } catch {
      craft.failed = true;
      return FAILED;
    }
  }

  /** The workspace was moved for one. */
  moved(
    workspace: string,
    key: string,
    move: { before: string | null; after: string },
    before: Tree,
    after: Tree,
  ): void {
    const craft = this.#crafts.get(key);
    const what = `the job of ${craft?.named.session ?? ''} ${craft?.named.effect ?? ''}`;
    assert.ok(craft !== undefined && craft.hasEnded, `${what} is kept when nothing of it lives [J1, jobs]`);
    assert.equal(craft.move, null, `${what} is kept once [H3, jobs]`);
    const conflicts: string[] = [];
    for (const path of new Set([...before.keys(), ...after.keys(), ...craft.left.keys()])) {
      const [was, is, text] = [before.get(path), after.get(path), craft.left.get(path)];
      if (text === undefined) {
        assert.ok(sameNode(was, is), `${what} has not changed ${path} [H2, jobs]`);
        continue;
      }
      const wanted = nodeOf(text);
      if (sameNode(was, craft.found.get(path)) || sameNode(was, wanted))
        assert.ok(sameNode(is, wanted), `${what} is kept whole: ${path} [H2, jobs]`);
      else {
        assert.ok(sameNode(is, was), `${what} leaves ${path} as others have made it meanwhile [H2, jobs]`);
        conflicts.push(path);
      }
    }
    craft.move = { workspace, ...move, conflicts };
  }

  /** The log tells of it. */
  told(key: string): void {
    const craft = this.#crafts.get(key);
    if (craft !== undefined) craft.isTold = true;
  }

  /** Whatever was kept has been told. */
  areTold(): boolean {
    return [...this.#crafts.values()].every((craft) => isHeard(craft));
  }

  /** Those that are not told. */
  untold(): string {
    const all = [...this.#crafts.values()].filter((craft) => !isHeard(craft));
    return all.map(({ named }) => `what ${named.session} ${named.effect} changed is not in its log [S5]; `).join('');
  }

  /** What is recorded as ended is kept, and says what is not. */
  async checkEnd({ docs, blobs }: TenantStore): Promise<void> {
    for (const { named, left, hasEnded, move, failed } of this.#crafts.values()) {
      const what = `the job of ${named.session} ${named.effect}`;
      const found = await docs.get('job', `${named.session}/${named.effect}`);
      const { state, output } = (found?.doc ?? { state: { type: 'running' }, output: null }) as {
        state: { type: string };
        output: { digest: string } | null;
      };
      if (state.type === 'running' || !hasEnded || output === null) continue;
      const said = Buffer.from((await blobs.get(output.digest)) ?? []).toString();
      if (failed) {
        assert.ok(said.includes(FAILED.trim()), `${what} says that it is not kept [J1, jobs]`);
        continue;
      }
      const unsaid = (move?.conflicts ?? []).filter((path) => !said.includes(noteOf(path)));
      assert.deepEqual(unsaid, [], `${what} says what of it is not kept [H2, said]`);
      const log = this.#sim.truth.logs.get(named.session);
      const writes = log?.state.config.mounts?.some(({ mode }) => mode === 'read-write') === true;
      const isLeft = [...left.keys()].some((path) => !said.includes(noteOf(path)));
      if (writes && isLeft && !said.includes('may not be kept')) assert.ok(move !== null, `${what} is kept [J1, jobs]`);
    }
  }
}
