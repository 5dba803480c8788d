/**
 * Where a secret may go. One that is bound to hosts is given only for an address there, one that is bound to tools or
 * commands only to these; each kind that is named must fit. What is bound to nothing is given to the code of any tool that
 * asks for it by its name, and never for a placeholder: that is a model's word.
 */

import { readScript } from '../policy/shell.ts';

export type Bindings = {
  /** `api.example.com`, or `*.example.com` for those below it. */
  hosts?: readonly string[];
  tools?: readonly string[];
  /** Programs, as the first word of a command names them. */
  commands?: readonly string[];
};

/** Who asks, and for what. */
export type Place = {
  tool: string;
  /** Where it is to be sent, all of it; missing: nobody said. */
  urls?: readonly string[];
  /** The command of a shell that is to have it. */
  command?: string;
};

/** A secret is not given: the message says what it is bound to, and never what it is. */
export class SecretRefused extends Error {
  override readonly name = 'SecretRefused';
  readonly code = 'secret_refused';
  readonly secret: string;
  constructor(secret: string, message: string) {
    super(message);
    this.secret = secret;
  }
}

/** Why it may not go there; null: it may. */
export function refusalOf(name: string, { hosts, tools, commands }: Bindings, place: Place): string | null {
  const bound = (to: string): string => `secret ${name} is bound to ${to}: it is not given to`;
  if (tools !== undefined && !tools.includes(place.tool)) return `${bound(listed('tool', tools))} ${place.tool}`;
  if (hosts !== undefined) {
    const { urls = [] } = place;
    if (urls.length === 0) return `${bound(listed('host', hosts))} ${place.tool}, which names no address there`;
    for (const url of urls) {
      const host = hostOf(url);
      if (host === null) return `${bound(listed('host', hosts))} what is no https address`;
      if (!hosts.some((pattern) => fitsHost(pattern, host))) return `${bound(listed('host', hosts))} ${host}`;
    }
  }
  if (commands !== undefined && !runsOnly(commands, place.command ?? ''))
    return `${bound(listed('command', commands))} ${place.command === undefined ? place.tool : 'a script that may run anything else'}`;
  return null;
}

/** Why this process itself may not send it to an address; null: it may. */
export const fitsBinding = (name: string, { hosts }: Bindings, url: string): string | null =>
  hosts === undefined ? null : refusalOf(name, { hosts }, { tool: 'the provider', urls: [url] });

export const isBound = ({ hosts, tools, commands }: Bindings): boolean =>
  hosts !== undefined || tools !== undefined || commands !== undefined;

/** All addresses that arguments name as such. */
export function urlsIn(value: unknown): string[] {
  if (typeof value === 'string') return /^\s*(?:https?|wss?):/i.test(value) ? [value] : [];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(urlsIn);
}

/** All that the script runs, for certain, is one of these programs, as the system has it. */
function runsOnly(programs: readonly string[], script: string): boolean {
  const { clear, plain, commands } = readScript(script);
  return (
    clear &&
    plain &&
    commands.length > 0 &&
    commands.every((command) => command.plain && programs.includes(command.words[0] ?? ''))
  );
}

const listed = (kind: string, names: readonly string[]): string =>
  `${kind}${names.length === 1 ? '' : 's'} ${names.join(', ')}`;

const LOOPBACK: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);

/** Of an address that a secret may be sent to: nobody on the way reads it. */
function hostOf(url: string): string | null {
  if (!URL.canParse(url)) return null;
  const { protocol, hostname } = new URL(url);
  return protocol === 'https:' || protocol === 'wss:' || LOOPBACK.has(hostname) ? hostname : null;
}

function fitsHost(pattern: string, host: string): boolean {
  const wanted = pattern.toLowerCase();
  return wanted.startsWith('*.') ? host.endsWith(wanted.slice(1)) : host === wanted;
}
