/**
 * Research in a folder: three agents' runs read files side by side, each under a cap of tokens, and one writes its findings
 * as data that fits a schema.
 *
 *     npx node examples/research/program.ts [FOLDER] [DATA]
 */
import { agent, createRuntime, files } from 'perdure';
import { join } from 'node:path';
import { z } from 'zod';

const folder = process.argv[2] ?? join(import.meta.dirname, 'papers');
const data = process.argv[3] ?? '.perdure';
const model = process.env['OPENAI_API_KEY'] === undefined ? 'demo' : 'openai/gpt-5-mini';

const reader = agent({
  name: 'reader',
  model,
  instructions: 'You answer from the files of this folder, and name the file and the line.',
  tools: files({ root: folder }), // read-only, and never outside the folder
  limits: { turns: 8, tokens: 60_000 },
});
const clerk = agent({
  name: 'clerk',
  model,
  instructions: 'You turn findings into data.',
  output: z.object({ findings: z.array(z.string()) }),
});

const rt = await createRuntime({ agents: [reader, clerk], data });
const questions = [
  'call grep {"pattern": "half-life"}',
  'call list_files {}\nthen\ncall read_file {"path": "decay.md"}',
  'call glob {"pattern": "*.md"}',
];
const answers = await Promise.all(
  questions.map(async (question) => (await (await rt.open('reader')).send(question)).result()),
);
for (const { status, text, usage } of answers)
  console.log(`${status} after ${usage.input + usage.output} tokens: ${text.split('\n')[0]}`);

const findings = JSON.stringify({ findings: answers.map(({ text }) => text.split('\n')[0] ?? '') });
const end = await (await (await rt.open('clerk')).send(`say ${findings}`)).result();
console.log(`${end.status}: ${JSON.stringify(end.output)}`);
await rt.close();
