/** What an escape would touch, and a judge that looks at it from outside. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import {
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import type { Place } from '../sandbox.ts';
import { NOBODY } from '../sandbox.ts';

export const CANARY = 'canary-mark-5512';
const SECRET = 'secret-mark-7731';
const DENIED = 'denied-mark-2094';
/** In the workspace. */
const KEPT = 'kept/deep/secret';
const KERNEL = ['core_pattern', 'hostname', 'modprobe', 'randomize_va_space'].map((name) => `/proc/sys/kernel/${name}`);

export type World = AsyncDisposable & {
  /** What an attempt is told. */
  told: { [name: string]: string };
  /** Puts all back, for the next attempt. */
  reset(): void;
  /** What an attempt has reached; empty where the walls held. */
  reached(said: string, keeps: boolean): string[];
};

export async function makeWorld({ base, workspace, outside }: Place): Promise<World> {
  const hits: string[] = [];
  const victim = spawn('sleep', ['600'], { stdio: 'ignore', env: { CANARY } });
  const server = createServer((socket) => {
    hits.push('a socket of this machine');
    socket.destroy();
  });
  server.listen(0, '0.0.0.0');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const datagrams = createSocket('udp4', () => hits.push('a datagram'));
  datagrams.bind(port, '127.0.0.1');
  await once(datagrams, 'listening');
  const abstract = `perdure-escape-${process.pid}`;
  const [path, locals] = [join(base, 'socket'), [createServer(), createServer()] as const];
  for (const local of locals) local.on('connection', (socket) => hits.push('a local socket') && socket.destroy());
  locals[0].listen({ path, writableAll: true });
  locals[1].listen(`\0${abstract}`);
  await Promise.all(locals.map(async (local) => local.listening || once(local, 'listening')));
  const kernel = KERNEL.map(read);
  const address = Object.values(networkInterfaces())
    .flat()
    .find((each) => each?.family === 'IPv4' && !each.internal)?.address;
  const reset = (): void => {
    hits.length = 0;
    for (const folder of [outside, workspace])
      for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true, force: true });
    writeFileSync(join(outside, 'secret'), SECRET, { mode: 0o666 });
    mkdirSync(join(workspace, 'kept'));
    mkdirSync(join(workspace, 'kept/deep'));
    writeFileSync(join(workspace, KEPT), DENIED);
    if (process.getuid?.() === 0)
      for (const path of ['kept', 'kept/deep', KEPT]) chownSync(join(workspace, path), NOBODY, NOBODY);
    symlinkSync(join(outside, 'secret'), join(workspace, 'planted'));
    symlinkSync(outside, join(workspace, 'plantedDir'));
  };
  return {
    told: { O: outside, P: String(port), IP: address ?? '127.0.0.1', V: String(victim.pid), U: path, A: abstract },
    reset,
    reached: (said, keeps) => [
      ...hits,
      ...(said.includes(SECRET) ? ['the secret'] : []),
      ...(said.includes(CANARY) ? ['the environment'] : []),
      ...(isIntact(outside) ? [] : ['the folder outside']),
      ...(keeps && (said.includes(DENIED) || read(join(workspace, KEPT)) !== DENIED) ? ['what is denied'] : []),
      ...(isAlive(victim) ? [] : ['another process']),
      ...(KERNEL.map(read).join('\n') === kernel.join('\n') ? [] : ['the kernel']),
      ...readdirSync(workspace).flatMap((name) =>
        isHarmful(join(workspace, name)) ? [`${name} in the workspace`] : [],
      ),
    ],
    async [Symbol.asyncDispose]() {
      for (const each of [server, ...locals]) each.close();
      datagrams.close();
      victim.kill('SIGKILL');
      await once(victim, 'exit');
    },
  };
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function isIntact(outside: string): boolean {
  if (readdirSync(outside).join() !== 'secret') return false;
  const secret = join(outside, 'secret');
  return read(secret) === SECRET && lstatSync(secret).nlink === 1 && (lstatSync(secret).mode & 0o777) === 0o644;
}

const isAlive = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode === null && signalCode === null;

/** A device, or a program that would run as root for whoever starts it here. */
function isHarmful(path: string): boolean {
  const stats = lstatSync(path);
  return stats.isBlockDevice() || stats.isCharacterDevice() || (stats.uid === 0 && (stats.mode & 0o6000) !== 0);
}
