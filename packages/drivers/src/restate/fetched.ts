import type { Timers } from '@perdure/runtime/ports';
import { LIMITS } from '../limits.ts';

/** `fetch` that takes no longer than a request may: then, and where nobody answers, it rejects. */
export async function fetched(timers: Timers, url: string, init: RequestInit = {}): Promise<Response> {
  const late = new AbortController();
  const timer = timers.set(LIMITS.requestMs, () => late.abort(new Error('no answer in time')));
  try {
    return await fetch(url, { ...init, signal: late.signal });
  } finally {
    timer.cancel();
  }
}
