/**
 * The text of a conversation, and what is done to it as text, so that a turn costs what is new.
 *
 * 1. User and assistant alternate. All answers to one turn stand in one message, as "Parallel tool use" wants them,
 *    though items are rendered one by one: a user message is written with a space inside of its list of blocks, which
 *    JSON.stringify writes nowhere outside of a string, and in a string the quotes around it would be escaped. So the
 *    seam of two user messages can be told from everything else in the text, and is closed when the body is made. (The
 *    API would join them by itself: its reference, `messages`, "Consecutive `user` or `assistant` turns in your request
 *    will be combined into a single turn".)
 * 2. At most four cache markers ("Prompt caching"): tools, system, the end of what the last request ended with, and
 *    the end of this one. The first finds what was written before even where a turn added more blocks than the API
 *    looks back; both move with the conversation and are no part of a prefix.
 */

/** How a cache marker looks: kept for five minutes from its last use. */
export const CACHE = { type: 'ephemeral' } as const;
const CACHE_MEMBER = `,"cache_control":${JSON.stringify(CACHE)}`;

const OPEN = '{"role":"user","content":[ ';
const CLOSE = ' ]}';
const SEAM = `${CLOSE},${OPEN}`;
/** Where an assistant message follows on a user message. */
const ANSWERED = `}${CLOSE},{"role":"assistant","content":[`;

/** A user message of these blocks, each of them an object: see 1. */
export const userText = (blocks: string): string => `${OPEN}${blocks}${CLOSE}`;

/** The messages with their seams closed (1) and their markers set (2). */
export function messagesText(rendered: string): string {
  let text = rendered.replaceAll(SEAM, ',');
  const answered = text.lastIndexOf(ANSWERED);
  if (text.endsWith(`}${CLOSE}`)) text = mark(text, text.length - CLOSE.length - 1);
  return answered === -1 ? text : mark(text, answered);
}

/** Adds the marker to the block whose closing brace stands at `brace`. */
const mark = (text: string, brace: number): string => `${text.slice(0, brace)}${CACHE_MEMBER}${text.slice(brace)}`;

/**
 * The conversation goes on with answers to a turn that began without thinking: another model's, or one that had it off.
 */
export function resumesWithoutThinking(rendered: string): boolean {
  const answered = rendered.lastIndexOf(ANSWERED);
  const resumed = rendered.indexOf(OPEN, answered + 1);
  if (answered === -1 || resumed === -1 || !rendered.startsWith('{"type":"tool_result"', resumed + OPEN.length)) {
    return false;
  }
  const first = answered + ANSWERED.length;
  return !['thinking', 'redacted_thinking'].some((type) => rendered.startsWith(`{"type":"${type}"`, first));
}
