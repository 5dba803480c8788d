import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Result } from '@perdure/contract';
import type { ScriptedReply } from '@perdure/testkit';
import { World } from '../../test/world.ts';
import type { ToolDefinition } from '../ports.ts';
import { agent } from './agents.ts';
import { tool } from './tool.ts';

const THINGS = ['invoice', 'customer', 'parcel', 'contract', 'ticket', 'meeting', 'budget', 'report', 'photo', 'song'];
const VERBS = ['create', 'read', 'update', 'delete', 'list', 'archive', 'export', 'import', 'share', 'rename', 'merge'];
const ran: string[] = [];
/** More than a thousand, of which three are of other words. */
const many: ToolDefinition[] = Array.from({ length: 1_100 }, (_, index) => {
  const [verb, thing] = [VERBS[index % 11] ?? '', THINGS[Math.floor(index / 11) % 10] ?? ''];
  const name = `${verb}_${thing}_${Math.floor(index / 110)}`;
  return tool({
    name,
    description: `Can ${verb} a ${thing} of department ${Math.floor(index / 110)}.`,
    input: { type: 'object', properties: { id: { type: 'integer' } }, required: ['id'], additionalProperties: false },
    effect: 'pure',
    defer: true,
    run: (args) => {
      ran.push(`${name} ${JSON.stringify(args)}`);
      return `${name} was done`;
    },
  });
});
const pay = tool({
  name: 'pay_supplier',
  description: 'Transfers money to a supplier.',
  input: { type: 'object', properties: { cents: { type: 'integer' } }, required: ['cents'] },
  approval: 'always',
  defer: true,
  run: () => {
    ran.push('pay');
    return 'paid';
  },
});
const clock = tool({
  name: 'clock',
  description: 'Tells the time.',
  input: { type: 'object' },
  effect: 'pure',
  run: () => '12',
});
const PLAIN = { description: 'Does.', input: { type: 'object' }, effect: 'pure', run: () => '' } as const;
const tools = [clock, ...many, pay];

const ask = (name: string, args: unknown): ScriptedReply => ({ calls: [{ name, arguments: args }] }) as ScriptedReply;
const search = (query: string, limit?: number): ScriptedReply =>
  ask('tool_search', limit === undefined ? { query } : { query, limit });
const through = (name: string, args: unknown): ScriptedReply => ask('tool_call', { name, arguments: args });
const DONE: ScriptedReply = { text: 'ok' };

type Told = { world: World; session: string; results: string[]; events: Result<'events.list'>['events'] };
async function play(script: ScriptedReply[], more: Parameters<typeof World.create>[0] = {}): Promise<Told> {
  ran.length = 0;
  const world = await World.create({ script, tools, ...more });
  const { session } = await world.open();
  await world.system.settle();
  return told(world, session);
}
async function told(world: World, session: string): Promise<Told> {
  const { events } = await world.call('events.list', { session, after: 0, limit: 1_000, waitMs: 0 });
  const items = world.model.calls.at(-1)?.items ?? [];
  const results = items.flatMap((item) => (item.kind === 'result' ? [item.content] : []));
  return { world, session, results, events };
}
const foundIn = ({ events }: Told): string[] =>
  events.flatMap((event) => (event.kind === 'call.settled' ? (event.data.found ?? []) : []));

void describe('deferred tools', () => {
  void test('more than a thousand cost a request what two do, and its beginning stays the same', async () => {
    const { world, events } = await play([
      search('archive a song'),
      through('archive_song_3', { id: 1 }),
      search('pay_supplier'),
      DONE,
    ]);
    const declared = world.model.calls.map(({ request }) => JSON.stringify(request.tools));
    assert.deepEqual(
      (JSON.parse(declared[0] ?? '') as { name: string }[]).map(({ name }) => name),
      ['clock', 'tool_search', 'tool_call'],
    );
    assert.equal(new Set(declared).size, 1, 'what was found changes nothing of what is declared');
    const rendered = world.model.calls.map(({ request }) => request.rendered);
    for (const [index, text] of rendered.entries())
      assert.ok(index === 0 || text.startsWith(rendered[index - 1] ?? '?'));
    const pin = events.flatMap((event) => (event.kind === 'run.started' ? [event.data.pin] : []))[0];
    assert.ok((pin?.manifestBytes ?? Infinity) < 4_000, `${pin?.manifestBytes} bytes bound each request`);
  });

  void test('what was found can be called from the next turn on, through tool_call or by its name', async () => {
    const played = await play([
      search('archive songs: archive_song_3', 3),
      through('archive_song_3', { id: 7 }),
      ask('archive_song_3', { id: 8 }),
      DONE,
    ]);
    assert.match(played.results[0] ?? '', /^archive_song_3: Can archive a song of department 3\.\narguments: \{"type"/);
    assert.deepEqual(ran, ['archive_song_3 {"id":7}', 'archive_song_3 {"id":8}']);
    assert.equal(foundIn(played)[0], 'archive_song_3');
    assert.equal(foundIn(played).length, 3);
    const asked = played.events.flatMap((event) => (event.kind === 'call.requested' ? [event.data.name] : []));
    assert.deepEqual(asked, ['tool_search', 'archive_song_3', 'archive_song_3']);
  });

  void test('one that was not found is not called: neither by its name, nor through tool_call, nor in the turn that finds it', async () => {
    const both = {
      calls: [
        { name: 'tool_search', arguments: { query: 'pay supplier' } },
        { name: 'tool_call', arguments: { name: 'read_song_1', arguments: { id: 1 } } },
        { name: 'create_invoice_0', arguments: { id: 1 } },
      ],
    } as ScriptedReply;
    const { results } = await play([ask('create_invoice_0', { id: 1 }), both, DONE]);
    assert.deepEqual(ran, []);
    assert.deepEqual(
      results.filter((_, index) => index !== 1),
      ['create_invoice_0', 'read_song_1', 'create_invoice_0'].map(
        (name) => `${name} was not found yet: search for it with tool_search first.`,
      ),
    );
  });

  void test('a call through tool_call is ruled on, asked for and validated as the call that it is', async () => {
    const policies = { rules: [{ decision: 'deny', tool: 'delete_*' }] } as const;
    const { world, session, results } = await play(
      [
        search('delete_song_1', 1),
        search('pay money to a supplier', 1),
        through('delete_song_1', { id: 1 }),
        through('pay_supplier', { euros: 5 }),
        through('pay_supplier', { cents: 500 }),
        DONE,
      ],
      { agent: { policies: policies as never } },
    );
    assert.match(results[2] ?? '', /a policy denies this call \(rule deny delete_\*/);
    assert.match(results[3] ?? '', /do not fit the tool's schema/);
    const { waits } = await world.call('waits.list', { session, limit: 10 });
    assert.deepEqual(
      waits.map(({ kind, call }) => [kind, call?.name, call?.arguments]),
      [['approval', 'pay_supplier', { cents: 500 }]],
    );
    assert.deepEqual(ran, []);
  });

  void test('what was found is in the log: a restart and a fork know it', async () => {
    const { world, session } = await play([
      search('merge_report_9', 1),
      DONE,
      through('merge_report_9', { id: 1 }),
      DONE,
      through('merge_report_9', { id: 2 }),
      DONE,
    ]);
    const later = await world.crash();
    await later.call('runs.start', { session, input: 'on', mode: 'queue', priority: 0 });
    await later.system.settle();
    assert.deepEqual(ran, ['merge_report_9 {"id":1}']);
    const { session: fork } = await later.call('sessions.fork', { session });
    await later.call('runs.start', { session: fork.id, input: 'on', mode: 'queue', priority: 0 });
    await later.system.settle();
    assert.deepEqual(ran, ['merge_report_9 {"id":1}', 'merge_report_9 {"id":2}']);
  });

  void test('words that no tool has find nothing, and what else fits is counted', async () => {
    const { results } = await play([search('zzz qqq'), search('song', 2), DONE]);
    assert.equal(results[0], '[no tool fits: try other words]');
    assert.match(results[1] ?? '', /\[108 more fit: ask for something narrower\]$/);
  });

  void test('a name that nobody has is no tool, and tool_call calls itself never', async () => {
    const { results } = await play([
      through('no_such_tool', {}),
      through('tool_call', { name: 'clock', arguments: {} }),
      through('clock', {}),
      ask('tool_call', { name: 5 }),
      DONE,
    ]);
    assert.equal(results[0], 'There is no tool no_such_tool. Tools: clock, tool_search, tool_call.');
    assert.match(results[1] ?? '', /does not call itself/);
    assert.equal(results[2], '12');
    assert.match(results[3] ?? '', /do not fit the tool's schema/);
  });

  void test('an agent may tell of its first tools and defer the others; without deferred ones nothing is added', async () => {
    const plain = VERBS.slice(0, 5).map((name) => tool({ ...PLAIN, name }));
    const { world } = await play([DONE], { agent: { tools: [clock, ...plain], deferTools: 2 } });
    const names = (calls: World): (string | undefined)[] =>
      (calls.model.calls[0]?.request.tools ?? []).map(({ name }) => name);
    assert.deepEqual(names(world), ['clock', plain[0]?.name, 'tool_search', 'tool_call']);
    const all = await play([DONE], { agent: { tools: [clock, ...plain] } });
    assert.deepEqual(names(all.world), ['clock', ...plain.map(({ name }) => name)]);
  });

  void test('names of the search’s own are refused where it is needed', async () => {
    const own = tool({ name: 'tool_search', description: 'Mine.', input: { type: 'object' }, run: () => '' });
    assert.equal(agent({ name: 'a', model: 'demo', tools: [own] }).tools.length, 1);
    await assert.rejects(World.create({ script: [], tools: [own, pay] }), { code: 'invalid_config' });
  });
});
