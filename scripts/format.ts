// `npm run format`: writes every file as the formatter would have it; `npm run format -- path` only some.
import { spawn } from 'node:child_process';
import { resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const command = resolve(root, 'node_modules/oxfmt/bin/oxfmt');
const child = spawn(process.execPath, [command, '--write', ...process.argv.slice(2)], { cwd: root, stdio: 'inherit' });
child.on('exit', (code) => {
  process.exitCode = code ?? 1;
});
