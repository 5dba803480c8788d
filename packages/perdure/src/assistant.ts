/**
 * The agent that is there when no configuration is: it reads the working directory, changes what is mounted, asks, and
 * sleeps.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { AgentDefinition } from '@perdure/runtime';
import { agent } from '@perdure/runtime';
import { agentsFiles, ask, files, readMore } from '@perdure/tools';
import type { Environment } from './settings.ts';
import { skillsIn } from './skill-folders.ts';
import { sleep } from './sleep.ts';

const MODELS: readonly (readonly [key: string, model: string])[] = [
  ['OPENAI_API_KEY', 'openai-chat/gpt-5-mini'],
  ['ANTHROPIC_API_KEY', 'anthropic/claude-sonnet-5-5'],
];
/** What may hold credentials, by name in the working directory. */
const HIDDEN = /^(\.env($|\.)|\.git$|\.ssh$|\.npmrc$|\.netrc$)/;

const INSTRUCTIONS = `You are a careful assistant. You can read the files of the folder you were started in, and change \
nothing there. What a person has mounted into the session is a place of its own, reached by the tools whose names begin \
with mounted_: there you may change files when you are asked to. Look before you answer, and say which files your answer \
rests on. Ask when only a person can know or decide.`;

/** The model of whoever names none: that of the first key that is there, else the demo model. */
export function usualModel(env: Environment): string {
  return MODELS.find(([key]) => (env[key] ?? '').trim() !== '')?.[1] ?? 'demo';
}

/** How each built-in agent is made with other variables: the keys that are kept with the data are known when it is open. */
const made = new WeakMap<AgentDefinition, (env: Environment) => AgentDefinition>();

/** The agents as they are with these variables: the built-in one takes the model of the first key. */
export const settled = (agents: readonly AgentDefinition[], env: Environment): readonly AgentDefinition[] =>
  agents.map((each) => made.get(each)?.(env) ?? each);

/** `directory`: what it may read; `data`: where sessions are, which it may not; `env`: where a model's key may be. */
export function assistant(of: { directory: string; data: string; env: Environment }): AgentDefinition {
  const { directory, data, env } = of;
  const hide = [data, ...readdirSync(directory).filter((name) => HIDDEN.test(name))];
  const defined = agent({
    name: 'assistant',
    description: 'Reads the working directory, asks a person, sleeps.',
    model: usualModel(env),
    instructions: INSTRUCTIONS,
    tools: [
      files({ root: directory, hide }),
      files({ mounts: true, write: true, prefix: 'mounted_' }),
      readMore(),
      ask(),
      sleep(),
      ...skillsIn([join(directory, 'skills')]),
    ],
    sources: [agentsFiles({ root: directory })],
  });
  made.set(defined, (keyed) => assistant({ ...of, env: keyed }));
  return defined;
}
