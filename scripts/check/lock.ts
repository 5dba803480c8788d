// What package-lock.json must be: complete for every platform, without any download address, and installable by `npm ci`.

export type LockEntry = {
  readonly version?: string;
  readonly resolved?: string;
  readonly link?: boolean;
  readonly dev?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly [key: string]: unknown;
};
export type Lock = { readonly packages: Readonly<Record<string, LockEntry>>; readonly [key: string]: unknown };
type Missing = { readonly path: string; readonly version: string; readonly dev: boolean };

/** The parts of a package name that say where its binary runs. */
const OS: ReadonlySet<string> = new Set([
  'android',
  'darwin',
  'freebsd',
  'linux',
  'netbsd',
  'openbsd',
  'openharmony',
  'sunos',
  'win32',
]);
const CPU: ReadonlySet<string> = new Set([
  'arm',
  'arm64',
  'ia32',
  'loong64',
  'mips64el',
  'ppc64',
  'riscv64',
  's390x',
  'x64',
]);

export function checkLock(text: string): string[] {
  const lock = JSON.parse(text) as Lock;
  const problems = missingFromLock(lock).map(({ path }) => `${path} is missing: run node scripts/complete-lock.ts`);
  for (const [path, entry] of Object.entries(lock.packages)) {
    if (entry.resolved !== undefined && entry.link !== true) problems.push(`${path} names where it was downloaded`);
  }
  return problems;
}

/** Optional dependencies of installed packages that the lock has no entry for. */
export function missingFromLock(lock: Lock): Missing[] {
  const missing = new Map<string, Missing>();
  for (const [path, entry] of Object.entries(lock.packages)) {
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      if (!isLocked(lock, path, name)) {
        missing.set(name, { path: `node_modules/${name}`, version, dev: entry.dev === true });
      }
    }
  }
  return [...missing.values()];
}

export function completeLock(lock: Lock): Lock {
  const packages: Record<string, LockEntry> = { ...lock.packages };
  for (const { path, version, dev } of missingFromLock(lock)) {
    packages[path] = { version, ...platformOf(path), ...(dev ? { dev } : {}), optional: true };
  }
  const order = ([a]: [string, LockEntry], [b]: [string, LockEntry]): number => (a < b ? -1 : 1);
  return { ...lock, packages: Object.fromEntries(Object.entries(packages).sort(order)) };
}

function isLocked(lock: Lock, from: string, name: string): boolean {
  const nested = from === '' ? `node_modules/${name}` : `${from}/node_modules/${name}`;
  return `node_modules/${name}` in lock.packages || nested in lock.packages;
}

function platformOf(path: string): { os: string[]; cpu: string[]; libc?: string[] } {
  const words = path.slice(path.lastIndexOf('/') + 1).split('-');
  const os = words.find((word) => OS.has(word));
  const cpu = words.find((word) => CPU.has(word));
  if (os === undefined || cpu === undefined)
    throw new Error(`${path} does not say its platform: add its entry by hand`);
  const musl = words.some((word) => word.startsWith('musl'));
  const glibc = words.some((word) => word.startsWith('gnu'));
  return { os: [os], cpu: [cpu], ...(musl ? { libc: ['musl'] } : glibc ? { libc: ['glibc'] } : {}) };
}
