import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { fstatSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { LIMITS } from '../limits.ts';
import { openEtc } from './etc.ts';

const home = mkdtempSync(join(tmpdir(), 'perdure-etc-'));
after(() => rmSync(home, { recursive: true }));
const shown = (): string[] => {
  using etc = openEtc(home);
  return etc.parts.map((part) => `${part.kind} ${part.at.slice(home.length + 1)}`);
};

test('of /etc is shown what is known and everybody may read: small files copied, large ones and folders with many mounted', () => {
  writeFileSync(join(home, 'services'), 'small', { mode: 0o644 });
  writeFileSync(join(home, 'gitconfig'), 'secret', { mode: 0o600 });
  writeFileSync(join(home, 'shadow'), 'unknown', { mode: 0o644 });
  writeFileSync(join(home, 'mime.types'), Buffer.alloc(LIMITS.etcFileBytes + 1), { mode: 0o644 });
  symlinkSync('services', join(home, 'localtime'));
  symlinkSync('nowhere', join(home, 'magic'));
  execFileSync('mkfifo', [join(home, 'protocols')]);
  mkdirSync(join(home, 'ld.so.conf.d'));
  writeFileSync(join(home, 'ld.so.conf.d/a.conf'), 'a', { mode: 0o644 });
  writeFileSync(join(home, 'ld.so.conf.d/hidden.conf'), 'a', { mode: 0o600 });
  symlinkSync('/usr/lib', join(home, 'ld.so.conf.d/link'));
  mkdirSync(join(home, 'ca-certificates/update.d'), { recursive: true });
  mkdirSync(join(home, 'terminfo/deep/deeper'), { recursive: true });
  writeFileSync(join(home, 'terminfo/deep/deeper/large'), Buffer.alloc(LIMITS.etcFileBytes + 1), { mode: 0o644 });
  mkdirSync(join(home, 'alternatives'));
  for (let n = 0; n <= LIMITS.etcFolderEntries; n += 1) symlinkSync('/usr/bin', join(home, 'alternatives', String(n)));
  mkdirSync(join(home, 'ssl/certs'), { recursive: true, mode: 0o755 });
  writeFileSync(join(home, 'ssl/openssl.cnf'), 'x', { mode: 0o644 });
  assert.deepEqual(shown(), [
    'mount alternatives',
    'folder ca-certificates',
    'folder ca-certificates/update.d',
    'folder ld.so.conf.d',
    'file ld.so.conf.d/a.conf',
    'link ld.so.conf.d/link',
    'file localtime',
    'mount mime.types',
    'file services',
    'folder ssl/certs',
    'file ssl/openssl.cnf',
    'mount terminfo',
  ]);
});

test('what was opened is closed again', () => {
  const etc = openEtc(home);
  const fds = etc.parts.flatMap((part) => (part.kind === 'file' ? [part.fd] : []));
  assert.ok(fds.length > 0);
  etc[Symbol.dispose]();
  for (const fd of fds) assert.throws(() => fstatSync(fd), { code: 'EBADF' });
});
