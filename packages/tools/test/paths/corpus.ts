/** Paths that somebody hostile names: none of them is a place in a tree, and none leads out of a folder or a workspace. */

export const SECRET = 'canary-5f1d';

/** Where what must not be reached is, beside the root. */
export const OUTSIDE = 'outside';

const UP = [
  '..',
  '../..',
  '../../..',
  './..',
  'a/../..',
  'a/b/../../..',
  '....//..',
  '../',
  '..//',
  '/..',
  '/../..',
  './/..',
];
const TARGETS = [`${OUTSIDE}/secret.txt`, 'etc/passwd', '', OUTSIDE];
const WRAPPED = [
  '..\\',
  '..\\..\\',
  'a\\..\\..\\',
  '\\\\host\\share',
  'C:\\Windows',
  'C:/Windows',
  'c:',
  '\\',
  '/',
  '//',
  '///etc',
];
const ENCODED = [
  '%2e%2e/',
  '%2e%2e%2f',
  '..%2f',
  '%252e%252e/',
  '..%c0%af',
  '..%5c',
  '%00',
  '\uff0e\uff0e/',
  '\u2025/',
  '\uff0f',
  '\u2215',
  '\u29f8',
];
const ABSOLUTE = [
  '/etc/passwd',
  '/',
  '/var/spool/mail',
  '/proc/self/environ',
  '/proc/self/root/etc/passwd',
  '/proc/self/fd/0',
  '/proc/self/cwd',
  '/dev/zero',
  '/dev/stdin',
  '/dev/fd/0',
  '//etc/passwd',
  '/./etc/passwd',
  '/../etc/passwd',
  'file:///etc/passwd',
];
const CONTROL = [
  '\0',
  'a\0',
  '\0a',
  'a\0/../..',
  'a\nb',
  'a\rb',
  'a\tb',
  '\u001b[2J',
  '\u007f',
  '\u0085',
  '\u2028',
  '\u2029',
  'a\u0000.txt',
  '\ud800',
  'a\udc00b',
];
const DEVICES = [
  'CON',
  'con.txt',
  'PRN',
  'AUX',
  'aux.c',
  'NUL',
  'nul.tar.gz',
  'COM1',
  'com9.log',
  'LPT1',
  'lpt9',
  'COM\u00b9',
  'CONIN$',
  'CONOUT$',
  'nul .txt',
  'a/NUL',
  'aux/x',
  'COM0',
  'LPT\u00b2.txt',
];
const ENDINGS = ['a.', 'a ', 'a..', 'a. ', 'a /b', 'a./b', '. ', ' ', '...', '. .', 'a/ '];
const STREAMS = ['a:b', 'a::$DATA', 'a.txt:hidden', 'a*', 'a?', 'a"b', 'a<b', 'a>b', 'a|b', ':', '*'];
const CONTROLLED = [
  '.git',
  '.git/config',
  '.git/hooks/pre-commit',
  '.GIT/config',
  '.Git/x',
  'a/.git/config',
  'git~1',
  'GIT~1/config',
  '.g\u200cit/config',
  '.gi\u200dt/x',
  '\u200b.git/x',
  '.git\u200e/x',
  '.git./config',
  '.git /config',
  '.git...',
  '.\u212ait/x',
  '\uff0egit/config',
  '.\uff47it/x',
  '.g\u0131t~1/.',
  '.perdure',
  '.perdure/server.json',
  '.PERDURE/x',
  'a/.perdure/x',
  '.\ufeffgit/config',
];
const EMPTY = ['', '.', '..', './', './.', 'a//b', 'a/./b', 'a/', '/a', './a', 'a/.', 'a/..', '//a'];
const LONG = [
  'a'.repeat(256),
  '\u00e9'.repeat(128),
  `${'a/'.repeat(70)}b`,
  'a/'.repeat(600),
  'x'.repeat(5_000),
  `${'../'.repeat(100)}etc/passwd`,
];

/** No path of a tree, each of them. */
export const HOSTILE: readonly string[] = [
  ...new Set([
    ...UP.flatMap((up) => TARGETS.map((target) => `${up}/${target}`)),
    ...WRAPPED,
    ...WRAPPED.map((path) => `${path}${OUTSIDE}`),
    ...ABSOLUTE,
    ...ABSOLUTE.map((path) => `/${path}`),
    ...ENCODED.filter((path) => /^[%]?$/.test(path)),
    ...CONTROL,
    ...CONTROL.map((part) => `a/${part}/b`),
    ...DEVICES,
    ...ENDINGS,
    ...STREAMS,
    ...CONTROLLED.filter((path) => !path.includes('\u0131') && !path.includes('\u212a')),
    ...EMPTY,
    ...LONG,
  ]),
];

/** Encodings that mean nothing here: a name like another one. Wherever they are taken they stay within. */
export const ODD: readonly string[] = [
  ...ENCODED.filter((path) => path !== '%00'),
  ...ENCODED.map((path) => `${path}${OUTSIDE}`),
  '.g\u0131t~1',
  '.\u212ait',
  '~/x',
  '$HOME/x',
  '-rf',
  '--',
  '`id`',
  '$(id)',
  '{a,b}',
  '\u202etxt.exe',
  'a\u00a0b',
];
