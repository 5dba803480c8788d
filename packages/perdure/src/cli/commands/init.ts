/** Writes a project that works, and says what to do next. */
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { projectFiles } from '../../project/template.ts';
import { dependency, version } from '../../version.ts';
import type { Run } from '../context.ts';
import { isJson } from '../context.ts';
import { CommandError, EXIT } from '../exit.ts';
import { print, printJson } from '../output.ts';

/** What a folder may hold already: it says nothing about what is made in it. */
const HARMLESS =
  /^(\.git|\.github|\.gitattributes|\.editorconfig|\.idea|\.vscode|\.DS_Store|Thumbs\.db|LICENSE(\..*)?)$/i;
/** What may stand there from before, and is kept as it is. */
const KEPT = ['README.md', '.gitignore'];

export const init: Run = async (context) => {
  const directory = resolve(context.cwd, context.args[0] ?? '.');
  const there = checked(directory);
  const files = projectFiles(packageName(directory), { perdure: version(), zod: dependency('zod') });
  const kept = KEPT.filter((name) => there.includes(name));
  const written = Object.keys(files).filter((path) => !kept.includes(path));
  for (const path of written) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), files[path] ?? '', { flag: 'wx' });
  }
  const place = relative(context.cwd, directory);
  const next = [...(place === '' ? [] : [`cd ${quoted(place)}`]), 'npm install', 'npm test', 'npm run dev'];
  if (isJson(context)) printJson({ directory, written, kept, next });
  else {
    const notes = kept.includes('.gitignore') ? ['Your .gitignore is kept: see that it has .env and .perdure/.'] : [];
    print(
      [`Written to ${place === '' ? 'this folder' : place}:`, ...written.map((path) => `  ${path}`), ...notes, ''].join(
        '\n',
      ),
    );
    print(`\nNext:\n${next.map((command) => `  ${command}\n`).join('')}`);
  }
  return EXIT.ok;
};

/** What the folder holds. Throws CommandError where something of it might be in the way. */
function checked(directory: string): string[] {
  const stats = statSync(directory, { throwIfNoEntry: false });
  if (stats === undefined) return [];
  const advice = 'name a new folder, or one that is empty';
  if (!stats.isDirectory()) throw new CommandError(EXIT.failed, `${directory} is no folder: ${advice}`);
  const there = readdirSync(directory);
  const others = there.filter((name) => !HARMLESS.test(name) && !KEPT.includes(name));
  if (others.length === 0) return there;
  const shown =
    others.length > 3 ? `${others.slice(0, 3).join(', ')} and ${others.length - 3} more` : others.join(', ');
  throw new CommandError(EXIT.failed, `${directory} is not empty (${shown}): ${advice}`);
}

/** As npm takes a name: lower case, no spaces; see package.json's `name`. */
function packageName(directory: string): string {
  const name = basename(directory)
    .toLowerCase()
    .replaceAll(/[^a-z0-9._-]+/g, '-')
    .replace(/^[._-]+/, '')
    .slice(0, 214);
  return name === '' || name === 'node_modules' || name === 'perdure' ? 'agents' : name;
}

const quoted = (path: string): string => (/^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`);
