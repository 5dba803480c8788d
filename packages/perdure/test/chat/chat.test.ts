import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, beforeEach, test } from 'node:test';
import type { Client } from '@perdure/contract';
import { createClient } from '@perdure/contract';
import { z } from 'zod';
import type { Listening, Runtime } from '../../src/index.ts';
import { agent, ask, createRuntime, serve, sleep, tool } from '../../src/index.ts';
import type { Seat } from './screen.ts';
import { createSeat, KEY } from './screen.ts';

const paid: number[] = [];
const pay = tool({
  name: 'pay',
  description: 'Pays an amount.',
  input: z.object({ amount: z.number() }),
  approval: 'always',
  run: ({ amount }) => {
    paid.push(amount);
    return `paid ${amount}`;
  },
});
const agents = [
  agent({ name: 'payer', model: 'demo', tools: [pay, ask(), sleep()] }),
  agent({ name: 'other', model: 'demo' }),
];
const folders: string[] = [];
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
const fresh = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'perdure-chat-data-'));
  folders.push(folder);
  return folder;
};

type World = { rt: Runtime; listening: Listening; client: Client };
let seat: Seat;
let world: World;
async function start(data?: string, port = 0): Promise<World> {
  const where = data === undefined ? { store: 'memory' as const } : { data };
  const rt = await createRuntime({ ...where, agents, log: { level: 'silent' } });
  const listening = await serve(rt, { port });
  return { rt, listening, client: createClient({ url: listening.url }) };
}
async function stop({ rt, listening }: World): Promise<void> {
  await listening.close({ graceMs: 100 });
  await rt.close();
}
beforeEach(async () => {
  seat = createSeat();
  world = await start();
  paid.length = 0;
});
afterEach(async () => {
  seat.leave();
  await stop(world);
});

test('a message is answered as it streams, and the prompt comes back; Ctrl-D leaves with 0', async () => {
  const person = await seat.sit(world.client);
  await person.sees(/opens a session with the first agent that is defined\n> /);
  person.type('What is 2 + 3?');
  await person.sees(/2 \+ 3 = 5\n> $/);
  person.type('say second');
  await person.sees(/second\n> $/);
  assert.equal(person.screen().match(/2 \+ 3 = 5/g)?.length, 1);
  assert.equal(person.screen().match(/say second/g)?.length, 1, 'what was typed is not said back');
  person.keys(KEY.ctrlD);
  assert.equal(await person.left, 0);
});

test('an approval shows the arguments and the rule; they can be edited inline, and what runs is what was approved', async () => {
  const person = await seat.sit(world.client);
  await person.sees(/> $/);
  person.type('call pay {"amount": 7}');
  const shown = await person.sees(/approve, deny, always or edit\? $/);
  assert.match(
    shown,
    /pay \{"amount": 7\}[\s\S]*waits for approval[\s\S]*approve pay, unsafe \(.*\)\n {2}\{\n {4}"amount": 7\n {2}\}\n/,
  );
  person.type('perhaps');
  await person.sees(/'perhaps' is no answer.*approve, deny or always\n/);
  person.type('edit {"amount"');
  await person.sees(/is not JSON/);
  person.type('edit {"amount": 5}');
  await person.sees(/edited, to be approved:\n {2}\{\n {4}"amount": 5\n {2}\}\napprove, deny, always or edit\? $/);
  person.type('approve not more than five');
  await person.sees(/done: paid 5[\s\S]*> $/);
  assert.deepEqual(paid, [5]);
  const [session] = (await world.client.call('sessions.list', {})).sessions;
  const { events } = await world.client.call('events.list', { session: session?.id ?? '' });
  const answer = events.flatMap((entry) => (entry.kind === 'wait.resolved' ? [JSON.stringify(entry.data.answer)] : []));
  assert.match(answer.join(), /not more than five/);
});

test('always approves like calls from then on, and says so before', async () => {
  const person = await seat.sit(world.client);
  await person.sees(/> $/);
  person.type('call pay {"amount": 7}');
  assert.match(await person.sees(/edit\? $/), /always allows pay from now on in this session/);
  person.type('a 7d they are a good customer');
  await person.sees(/done: paid 7[\s\S]*> $/);
  person.type('call pay {"amount": 8}');
  await person.sees(/done: paid 8[\s\S]*> $/);
  assert.deepEqual(paid, [7, 8]);
  const { policies } = await world.client.call('policies.list', {});
  const granted = policies.flatMap(({ scope, grants }) => grants.map(({ rule }) => [scope.split(':')[0], rule.tool]));
  assert.deepEqual(granted, [['session', 'pay']]);
});

test('arguments are edited in the person’s editor; one that fails leaves them as they were; a deny tells the model', async () => {
  const folder = fresh();
  const editor = join(folder, 'editor');
  writeFileSync(editor, '#!/bin/sh\nstat -c %a "$1" > "$0.mode"\nsed -i "s/7/9/" "$1"\n');
  chmodSync(editor, 0o755);
  seat.env['EDITOR'] = editor;
  const person = await seat.sit(world.client);
  await person.sees(/> $/);
  person.type('call pay {"amount": 7}');
  await person.sees(/edit\? $/);
  person.type('edit');
  await person.sees(/"amount": 9\n {2}\}\napprove, deny, always or edit\? $/);
  assert.equal(readFileSync(`${editor}.mode`, 'utf8').trim(), '600');
  seat.env['EDITOR'] = 'false';
  person.type('e');
  await person.sees(/false ended with 1: the arguments are as they were\napprove, deny, always or edit\? $/);
  person.type('y');
  await person.sees(/paid 9[\s\S]*> $/);
  person.type('call pay {"amount": 1}');
  await person.sees(/edit\? $/);
  person.type('n too dear');
  await person.sees(/denied[\s\S]*> $/);
  assert.deepEqual(paid, [9]);
});

test('without an editor the person is told how to give the arguments', async () => {
  const person = await seat.sit(world.client);
  await person.sees(/> $/);
  person.type('call pay {"amount": 7}');
  await person.sees(/edit\? $/);
  person.type('e');
  await person.sees(
    /EDITOR names no editor: give the arguments here, as edit \{…\}\napprove, deny, always or edit\? $/,
  );
  person.type('d');
  await person.sees(/> $/);
});

test('a question shows its choices and takes one by its number; the answer is not remembered as a line', async () => {
  const person = await seat.sit(world.client);
  await person.sees(/> $/);
  person.type('call ask {"question": "Which colour?", "choices": ["red", "blue"]}');
  await person.sees(/Which colour\?\n {2}1 red\n {2}2 blue\nanswer: $/);
  person.type('/status');
  await person.sees(/waits +w1 \(question\)[\s\S]*answer: $/);
  person.type('2');
  await person.sees(/ask: blue\n> $/);
  const kept = readFileSync(join(seat.env['XDG_CONFIG_HOME'] ?? '', 'perdure/history'), 'utf8');
  assert.deepEqual(kept.split('\n').length, 2);
});

test('what is answered elsewhere is not asked for any more; what nobody here answers is explained', async () => {
  const person = await seat.sit(world.client);
  await person.sees(/> $/);
  person.type('call ask {"question": "Which?"}');
  await person.sees(/answer: $/);
  const [session] = (await world.client.call('sessions.list', {})).sessions;
  await world.client.call('waits.resolve', { session: session?.id ?? '', wait: 'w1', answer: { answer: 'this' } });
  await person.sees(/it was answered elsewhere\n[\s\S]*ask: this\n> $/);
  person.type('call sleep {"seconds": 3600}');
  await person.sees(/waits for timer[\s\S]*sleeps until its time has come\n {2}until \d{4}-/);
  person.keys(KEY.ctrlC);
  await person.sees(/cancelled[\s\S]*> $/);
});

test('Ctrl-C cancels the run, a second one leaves; with nothing to cancel it says so first', async () => {
  const person = await seat.sit(world.client);
  await person.sees(/> $/);
  person.type('call sleep {"seconds": 3600}');
  await person.sees(/until/);
  person.keys(KEY.ctrlC);
  await person.sees(/cancelling; Ctrl-C again leaves\n[\s\S]*the run ended cancelled[\s\S]*> $/);
  person.type('say still here');
  await person.sees(/still here\n> $/);
  person.keys(KEY.ctrlC);
  await person.sees(/Ctrl-C again leaves/);
  person.keys(KEY.ctrlC);
  assert.equal(await person.left, 0);
});

test('Ctrl-C while a line is typed only drops the line', async () => {
  const person = await seat.sit(world.client);
  await person.sees(/> $/);
  person.keys('half a thou');
  person.keys(KEY.ctrlC);
  await person.sees(/\^C\n> $/);
  person.type('say whole');
  await person.sees(/whole\n> $/);
  const { runs } = await world.client.call('runs.list', {});
  assert.deepEqual([runs.length, runs[0]?.text], [1, 'whole']);
});

test('what runs stops in mid-answer at Ctrl-C', async () => {
  const person = await seat.sit(world.client);
  await person.sees(/> $/);
  person.type('slow 60000\\');
  person.type('long 400');
  await person.sees(/each step is/);
  person.keys(KEY.ctrlC);
  await person.sees(/the run ended cancelled/);
});

test('a message of several lines is typed with backslashes, or pasted as it is', async () => {
  const person = await seat.sit(world.client);
  await person.sees(/> $/);
  person.type('say one\\');
  await person.sees(/… $/);
  person.type('say two');
  await person.sees(/\none\ntwo\n> $/);
  person.keys('\x1b[200~say three\nsay \\\nsay four\x1b[201~');
  await person.sees(/say four$/);
  assert.equal((await world.client.call('runs.list', {})).runs.length, 1, 'a paste is not sent by itself');
  person.keys(KEY.enter);
  await person.sees(/\nthree\n\\\nfour\n> $/);
  const [session] = (await world.client.call('sessions.list', {})).sessions;
  const { messages } = await world.client.call('messages.list', { session: session?.id ?? '' });
  assert.deepEqual(
    messages.filter(({ role }) => role === 'user').map(({ text }) => text),
    ['say one\nsay two', 'say three\nsay \\\nsay four'],
  );
});

test('while a line is typed the answer is held back; what is sent meanwhile waits its turn', async () => {
  const person = await seat.sit(world.client);
  await person.sees(/> $/);
  person.type('slow 400\\');
  person.type('long 40');
  await person.sees(/each step is/);
  person.keys('say me');
  await person.sees(/\n\+ say me$/);
  const [session] = (await world.client.call('sessions.list', {})).sessions;
  const { client } = world;
  while ((await client.call('runs.get', { session: session?.id ?? '', run: 'r1' })).status === 'running')
    await new Promise((resolve) => setImmediate(resolve));
  person.keys(' too');
  await person.sees(/ too$/);
  person.keys(KEY.enter);
  await person.sees(/taken[\s\S]*me too\n> $/);
  const words = person.screen().split('> ').join(' ');
  assert.ok(!/say me.*each/.test(words), 'the answer was not written into the line');
});

test('a line that is taken back lets the answer go on', async () => {
  const person = await seat.sit(world.client);
  await person.sees(/> $/);
  person.type('slow 400\\');
  person.type('long 40');
  await person.sees(/each step is/);
  person.keys('x');
  await person.sees(/\+ x$/);
  person.keys(KEY.backspace);
  await person.sees(/written\n> $/);
});

test('steering joins the run; cancel, explain, cost, model and status say what is there', async () => {
  const person = await seat.sit(world.client, { agent: 'payer' });
  await person.sees(/> $/);
  person.type('/cost');
  await person.sees(/nothing ran here yet\n> $/);
  person.type('/model demo/other');
  await person.sees(/the next run is by demo\/other\n> $/);
  person.type('call ask {"question": "Which?"}');
  await person.sees(/answer: $/);
  person.type('/steer say steered');
  await person.sees(/answer: $/);
  person.type('/explain');
  await person.sees(/r1 is waiting: agent payer, model demo\/other[\s\S]*answer: $/);
  person.type('any');
  await person.sees(/steered\n> $/);
  person.type('/model demo');
  await person.sees(/by demo\n> $/);
  person.type('/model');
  await person.sees(/the model is demo\n/);
  person.type('/status');
  await person.sees(/server +here\nsession +ses_\w{26} \(idle\)\nagent +payer\nmodel +demo\nrun +r1, ended\n/);
  person.type('/cost');
  await person.sees(/\d+ tokens in, \d+ out, \$0\.00\n> $/);
  person.type('call sleep {"seconds": 3600}');
  await person.sees(/until/);
  person.type('/cancel');
  await person.sees(/the run ended cancelled[\s\S]*> $/);
  person.type('/cancel');
  await person.sees(/nothing runs\n/);
  person.type('/nothing');
  await person.sees(/there is no command \/nothing: \/help/);
  person.type('/help');
  await person.sees(/\/resume \[N\|ID\|KEY\] +Goes on[\s\S]*Ctrl-C cancels the run/);
  person.type('//etc');
  await person.sees(/> $/);
  const [last] = (await world.client.call('messages.list', { session: await only() })).messages.slice(-2);
  assert.equal(last?.text, '/etc');
  person.type('/quit');
  assert.equal(await person.left, 0);
});

const only = async (): Promise<string> => (await world.client.call('sessions.list', {})).sessions[0]?.id ?? '';

test('a conversation is compacted when the person asks for it; what there is none of, or what does not help, is said', async () => {
  const person = await seat.sit(world.client);
  await person.sees(/> $/);
  person.type('/compact');
  await person.sees(/there is nothing to compact yet\n> $/);
  person.type('/compact now');
  await person.sees(/\/compact takes nothing behind it\n> $/);
  person.type('say short');
  await person.sees(/short\n> $/);
  person.type('/compact');
  await person.sees(/summarised before the next turn\n[\s\S]*the conversation is not summarised \(no_gain\)[\s\S]*> $/);
  const long = 'on and on and '.repeat(300).trim();
  person.type(`say ${long}`);
  await person.sees(/on and on and\s+> $/);
  person.type('/compact');
  await person.sees(/summarised before the next turn\n[\s\S]*the conversation so far is summarised[\s\S]*> $/);
  person.type('What is 2 + 3?');
  await person.sees(/2 \+ 3 = 5\n> $/);
  const session = await only();
  const { request } = await world.client.call('turns.request', { session, run: 'r3', n: 1 });
  const sent = JSON.stringify(request);
  assert.deepEqual([sent.includes('This is a summary'), sent.includes(long)], [true, false]);
  assert.equal((await world.client.call('messages.list', { session })).messages[2]?.text, `say ${long}`);
});

test('sessions are listed and gone back to; a fork goes on in a copy, and the original does not', async () => {
  const person = await seat.sit(world.client);
  await person.sees(/> $/);
  person.type('say first');
  await person.sees(/first\n> $/);
  const first = await only();
  person.type('/fork');
  await person.sees(new RegExp(`forked ${first} at \\d+\nsession ses_\\w{26} with payer[\\s\\S]*> $`));
  person.type('say forked');
  await person.sees(/forked\n> $/);
  person.type('/new other');
  await person.sees(/opens a session with other\n> $/);
  person.type('/sessions');
  await person.sees(new RegExp(`1 +ses_[\\s\\S]*2 +ses_[\\s\\S]*> $`));
  person.type(`/resume ${first}`);
  await person.sees(new RegExp(`session ${first} with payer[\\s\\S]*> say first\nfirst\n> $`));
  assert.equal((await world.client.call('messages.list', { session: first })).messages.length, 2);
  person.type('/resume nowhere.at-all');
  await person.sees(/opens a session/);
  person.type('/resume ses_short');
  await person.sees(/'ses_short' is no id of a session/);
  person.type('/new nobody');
  await person.sees(/nobody.*\(not_found\)/);
});

test('the lines that were typed are there the next time, for their owner alone', async () => {
  const first = await seat.sit(world.client);
  await first.sees(/> $/);
  first.type('say remembered');
  await first.sees(/remembered\n> $/);
  first.keys(KEY.ctrlD);
  await first.left;
  const file = join(seat.env['XDG_CONFIG_HOME'] ?? '', 'perdure/history');
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const second = await seat.sit(world.client);
  await second.sees(/> $/);
  second.keys(KEY.up);
  await second.sees(/say remembered/);
  second.keys(KEY.enter);
  await second.sees(/\nremembered\n> $/);
});

test('a session that works while nobody looks is shown from its unfinished run on', async () => {
  const { session } = await world.client.call('runs.create', { input: 'call ask {"question": "Which?"}' });
  while ((await world.client.call('sessions.get', { session: session.id })).status !== 'waiting')
    await new Promise((resolve) => setImmediate(resolve));
  const person = await seat.sit(world.client, { session: session.id });
  await person.sees(/> call ask \{"question": "Which\?"\}\n[\s\S]*Which\?\nanswer: $/);
  person.type('that');
  await person.sees(/ask: that\n> $/);
});

test('a session that is closed under the shell is left; the next message opens another', async () => {
  const person = await seat.sit(world.client);
  await person.sees(/> $/);
  person.type('say first');
  await person.sees(/first\n> $/);
  const first = await only();
  await world.client.call('sessions.close', { session: first });
  await person.sees(/the session is closed\n[\s\S]*> $/);
  person.type('say second');
  await person.sees(/second\n> $/);
  const { sessions } = await world.client.call('sessions.list', {});
  assert.deepEqual([sessions.length, sessions.find(({ id }) => id !== first)?.status], [2, 'idle']);
});

test('what a model says steers no terminal', async () => {
  const person = await seat.sit(world.client);
  await person.sees(/> $/);
  person.type('hello');
  await person.sees(/\n> $/);
  const { client } = world;
  await client.call('runs.start', { session: await only(), input: 'say a\u001b]0;owned\u0007b' });
  const seen = await person.sees(/a\]0;ownedb\n> $/);
  assert.ok(!seen.includes('\u001b]0'));
});

test('a server that is started again in the middle of a run: the stream goes on, nothing is shown or done twice', async () => {
  const data = fresh();
  let server = await start(data);
  const { port } = server.listening;
  const person = await seat.sit(server.client);
  try {
    await person.sees(/> $/);
    person.type('call sleep {"seconds": 2}\\');
    person.type('then\\');
    person.type('say slept');
    await person.sees(/until/);
    await stop(server);
    await person.sees(/the server is away: waiting for it\n/);
    server = await start(data, port);
    await person.sees(/the server is there again\n[\s\S]*slept\n> $/);
    person.type('say after');
    await person.sees(/\nafter\n> $/);
    const screen = person.screen();
    assert.equal(screen.match(/waits for timer/g)?.length, 1, screen);
    assert.equal(screen.match(/^slept$/gm)?.length, 1, screen);
    const { sessions } = await server.client.call('sessions.list', {});
    const { messages } = await server.client.call('messages.list', { session: sessions[0]?.id ?? '' });
    assert.equal(messages.filter(({ role }) => role === 'user').length, 2);
  } finally {
    person.keys(KEY.ctrlD);
    await person.left;
    await stop(server);
  }
});

test('a message that is sent while the server is away arrives once when it is there', async () => {
  const data = fresh();
  let server = await start(data);
  const { port } = server.listening;
  const person = await seat.sit(server.client);
  try {
    await person.sees(/> $/);
    person.type('say first');
    await person.sees(/first\n> $/);
    await stop(server);
    person.type('say second');
    server = await start(data, port);
    await person.sees(/second\n> $/);
    const { runs } = await server.client.call('runs.list', {});
    assert.equal(runs.length, 2);
  } finally {
    person.keys(KEY.ctrlD);
    await person.left;
    await stop(server);
  }
});
