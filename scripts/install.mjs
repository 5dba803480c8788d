// Brings node_modules to what package-lock.json says, once, however many scripts start at the same time.
import { spawn } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, rmdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { basename, delimiter, join } from 'node:path';
import { PLATFORM } from '../packages/perdure/bin/node-binary.js';

const HEARTBEAT_MS = 2_000;
const STALE_MS = 30_000;
const WAIT_MAX_MS = 15 * 60_000;
const POLL_MS = 200;
/** @type {NodeJS.Signals[]} */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/**
 * Installs when the marker in node_modules does not name this lock and platform.
 * @param {string} root
 * @param {(root: string) => Promise<void>} [installer]
 */
export async function install(root, installer = npmCi) {
  if (isInstalled(root)) return;
  const release = await acquire(join(root, 'node_modules.lock'), () => isInstalled(root));
  if (release === undefined) return;
  try {
    if (isInstalled(root)) return;
    rmSync(markerPath(root), { force: true });
    const wanted = fingerprint(root);
    await installer(root);
    mkdirSync(join(root, 'node_modules'), { recursive: true });
    writeFileSync(markerPath(root), wanted);
  } finally {
    release();
  }
}

/** @param {string} root */
function markerPath(root) {
  return join(root, 'node_modules', '.perdure-installed');
}

/** @param {string} root */
export function isInstalled(root) {
  return readText(markerPath(root)) === fingerprint(root);
}

/** @param {string} root */
function fingerprint(root) {
  const lock = readFileSync(join(root, 'package-lock.json'));
  return `${PLATFORM} ${createHash('sha256').update(lock).digest('hex')}\n`;
}

/**
 * Takes the lock file, or waits for whoever holds it. The holder touches the file; a file nobody touches is taken over.
 * @param {string} path
 * @param {() => boolean} done stop waiting when this holds
 * @returns {Promise<(() => void) | undefined>} how to let go; undefined when there is nothing left to do
 */
export async function acquire(path, done) {
  const owner = `${process.pid} ${hostname()} ${randomUUID()}\n`;
  const deadline = Date.now() + WAIT_MAX_MS;
  let told = false;
  while (!create(path, owner)) {
    if (done()) return undefined;
    if (takeOverStale(path)) continue;
    if (Date.now() > deadline)
      throw new Error(`another install has held ${path} for too long; remove it and try again`);
    if (!told) process.stderr.write('perdure: another install is running, waiting for it\n');
    told = true;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  const heartbeat = setInterval(() => touch(path), HEARTBEAT_MS);
  const release = () => {
    clearInterval(heartbeat);
    process.off('exit', release);
    if (readText(path) === owner) rmSync(path, { force: true });
  };
  process.on('exit', release);
  return release;
}

/**
 * @param {string} path
 * @param {string} owner
 */
function create(path, owner) {
  try {
    writeFileSync(path, owner, { flag: 'wx' });
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Removes the lock of an owner that is gone. Of all that see the same dead owner, only one gets the claim directory,
 * and it looks again before it removes: a lock taken in between belongs to somebody else.
 * @param {string} path
 */
function takeOverStale(path) {
  const owner = readText(path);
  if (owner === undefined) return true;
  if (!isStale(path, owner)) return false;
  const claim = `${path}.${createHash('sha256').update(owner).digest('hex').slice(0, 12)}`;
  try {
    mkdirSync(claim);
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
  if (readText(path) === owner) rmSync(path, { force: true });
  rmdirSync(claim);
  return true;
}

/**
 * @param {string} path
 * @param {string} owner
 */
function isStale(path, owner) {
  const [pid, host] = owner.trim().split(' ');
  if (host === hostname() && !isAlive(Number(pid))) return true;
  try {
    return Date.now() - statSync(path).mtimeMs > STALE_MS;
  } catch {
    return false;
  }
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}

/** @param {string} path */
function touch(path) {
  try {
    utimesSync(path, new Date(), new Date());
  } catch {
    // The lock was removed by hand; the install itself goes on.
  }
}

/** @param {string} root */
async function npmCi(root) {
  const [command, first] = findNpm();
  const args = [...first, 'ci', '--ignore-scripts', '--include=dev', '--include=optional', '--no-audit', '--no-fund'];
  // Some libraries want a newer Node than the one that runs npm; they get it, as the program does not run on this one.
  args.push('--engine-strict=false', '--loglevel=error');
  process.stderr.write('perdure: installing what package-lock.json asks for\n');
  /** @type {{code: number | null, signal: NodeJS.Signals | null}} */
  const end = await new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 2, 2], shell: command.endsWith('.cmd') });
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve({ code, signal }));
    // An npm that outlives this process would write beside the next install: it is stopped first, then awaited.
    for (const signal of SIGNALS) process.once(signal, () => child.kill(signal));
  });
  for (const signal of SIGNALS) process.removeAllListeners(signal);
  if (end.code !== 0) throw new Error(`npm ci failed (${end.signal ?? `exit code ${end.code}`}); see its output above`);
}

/** @returns {[command: string, first: string[]]} */
function findNpm() {
  const running = process.env['npm_execpath'];
  if (running !== undefined && /^npm(-cli\.[cm]?js)?$/.test(basename(running)) && existsSync(running)) {
    return [process.execPath, [running]];
  }
  const name = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const found = (process.env['PATH'] ?? '').split(delimiter).find((dir) => dir !== '' && existsSync(join(dir, name)));
  if (found === undefined) throw new Error('npm is not on the PATH; install Node with npm, then try again');
  return [process.platform === 'win32' ? name : join(found, name), []];
}

/** @param {string} path */
function readText(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** @param {unknown} error */
function codeOf(error) {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
