/** The thread that `convert.ts` starts for one page. */
import { parentPort, workerData } from 'node:worker_threads';
import { LIMITS } from '../limits.ts';
import type { Page } from './markdown.ts';
import { pageOf } from './markdown.ts';

export type PageWork = { html: string; url: string };
export type PageAnswer = { page: Page; chars: number } | { failed: string };

const { html, url } = workerData as PageWork;
parentPort?.postMessage(answerOf());

function answerOf(): PageAnswer {
  try {
    const { title, markdown } = pageOf(html, url);
    const page = { title: title.slice(0, LIMITS.titleChars), markdown: markdown.slice(0, LIMITS.pageChars) };
    return { page, chars: markdown.length };
  } catch (error) {
    return { failed: error instanceof RangeError ? 'its elements are nested too deeply' : 'it cannot be parsed' };
  }
}
