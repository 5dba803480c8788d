/**
 * What the arguments of a call name in the world, for rules on paths, hosts and commands. Pure.
 *
 * N1 What a tool declares (`names`) is all that counts. Of a tool that declares nothing each text in the arguments may
 *    be a path or a URL: enough to ask or to deny, never to allow.
 *    What the tool found out of where its paths lead counts beside what they say (`Reach`).
 * N2 What cannot be read (a URL that is none, a path with control characters, a word that is known only when it runs)
 *    is `unclear`: nothing is allowed by it, and what may be denied is.
 */
import type { Act, ArgumentNames } from '@perdure/engine';
import { LIMITS } from '../limits.ts';
import type { EffectClass, Reached } from '../ports.ts';
import { normalPath } from './patterns.ts';
import type { ShellScript } from './shell.ts';
import { readScript } from './shell.ts';

/** `certain`: this is all. `guessed`: it may be this. `unclear`: it may be anything. */
export type Certainty = 'certain' | 'guessed' | 'unclear';
export type CallFacts = {
  args: unknown;
  paths: { certainty: Certainty; named: readonly { path: string; tree: boolean }[] };
  hosts: { certainty: Certainty; named: readonly string[] };
  /** Null: it runs no command. */
  scripts: readonly ShellScript[] | null;
};

/** What a tool told of where its paths lead; `unclear`: it could not; null: nobody asked. */
export type Reach = readonly Reached[] | 'unclear' | null;

const BOTH: readonly Act[] = ['write', 'egress'];

/** What a tool does to the world, where it says so or not. */
export const actsOf = (declared: { effect: EffectClass; acts?: readonly Act[] } | undefined): readonly Act[] =>
  declared?.acts ?? (declared?.effect === 'pure' ? [] : BOTH);

export function factsOf(names: ArgumentNames | undefined, args: unknown, reach: Reach = null): CallFacts {
  const said = saidIn(names, args);
  if (reach === null) return said;
  const places = reach === 'unclear' ? [null] : reach.map(({ path, tree }) => pathOf(path, tree));
  const led = places.filter((place) => place !== null);
  const certainty = places.includes(null) ? 'unclear' : 'certain';
  return { ...said, paths: worst(certainty, [...said.paths.named, ...led], said.paths.certainty) };
}

function saidIn(names: ArgumentNames | undefined, args: unknown): CallFacts {
  const commands = textsAt(args, names === undefined ? GUESSED_COMMANDS : (names.commands ?? []));
  const scripts = commands.length === 0 ? null : commands.map(readScript);
  const loose = names === undefined ? leavesOf(args) : [];
  const { paths, hosts } = scripts === null ? NOTHING : inScripts(scripts);
  if (names === undefined) {
    return {
      args,
      paths: worst('guessed', [...loose.flatMap((text) => pathOf(text, false) ?? []), ...paths.named], paths.certainty),
      hosts: worst('guessed', [...loose.flatMap(hostsIn), ...hosts.named], hosts.certainty),
      scripts,
    };
  }
  const single = textsAt(args, names.paths ?? []).map((text) => pathOf(text, false));
  // A folder that is not named is the root.
  const trees = (names.trees ?? []).flatMap((place) => {
    const given = textsAt(args, [place]);
    return (given.length === 0 ? ['.'] : given).map((text) => pathOf(text, true));
  });
  const patched = textsAt(args, names.patches ?? [])
    .flatMap(pathsInPatch)
    .map((text) => pathOf(text, false));
  const places = [...single, ...trees, ...patched];
  const urls = textsAt(args, names.urls ?? []).map(hostOf);
  const certain = <T>(all: readonly (T | null)[]): Certainty => (all.includes(null) ? 'unclear' : 'certain');
  const known = <T>(all: readonly (T | null)[]): T[] => all.filter((each): each is T => each !== null);
  return {
    args,
    paths: worst(certain(places), [...known(places), ...paths.named], paths.certainty),
    hosts: worst(certain(urls), [...known(urls), ...hosts.named], hosts.certainty),
    scripts,
  };
}

const GUESSED_COMMANDS = ['command', 'cmd', 'script', 'shell_command', 'commandLine', 'command_line'];
const NOTHING: Pick<CallFacts, 'paths' | 'hosts'> = {
  paths: { certainty: 'certain', named: [] },
  hosts: { certainty: 'certain', named: [] },
};

const ORDER: readonly Certainty[] = ['certain', 'guessed', 'unclear'];
const worst = <T>(a: Certainty, named: T[], b: Certainty): { certainty: Certainty; named: T[] } => ({
  certainty: ORDER[Math.max(ORDER.indexOf(a), ORDER.indexOf(b))] ?? 'unclear',
  named,
});

/** A command may do what its words do not say: they are looked at, and are never all. What it can reach is its sandbox's to bound. */
function inScripts(scripts: readonly ShellScript[]): Pick<CallFacts, 'paths' | 'hosts'> {
  const words = scripts.flatMap(({ texts }) => texts);
  const isClear = scripts.every(({ clear }) => clear) && !words.includes(null);
  const certainty = isClear ? 'guessed' : 'unclear';
  const texts = words.flatMap((word) => (word === null ? [] : [word, ...word.split(/[=:,@]/)]));
  return {
    paths: { certainty, named: texts.flatMap((text) => pathOf(text, false) ?? []) },
    hosts: { certainty, named: texts.flatMap(hostsIn) },
  };
}

/** Null: it is no path that can be compared. */
function pathOf(text: string, tree: boolean): { path: string; tree: boolean } | null {
  // oxlint-disable-next-line no-control-regex -- what these do to a path is another question in each system
  if (text === '' || /[\u0000-\u001f\\]/.test(text) || text !== text.normalize('NFC')) return null;
  return { path: normalPath(text), tree };
}

function hostOf(text: string): string | null {
  const hostname = URL.parse(text)?.hostname ?? '';
  return hostname === '' ? null : hostname.replace(/\.$/, '');
}

/** A URL, or what may be the name of a host. */
function hostsIn(text: string): string[] {
  const named = hostOf(text);
  if (named !== null) return [named];
  const bare = /^(?:[\w-]+\.)+[a-z][\w-]*(?=[/:?#]|$)/i.exec(text)?.[0];
  return bare === undefined ? [] : [bare.toLowerCase()];
}

/** The paths that the header lines of a unified diff name; a line that only looks like one counts, too. */
function pathsInPatch(patch: string): string[] {
  const found: string[] = [];
  for (const line of patch.split('\n')) {
    const path = /^(?:---|\+\+\+|rename from|rename to|copy from|copy to) ([^\t\r]+)/.exec(line)?.[1]?.trim();
    if (path === undefined || path === '/dev/null') continue;
    found.push(path.replace(/^"(.*)"$/, '$1').replace(/^[ab]\//, ''));
  }
  return found;
}

/** The value at a name or a JSON pointer (RFC 6901); `undefined` where there is none. */
export function valueAt(args: unknown, place: string): unknown {
  return valuesAt(args, segmentsOf(place))[0];
}

const segmentsOf = (place: string): string[] =>
  place.startsWith('/')
    ? place
        .slice(1)
        .split('/')
        .map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'))
    : [place];

function valuesAt(value: unknown, [segment, ...rest]: readonly string[]): unknown[] {
  if (segment === undefined) return value === undefined ? [] : [value];
  if (typeof value !== 'object' || value === null) return [];
  if (segment === '*') return Object.values(value).flatMap((member) => valuesAt(member, rest));
  if (Array.isArray(value) && !/^(?:0|[1-9]\d*)$/.test(segment)) return [];
  return Object.hasOwn(value, segment) ? valuesAt((value as { [name: string]: unknown })[segment], rest) : [];
}

const textsAt = (args: unknown, places: readonly string[]): string[] =>
  places.flatMap((place) => valuesAt(args, segmentsOf(place)).flatMap(leavesOf));

/** All texts, numbers and truths in a value, as text; of very many the first. Its depth is bounded where it was taken in. */
export function leavesOf(value: unknown): string[] {
  const found: string[] = [];
  const collect = (each: unknown): void => {
    if (found.length >= LIMITS.ruledTexts) return;
    if (typeof each === 'object' && each !== null) for (const member of Object.values(each)) collect(member);
    else if (typeof each === 'string') found.push(each);
    else if (typeof each === 'number' || typeof each === 'boolean') found.push(JSON.stringify(each));
  };
  collect(value);
  return found;
}
