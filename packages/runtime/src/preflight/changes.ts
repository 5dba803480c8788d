/** How two versions of an agent differ, in words. */
import type { Manifest } from '../definitions/agents.ts';
import { modelsIn } from '../definitions/route.ts';
import { canonicalJson } from '../log/digest.ts';

const same = (a: unknown, b: unknown): boolean => canonicalJson(a ?? null) === canonicalJson(b ?? null);

/** Each part that binds a run and is another now; [] where none is. */
export function changesOf(before: Manifest, now: Manifest): string[] {
  const changes: string[] = [];
  const [was, is] = [before.model, now.model].map((route) => modelsIn(route).join(', '));
  if (was !== is) changes.push(`model: ${was} → ${is}`);
  if (before.instructions !== now.instructions) changes.push('instructions');
  changes.push(...toolChanges(before.tools, now.tools));
  for (const part of ['policies', 'limits', 'output', 'tier'] as const) {
    if (same(before[part], now[part])) continue;
    changes.push(part === 'limits' ? `limits: ${memberChanges(before.limits, now.limits)}` : part);
  }
  return changes;
}

type Tools = Manifest['tools'];

function toolChanges(before: Tools, now: Tools): string[] {
  const changes: string[] = [];
  const known = new Map(before.map((each) => [each.name, each]));
  for (const is of now) {
    const was = known.get(is.name);
    known.delete(is.name);
    if (was === undefined) changes.push(`tool ${is.name}: new`);
    else if (!same(was, is)) changes.push(`tool ${is.name}: ${memberChanges(was, is)}`);
  }
  return [...changes, ...[...known.keys()].map((name) => `tool ${name}: gone`)];
}

/** `timeoutMs 60000 → 1000, description`: values where they are short. */
function memberChanges(before: object, now: object): string {
  const [was, is] = [new Map(Object.entries(before)), new Map(Object.entries(now))];
  const names = [...new Set([...was.keys(), ...is.keys()])].filter((name) => !same(was.get(name), is.get(name)));
  return names.map((name) => `${WORDS[name] ?? name}${values(was.get(name), is.get(name))}`).join(', ');
}

/** As people call them. */
const WORDS: { readonly [member: string]: string } = { input: 'schema', effect: 'class' };

function values(was: unknown, is: unknown): string {
  const short = [was, is].every((value) => ['number', 'boolean', 'undefined'].includes(typeof value) || isWord(value));
  return short ? ` ${shown(was)} → ${shown(is)}` : '';
}
const isWord = (value: unknown): boolean => typeof value === 'string' && /^[\w.-]{1,20}$/.test(value);
const shown = (value: unknown): string =>
  value === undefined ? 'none' : typeof value === 'string' ? value : JSON.stringify(value);
