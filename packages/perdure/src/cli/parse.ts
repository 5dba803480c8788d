/** From the words of a command line to a command, its arguments and its flags. */
import { parseArgs } from 'node:util';
import { SETTINGS } from '../settings.ts';
import type { FlagValue } from './context.ts';
import type { SettingName } from '../settings.ts';
import { UsageError } from './exit.ts';
import type { Command } from './table.ts';
import { COMMANDS } from './table.ts';

export type Parsed = {
  name: string;
  command: Command;
  args: string[];
  flags: { [name: string]: FlagValue | undefined };
  settings: { [name: string]: string | undefined };
  help: boolean;
};

/** `alone`: the command that no words mean. Throws UsageError; its message says what was not understood. */
export function parse(words: readonly string[], alone = 'help'): Parsed {
  const [first = ''] = words;
  // Flags alone are those of a conversation.
  const isTalk = first.startsWith('--') && COMMANDS['chat']?.flags[first.slice(2).split('=')[0] ?? ''] !== undefined;
  const { name, rest } = findCommand(words.length === 0 ? [alone] : isTalk ? ['chat', ...words] : words);
  const command = COMMANDS[name];
  if (command === undefined)
    throw new UsageError(
      `there is no command '${name}'${suggestion(name, [...new Set(Object.keys(COMMANDS).map((known) => known.split(' ')[0] ?? known))])}`,
    );
  const { values, positionals } = readFlags(name, command, rest);
  const flags: Parsed['flags'] = {};
  const settings: Parsed['settings'] = {};
  for (const [flag, value] of Object.entries(values)) {
    if (flag === 'help') continue;
    if (command.settings.includes(flag as SettingName)) settings[flag] = String(value);
    else flags[flag] = value === true || Array.isArray(value) ? value : String(value);
  }
  const parsed = { name, command, args: positionals, flags, settings, help: values['help'] === true };
  if (!parsed.help) checkArgs(parsed);
  return parsed;
}

/** One word, two or three: `up`, `sessions list`, `policy grants list`. The usual `--help` and `--version` are commands as well. */
function findCommand(words: readonly string[]): { name: string; rest: readonly string[] } {
  const [first = '', second = '', third = ''] = words;
  if (first === '--version' || first === '-v') return { name: 'version', rest: words.slice(1) };
  if (first === '--help' || first === '-h') return { name: 'help', rest: words.slice(1) };
  const long = `${first} ${second} ${third}`;
  if (COMMANDS[long] !== undefined) return { name: long, rest: words.slice(3) };
  if (COMMANDS[`${first} ${second}`] !== undefined) return { name: `${first} ${second}`, rest: words.slice(2) };
  const inGroup = Object.keys(COMMANDS).filter((name) => name.startsWith(`${first} `));
  if (inGroup.length === 0 || COMMANDS[first] !== undefined) return { name: first, rest: words.slice(1) };
  if (second === '--help' || second === '-h') return { name: 'help', rest: [first] };
  const wanted = second === '' || second.startsWith('-') ? '' : ` '${second}'`;
  throw new UsageError(
    `there is no${wanted === '' ? 'thing to do with' : `${wanted} of`} ${first}: write ${inGroup.join(', or ')}`,
  );
}

type Values = { [name: string]: string | true | string[] | undefined };

function readFlags(
  name: string,
  command: Command,
  words: readonly string[],
): { values: Values; positionals: string[] } {
  const options: { [name: string]: { type: 'string' | 'boolean'; short?: string; multiple?: boolean } } = {
    help: { type: 'boolean', short: 'h' },
  };
  for (const setting of command.settings) if (SETTINGS[setting].flag !== null) options[setting] = { type: 'string' };
  for (const [flag, { value, many }] of Object.entries(command.flags))
    options[flag] = { type: value === null ? 'boolean' : 'string', multiple: many === true };
  try {
    const { values, positionals, tokens } = parseArgs({
      args: [...words],
      options,
      allowPositionals: true,
      strict: true,
      tokens: true,
    });
    // The last one would count, and nobody would hear of the others.
    const given = tokens.flatMap((token) => (token.kind === 'option' ? [token.name] : []));
    const single = given.filter((flag) => options[flag]?.type === 'string' && options[flag].multiple !== true);
    const twice = single.find((flag, at) => single.indexOf(flag) < at);
    if (twice !== undefined) throw new UsageError(`${name}: --${twice} is given twice, and takes one value`);
    return { values: values as Values, positionals };
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw explain(name, error, Object.keys(options), command);
  }
}

function explain(name: string, error: unknown, known: readonly string[], command: Command): UsageError {
  const message = error instanceof Error ? error.message : String(error);
  const unfit = /^Option '(?:-h, )?--([\w-]+).*?(ambiguous|missing|does not take)/.exec(message);
  if (unfit !== null) return new UsageError(`${name}: --${valueText(unfit[1] ?? '', unfit[2] ?? '', command)}`);
  const unknown = /Unknown option '(-{1,2})([^']+)'/.exec(message);
  if (unknown === null) return new UsageError(message.split('\n')[0] ?? message);
  const [, dashes = '', flag = ''] = unknown;
  const near = suggestion(flag, known, '--');
  return new UsageError(`${name} has no flag ${dashes}${flag}${near}`);
}

/** What is wrong with the value of a flag: that it has one, or that it has none. */
function valueText(flag: string, how: string, command: Command): string {
  if (how === 'does not take') return `${flag} stands alone, without a value`;
  const value = command.flags[flag]?.value ?? SETTINGS[flag as SettingName]?.flag ?? 'VALUE';
  if (how === 'missing') return `${flag} needs ${value} behind it`;
  return `${flag} needs ${value} behind it, not another flag; what begins with a dash is written --${flag}=${value}`;
}

function checkArgs({ name, command, args }: Parsed): void {
  const many = command.args.some((arg) => arg.includes('...'));
  const needed = command.args.filter((arg) => !arg.endsWith('?'));
  if (args.length < needed.length) throw new UsageError(`${name} needs ${needed.slice(args.length).join(' and ')}`);
  if (!many && args.length > command.args.length) {
    const extra = args[command.args.length] ?? '';
    const quotes = name === 'run' ? ': put the message in quotes' : '';
    throw new UsageError(`${name} does not take '${extra}'${quotes}`);
  }
}

/** The nearest known word, if one is near. */
function suggestion(word: string, known: readonly string[], prefix = ''): string {
  const near = known
    .map((candidate) => ({ candidate, distance: distance(word, candidate) }))
    .filter((found) => found.distance <= (word.length < 4 ? 1 : 2))
    .toSorted((a, b) => a.distance - b.distance)[0];
  return near === undefined ? '' : `: did you mean ${prefix}${near.candidate}?`;
}

function distance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const change = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(change, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    previous = row;
  }
  return previous[b.length] ?? 0;
}
