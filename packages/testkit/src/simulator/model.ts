/** A model that answers by a grammar: text, calls of every kind, failures of every kind; each drawn for its attempt. */
import assert from 'node:assert/strict';
import { isLink } from '@perdure/contract';
import { isCompactionId, memberOf } from '@perdure/engine';
import type { ModelInfo, ModelSource } from '@perdure/runtime/ports';
import type { ScriptedCall, ScriptedReply } from '../scripted-model.ts';
import { createScriptedModel } from '../scripted-model.ts';
import { CRAFT } from './crafts.ts';
import { digestOf, SITE } from './heads.ts';
import type { Outside } from './outside.ts';
import type { Plan, Script } from './plan.ts';
import type { Process } from './process.ts';
import type { Prng } from './random.ts';
import type { Sim } from './sim.ts';
import { TOOLS } from './tools.ts';

/** Longer than any model call may take. */
const HANG_MS = 20 * 60_000;

export function modelOf(sim: Sim, outside: Outside, process: Process): ModelSource {
  const model = createScriptedModel(
    async (call) => {
      const { key, attempt } = call.request;
      const session = sim.truth.effects.get(key)?.session ?? '';
      if (process.fault('crashBeforeEffect', session)) return process.gone();
      try {
        outside.dispatched(process, key, attempt, null);
        checkRequest(sim, call);
        if (call.request.params.background === true) outside.answers.dispatched(call);
        outside.sent.set(key, call.request.rendered);
      } catch (error) {
        sim.fail(error);
        return process.gone();
      }
      const draw = outside.draw(key, attempt);
      const reply = await answerOf(sim, outside, process, call, draw, session);
      if (process.fault('crashBeforeOutcome', session)) return process.gone();
      sim.grants.replied(key, sim.scheduler.events);
      if ('fail' in reply) outside.failed.add(`${key}#${attempt}`);
      return reply;
    },
    { info: (model) => infoOf(model, sim.plan) },
  );
  return model.source;
}

async function answerOf(
  sim: Sim,
  outside: Outside,
  process: Process,
  call: ScriptedCall,
  draw: Prng,
  session: string,
): Promise<ScriptedReply> {
  const { answers } = outside;
  if (call.request.resume !== undefined) return answers.again(process, call, draw, session);
  const hangs = sim.befalls('modelHangs', draw, session);
  const afterMs = draw.between(0, 3_000);
  const reply = replyOf(sim, draw, call, session);
  const isKept = call.request.params.background === true;
  if (isKept) await answers.begin(process, call, reply, afterMs);
  await process.wait('model answers', hangs ? HANG_MS : afterMs);
  return isKept ? answers.onTheWay(reply, draw, session) : reply;
}

/** Each model of a route costs something else. */
function infoOf(model: string, { windowTokens, compacts }: Plan): Partial<ModelInfo> {
  const rate = RATES[model] ?? 1_000;
  const rates = { input: rate, cachedInput: rate / 2, cacheWrite: rate, output: 2 * rate };
  const price = { id: model, ...rates, source: 'made up', date: '2026-01-01' };
  const info: Partial<ModelInfo> = { price, background: true };
  if (windowTokens !== null) info.windowTokens = windowTokens;
  if (compacts === 'no' || model !== 'scripted') return info;
  const opaque = compacts === 'opaque' ? ({ opaque: true } as const) : {};
  return { ...info, compacts: { maxOutputTokens: 900, ...opaque }, summarizer: 'scripted/second' };
}

const RATES: { readonly [model: string]: number } = { 'scripted/second': 600, 'scripted/third': 1_400 };

/** A request carries the whole context, and asks for no more than was reserved for it (P9). */
function checkRequest(sim: Sim, { request, items }: ScriptedCall): void {
  const named = sim.truth.effects.get(request.key);
  const state = sim.truth.logs.get(named?.session ?? '')?.state;
  const run = named === undefined || named.run === null ? undefined : state?.runs.get(named.run);
  const turn = run?.turn ?? null;
  if (run === undefined || turn === null || turn.id !== named?.effect || turn.phase.at !== 'flying') return;
  assert.equal(request.model, memberOf(run)?.model, `${turn.id} goes to the model it is reserved for [M2, P9]`);
  if (turn.phase.attempt === request.attempt)
    assert.equal(request.resume ?? null, turn.response, `${turn.id} asks for the answer it was given leave for [T5]`);
  const held = state?.context.items.filter(({ kind }) => kind !== 'turn' && kind !== 'result').length;
  const sent = items.filter((item) => item.kind === 'message' || isSealed(item)).length;
  const [first] = state?.context.items ?? [];
  if (first?.kind === 'summary' && first.held !== undefined)
    assert.equal(first.held.model, request.model, `${turn.id} is sent nothing that another model alone can read [C5]`);
  assert.equal(sent, held, `${turn.id} is sent the summary of what came before, and every message behind it [C4]`);
  assert.equal(items.length, state?.context.items.length, `${turn.id} is sent the whole context`);
  assert.equal(request.params.maxOutputTokens, turn.maxOutputTokens, `${turn.id} asks for what is reserved [P9]`);
}

/** What a provider has compacted goes back as it came, to the model that it was made for. */
const isSealed = (item: ScriptedCall['items'][number]): boolean =>
  item.kind === 'turn' && Array.isArray(item.native) && (item.native as unknown[])[0] === 'sealed';

function replyOf(sim: Sim, draw: Prng, call: ScriptedCall, session: string): ScriptedReply {
  const { script } = sim.plan;
  if (isCompactionId(sim.truth.effects.get(call.request.key)?.effect ?? 'r0t0'))
    return summaryOf(sim, draw, session, call.compacts);
  if (script !== undefined) return scripted(sim, script, call);
  if (sim.befalls('modelFails', draw, session)) return failureOf(draw);
  if (sim.befalls('oddAnswer', draw, session))
    return draw.pick<ScriptedReply>([
      { text: 'not what the schema says', stop: 'end' },
      { text: '', stop: 'end' },
      { text: 'cut', stop: 'length' },
      { text: 'no', stop: 'filtered' },
    ]);
  const usage = sim.befalls('overrun', draw, session) ? { output: 100_000 } : undefined;
  const more = usage === undefined ? {} : { usage };
  if (call.request.params.toolChoice === 'none' || !draw.chance(appetite(sim, call)))
    return { text: JSON.stringify(`Answer ${draw.between(0, 99)} to all of it.`), ...more };
  const calls = Array.from({ length: draw.pick([1, 1, 2, 2, 3, 4]) }, () =>
    sim.plan.workspaces !== null && draw.chance(0.6) ? onFiles(sim, draw, session) : callOf(draw),
  );
  return { text: draw.chance(0.5) ? 'One moment.' : '', calls, ...more };
}

function summaryOf(sim: Sim, draw: Prng, session: string, compacts: boolean): ScriptedReply {
  if (sim.befalls('modelFails', draw, session)) return failureOf(draw);
  if (sim.befalls('oddAnswer', draw, session))
    return draw.pick<ScriptedReply>([{ text: '' }, { text: 'cut', stop: 'length' }, { text: 'long '.repeat(2_000) }]);
  if (!compacts) return { text: `What was said, in short: ${draw.between(0, 99)}.` };
  if (draw.chance(0.2)) return { fail: 'unsupported', retry: 'no' };
  const native = ['sealed', draw.between(0, 99)];
  return sim.plan.compacts === 'opaque' ? { native } : { native, text: 'What was said, as its provider has it.' };
}

/** The first turn of the first run asks for the script's calls; every other turn answers. */
function scripted(sim: Sim, { calls }: Script, { items }: ScriptedCall): ScriptedReply {
  if (items.some(({ kind }) => kind === 'turn')) return { text: 'All of it is done.' };
  const argumentsOf = (name: string, n: number): unknown => {
    if (name === 'write_file') return { path: 'new.txt', content: 'new' };
    return name === 'edit_file' ? editOf(sim, SITE, 'a.txt', 'two') : { n };
  };
  return { text: 'One moment.', calls: calls.map((name, n) => ({ name, arguments: argumentsOf(name, n) })) };
}

const PATHS = ['a.txt', 'notes/b.txt', 'notes/c.txt', 'd.txt', 'more/e.txt'] as const;

function onFiles(sim: Sim, draw: Prng, session: string): { name: string; arguments: unknown } {
  if (sim.keep !== null && draw.chance(0.3)) return { name: CRAFT, arguments: { n: draw.between(0, 3) } };
  return changeOf(sim, draw, session);
}

/** A change of a file as it stands, by whatever the model has seen of it: somebody else may be faster. */
function changeOf(sim: Sim, draw: Prng, session: string): { name: string; arguments: unknown } {
  const { workspace = SITE } = sim.truth.logs.get(session)?.state.config.mounts?.[0] ?? {};
  const path = draw.pick(PATHS);
  const mark = `${draw.between(0, 999_999)}`;
  const digest = knownDigest(sim, workspace, path);
  if (digest === null) return { name: 'write_file', arguments: { path, content: `${mark}\nend\n` } };
  if (draw.chance(0.3)) return { name: 'write_file', arguments: { path, content: `${mark}\nend\n`, digest } };
  return { name: 'edit_file', arguments: editOf(sim, workspace, path, mark) };
}

function editOf(sim: Sim, workspace: string, path: string, mark: string): object {
  return { path, digest: knownDigest(sim, workspace, path) ?? '', edits: [{ old: 'end\n', new: `${mark}\nend\n` }] };
}

function knownDigest({ heads }: Sim, workspace: string, path: string): string | null {
  const node = heads.now(workspace).get(path);
  return node === undefined || isLink(node) ? null : digestOf(heads.text(node.digest));
}

/** Every turn since the last message makes more calls less likely, so that runs end by themselves. */
function appetite(sim: Sim, { items }: ScriptedCall): number {
  let turns = 0;
  for (const item of items) turns = item.kind === 'message' ? 0 : turns + (item.kind === 'turn' ? 1 : 0);
  return sim.plan.calls * 0.75 ** turns;
}

function failureOf(draw: Prng): ScriptedReply {
  if (draw.chance(0.15)) return { fail: 'context_length', retry: 'no', spent: { kind: 'none' } };
  const retry = draw.pick(['now', 'now', { afterMs: draw.between(0, 20_000) }, 'no'] as const);
  return {
    fail: draw.pick(['overloaded', 'connection', 'rate_limited']),
    retry,
    spent: draw.pick([{ kind: 'none' }, { kind: 'bound' }] as const),
    ...(draw.chance(0.5) ? { text: 'half an ans' } : {}),
  };
}

function callOf(draw: Prng): { name: string; arguments: unknown } {
  const roll = draw.next();
  if (roll < 0.03) return { name: 'nothing', arguments: {} };
  if (roll < 0.06) return { name: draw.pick(TOOLS).name, arguments: '{"n": 1' };
  if (roll < 0.09) return { name: draw.pick(TOOLS).name, arguments: { n: 'one' } };
  return { name: draw.pick(TOOLS).name, arguments: { n: draw.between(0, 3) } };
}
