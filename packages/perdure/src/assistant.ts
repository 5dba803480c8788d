/** The agent that is there when no configuration is: it reads the working directory, asks, and sleeps. */
import { readdirSync } from 'node:fs';
import type { AgentDefinition } from '@perdure/runtime';
import { agent } from '@perdure/runtime';
import { ask, files, sleep } from './tools.ts';

const OPENAI_MODEL = 'openai-chat/gpt-5-mini';
/** What may hold credentials, by name in the working directory. */
const HIDDEN = /^(\.env($|\.)|\.git$|\.ssh$|\.npmrc$|\.netrc$)/;

const INSTRUCTIONS = `You are a careful assistant. You can read the files of the folder you were started in, and nothing \
else; you cannot change anything. Look before you answer, and say which files your answer rests on. Ask when only a person \
can know or decide.`;

/** `directory`: what it may read; `data`: where sessions are, which it may not. */
export function assistant(of: { directory: string; data: string; hasKey: boolean }): AgentDefinition {
  const { directory, data, hasKey } = of;
  const hide = [data, ...readdirSync(directory).filter((name) => HIDDEN.test(name))];
  return agent({
    name: 'assistant',
    description: 'Reads the working directory, asks a person, sleeps.',
    model: hasKey ? OPENAI_MODEL : 'demo',
    instructions: INSTRUCTIONS,
    tools: [files({ root: directory, hide }), ask(), sleep()],
  });
}
