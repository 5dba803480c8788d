/**
 * From the fold to what a model reads. The rendered prefix and its fingerprint are kept with the session, so that a
 * turn costs what is new; anything that does not extend them starts them afresh.
 */
import type { Context, Item, Located, Slot } from '@perdure/engine';
import { isTrusted } from '@perdure/engine';
import { headed } from '../definitions/sources.ts';
import { sha256 } from '../log/digest.ts';
import type { AskedCall, Digest, LoadedPart, ModelAdapter, NeutralItem, Part, Reached } from '../ports.ts';
import type { Soon } from '../soon.ts';

/** Raised when assembly changes what the same items become; a turn in flight is checked only against its own version. */
export const ASSEMBLER_VERSION = 1;

/** The body of a message and of a turn, as stored. */
export type MessageBody = { parts: Part[] };
export type TurnBody = {
  model: string;
  text: string;
  reasoning?: string;
  calls: AskedCall[];
  native: unknown;
  output?: unknown;
  /** Of each call where its paths led when it was ruled on; null, or missing: that was not asked. */
  reached?: readonly (readonly Reached[] | null)[];
  /** For people: what a guard keeps from every model. */
  quarantined?: { guard: string; reason: string; text: string; calls: AskedCall[] };
};
export type ResultBody = { content: unknown; details?: unknown };

/** What is kept of the items so far: their text for one provider's adapter, and the digest over all of them. */
export type Prefix = {
  model: string;
  takes: string;
  /** Seq of the compaction that its items come after, 0: none. A compacted context has another beginning. */
  since: number;
  items: number;
  rendered: string;
  fingerprint: string;
};

export const emptyPrefix = (model: string, takes = '', since = 0): Prefix => ({
  model,
  takes,
  since,
  items: 0,
  rendered: '',
  fingerprint: `v${ASSEMBLER_VERSION}`,
});

/** What is kept of a context, where it still is a beginning of it. */
export const prefixOf = (prefix: Prefix, { compactedAt }: Pick<Context, 'compactedAt'>): Prefix =>
  prefix.since === compactedAt ? prefix : emptyPrefix('', '', compactedAt);

/** What an item was last chained to, and what came of it: a turn is sealed, and then built, over the same items. */
const chained = new WeakMap<Item, { to: string; is: string }>();

function chain(fingerprint: string, item: Item): string {
  const known = chained.get(item);
  if (known?.to === fingerprint) return known.is;
  const is = sha256(`${fingerprint}\n${item.kind}\n${item.body?.digest ?? ''}\n${answerOf(item)}`);
  chained.set(item, { to: fingerprint, is });
  return is;
}

const answerOf = (item: Item): string =>
  item.kind === 'result' ? `${item.providerId}\n${item.outcome}\n${item.code ?? ''}` : '';

/** The digest over the context as it stands, or as a turn with its slots was sealed, from the kept prefix on. */
export function fingerprintOf(
  context: Pick<Context, 'items' | 'compactedAt'>,
  slots: Context['slots'],
  kept: Prefix,
): string {
  const { items } = context;
  const prefix = prefixOf(kept, context);
  let fingerprint = prefix.fingerprint;
  for (let i = prefix.items; i < items.length; i += 1) {
    const item = items[i];
    if (item !== undefined) fingerprint = chain(fingerprint, item);
  }
  for (const { key, digest } of slots) fingerprint = sha256(`${fingerprint}\n${key}\n${digest}`);
  return fingerprint;
}

/** What a requested turn is sealed with: its context, what its run is pinned to, its bound, its place on the route. */
export const sealOf = (context: string, pinHash: string, maxOutputTokens: number, place = 0): string =>
  sha256([context, pinHash, maxOutputTokens, ...(place === 0 ? [] : [place])].join('\n'));

/**
 * Where content is read from: the text of a body, the bytes of a blob. Throws where that was erased or is missing. What
 * the model does not take is not read.
 */
export type Contents = {
  body(located: Located): Soon<string>;
  blob(digest: Digest): Promise<Uint8Array>;
  takes: { image?: unknown; file?: unknown };
};

/** Renders what is new. Returns a prefix of all items. */
export async function extendPrefix(
  prefix: Prefix,
  items: readonly Item[],
  adapter: ModelAdapter,
  contents: Contents,
): Promise<Prefix> {
  let { fingerprint, rendered } = prefix;
  for (let i = prefix.items; i < items.length; i += 1) {
    const item = items[i];
    if (item === undefined) break;
    const read = neutral(item, contents, prefix.model);
    const piece = adapter.render(read instanceof Promise ? await read : read, prefix.model);
    // Not joined: that would copy a long conversation once more a turn.
    if (piece !== '') rendered += rendered === '' ? piece : `,${piece}`;
    fingerprint = chain(fingerprint, item);
  }
  const { model, takes, since } = prefix;
  return { model, takes, since, items: items.length, rendered, fingerprint };
}

/**
 * An item with its content, for one model: what another one's provider made for itself stays behind. Throws what
 * `contents` throws.
 */
export function neutral(item: Item, contents: Contents, model: string): Soon<NeutralItem> {
  const text = item.body === null ? '' : contents.body(item.body);
  return text instanceof Promise
    ? text.then((read) => withContent(item, read, contents, model))
    : withContent(item, text, contents, model);
}

function withContent(item: Item, content: string, contents: Contents, model: string): Soon<NeutralItem> {
  switch (item.kind) {
    case 'message':
    case 'repair':
      return withParts((JSON.parse(content) as MessageBody).parts, contents);
    case 'summary': {
      const { text, ...body } = JSON.parse(content) as TurnBody;
      // What its provider has compacted goes back as what that said.
      if (body.native !== null && body.model === model) return { kind: 'turn', text, ...body };
      return { kind: 'message', parts: [{ type: 'text', text: `${SUMMARY}\n\n${text}` }] };
    }
    case 'turn': {
      const body = JSON.parse(content) as TurnBody;
      const native = body.model === model ? body.native : null;
      return { kind: 'turn', model: body.model, text: body.text, calls: body.calls, native };
    }
    case 'result': {
      const text =
        item.body === null
          ? standardText(item.code, item.outcome)
          : contentText((JSON.parse(content) as ResultBody).content);
      return { kind: 'result', providerId: item.providerId, name: item.name, outcome: item.outcome, content: text };
    }
    default: {
      const never: never = item;
      return never;
    }
  }
}

const SUMMARY =
  'This is a summary of the conversation before this point. What stands in it was said and done; nothing in it is a new request.';

function withParts(parts: readonly Part[], contents: Contents): Soon<NeutralItem> {
  const said = parts.map((part) => asText(part, contents.takes)).filter((part) => part !== null);
  return said.length === parts.length ? { kind: 'message', parts: said } : withMedia(parts, contents);
}

async function withMedia(parts: readonly Part[], contents: Contents): Promise<NeutralItem> {
  return { kind: 'message', parts: await Promise.all(parts.map(async (part) => loaded(part, contents))) };
}

async function loaded(part: Part, contents: Contents): Promise<LoadedPart> {
  const said = asText(part, contents.takes);
  if (said !== null) return said;
  if (part.type === 'text') return part;
  return { ...part, base64: Buffer.from(await contents.blob(part.digest)).toString('base64') };
}

/** Null: its bytes go to the model. */
function asText(part: Part, takes: Contents['takes']): Extract<LoadedPart, { type: 'text' }> | null {
  if (part.type === 'text') {
    const { text, name } = part;
    return { type: 'text', text: name === undefined ? text : `[file ${name}]\n${text}` };
  }
  // The mark is shorter than the part in its body, whose bytes bound its tokens.
  if (takes[part.type] === undefined)
    return { type: 'text', text: `[${part.type} ${part.name ?? part.mediaType}: this model cannot read it]` };
  return null;
}

/** A catalog as it stands behind the instructions. What no person of this tenant wrote is told as such. */
export async function slotText(slot: Slot, contents: Pick<Contents, 'body'>): Promise<string> {
  const content = contentText(JSON.parse(await contents.body(slot)));
  return headed(slot.key, isTrusted(slot.by), content);
}

export const contentText = (content: unknown): string =>
  typeof content === 'string' ? content : JSON.stringify(content);

/** What the model reads where an answer has no text of its own. */
function standardText(code: string | null, outcome: string): string {
  switch (code) {
    case 'timer':
      return 'The time has passed.';
    case 'denied':
      return 'A person denied this call. Do not repeat it.';
    case 'policy':
      return 'A policy denies this call. Do not repeat it.';
    case 'expired':
      return 'Nobody answered in time.';
    case 'call_limit':
      return 'Not run: this run has used up its tool calls.';
    case 'tool_gone':
      return 'Not run: this tool does not exist any more.';
    case 'by_person':
      return outcome === 'done'
        ? 'A person confirmed that this call took effect.'
        : 'A person confirmed that this call did not take effect.';
    default:
      if (outcome === 'unknown')
        return `It is not known whether this call took effect${code === null ? '' : ` (${code})`}.`;
      if (outcome === 'cancelled') return `Cancelled before it could finish${code === null ? '' : ` (${code})`}.`;
      return outcome === 'done' ? 'Done.' : `Failed${code === null ? '' : ` (${code})`}.`;
  }
}
