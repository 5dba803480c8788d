/** Context slots: catalogs beside the conversation, kept by whoever uses the session. */
import type { ContextSlot, Params } from '@perdure/contract';
import type { Actor, Command, Entry, Slot } from '@perdure/engine';
import { isTrusted } from '@perdure/engine';
import { contentText } from '../effects/assemble.ts';
import type { Hot } from '../log/hot.ts';
import type { Parts } from '../parts.ts';
import type { Answered, Methods } from './shared.ts';
import { actorOf, ok, pageOf } from './shared.ts';
import { existing, notFound } from './views.ts';

type ContextMethod = 'context.list' | 'context.get' | 'context.set' | 'context.delete' | 'context.compact';

export function contextMethods(parts: Parts): Pick<Methods, ContextMethod> {
  const { sessions } = parts;
  const viewOf = async (hot: Hot, slot: Slot): Promise<ContextSlot> =>
    slotView(slot, contentText(JSON.parse(await sessions.body(hot, slot))));
  const find = async (session: string, key: string): Promise<ContextSlot | null> =>
    sessions.exclusive(session, async () => {
      const hot = await existing(sessions, session);
      const slot = hot.state.context.slots.find((each) => each.key === key);
      return slot === undefined ? null : viewOf(hot, slot);
    });
  return {
    'context.list': async (_caller, { session, cursor, limit }) => {
      const page = await sessions.exclusive(session, async () => {
        const hot = await existing(sessions, session);
        const { items, next } = pageOf(hot.state.context.slots, cursor, limit);
        return { slots: await Promise.all(items.map(async (slot) => viewOf(hot, slot))), next };
      });
      return ok(page.next === undefined ? { slots: page.slots } : { slots: page.slots, next: page.next });
    },
    'context.get': async (_caller, { session, key }) => {
      const view = await find(session, key);
      if (view === null) throw notFound(`context slot ${key}`);
      return ok(view);
    },
    'context.set': async (caller, params) => setSlot(parts, actorOf(caller), params, find),
    'context.compact': async (caller, { session }) => {
      const input = { id: parts.newId(), by: actorOf(caller), bodies: [], command: { kind: 'compact' as const } };
      const { receipt } = await parts.submit(session, input);
      return { status: 202, result: { session: await parts.reads.session(session), seq: receipt.seq } };
    },
    'context.delete': async (caller, { session, key, ifRevision }) => {
      const command: Command = { kind: 'forget', key };
      if (ifRevision !== undefined) command.ifRevision = ifRevision;
      const input = { id: parts.newId(), by: actorOf(caller), bodies: [], command };
      const { receipt } = await parts.submit(session, input);
      return ok({ seq: receipt.seq });
    },
  };
}

/** What a caller says again is what is there: a repeated request gets the slot that the first one made. */
async function setSlot(
  parts: Parts,
  by: Actor,
  { session, key, content, ifRevision }: Params<'context.set'>,
  find: (session: string, key: string) => Promise<ContextSlot | null>,
): Answered<'context.set'> {
  const bodies = parts.newBodies();
  const clean = bodies.clean(content);
  const known = await find(session, key);
  if (known?.content === clean) return ok(known);
  const command: Command = { kind: 'remember', key, ref: bodies.add(clean) };
  if (ifRevision !== undefined) command.ifRevision = ifRevision;
  const { entries } = await parts.submit(session, { id: parts.newId(), by, ...bodies.stored, command });
  const entry = entries.find(isSet);
  const view = entry === undefined ? await find(session, key) : slotView(slotOf(entry), clean);
  if (view === null) throw notFound(`context slot ${key}`);
  return ok(view);
}

type SetEntry = Extract<Entry, { kind: 'context.set' }>;
const isSet = (entry: Entry): entry is SetEntry => entry.kind === 'context.set';

const slotOf = ({ seq, at, by, data }: SetEntry): Slot => ({
  ...data.ref,
  key: data.key,
  seq,
  at,
  by,
  revision: data.revision ?? 0,
});

function slotView({ key, revision, by, seq, at }: Slot, content: string): ContextSlot {
  const origin = { kind: by.kind, name: by.id, trust: isTrusted(by) ? 'trusted' : 'untrusted' } as const;
  return { key, content, revision, origin, seq, updatedAt: at };
}
