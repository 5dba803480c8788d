import type { AnswerInput, WaitView } from '@perdure/contract';
import type { Called } from './watched-tools.ts';

/** What a person says who approves, takes the first choice, and knows what really happened. Undefined: nobody is asked. */
export function answerOf(wait: WaitView, calls: readonly Called[]): AnswerInput | undefined {
  switch (wait.kind) {
    case 'approval':
      return { decision: 'approve', digest: wait.digest ?? '' };
    case 'question':
      return { answer: wait.choices?.[0] ?? 'yes' };
    case 'outcome': {
      const last = calls.findLast(({ session, call }) => session === wait.session && call === wait.call?.id);
      return last?.ended === true ? { outcome: 'done', content: last.said ?? 'done' } : { outcome: 'failed' };
    }
    case 'budget':
      return { decision: 'deny' };
    case 'tool':
      return { decision: 'gone' };
    default:
      return undefined;
  }
}
