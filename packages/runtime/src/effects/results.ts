/** Results of a session's earlier calls, whole: what a model was shown the beginning of. */
import type { CallId, Located, State } from '@perdure/engine';
import type { Sessions } from '../log/sessions.ts';
import { BodyMissing } from '../log/sessions.ts';
import { contentText } from './assemble.ts';
import type { ResultBody } from './assemble.ts';

/** The text of the result of a call in this session; null where its conversation holds none, or it was erased. */
export type Results = (session: string, call: string) => Promise<string | null>;

export function createResults(sessions: Sessions): Results {
  return async (session, call) => {
    const found = await sessions.exclusive(session, async () => {
      const hot = await sessions.load(session);
      const located = locate(hot.state, call as CallId);
      return located === null ? null : { hot, located };
    });
    if (found === null) return null;
    try {
      const body = JSON.parse(await sessions.body(found.hot, found.located)) as ResultBody & { full?: string };
      if (body.full === undefined) return contentText(body.content);
      return Buffer.from(await sessions.blob(body.full)).toString();
    } catch (error) {
      if (error instanceof BodyMissing) return null;
      throw error;
    }
  };
}

/** In the conversation, or among the calls of the turn that is under way. */
function locate(state: State, call: CallId): Located | null {
  const item = state.context.items.findLast((each) => each.kind === 'result' && each.call === call);
  if (item?.kind === 'result') return item.body;
  for (const run of state.runs.values())
    for (const { id, phase } of run.asked) if (id === call && phase.at === 'settled') return phase.result;
  return null;
}
