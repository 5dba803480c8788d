/**
 * What tools may be made with. An option that is misspelt, or that a tool does not have, would be obeyed by nobody: it is
 * refused (P15). What values mean is checked where they are read.
 */
import type { SandboxLimits } from '@perdure/runtime/ports';
import { z } from 'zod';
import { ToolOptionsError } from './failure.ts';

const texts = z.array(z.string()).optional();
const isSo = z.boolean().optional();
const bound = z.int().min(1).optional();
const bounds: { [Name in keyof Omit<SandboxLimits, 'timeoutMs'>]-?: typeof bound } = {
  processes: bound,
  memoryBytes: bound,
  totalMemoryBytes: bound,
  fileBytes: bound,
  scratchBytes: bound,
  cpuSeconds: bound,
  openFiles: bound,
};
const commands = {
  read: texts,
  hosts: texts,
  env: z.record(z.string(), z.string()).optional(),
  limits: z.strictObject(bounds).optional(),
};
const folder = { root: z.string(), write: isSo };
const mounts = { mounts: z.literal(true) };
const naming = { prefix: z.string().optional(), write: isSo };

const OPTIONS = {
  files: z.strictObject({
    root: z.string(),
    hide: texts,
    hardLinks: z.enum(['refuse', 'allow']).optional(),
    ...naming,
  }),
  'files of mounts': z.strictObject({ ...mounts, ...naming }),
  shell: z.strictObject({ ...folder, ...commands, secrets: texts }),
  'shell on mounts': z.strictObject({ ...mounts, ...commands, secrets: texts }),
  jobs: z.strictObject({ ...folder, ...commands }),
  'jobs on mounts': z.strictObject({ ...mounts, ...commands }),
  webFetch: z.strictObject({
    hosts: texts,
    deny: texts,
    http: isSo,
    ports: z.array(z.number()).optional(),
    origins: texts,
    proxy: z.string().optional(),
  }),
  'webSearch by searxng': z.strictObject({ searxng: z.string() }),
  'webSearch by brave': z.strictObject({ brave: z.strictObject({ secret: z.string() }) }),
  'webSearch by endpoint': z.strictObject({
    endpoint: z.strictObject({
      url: z.string(),
      headers: z.record(z.string(), z.string()).optional(),
      secret: z.string().optional(),
      results: z.string(),
      fields: z.strictObject({ title: z.string(), url: z.string(), text: z.string().optional() }),
    }),
  }),
  'webSearch by provider': z.strictObject({ provider: z.string(), model: z.string(), secret: z.string().optional() }),
  skills: z.strictObject({ folders: z.union([z.string(), z.array(z.string())]), trusted: isSo }),
  agentsFiles: z.strictObject({ root: z.string(), from: z.string().optional(), trusted: isSo }),
  searchHistory: z.strictObject({ of: z.enum(['agent', 'all']).optional() }),
};

/** Throws ToolOptionsError `invalid_options`, with the path of what is wrong. */
export function checkOptions(of: keyof typeof OPTIONS, options: unknown): void {
  const { error } = OPTIONS[of].safeParse(options);
  if (error === undefined) return;
  // A misspelt key is also a missing one: what was written tells more than what was not.
  const issue = error.issues.find(({ code }) => code === 'unrecognized_keys') ?? error.issues[0];
  const path = [of, ...(issue?.path ?? []).map(String)].join('.');
  const problem =
    issue?.code === 'unrecognized_keys' ? `there is no option ${issue.keys.join(', ')}` : (issue?.message ?? 'is odd');
  throw new ToolOptionsError('invalid_options', `${path}: ${problem}`);
}
