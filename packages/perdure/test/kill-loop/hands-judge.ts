/** What must hold of workspaces, commands, jobs and grants when everything is over, whatever was killed on the way. */
import assert from 'node:assert/strict';
import type { Entry } from '@perdure/contract';
import { decodeTree, isLink } from '@perdure/contract';
import type { TenantStore } from '@perdure/runtime/ports';
import type { HandsPlay, HandSession } from './hands.ts';
import { SITE } from './hands.ts';
import type { HandCall } from './hands-tasks.ts';
import { askedAt, JOBS, LEDGER, orderOf, SHARED } from './hands-tasks.ts';
import type { World } from './world.ts';

/** A call as the log has it. */
type Logged = HandCall & {
  session: string;
  id: string;
  providerId: string;
  rule: string;
  /** Wall ms. */
  endedAt: number;
  outcome: string;
  code: string | undefined;
};

export type HandsJudged = {
  calls: number;
  moves: number;
  crafted: number;
  lost: number;
  granted: number;
  inDoubt: number;
};

export async function judgeHands(world: World, play: HandsPlay): Promise<HandsJudged> {
  assert.deepEqual(world.violations, []);
  // Jobs that live end with their server; what they changed by then is told by the next one.
  await world.shutDown();
  await play.start().ready;
  const logs = await Promise.all(play.hands.sessions.map(async ({ id }) => entriesOf(world, id)));
  const calls = logs.flatMap((entries, n) => callsOf(entries, play.hands.sessions[n] as HandSession));
  judgeCommands(play, calls);
  const lost = judgeJobs(play, calls);
  judgeGrants(play, calls);
  for (const exit of await world.shutDown()) assert.deepEqual(exit, { code: 0, signal: null });
  const store = await world.openData();
  try {
    assert.deepEqual(store.damage, []);
    const tenant = store.tenant('default');
    assert.deepEqual(await tenant.log.verify(), []);
    const owners = new Map(
      logs.flatMap((entries, n) => entries.map((entry) => [entry, play.hands.sessions[n]?.id ?? ''])),
    );
    const moves = await judgeWorkspace(tenant, logs.flat(), (entry) => owners.get(entry) ?? '', calls);
    const crafted = await judgeCrafts(tenant, calls);
    assert.deepEqual(world.violations, []);
    const all = logs.flat();
    const granted = calls.filter(({ rule }) => rule.startsWith('grant ')).length;
    return {
      calls: calls.length,
      moves,
      crafted,
      lost,
      granted,
      inDoubt: all.filter(({ kind }) => kind === 'call.unknown').length,
    };
  } finally {
    await store.close();
  }
}

export async function entriesOf(world: World, session: string): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (let after = 0; ;) {
    const { events, next, head } = await world.client.call('events.list', { session, after, limit: 1_000 });
    entries.push(...events);
    if (next === after || next >= head) return entries;
    after = next;
  }
}

function callsOf(entries: readonly Entry[], { id: session, tasks }: HandSession): Logged[] {
  const told = new Map(tasks.flatMap(({ calls }) => calls).map((call) => [call.order, call]));
  return entries.flatMap((entry): Logged[] => {
    if (entry.kind !== 'call.requested') return [];
    const { providerId, rule } = entry.data;
    const call = told.get(orderOf(providerId));
    assert.ok(call !== undefined, `${providerId} was asked for by nobody`);
    const ends = entries.filter((each) => each.kind === 'call.settled' && each.effect === entry.effect);
    assert.equal(ends.length, 1, `${session} ${entry.effect} has one outcome`);
    const [end] = ends;
    if (end?.kind !== 'call.settled') return [];
    const { outcome, code } = end.data;
    const { effect: id = '' } = entry;
    return [{ ...call, session, id, providerId, rule, endedAt: end.at, outcome, code }];
  });
}

/** A command that must not run twice runs once for each time that somebody let it go, and as its outcome says. */
function judgeCommands(play: HandsPlay, calls: readonly Logged[]): void {
  for (const [tool, name] of [
    ['shell', LEDGER],
    ['job_start', JOBS],
  ] as const) {
    const lines = play.lines(name);
    for (const call of calls.filter((each) => each.tool === tool)) {
      const { order, outcome, code } = call;
      const ran = lines.filter((line) => line === order).length;
      const most = 1 + (play.hands.retried.get(order) ?? 0);
      const what = `${tool} ${order} (${outcome} ${code ?? ''}) ran ${ran} times of ${most}`;
      assert.ok(ran <= most, `${what} [P6]`);
      if (ran > 0) assert.equal(outcome, 'done', `${what} [P6]`);
      // A job may be lost before it has done anything.
      else if (tool === 'shell') assert.notEqual(outcome, 'done', `${what} [P6]`);
    }
  }
}

/** A job is found again, or named lost; none that died with its process is said to run. Returns how many were lost. */
function judgeJobs({ hands, model }: HandsPlay, calls: readonly Logged[]): number {
  const lost = new Set<string>();
  for (const { order, session, providerId } of calls.filter(({ tool }) => tool === 'job_read')) {
    const said = model.results.get(order) ?? '';
    const [, id, state = ''] = /^job (r\d+t\d+c\d+): (running|exit code \d+|lost|killed)/.exec(said) ?? [];
    const begun = calls.find((each) => each.session === session && each.id === id);
    assert.ok(
      begun?.tool === 'job_start' || begun?.tool === 'job_mounted',
      `${order} finds the job again, or is told that it is lost: ${said}`,
    );
    const diedSince = hands.deaths.some((death) => death > begun.endedAt && death < askedAt(providerId));
    if (state === 'running') assert.ok(!diedSince, `${order}: ${said}, and its process is gone [J1]`);
    if (state === 'lost') lost.add(`${session} ${id}`);
  }
  return lost.size;
}

/** After its revocation was acknowledged nothing that is asked for goes by a grant. */
function judgeGrants({ hands }: HandsPlay, calls: readonly Logged[]): void {
  for (const { order, rule, providerId } of calls) {
    const [, name = ''] = /^grant (\S+) /.exec(rule) ?? [];
    const revokedAt = hands.revoked.get(name) ?? Infinity;
    assert.ok(askedAt(providerId) <= revokedAt, `${order} goes by ${name}, which had been revoked`);
  }
}

type Move = { key: string; before: string | null; after: string; origin: string };
type Texts = ReadonlyMap<string, string>;

/**
 * What a job that ended by itself has left in its copy is in the workspace, whole; of one that was stopped what it had done
 * by then, and of one that was lost nothing that came later than something else that is not there. How many are kept.
 */
async function judgeCrafts({ docs, blobs }: TenantStore, calls: readonly Logged[]): Promise<number> {
  const doc = await docs.get('workspace', SITE);
  assert.ok(doc !== null, 'the workspace is there');
  const texts = await textsOf(blobs, (doc.doc as { tree: string }).tree);
  let kept = 0;
  for (const { order, session, id, tool, outcome } of calls.filter((call) => call.tool === 'job_mounted')) {
    const found = await docs.get('job', `${session}/${id}`);
    const { state, output } = (found?.doc ?? {}) as {
      state?: { type: string; code?: number };
      output?: { digest: string } | null;
    };
    const made = [texts.get(`crafted/${order}/a`), texts.get(`crafted/${order}/b`)];
    const lines = (texts.get(SHARED) ?? '').split('\n').filter((line) => line === order).length;
    const said = output ? Buffer.from((await blobs.get(output.digest)) ?? []).toString() : '';
    const what = `${tool} ${order} (${outcome}, ${JSON.stringify(state)}) has left ${JSON.stringify(made)}: ${said}`;
    if (made.some((text) => text !== undefined)) kept += 1;
    if (state?.type === 'exited' && state.code === 0) {
      assert.deepEqual(made, ['1\n', '2\n'], `${what} [J1]`);
      assert.equal(lines, said.includes(`[not kept: "${SHARED}"`) ? 0 : 1, `${what}, and says what is not kept [H2]`);
    } else if (made[1] !== undefined) assert.deepEqual(made, ['1\n', '2\n'], `${what} [J1]`);
    assert.ok(lines <= 1, `${what}, once`);
  }
  return kept;
}

async function textsOf(blobs: TenantStore['blobs'], digest: string): Promise<Texts> {
  const bytes = await blobs.get(digest);
  assert.ok(bytes !== null, `the tree ${digest} is there`);
  const found = new Map<string, string>();
  for (const [path, node] of decodeTree(Buffer.from(bytes).toString())) {
    if (isLink(node)) continue;
    const content = await blobs.get(node.digest);
    assert.equal(content?.length, node.bytes, `${path} is there, whole`);
    found.set(path, Buffer.from(content).toString());
  }
  return found;
}

/** The workspace is what the log says, nothing of it is missing, and it never was half of anything. */
async function judgeWorkspace(
  { docs, blobs }: TenantStore,
  entries: readonly Entry[],
  sessionOf: (entry: Entry) => string,
  calls: readonly Logged[],
): Promise<number> {
  const doc = await docs.get('workspace', SITE);
  assert.ok(doc !== null, 'the workspace is there');
  const { tree, moves } = doc.doc as { tree: string; moves: readonly Move[] };
  const texts = async (digest: string): Promise<Texts> => textsOf(blobs, digest);
  const told = entries.flatMap((entry) =>
    entry.kind === 'workspace.changed' ? [{ ...entry.data, origin: `${sessionOf(entry)}/${entry.effect}` }] : [],
  );
  for (const [n, { before, after, origin }] of moves.entries()) {
    if (n > 0) assert.equal(before, moves[n - 1]?.after, 'a head is moved from where it stood');
    judgeWhole(await texts(after), calls);
    if (origin.startsWith('pushed by ')) continue;
    const said = told.find((each) => each.origin === origin);
    assert.deepEqual([said?.before, said?.after], [before, after], `the log tells what ${origin} changed`);
  }
  assert.equal(tree, moves.at(-1)?.after);
  for (const { before, after, origin } of told) {
    for (const digest of [before, after]) judgeWhole(await texts(digest), calls);
    const isKept = moves.length < told.length || moves.some((move) => move.origin === origin);
    assert.ok(isKept, `what the log tells of ${origin} was done`);
  }
  judgeFiles(await texts(tree), calls);
  return told.length;
}

/** No command has left half of what it made. */
function judgeWhole(texts: Texts, calls: readonly Logged[]): void {
  for (const { order } of calls.filter(({ tool }) => tool === 'shell_mounted')) {
    const made = [texts.get(`made/${order}/a`), texts.get(`made/${order}/b`)];
    if (made.some((text) => text !== undefined)) assert.deepEqual(made, ['1\n', '2\n'], `${order} is there whole`);
  }
}

/** What was done is there once, and what was not is not. */
function judgeFiles(texts: Texts, calls: readonly Logged[]): void {
  for (const { order, tool, outcome, code } of calls) {
    const isDone = outcome === 'done';
    const what = `${tool} ${order} is ${outcome} ${code ?? ''}`;
    if (tool === 'write_file') assert.equal(texts.get(`notes/${order}.txt`), isDone ? `${order}\n` : undefined, what);
    if (tool === 'shell_mounted') assert.equal(texts.has(`made/${order}/b`), isDone, what);
    const shared = texts.get(SHARED)?.split('\n') ?? [];
    if (tool === 'edit_file') assert.equal(shared.filter((line) => line === order).length, isDone ? 1 : 0, what);
  }
}
