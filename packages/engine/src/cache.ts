/**
 * What of the next prompt the provider should read from its cache, by the rules it publishes. A prediction: it stands
 * beside the turn, to be held against the bill. No reservation rests on it, and what was read is booked at its own price.
 */
import type { Context, Turn } from './state.ts';
import { takesOf } from './media.ts';
import type { Member, Pin, Usage } from './values.ts';

/** The prompt of a turn is what its provider may have kept: tools, instructions with their slots, and items, in this order. */
export function keepPrompt(context: Context, turn: Turn, usage: Usage, pin: Pin, member: Member, at: number): void {
  const tokens = usage.input + usage.cachedInput + usage.cacheWrite;
  context.prompt = {
    tokens,
    model: member.model,
    pin: pin.hash,
    takes: takesOf(member.media),
    slots: slotsOf(turn),
    at,
  };
}

/** What follows a prompt extends it only with the same tools, instructions and slots, at the same model. */
export function predictCached(context: Context, pin: Pin, member: Member, at: number): number {
  const { prompt, counted } = context;
  const { cache } = member;
  // Whatever makes the context begin otherwise makes its count worthless, too.
  if (prompt === null || counted === null || cache === undefined) return 0;
  const isSame =
    prompt.model === member.model &&
    prompt.pin === pin.hash &&
    prompt.takes === takesOf(member.media) &&
    prompt.slots === slotsOf(context);
  if (!isSame || at - prompt.at > cache.lifetimeMs || prompt.tokens < cache.minTokens) return 0;
  return prompt.tokens - (prompt.tokens % cache.stepTokens);
}

/** No two settings of a slot have the same revision. */
const slotsOf = ({ slots }: Pick<Context, 'slots'>): string => slots.map(({ revision }) => revision).join();
