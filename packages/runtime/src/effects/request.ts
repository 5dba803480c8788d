/** From a turn that is outstanding to the request its model is sent: built from exactly what the log says. */
import type { Run } from '@perdure/engine';
import { memberOf, takesOf } from '@perdure/engine';
import type { Manifest } from '../definitions/agents.ts';
import { mannerOf } from '../definitions/route.ts';
import { sourcesText } from '../definitions/sources.ts';
import { effectKey } from '../log/digest.ts';
import { LIMITS } from '../limits.ts';
import type { Hot } from '../log/hot.ts';
import type { Sessions } from '../log/sessions.ts';
import type { GenerateRequest, ModelAdapter, ModelSource, ToolDeclaration } from '../ports.ts';
import type { Contents } from './assemble.ts';
import { contentText, emptyPrefix, extendPrefix, fingerprintOf, prefixOf, sealOf, slotText } from './assemble.ts';
import { outputInWords } from './output.ts';

export type BuiltRequest = { request: GenerateRequest; adapter: ModelAdapter; fingerprint: string };

const DECLARED = new WeakMap<Manifest, readonly ToolDeclaration[]>();

/** One list for all turns of a manifest: adapters keep what they made of it. */
export function declaredBy(manifest: Manifest): readonly ToolDeclaration[] {
  const known = DECLARED.get(manifest);
  if (known !== undefined) return known;
  const declared = manifest.tools
    .filter(({ defer }) => defer !== true)
    .map(({ name, description, input }) => ({ name, description, input }));
  DECLARED.set(manifest, declared);
  return declared;
}

/** The request of the turn as the log has it; extends the session's rendered prefix. Call it with the lock. */
export async function buildRequest(
  options: { sessions: Sessions; models: ModelSource },
  manifest: Manifest,
  hot: Hot,
  run: Run,
  attempt: number,
): Promise<BuiltRequest | { code: string; detail: string }> {
  const { pin, turn } = run;
  const member = memberOf(run);
  if (pin === null || turn === null || member === null) return { code: 'internal', detail: 'the run has no turn' };
  const resolved = options.models.resolve(member.model);
  if (!resolved.ok) return { code: 'model_unavailable', detail: resolved.message };
  const read: Contents['body'] = (located) => options.sessions.body(hot, located);
  // What is sent as it is was settled when the run started, and bounded so.
  const takes = takesOf(member.media);
  const { context } = hot.state;
  const kept = prefixOf(hot.prefix, context);
  const isOurs = kept.model === member.model && kept.takes === takes;
  const start = isOurs ? kept : emptyPrefix(member.model, takes, context.compactedAt);
  const blob: Contents['blob'] = (digest) => options.sessions.blob(digest);
  const contents = { body: read, blob, takes: member.media ?? {} };
  const prefix = await extendPrefix(start, context.items, resolved.adapter, contents);
  const isKept = context.totalMedia.bytes <= LIMITS.keptMediaBytes;
  hot.prefix = isKept ? prefix : emptyPrefix(member.model, takes, context.compactedAt);
  const { config } = run;
  const slots = turn.slots.length === 0 ? [] : await Promise.all(turn.slots.map((slot) => slotText(slot, contents)));
  const own = config.instructions;
  const base =
    own === undefined ? manifest.instructions : contentText(JSON.parse(await read({ ...own, seq: own.seq ?? 0 })));
  const request: GenerateRequest = {
    model: member.model,
    instructions: base + sourcesText(manifest) + slots.join(''),
    tools: declaredBy(manifest),
    rendered: prefix.rendered,
    params: { maxOutputTokens: turn.maxOutputTokens },
    // Most providers want none.
    get cacheKey() {
      return effectKey(hot.state.tenant, hot.id, 'prompt');
    },
    key: effectKey(hot.state.tenant, hot.id, turn.id),
    attempt,
  };
  if (config.temperature !== undefined) request.params.temperature = config.temperature;
  if (config.effort !== undefined) request.params.effort = config.effort;
  const { tier, background } = { ...mannerOf(manifest), ...config };
  if (tier !== undefined) request.params.tier = tier;
  if (background === true) request.params.background = true;
  if (turn.response !== null) request.resume = turn.response;
  if (turn.closing !== null) request.params.toolChoice = 'none';
  else if (config.toolChoice !== undefined) request.params.toolChoice = config.toolChoice;
  if (manifest.output !== null) {
    if (member.instructed === true) request.instructions += outputInWords(manifest.output);
    else request.output = manifest.output;
  }
  const sealed = fingerprintOf(context, turn.slots, prefix);
  const fingerprint = sealOf(sealed, pin.hash, turn.maxOutputTokens, run.passed.length);
  return { request, adapter: resolved.adapter, fingerprint };
}
