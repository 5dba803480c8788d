// `npm run golden`: makes golden logs out of simulated sessions, one for each shape of entry that no golden log has yet.
//   npm run golden -- --seeds 3000
// They are committed with a release and never changed; a build that reads something else out of them breaks a promise.
import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Pin } from '@perdure/engine';
import { decodeFrame, encodeFrame, ENTRY_KINDS } from '@perdure/runtime';
import type { StoredFrame } from '@perdure/runtime/ports';
import { createMemoryDisk, openMemoryStore } from '@perdure/stores/memory';
import type { Golden } from '@perdure/testkit/golden';
import { goldenOf, shapeOf } from '@perdure/testkit/golden';
import { simulate } from '@perdure/testkit/simulator';
import type { Step } from '@perdure/testkit/spec';
import { answered, call, compact, open, returned, send, Spec, summed, unsummed } from '@perdure/testkit/spec';

const ENTRIES_MAX = 60;

const { values } = parseArgs({ options: { seeds: { type: 'string', default: '1000' } } });
const root = join(import.meta.dirname, '..');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
const folder = join(root, 'packages/testkit/golden');
const known = new Set<string>();
for (const name of globSync('*/*.json', { cwd: folder })) {
  const { frames } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as Golden;
  for (const { text } of frames) for (const shape of shapesIn(Buffer.from(text))) known.add(shape);
}

function shapesIn(bytes: Uint8Array): string[] {
  return decodeFrame({ bytes }).map(shapeOf);
}

/** Small logs with shapes that are new, the richest first. */
async function candidates(seeds: number): Promise<StoredFrame[][]> {
  const found: { frames: StoredFrame[]; shapes: Set<string> }[] = [];
  for (let seed = 1; seed <= seeds; seed += 1) {
    const disk = createMemoryDisk();
    const { failure } = await simulate({
      seed,
      createDisk: () => ({
        open: (clock) => openMemoryStore({ clock, disk }),
        share: (clock) => openMemoryStore({ clock, disk, shared: true }),
        lease: (name) => disk.tenants.get('default')?.leases.get(name),
        account: (id) => disk.tenants.get('default')?.accounts.get(id),
        blob: (digest) => disk.tenants.get('default')?.blobs.get(digest)?.bytes,
      }),
    });
    if (failure !== null) throw failure;
    for (const { frames, head, deleted } of disk.tenants.get('default')?.sessions.values() ?? []) {
      if (deleted || head.seq > ENTRIES_MAX) continue;
      const shapes = new Set(frames.flatMap(({ bytes }) => shapesIn(bytes)));
      if (![...shapes].every((shape) => known.has(shape))) found.push({ frames: [...frames], shapes });
    }
    if (found.length > 400) prune(found);
  }
  const chosen: StoredFrame[][] = [];
  while (found.length > 0) {
    prune(found);
    const best = found.shift();
    if (best === undefined) break;
    chosen.push(best.frames);
    for (const shape of best.shapes) known.add(shape);
  }
  return chosen;
}

function prune(found: { frames: StoredFrame[]; shapes: Set<string> }[]): void {
  const gain = ({ shapes }: { shapes: Set<string> }): number => [...shapes].filter((shape) => !known.has(shape)).length;
  const ranked = found.map((one) => ({ one, gain: gain(one) })).filter((rank) => rank.gain > 0);
  ranked.sort((a, b) => b.gain - a.gain || a.one.frames.length - b.one.frames.length);
  found.splice(0, found.length, ...ranked.slice(0, 200).map(({ one }) => one));
}

/** What no simulated session does, decided by the engine alone. */
const CRAFTED: readonly (readonly Step[])[] = [
  [
    open(),
    { kind: 'remember', key: 'catalog', ref: { digest: 'first', bytes: 5 } },
    { kind: 'remember', key: 'catalog', ref: { digest: 'second', bytes: 6 } },
    { kind: 'forget', key: 'catalog' },
    { kind: 'move', to: 'elsewhere' },
    { kind: 'arrive' },
  ],
  [
    open(),
    send('one'),
    answered('r1t1', [call('keyed')]),
    returned('r1t1c0', 'failed', { retry: 'now' }),
    returned('r1t1c0', 'done', { attempt: 2 }),
    answered('r1t2'),
  ],
  [
    open(),
    send('one'),
    answered('r1t1', [call('keyed')]),
    {
      kind: 'settle',
      effect: 'r1t1c0',
      attempt: 1,
      outcome: {
        type: 'call',
        outcome: 'done',
        result: { digest: 'result', bytes: 6 },
        changed: [{ workspace: 'site', before: 'the first tree', after: 'the second tree' }],
      },
    },
    answered('r1t2'),
  ],
  [
    open(),
    send('one'),
    answered('r1t1', [call('keyed', { taint: ['web'], policy: 'the documents of then' }), call('keyed')]),
    returned('r1t1c0'),
    {
      kind: 'settle',
      effect: 'r1t1c1',
      attempt: 1,
      outcome: {
        type: 'call-denied',
        rule: 'rule of tenant (revision 2) deny pay',
        policy: 'the documents of now',
        result: { digest: 'why not', bytes: 7 },
      },
    },
    answered('r1t2'),
  ],
  [
    open(),
    send('one'),
    answered('r1t1'),
    compact,
    unsummed('k1'),
    summed('k1', { attempt: 2 }),
    send('two'),
    answered('r2t1'),
  ],
];

const COMPACTORS = {
  compacts: { maxOutputTokens: 2_000, opaque: true },
  summarizer: { model: 'demo/cheap', maxOutputTokens: 900, price: null, cheap: true },
} as const;
/** What a provider has compacted itself is undone for another model. */
const RESTORED: readonly Step[] = [
  open(),
  send('one', { message: { digest: 'message one', bytes: 9_000 } }),
  answered('r1t1'),
  compact,
  summed('k1', { opaque: true }),
  send('two', { config: { model: 'demo/two' } }),
  answered('r2t1'),
  compact,
  unsummed('k2', { code: 'unsupported', retry: 'no' }),
  summed('k3'),
];

function crafted(steps: readonly Step[], pin: Partial<Pin> = {}): StoredFrame[] {
  const spec = new Spec({ pin });
  const frames: StoredFrame[] = [];
  for (const step of steps) {
    spec.when(step as Parameters<Spec['when']>[0]);
    if (!spec.last.ok) throw new Error(`refused: ${JSON.stringify(step)}: ${spec.last.rejection.message}`);
    if (spec.last.entries.length === 0) continue;
    const frame = encodeFrame(spec.last.entries, frames.at(-1)?.hash ?? '');
    frames.push({ ...frame, bodies: [], erased: false });
  }
  return frames;
}

const logs: StoredFrame[][] = [];
const made = [...CRAFTED.map((steps) => crafted(steps)), crafted(RESTORED, COMPACTORS)];
for (const frames of [...(await candidates(Number(values.seeds))), ...made]) {
  const shapes = frames.flatMap(({ bytes }) => shapesIn(bytes));
  if (shapes.every((shape) => known.has(shape)) && frames.every(({ bodies }) => bodies.length === 0)) continue;
  logs.push(frames);
  for (const shape of shapes) known.add(shape);
}
mkdirSync(join(folder, version), { recursive: true });
let number = globSync('*.json', { cwd: join(folder, version) }).length;
for (const frames of logs) {
  number += 1;
  const name = join(version, `${String(number).padStart(2, '0')}.json`);
  writeFileSync(join(folder, name), `${JSON.stringify(goldenOf(version, frames))}\n`);
  process.stdout.write(`${name}: ${frames.length} frames\n`);
}
const kinds = new Set([...known].map((shape) => shape.split('@')[0]));
const missing = ENTRY_KINDS.filter((kind) => !kinds.has(kind));
process.stdout.write(missing.length === 0 ? 'every kind of entry is there\n' : `no log has: ${missing.join(', ')}\n`);
