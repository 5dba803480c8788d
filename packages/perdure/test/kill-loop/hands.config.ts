// The configuration of agents with hands: it is copied as perdure.config.ts into a folder of its own.
import { agent, defineConfig, files, jobs, shell } from 'perdure';

const { EFFECTS: root = '' } = process.env;

export default defineConfig({
  agents: [
    agent({
      name: 'hand',
      model: 'openai-chat/kill-loop',
      instructions: 'Do what you are told, step by step.',
      tools: [
        ...files({ mounts: true, write: true }),
        shell({ root, write: true }),
        { ...shell({ mounts: true }), name: 'shell_mounted' },
        ...jobs({ root, write: true }),
        ...jobs({ mounts: true }).flatMap((tool) =>
          tool.name === 'job_start' ? [{ ...tool, name: 'job_mounted' }] : [],
        ),
      ],
    }),
  ],
});
