/**
 * `npm run docs`: a reference of everything the package exports, one page a door, made of the declarations and their
 * docstrings. Written to `dist/reference` of the package, or to the folder that is named.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { declare, DOORS } from './declarations.ts';

type Statement = { doc: string; code: string };
type Found = Statement & { name: string };

const EXPORT_LIST = /^export (?:type )?\{([^}]*)\}(?: from '([^']+)')?;/gm;
const DECLARED = /^(?:export )?(?:declare )?(?:abstract )?(?:const|function|class|interface|type) ([A-Za-z_$][\w$]*)/;

/** The statements of a declaration file, each with the comment before it. The compiler begins each at its line's start. */
function statementsOf(text: string): Map<string, Statement> {
  const found = new Map<string, Statement>();
  const pieces = text.split(/^(?=\/\*\*|export |declare |type |interface |import )/m);
  let doc = '';
  for (const piece of pieces) {
    const end = piece.startsWith('/**') ? piece.indexOf('*/') + 2 : 0;
    const code = piece.slice(end).trim();
    if (end > 0) doc = plain(piece.slice(0, end));
    if (code === '') continue;
    const name = DECLARED.exec(code)?.[1];
    if (name !== undefined) {
      const before = found.get(name);
      const own = { doc, code: code.replace(/^export (declare )?|^declare /, '') };
      found.set(name, before === undefined ? own : { doc: before.doc || doc, code: `${before.code}\n${own.code}` });
    }
    doc = '';
  }
  return found;
}

const plain = (comment: string): string =>
  comment
    .slice(3, -2)
    .split('\n')
    .map((line) => line.replace(/^\s*\* ?/, '').trim())
    .join('\n')
    .trim();

/** Where a name that a file exports is declared, through the lists of other files. Null: in a library. */
function locate(file: string, name: string): Found | null {
  const text = readFileSync(file, 'utf8');
  const own = statementsOf(text).get(name);
  if (own !== undefined) return { name, ...own };
  for (const [, list = '', from] of text.matchAll(EXPORT_LIST)) {
    const names = list.split(',').map((part) => part.trim().replace(/^type /, ''));
    const given = names.find((part) => (/ as (.+)$/.exec(part)?.[1] ?? part) === name);
    if (given === undefined || from?.startsWith('.') !== true) continue;
    return locate(resolve(dirname(file), from.replace(/\.js$/, '.d.ts')), given.replace(/ as .+$/, ''));
  }
  return null;
}

function exportedNames(file: string): string[] {
  const text = readFileSync(file, 'utf8');
  const listed = [...text.matchAll(EXPORT_LIST)].flatMap(([, list = '']) =>
    list.split(',').map((part) =>
      part
        .trim()
        .replace(/^type /, '')
        .replace(/^.+ as /, ''),
    ),
  );
  const declared = [...statementsOf(text)].filter(([name]) => new RegExp(`^export .*\\b${name}\\b`, 'm').test(text));
  return [...new Set([...listed, ...declared.map(([name]) => name)])].filter((name) => name !== '').toSorted();
}

function page(door: string, file: string): string {
  const title = door === 'index' ? 'perdure' : `perdure/${door}`;
  const entries = exportedNames(file).flatMap((name) => locate(file, name) ?? []);
  const isValue = ({ code }: Found): boolean => /^(?:abstract )?(?:const|function|class) /.test(code);
  const shown = ({ name, doc, code }: Found): string =>
    [`### ${name}`, ...(doc === '' ? [] : [doc]), `\`\`\`ts\n${code}\n\`\`\``].join('\n\n');
  const part = (heading: string, list: Found[]): string[] =>
    list.length === 0 ? [] : [`## ${heading}`, ...list.map(shown)];
  return `${[
    `# ${title}`,
    ...part('Functions and classes', entries.filter(isValue)),
    ...part(
      'Types',
      entries.filter((entry) => !isValue(entry)),
    ),
  ].join('\n\n')}\n`;
}

const out = resolve(process.argv[2] ?? join(import.meta.dirname, '../dist/reference'));
// Inside the clone, where the compiler finds the types of libraries.
const dist = join(import.meta.dirname, '../dist');
mkdirSync(dist, { recursive: true });
const work = mkdtempSync(join(dist, 'types-'));
try {
  declare(join(work, 'types'));
  mkdirSync(out, { recursive: true });
  for (const door of DOORS) {
    const text = page(door, join(work, `types/perdure/src/${door}.d.ts`));
    writeFileSync(join(out, `${door}.md`), text);
    process.stdout.write(`${join(out, `${door}.md`)}  ${text.match(/^### /gm)?.length ?? 0} entries\n`);
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
