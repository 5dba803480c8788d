import { version } from '../../version.ts';
import type { Run } from '../context.ts';
import { EXIT } from '../exit.ts';
import { print } from '../output.ts';

export const showVersion: Run = async () => {
  print(`${version()}\n`);
  return EXIT.ok;
};
