/**
 * Skills as folders: `NAME/SKILL.md` begins with a front matter of YAML that says `name` (the folder's) and `description`;
 * what follows is its body. The format is that of https://agentskills.io/specification.
 */
import { readdirSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { LIMITS } from '../limits.ts';
import { readSmallFile } from './small-file.ts';

export type Skill = { name: string; description: string; body: string; folder: string };
/** `folder`: as the problem is told to people. */
export type SkillProblem = { folder: string; problem: string };
export type Catalog = { skills: ReadonlyMap<string, Skill>; problems: readonly SkillProblem[] };

export const SKILL_FILE = 'SKILL.md';
const NAME = /^[a-z0-9]+(?:-[a-z0-9]+)*$/;
const FRONT = /^---[ \t]*\r?\n([\s\S]*?)\r?\n---[ \t]*(?:\r?\n|$)/;
const frontShape = z.object({
  name: z
    .string('write the name of the folder')
    .max(LIMITS.skillNameChars, `at most ${LIMITS.skillNameChars} characters`)
    .regex(NAME, 'lower-case letters, digits and single hyphens'),
  description: z
    .string('write a text')
    .trim()
    .min(1, 'write a text')
    .max(LIMITS.skillDescriptionChars, `at most ${LIMITS.skillDescriptionChars} characters`),
});

/** What is in these folders now; of two skills of one name, that of the earlier folder. Never throws. */
export function readCatalog(folders: readonly string[]): Catalog {
  const skills = new Map<string, Skill>();
  const problems: SkillProblem[] = [];
  for (const folder of folders) {
    for (const name of namesIn(folder)) {
      const found = readSkill(folder, name);
      if (found === null || skills.has(name)) continue;
      if ('problem' in found) problems.push(found);
      else if (skills.size < LIMITS.skills) skills.set(name, found);
      else problems.push({ folder: join(folder, name), problem: `there are more than ${LIMITS.skills} skills` });
    }
  }
  return { skills, problems };
}

/** Folders alone: a link may lead anywhere. */
function namesIn(folder: string): string[] {
  try {
    const found = readdirSync(folder, { withFileTypes: true });
    return found.flatMap((entry) => (entry.isDirectory() && !/^[._]/.test(entry.name) ? [entry.name] : [])).toSorted();
  } catch {
    return [];
  }
}

/** What was read of a file, for as long as it is the same one: a run that starts looks at each. */
const known = new Map<string, { mark: string; skill: Skill }>();

/** Null where a folder is no skill. */
function readSkill(parent: string, name: string): Skill | SkillProblem | null {
  const path = join(parent, name, SKILL_FILE);
  let mark: string;
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    mark = [dev, ino, size, mtimeNs, ctimeNs].join(' ');
  } catch {
    return null;
  }
  const before = known.get(path);
  if (before?.mark === mark) return before.skill;
  const skill = parseSkill(parent, name);
  if (known.size >= LIMITS.knownSkills) known.clear();
  if (skill !== null && !('problem' in skill)) known.set(path, { mark, skill });
  else known.delete(path);
  return skill;
}

function parseSkill(parent: string, name: string): Skill | SkillProblem | null {
  const folder = join(parent, name);
  const path = join(folder, SKILL_FILE);
  const bad = (problem: string): SkillProblem => ({ folder, problem });
  let real: string;
  try {
    real = realpathSync.native(folder);
  } catch {
    return null;
  }
  const file = readSmallFile(real, path, LIMITS.skillBytes);
  if (file === null) return bad(`${SKILL_FILE} is no text of this folder's own`);
  if (file.cut)
    return bad(`${SKILL_FILE} has more than ${LIMITS.skillBytes} bytes: move parts into files of their own`);
  const [front, yaml = ''] = FRONT.exec(file.text.replace(/^﻿/, '')) ?? [];
  if (front === undefined) return bad(`${SKILL_FILE} does not begin with --- and a front matter`);
  const given = frontOf(yaml);
  if ('problem' in given) return bad(given.problem);
  if (given.name !== name) return bad(`is called ${given.name} in its ${SKILL_FILE}: folder and name are the same`);
  const description = given.description.replaceAll(/\s+/g, ' ');
  return { name, description, body: file.text.slice(front.length).trim(), folder };
}

/** What is wrong with the front matter, and what to write. */
function misfitOf({ issues: [issue] }: z.ZodError): string {
  const [member] = issue?.path ?? [];
  if (member === undefined) return 'the front matter holds no members: write name and description';
  const purpose = member === 'description' ? ', a sentence on what the skill is for and when to use it' : '';
  return `the front matter has no fitting ${String(member)}: ${issue?.message ?? 'it is odd'}${purpose}`;
}

function frontOf(yaml: string): { name: string; description: string } | { problem: string } {
  let read: unknown;
  try {
    read = parse(yaml, { maxAliasCount: 0, schema: 'core', prettyErrors: false });
  } catch (error) {
    return { problem: `the front matter is no YAML: ${error instanceof Error ? error.message : 'broken'}` };
  }
  const shape = frontShape.safeParse(read);
  return shape.success ? shape.data : { problem: misfitOf(shape.error) };
}
