import { realpathSync, statSync } from 'node:fs';
import { join, resolve, sep } from 'node:path';
import type { ToolDefinition, ToolResult } from '@perdure/runtime/ports';
import { z } from 'zod';
import { definePure } from '../define.ts';
import { ToolFailure, ToolOptionsError } from '../failure.ts';
import { digestOf, readWhole, textOf } from '../files/content.ts';
import { openNamed, openRoot, type Root } from '../files/root.ts';
import { LIMITS } from '../limits.ts';
import { checkOptions } from '../options.ts';
import type { Catalog, Skill } from './catalog.ts';
import { readCatalog, SKILL_FILE } from './catalog.ts';

export type SkillsOptions = {
  /** Folders whose folders are skills. The earlier goes first where two have a skill of one name. */
  folders: string | readonly string[];
  /**
   * Whether what skills say counts as instructions (default). `false` where others than you may have written them: the
   * catalog is told as information, and what is read of it taints.
   */
  trusted?: boolean;
};

const DESCRIPTION = `Reads a skill of the catalog: how to do what it is for, and which files it has; with file one of these. \
Read it before you do what a skill is for.`;
const CATALOG = 'What is known of how certain things are done. The tool `skill` reads one of these by its name:';

/**
 * The tool `skill`, and the catalog of skills behind the agent's instructions, as the folders hold them when a run starts.
 * Pure; runs unasked; reads the skills' own folders alone. Failures are error results: `not_found`, and those of
 * reading files (see `files`).
 *
 * Throws ToolOptionsError `invalid_options`, `invalid_root` where a folder is none, `invalid_skill` where a skill is broken.
 */
export function skills(options: SkillsOptions): ToolDefinition {
  checkOptions('skills', options);
  const { folders, trusted = true } = options;
  const places = [folders].flat().map((folder) => resolve(folder));
  for (const place of places)
    if (statSync(place, { throwIfNoEntry: false })?.isDirectory() !== true)
      throw new ToolOptionsError('invalid_root', `${place} is no folder: name one that holds skills`);
  const [first] = readCatalog(places).problems;
  if (first !== undefined) throw new ToolOptionsError('invalid_skill', `${first.folder}: ${first.problem}`);
  const definition = definePure({
    name: 'skill',
    description: DESCRIPTION,
    ...(trusted ? {} : { taint: 'file' as const }),
    input: z.strictObject({
      skill: z.string().min(1).max(LIMITS.skillNameChars),
      file: z.string().min(1).max(LIMITS.pathChars).optional().describe(`A file of the skill, relative to its folder.`),
    }),
    timeoutMs: LIMITS.readTimeoutMs,
    run: async ({ skill, file }, { signal }) => {
      const found = chosen(readCatalog(places), skill);
      const root = rootOf(found);
      return file === undefined ? describe(found, root) : read(found, root, file, signal);
    },
  });
  return { ...definition, source: { key: 'Skills', trusted, read: () => catalogText(readCatalog(places)) } };
}

const catalogText = ({ skills: found }: Catalog): string =>
  found.size === 0
    ? ''
    : [CATALOG, ...[...found.values()].map(({ name, description }) => `- ${name}: ${description}`)].join('\n');

function chosen({ skills: found }: Catalog, name: string): Skill {
  const skill = found.get(name);
  if (skill !== undefined) return skill;
  throw new ToolFailure('not_found', `There is no skill ${name}. Skills: ${[...found.keys()].join(', ') || 'none'}.`);
}

/** Its folder, which is no link and behind none that came up since. */
function rootOf({ name, folder }: Skill): Root {
  const root = openRoot({ root: folder });
  if (root.real !== join(realpathSync.native(join(folder, '..')), name))
    throw new ToolFailure('changed', `The folder of ${name} has become a link: it is not read.`);
  return root;
}

async function describe({ name, body }: Skill, root: Root): Promise<ToolResult> {
  const { files, cut } = await filesOf(root);
  const more = cut ? `\n[there are more than ${LIMITS.skillFiles}]` : '';
  const list = files.length === 0 ? '' : `\n\nIts files, which you read with file:\n${files.join('\n')}${more}`;
  return { content: `${body}${list}`, details: { skill: name, digest: digestOf(Buffer.from(body)), files } };
}

async function filesOf(root: Root): Promise<{ files: string[]; cut: boolean }> {
  const files: string[] = [];
  const folders = ['.'];
  for (let folder = folders.shift(); folder !== undefined; folder = folders.shift()) {
    await using opened = await openNamed(root, folder, 'directory');
    const { entries, cut } = await opened.entries();
    for (const { name, kind } of entries) {
      const path = folder === '.' ? name : `${folder}/${name}`;
      if (kind === 'directory' && path.split('/').length < LIMITS.skillDepth) folders.push(path);
      if (kind === 'file' && path !== SKILL_FILE) files.push(path);
      if (cut || files.length > LIMITS.skillFiles) return { files: files.slice(0, LIMITS.skillFiles), cut: true };
    }
  }
  return { files: files.toSorted(), cut: false };
}

async function read({ name }: Skill, root: Root, path: string, signal: AbortSignal): Promise<ToolResult> {
  await using file = await openNamed(root, path, 'file');
  const bytes = await readWhole(file, signal);
  const text = textOf(bytes, file.shown);
  const shown = text.slice(0, LIMITS.skillFileChars);
  const cut = shown.length < text.length ? `\n[the first ${shown.length} of ${text.length} characters]` : '';
  return {
    content: `${shown}${cut}`,
    details: { skill: name, file: file.shown.split(sep).join('/'), digest: digestOf(bytes) },
  };
}
