import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { InputPart } from '@perdure/contract';
import { MEDIA_TYPES } from '@perdure/contract';
import { LIMITS as ENGINE } from '@perdure/engine';
import type { ScriptedCall } from '@perdure/testkit';
import { World } from '../../test/world.ts';
import { attach } from '../handles.ts';
import { LIMITS } from '../limits.ts';
import type { LoadedPart } from '../ports.ts';

/** The header of an image of one pixel. */
const PNG = Buffer.from('89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de', 'hex');
const PDF = Buffer.from('%PDF-1.7 and so on');
const sees = { modalities: { image: { maxTokens: 1_500 }, file: { maxTokens: null } } };
const info = (id: string) => (id === 'scripted/blind' ? {} : sees);
const seeing = async (more = {}) => World.create({ script: () => ({ text: 'ok' }), scripted: { info }, ...more });
const put = async (world: World, bytes: Uint8Array) => world.host.putBlob(world.caller(), bytes);
const send = async (world: World, input: InputPart[], more = {}) =>
  world.call('sessions.create', { input, ...more }).then(({ session }) => session.id);
const partsOf = (call: ScriptedCall | undefined): readonly LoadedPart[] =>
  call?.items.flatMap((item) => (item.kind === 'message' ? item.parts : [])) ?? [];
const refusalOf = async (world: World, part: InputPart) => {
  const { code, message, details } = await world.refused('sessions.create', { input: [part] });
  assert.equal(details?.['path'], 'input[0]');
  return `${code} ${message}`;
};

test('an image and a file are read by a model that takes them, and stand in the transcript', async () => {
  const world = await seeing();
  const image = { type: 'image' as const, digest: await put(world, PNG), mediaType: 'image/png', name: 'a.png' };
  const file = { type: 'file' as const, digest: await put(world, PDF), mediaType: 'application/pdf' };
  const session = await send(world, [{ type: 'text', text: 'Look' }, image, file]);
  await world.system.settle();
  assert.deepEqual(partsOf(world.model.calls[0]), [
    { type: 'text', text: 'Look' },
    { ...image, base64: PNG.toString('base64') },
    { ...file, name: 'file.pdf', base64: PDF.toString('base64') },
  ]);
  const { messages } = await world.call('messages.list', { session, limit: 10 });
  assert.deepEqual(messages[0]?.parts, [{ type: 'text', text: 'Look' }, image, { ...file, name: 'file.pdf' }]);
  assert.equal(messages[0]?.text, 'Look\n[image a.png]\n[file file.pdf]');
  assert.equal((await world.call('sessions.get', { session })).title, 'Look [image a.png] [file file.pdf]');
});

test('the entry that brings a message names every blob of it among its refs, which are written anew with it', async () => {
  const world = await seeing();
  const digest = await put(world, PNG);
  const { blobs } = world.host.parts.store;
  const before = (await blobs.list({ after: null, limit: 100 })).find((blob) => blob.digest === digest);
  await world.system.advance(1_000);
  const session = await send(world, [{ type: 'image', digest, mediaType: 'image/png' }]);
  const frames = await world.log.read(session, { after: 0, limit: 10 });
  const text = frames.map(({ bytes }) => Buffer.from(bytes).toString()).join();
  assert.match(text, new RegExp(`"refs":\\["[^"]+","${digest}"\\]`));
  const after = (await blobs.list({ after: null, limit: 100 })).find((blob) => blob.digest === digest);
  assert.ok((after?.renewedAt ?? 0) > (before?.renewedAt ?? 0), 'its age begins again');
});

test('what is not there, is not what it says, or no model takes is refused with its digest or type', async () => {
  const world = await seeing();
  const nowhere = 'a'.repeat(43);
  const png = await put(world, PNG);
  const part = { type: 'image' as const, digest: png, mediaType: 'image/png' };
  assert.match(await refusalOf(world, { ...part, digest: nowhere }), new RegExp(`invalid_request.*no blob ${nowhere}`));
  assert.match(await refusalOf(world, { ...part, mediaType: 'image/webp' }), /is not image\/webp but image\/png/);
  const unknown = await refusalOf(world, { ...part, mediaType: 'image/tiff' });
  for (const type of MEDIA_TYPES) assert.ok(unknown.includes(type), unknown);
  assert.match(await refusalOf(world, { ...part, type: 'file' }), /goes as a part of type image/);
  assert.match(await refusalOf(world, { type: 'text', digest: png }), /is not text in UTF-8/);
  const empty = await put(world, new Uint8Array());
  assert.match(await refusalOf(world, { ...part, digest: empty }), /is empty/);
  const huge = await put(world, Buffer.concat([PNG, Buffer.alloc(LIMITS.imageBytes)]));
  assert.match(await refusalOf(world, { ...part, digest: huge }), /too_large.*at most 5242880 bytes/);
  const cut = await put(world, PNG.subarray(0, 12));
  assert.match(await refusalOf(world, { ...part, digest: cut }), /invalid_request.*is no image: .*broken or cut/);
  const long = await put(world, Buffer.alloc(LIMITS.messageTextBytes + 1, 'a'));
  assert.match(await refusalOf(world, { type: 'text', digest: long }), /too_large.*the texts of a message/);
  assert.equal((await world.call('sessions.list', { limit: 10 })).sessions.length, 0);
});

test('a file of text, and a text that comes as a blob, are text: any model reads them, without secrets', async () => {
  const world = await seeing({ secrets: { TOKEN: 'open-sesame-1' } });
  const file = {
    type: 'file' as const,
    digest: await put(world, Buffer.from('key: open-sesame-1')),
    mediaType: 'text/yaml',
  };
  const text = { type: 'text' as const, digest: await put(world, Buffer.from('Read this')) };
  const config = { model: 'scripted/blind' };
  const session = await send(world, [text, { ...file, name: 'keys.yaml' }], { config });
  await world.system.settle();
  assert.deepEqual(partsOf(world.model.calls[0]), [
    { type: 'text', text: 'Read this' },
    { type: 'text', text: '[file keys.yaml]\nkey: {{secret:TOKEN}}' },
  ]);
  const { messages } = await world.call('messages.list', { session, limit: 10 });
  assert.equal(messages[0]?.text, 'Read this\n[file keys.yaml]');
});

test('a model that is not known to take images is asked for none, and says so in words when it comes to a session with some', async () => {
  const world = await seeing();
  const image = { type: 'image' as const, digest: await put(world, PNG), mediaType: 'image/png', name: 'a.png' };
  const refused = await world.refused('sessions.create', { input: [image], config: { model: 'scripted/blind' } });
  assert.deepEqual(
    [refused.code, /scripted\/blind is not known to take images/.test(refused.message)],
    ['invalid_request', true],
  );
  const session = await send(world, [image]);
  await world.system.settle();
  const more = { session, mode: 'queue' as const, priority: 0 };
  await world.call('runs.start', { ...more, input: 'And now?', config: { model: 'scripted/blind' } });
  await world.system.settle();
  await world.call('runs.start', { ...more, input: 'And again?' });
  await world.system.settle();
  const read = world.model.calls.map((call) => partsOf(call)[0]);
  assert.deepEqual(read, [
    { ...image, base64: PNG.toString('base64') },
    { type: 'text', text: '[image a.png: this model cannot read it]' },
    { ...image, base64: PNG.toString('base64') },
  ]);
});

test('under a cap an image counts with what its model says, and one without a number goes only without a cap', async () => {
  const maxTokens = 1_500;
  const world = await seeing({ scripted: { info: () => ({ modalities: { image: { maxTokens } } }) } });
  const image = { type: 'image' as const, digest: await put(world, PNG), mediaType: 'image/png' };
  const limits = { tokens: 6_500 };
  const reserved = async (input: InputPart[]): Promise<number> => {
    const session = await send(world, input, { config: { limits } });
    const { events } = await world.call('events.list', { session, after: 0, limit: 10, waitMs: 0 });
    const requested = events.find((event) => event.kind === 'turn.requested');
    return requested?.kind === 'turn.requested' ? requested.data.reserve.tokens : 0;
  };
  const bare = JSON.stringify(image).length + 1;
  assert.ok((await reserved([image])) >= maxTokens + 4_096 + bare);
  assert.ok((await reserved([{ type: 'text', text: 'x'.repeat(bare) }])) < maxTokens + 4_096 + bare);
  const unbounded = await seeing({
    scripted: { windowTokens: null, info: () => ({ modalities: { image: { maxTokens: null } } }) },
  });
  await put(unbounded, PNG);
  assert.match(
    (await unbounded.refused('sessions.create', { input: [image], config: { limits } })).message,
    /cannot run under a cap/,
  );
  await send(unbounded, [image]);
});

test('the same submission with the same image is the same run', async () => {
  const world = await seeing();
  const image = { type: 'image' as const, digest: await put(world, PNG), mediaType: 'image/png' };
  const once = { input: [image], submission: 'sub' };
  const [first, again] = [await world.call('sessions.create', once), await world.call('sessions.create', once)];
  assert.deepEqual([again.session.id, again.run?.id], [first.session.id, first.run?.id]);
  const other = { input: [{ ...image, name: 'b.png' }], submission: 'sub' };
  assert.equal(await world.code('sessions.create', other), 'submission_conflict');
});

test('a session with many bytes of images keeps none of them in memory or in a snapshot, and sends all of them again', async () => {
  const world = await seeing();
  const large = Buffer.concat([PNG, Buffer.alloc(LIMITS.keptMediaBytes)]);
  const image = { type: 'image' as const, digest: await put(world, large), mediaType: 'image/png' };
  const session = await send(world, [image]);
  await world.system.settle();
  await world.call('runs.start', { session, input: 'More', mode: 'queue', priority: 0 });
  await world.system.settle();
  assert.equal(world.model.calls.length, 2);
  for (const call of world.model.calls) {
    const [part] = partsOf(call);
    assert.equal(part?.type === 'image' ? part.base64 : '', large.toString('base64'));
  }
  const { sessions } = world.host.parts;
  await sessions.exclusive(session, async () => {
    const hot = await sessions.load(session);
    assert.deepEqual([hot.prefix.items, hot.prefix.rendered], [0, '']);
  });
  const { request, exact } = await world.call('turns.request', { session, run: 'r2', n: 1 });
  assert.ok(exact && JSON.stringify(request).includes(large.toString('base64')));
});

test('a session takes no more images than one request carries, what waits counted', async () => {
  const world = await seeing();
  const digest = await put(world, PNG);
  const image = { type: 'image' as const, digest, mediaType: 'image/png' };
  const many = Array.from({ length: ENGINE.sessionMedia / 2 }, () => image);
  const session = await send(world, many);
  const more = { session, mode: 'queue' as const, priority: 0 };
  await world.call('runs.start', { ...more, input: many });
  assert.equal(await world.code('runs.start', { ...more, input: [image] }), 'too_large');
});

test('a program attaches bytes by what they are', async () => {
  const world = await seeing();
  assert.deepEqual(await attach(world.host, PNG, 'a'), {
    type: 'image',
    digest: await put(world, PNG),
    mediaType: 'image/png',
    name: 'a',
  });
  assert.deepEqual([(await attach(world.host, Buffer.from('# Hi'), 'A.MD')).type], ['file']);
  await assert.rejects(
    attach(world.host, Buffer.from([0, 1, 2])),
    (error: { code?: string }) => error.code === 'invalid_request',
  );
});
