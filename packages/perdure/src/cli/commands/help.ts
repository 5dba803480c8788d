/** What the command can do, read off the tables. */
import { SETTINGS } from '../../settings.ts';
import type { Setting } from '../../settings.ts';
import type { Run } from '../context.ts';
import { EXIT, UsageError } from '../exit.ts';
import { print } from '../output.ts';
import type { Command } from '../table.ts';
import { COMMANDS } from '../table.ts';

export const help: Run = async ({ args }) => {
  const name = args.join(' ');
  if (name === '') print(overview());
  else if (COMMANDS[name] !== undefined) print(commandHelp(name));
  else {
    const group = Object.keys(COMMANDS).filter((candidate) => candidate.startsWith(`${name} `));
    if (group.length === 0) throw new UsageError(`there is no command '${name}'`);
    print(group.map(commandHelp).join('\n'));
  }
  return EXIT.ok;
};

function overview(): string {
  const rows = Object.entries(COMMANDS).map(([name, command]) => [usage(name, command), command.about] as const);
  return [
    'perdure COMMAND: durable AI agents. perdure alone, at a terminal, talks with one.',
    '',
    ...columns(rows),
    '',
    'perdure COMMAND --help shows its flags. Exit codes of run: 0 completed, 1 failed or limited, 2 timeout,',
    '3 not accepted, 4 stream lost, 5 not understood, 6 cancelled, 7 needs a person and has no terminal.',
    'up ends with 0 after a clean stop, and when a server on this data already runs; with 1 when it cannot start.',
    '',
  ].join('\n');
}

/** Usage, flags and what they mean. */
export function commandHelp(name: string): string {
  const command = COMMANDS[name];
  if (command === undefined) return overview();
  const settings = command.settings.map((setting): [string, string] => {
    const { flag, about, env, initial }: Setting<unknown> = SETTINGS[setting];
    const notes = [
      env ?? '',
      typeof initial === 'string' || typeof initial === 'number' ? `default ${initial}` : '',
    ].filter((note) => note !== '');
    return [`--${setting} ${flag ?? ''}`, `${about}${notes.length === 0 ? '' : ` (${notes.join(', ')})`}`];
  });
  const flags = Object.entries(command.flags).map(([flag, { value, about }]): [string, string] => [
    value === null ? `--${flag}` : `--${flag} ${value}`,
    about,
  ]);
  const rows = columns([...flags, ...settings]);
  return [
    `perdure ${usage(name, command)}`,
    `  ${command.about}`,
    ...(rows.length === 0 ? [] : ['', ...rows]),
    '',
  ].join('\n');
}

function usage(name: string, { args }: Command): string {
  const shown = args.map((arg) => (arg.endsWith('?') ? `[${arg.slice(0, -1)}]` : arg));
  return [name, ...shown].join(' ');
}

function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(0, ...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
}
