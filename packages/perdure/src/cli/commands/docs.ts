/** The guides, as they came with this version. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Run } from '../context.ts';
import { isJson } from '../context.ts';
import { EXIT, UsageError } from '../exit.ts';
import { print, printJson, table } from '../output.ts';

/** In the package they lie beside the bundle, in the clone at its root. */
const FOLDERS = ['guides', '../../../../../docs/guides'].map((path) => join(import.meta.dirname, path));

export const docs: Run = async (context) => {
  const folder = FOLDERS.find((path) => existsSync(path)) ?? '';
  const topics = readdirSync(folder)
    .filter((name) => name.endsWith('.md'))
    .map((name) => name.slice(0, -'.md'.length))
    .toSorted();
  const [topic] = context.args;
  if (topic !== undefined && !topics.includes(topic))
    throw new UsageError(`there is no guide '${topic}'; there are: ${topics.join(', ')}`);
  const textOf = (name: string): string => readFileSync(join(folder, `${name}.md`), 'utf8');
  const titleOf = (text: string): string => /^# (.+)$/m.exec(text)?.[1] ?? '';
  if (topic !== undefined) {
    if (isJson(context)) printJson({ topic, title: titleOf(textOf(topic)), markdown: textOf(topic) });
    else print(textOf(topic));
    return EXIT.ok;
  }
  const rows = topics.map((name) => ({ topic: name, title: titleOf(textOf(name)) }));
  if (isJson(context)) printJson({ topics: rows });
  else print(`${table(rows.map(({ topic: name, title }) => [name, title]))}\nperdure docs TOPIC shows one.\n`);
  return EXIT.ok;
};
