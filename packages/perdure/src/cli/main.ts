/** The `perdure` command: finds the command in the table, reads the settings, runs it, and says how it ended. */
import { merged, readDotenv } from '../environment.ts';
import { SettingError } from '../errors.ts';
import { readSettings } from '../settings.ts';
import type { ExitCode } from './exit.ts';
import { CommandError, EXIT, UsageError } from './exit.ts';
import { known } from './failures.ts';
import { isAtTerminal, print, tell } from './output.ts';
import { parse } from './parse.ts';

async function main(words: readonly string[]): Promise<ExitCode> {
  try {
    const { name, command, args, flags, settings: given, help } = parse(words, isAtTerminal() ? 'chat' : 'help');
    if (help) {
      print((await import('./commands/help.ts')).commandHelp(name));
      return EXIT.ok;
    }
    const cwd = process.cwd();
    const env = { ...process.env };
    const dotenv = readDotenv(cwd);
    const { settings, origins } = readSettings({ flags: given, env, dotenv });
    const run = await command.load();
    return await run({ args, flags, given, settings, origins, own: env, dotenv, env: merged(env, dotenv), cwd });
  } catch (error) {
    return explain(error);
  }
}

/** Each known failure in its own words; anything else is a bug and shows where it is. */
function explain(error: unknown): ExitCode {
  if (error instanceof UsageError) {
    tell(`perdure: ${error.message}\nperdure help shows what there is.\n`);
    return EXIT.usage;
  }
  if (error instanceof CommandError) {
    tell(`perdure: ${error.message}\n`);
    return error.exit;
  }
  if (error instanceof SettingError) {
    tell(`perdure: ${error.message}\n`);
    return EXIT.usage;
  }
  const text = known(error);
  if (text !== null) tell(`perdure: ${text}\n`);
  else tell(`perdure: this should not have happened\n${error instanceof Error ? error.stack : String(error)}\n`);
  return EXIT.failed;
}

// A reader that went away (`perdure … | head`) is no failure.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.failed));

const exit = await main(process.argv.slice(2));
process.stdout.write('', () => process.exit(exit));
