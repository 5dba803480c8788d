/**
 * Secrets that are planted wherever something comes into a session, in each of twelve encodings, and looked for in all
 * that leaves it: entries and bodies, deltas and streams, lines of the log, errors.
 */
import { createVirtualSystem } from '@perdure/testkit';
import type { VirtualSystem } from '@perdure/testkit';
import assert from 'node:assert/strict';
import { createLogger, Redactor, tool } from '../src/index.ts';
import type { System } from '../src/ports.ts';
import { World } from './world.ts';

export type Planting = { secrets: number; planted: number; searchedBytes: number; placeholders: number };

const ALPHABET = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';
/** What real passwords have and encodings change. */
const SIGNS = '"\\/&<>+= \'%ö';

function secretOf(random: System['random'], n: number): string {
  const draw = (count: number, from: string): string =>
    [...random.bytes(count)].map((byte) => from[byte % from.length]).join('');
  // Every third one is issued by somebody, every third one is what a person thought up.
  if (n % 3 === 0) return `iss-live-${draw(24, ALPHABET)}`;
  return n % 3 === 1
    ? draw(20, ALPHABET)
    : `${draw(6, ALPHABET)}${draw(3, SIGNS)}${draw(8, ALPHABET)}${draw(1, SIGNS)}z`;
}

const json = (text: string): string => JSON.stringify(text).slice(1, -1);
const each = (text: string, map: (point: number) => string): string =>
  Array.from(text, (sign) => map(sign.codePointAt(0) ?? 0)).join('');
/** Of the base64 of a longer text, what says nothing but the secret. */
const within = (secret: string, encoding: 'base64' | 'base64url', ahead: string): { sent: string; core: string } => {
  const sent = Buffer.from(`${ahead}:${secret}:rest`).toString(encoding);
  const first = Math.ceil(((Buffer.byteLength(ahead) + 1) * 4) / 3);
  return { sent, core: sent.slice(first, first + Math.floor((Buffer.byteLength(secret) * 4) / 3) - 1) };
};

/** Made here by other means than those of the redactor: what is sent, and what of it must not be seen. */
const ENCODINGS: readonly ((secret: string) => string | { sent: string; core: string })[] = [
  (secret) => secret,
  json,
  (secret) => json(json(secret)),
  (secret) => each(secret, (point) => HTML.get(point) ?? String.fromCodePoint(point)),
  (secret) => each(secret, (point) => `&#${point};`),
  (secret) => within(secret, 'base64', 'user'.slice(secret.length % 3)),
  (secret) => within(secret, 'base64url', 'name'.slice(secret.length % 3)),
  (secret) => Buffer.from(secret).toString('hex'),
  (secret) => Buffer.from(secret).toString('hex').toUpperCase(),
  (secret) => (secret.length % 2 === 0 ? encodeURIComponent(secret) : [...Buffer.from(secret)].map(percent).join('')),
  (secret) =>
    [...Buffer.from(secret, 'utf16le').swap16()]
      .map((byte) => byte.toString(16).padStart(2, '0'))
      .join('')
      .replaceAll(/..../g, (unit) => `\\u${unit}`),
  (secret) => Array.from(secret).toReversed().join(''),
];
const percent = (byte: number): string => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
const HTML = new Map([
  [38, '&amp;'],
  [60, '&lt;'],
  [62, '&gt;'],
  [34, '&quot;'],
  [39, '&#39;'],
]);

type Planted = { name: string; sent: readonly string[]; cores: readonly string[] };

function plantedOf(name: string, secret: string): Planted {
  const made = ENCODINGS.map((encode) => encode(secret));
  return {
    name,
    sent: made.map((one) => (typeof one === 'string' ? one : one.sent)),
    cores: made.map((one) => (typeof one === 'string' ? one : one.core)),
  };
}

/** Where they come in: of so many secrets at a time one is planted in each place. */
const PLACES = [
  'message',
  'slot',
  'text',
  'reasoning',
  'arguments',
  'content',
  'details',
  'thrown',
  'log',
  'failure',
] as const;

/** Plants `count` secrets, so many of them known at a time. Throws where one is seen. */
export async function plant(count: number, knownAtOnce: number, seed: number): Promise<Planting> {
  const total: Planting = { secrets: 0, planted: 0, searchedBytes: 0, placeholders: 0 };
  for (let done = 0; done < count; done += knownAtOnce) {
    const part = await plantBatch(Math.min(knownAtOnce, count - done), seed + done);
    for (const key of ['secrets', 'planted', 'searchedBytes', 'placeholders'] as const) total[key] += part[key];
  }
  return total;
}

async function plantBatch(count: number, seed: number): Promise<Planting> {
  const system = createVirtualSystem({ seed });
  const values = Array.from({ length: count }, (_, n) => [`S${n}`, secretOf(system.random, n)] as const);
  const planted = values.map(([name, value]) => plantedOf(name, value));
  const seen: string[] = [];
  const garden = await gardenOf(system, Object.fromEntries(values), seen);
  for (let first = 0; first < count; first += PLACES.length)
    await live(garden, planted.slice(first, first + PLACES.length), seen);
  await garden.world.host.stop();
  seen.push(...stored(garden.world));
  const text = seen.join('\n');
  assertUnseen(text, planted);
  return {
    secrets: count,
    planted: count * ENCODINGS.length,
    searchedBytes: text.length,
    placeholders: text.split('{{secret:').length - 1,
  };
}

type Garden = { world: World; plot: Map<Place, string>; log: ReturnType<typeof createLogger> };
type Place = (typeof PLACES)[number];

/** A host whose model and tool say what is planted at the time. */
async function gardenOf(system: VirtualSystem, secrets: Record<string, string>, seen: string[]): Promise<Garden> {
  const plot = new Map<Place, string>();
  const at = (place: Place): string => plot.get(place) ?? '';
  const logger = createLogger({
    level: 'debug',
    redactor: new Redactor(secrets),
    destination: { write: (line) => void seen.push(line) },
  });
  const dig = tool({
    name: 'dig',
    description: 'Digs.',
    input: { type: 'object' },
    effect: 'pure',
    run(_args, context) {
      context.progress(at('log'));
      if (at('thrown') !== '' && context.call.endsWith('c1')) throw new Error(at('thrown'));
      return { content: at('content'), details: { found: [at('details')] } };
    },
  });
  const world = await World.create({
    system,
    secrets,
    tools: [dig],
    host: { logger },
    script: (call) => {
      const last = call.items.at(-1);
      if (last?.kind === 'result') return { text: at('text'), reasoning: at('reasoning'), pieces: 97 };
      if (JSON.stringify(last).includes('again')) return { fail: 'broken', detail: at('failure'), retry: 'no' };
      return { calls: [1, 2].map(() => ({ name: 'dig', arguments: { where: at('arguments') } })) };
    },
  });
  return { world, plot, log: logger };
}

/** One session, in which each secret is planted in a place of its own. */
async function live({ world, plot, log }: Garden, planted: readonly Planted[], seen: string[]): Promise<void> {
  plot.clear();
  for (const [n, { sent }] of planted.entries())
    plot.set(PLACES[n] ?? 'log', sent.map((one) => `<<${one}>>`).join(' '));
  const { session } = await world.call('sessions.create', {});
  const reader = world.follow(session.id);
  const slot = { session: session.id, key: 'notes', content: plot.get('slot') ?? '' };
  await world.call('context.set', slot);
  const start = async (input: string): Promise<void> => {
    const mode = { mode: 'queue', priority: 0 } as const;
    await world.call('runs.start', { session: session.id, input, submission: input.slice(0, 5), ...mode });
    await world.system.settle();
  };
  await start(`first ${plot.get('message') ?? ''}`);
  await start('again');
  log.error({ session: session.id, deep: { text: plot.get('log') } }, plot.get('log') ?? '');
  const refused = await world.host
    .call(world.caller(), 'sessions.create', { agent: plot.get('failure') ?? '' })
    .then(() => '', String);
  seen.push(refused);
  reader.stop();
  await reader.done;
  seen.push(JSON.stringify(reader.seen));
}

/** All that the memory store holds. */
function stored({ disk }: World): string[] {
  return [...disk.tenants.values()].flatMap(({ sessions, blobs, docs, texts }) => [
    ...[...sessions.values()].flatMap(({ frames, index, snapshot }) => [
      ...frames.flatMap(({ bytes, bodies }) => [Buffer.from(bytes).toString(), ...bodies.map(({ text }) => text)]),
      JSON.stringify(index),
      JSON.stringify(snapshot),
    ]),
    ...[...blobs.values()].map(({ bytes }) => Buffer.from(bytes).toString()),
    JSON.stringify([...docs.values()].map((kind) => [...kind.values()])),
    JSON.stringify([...texts.byId.values()]),
  ]);
}

/** A piece of each form, long enough to be nothing else, is nowhere. */
function assertUnseen(text: string, planted: readonly Planted[]): void {
  const pieces = new Map<string, string>();
  const lengths = [10, 36];
  for (const { name, cores } of planted)
    for (const core of cores) {
      const length = lengths.findLast((each) => each <= core.length) ?? 0;
      const middle = Math.floor((core.length - length) / 2);
      pieces.set(core.slice(middle, middle + length), name);
    }
  for (const length of lengths)
    for (let at = 0; at + length <= text.length; at += 1) {
      const name = pieces.get(text.slice(at, at + length));
      if (name !== undefined) assert.fail(`${name} is seen: ${text.slice(Math.max(0, at - 60), at + 60)}`);
    }
}
