import { Worker } from 'node:worker_threads';

/** Runs a file of this folder as a thread. The published package is JavaScript, with these files beside its bundle. */
export function startThread(name: 'committer' | 'verifier' | 'searcher', data: unknown): Worker {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return new Worker(new URL(`./${name}.${extension}`, import.meta.url), { workerData: data });
}
