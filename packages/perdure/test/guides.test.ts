/** What the guides show is what there is: each command is understood, each address exists, each program holds its types. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { CHANNELS, METHODS } from '@perdure/contract';
import { parse } from '../src/cli/parse.ts';

const root = resolve(import.meta.dirname, '../../..');
const guides = join(root, 'docs/guides');
const pages = ['README.md', 'packages/perdure/README.md', ...readdirSync(guides).map((name) => `docs/guides/${name}`)];

type Block = { page: string; line: number; language: string; text: string };

/** Fenced blocks, those of list items without their indentation. */
function blocksOf(page: string): Block[] {
  const lines = readFileSync(join(root, page), 'utf8').split('\n');
  const blocks: Block[] = [];
  for (let n = 0; n < lines.length; n += 1) {
    const [, indent = '', language] = /^( *)```(\w*)$/.exec(lines[n] ?? '') ?? [];
    if (language === undefined) continue;
    const from = n + 1;
    for (n += 1; (lines[n] ?? '```').trim() !== '```'; n += 1);
    const text = lines.slice(from, n).map((line) => line.slice(indent.length));
    blocks.push({ page, line: from + 1, language, text: `${text.join('\n')}\n` });
  }
  return blocks;
}
const blocks = pages.flatMap(blocksOf);

/** What is typed: of a block with prompts, what stands behind them. */
function typed(text: string, language: string): string {
  if (language === 'sh' && !/^\$ /m.test(text)) return text;
  return [...text.matchAll(/^\$ (.*)$/gm)].map(([, command]) => `${command}\n`).join('');
}

/** The simple commands of a script, as words: quotes are taken away, redirections and comments left out. */
function commandsOf(script: string): string[][] {
  const commands: string[][] = [[]];
  const token =
    /\\\n|\$\((?:[^()]|\([^()]*(?:\([^()]*\)[^()]*)*\))*\)|(#[^\n]*)|(\n|&&|\|\||[;|&])|([<>]\s*\S+)|((?:'[^']*'|"[^"]*"|[^\s'"#;|&<>]|(?<=\S)#)+)/g;
  for (const [, comment, end, redirection, word] of script.matchAll(token)) {
    if (end !== undefined) commands.push([]);
    else if (word !== undefined && comment === undefined && redirection === undefined)
      commands.at(-1)?.push(word.replaceAll(/'([^']*)'|"([^"]*)"/g, '$1$2'));
  }
  return commands.filter((words) => words.length > 0);
}

describe('what the guides show', () => {
  void test('each command is one, with its flags and as many words as it takes', () => {
    let count = 0;
    for (const { page, line, language, text } of blocks.filter((block) => /^(sh)?$/.test(block.language))) {
      for (const words of commandsOf(typed(text, language))) {
        const [first, ...rest] = words[0] === 'npx' ? words.slice(1) : words;
        if (first !== 'perdure') continue;
        count += 1;
        assert.doesNotThrow(() => parse(rest, 'chat'), `${page}:${line}: ${words.join(' ')}`);
      }
    }
    assert.ok(count > 40, `only ${count} commands were found`);
  });

  void test('each address below /v1 is one of the interface', () => {
    const known = [...Object.values(METHODS), ...Object.values(CHANNELS)].map(({ path }) => path);
    const isKnown = (path: string): boolean =>
      ['/rpc', '/openapi.json', '/openrpc.json', '/*'].includes(path) ||
      known.some((row) => new RegExp(`^${row.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(path));
    for (const page of pages)
      for (const [, path = ''] of readFileSync(join(root, page), 'utf8').matchAll(/\/v1(\/[\w{}./*-]+)/g))
        assert.ok(isKnown(path.replace(/\.$/, '')), `${page}: /v1${path}`);
  });

  void test('each topic that is linked is there', () => {
    for (const page of pages)
      for (const [, path = ''] of readFileSync(join(root, page), 'utf8').matchAll(/\]\((?!https?:|#)([^)#]+)/g))
        assert.doesNotThrow(
          () => readdirSync(join(root, dirname(page), dirname(path))).includes(basename(path)) || assert.fail(),
          `${page}: ${path}`,
        );
  });
});

/** What a page takes as given: names that its programs use and do not make. */
const GIVEN = `
import type { AgentDefinition, Runtime, Session, SessionRun, ToolContext } from 'perdure';
import * as perdure from 'perdure';
import type { Hono } from 'hono';
import type * as zod from 'zod';
declare global {
  const agent: typeof perdure.agent;
  const tool: typeof perdure.tool;
  const defineConfig: typeof perdure.defineConfig;
  const wait: typeof perdure.wait;
  const z: typeof zod.z;
  const handler: typeof perdure.handler;
  const assistant: AgentDefinition;
  var desk: AgentDefinition;
  const rt: Runtime;
  const session: Session;
  const run: SessionRun;
  const id: string;
  const token: string;
  const question: string;
  const bank: any;
  const carrier: any;
  const warehouse: any;
  const app: Hono;
  const charge: ReturnType<typeof perdure.tool>;
}
`;

test('each program in the guides holds its types', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'perdure-guides-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  writeFileSync(join(folder, 'given.d.ts'), GIVEN);
  writeFileSync(join(folder, 'package.json'), '{"type": "module"}');
  writeFileSync(join(folder, 'agents.ts'), 'export const { desk } = globalThis;\n');
  writeFileSync(join(folder, 'bank.ts'), 'export const bank = new Map<string, number>();\n');
  copyFileSync(join(root, 'examples/first-agent/perdure.config.ts'), join(folder, 'perdure.config.ts'));
  const names = new Map<string, string>();
  for (const { page, line, text } of blocks.filter(({ language }) => language === 'ts')) {
    const name = `${basename(page, '.md')}-${line}.ts`;
    names.set(name, `${page}:${line}`);
    writeFileSync(join(folder, name), `${text}\nexport {};\n`);
  }
  const types = {
    ...(JSON.parse(readFileSync(join(root, 'tsconfig.json'), 'utf8')) as { compilerOptions: object }).compilerOptions,
    noUnusedLocals: false,
    noUnusedParameters: false,
    noPropertyAccessFromIndexSignature: false,
  };
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: { ...types, noEmit: true }, include: ['*.ts'] }),
  );
  const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
  const { stdout } = await promisify(execFile)(process.execPath, [compiler, '-p', folder, '--pretty', 'false'], {
    cwd: folder,
  }).catch((error: { stdout: string }) => error);
  const told = stdout
    .trim()
    .split('\n')
    .filter((text) => text !== '')
    .map((text) => text.replace(/^[\w.-]+\.ts/, (name) => names.get(name) ?? name));
  assert.deepEqual(told, []);
});
