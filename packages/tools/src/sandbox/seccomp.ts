/**
 * The filter of system calls that every command in the sandbox runs under: a program for the kernel's classic BPF
 * machine (seccomp(2), `linux/filter.h`), written by hand because it is a table of numbers and four questions.
 *
 * F1 A call of another interface (32 bits, x32) ends the process: its numbers mean something else.
 * F2 What can reach other processes, mount, load, trace, or make a namespace is refused with EPERM; so is any call
 *    that is newer than the table (ENOSYS).
 * F3 Sockets are local (AF_UNIX), of the sandbox's own network (AF_INET, AF_INET6), or ask for its routes; vsock, which
 *    no namespace holds, and all others do not exist.
 * F4 Nothing is typed into a terminal (TIOCSTI, TIOCLINUX).
 */
import { MISSING, type Machine } from './syscalls.ts';

type Instruction = readonly [code: number, jumpTrue: number, jumpFalse: number, value: number];

const LOAD = 0x20;
const JUMP_EQUAL = 0x15;
const JUMP_GREATER = 0x25;
const JUMP_GREATER_EQUAL = 0x35;
const JUMP_ANY_BIT = 0x45;
const RETURN = 0x06;

const ALLOW = 0x7fff0000;
const KILL = 0x80000000;
const ERRNO = 0x00050000;
const EPERM = ERRNO | 1;
const ENOSYS = ERRNO | 38;
const EAFNOSUPPORT = ERRNO | 97;

/** `struct seccomp_data`; of an argument the lower half, for both machines are little-endian. */
const NUMBER_AT = 0;
const ARCH_AT = 4;
const argumentAt = (index: number): number => 16 + 8 * index;

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. */
const NAMESPACES = 0x7e020000;
const TIOCSTI = 0x5412;
const TIOCLINUX = 0x541c;
const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const AF_NETLINK = 16;
const NETLINK_ROUTE = 0;
const PERSONALITIES = [0, 0xffffffff];

/** The program as bubblewrap reads it: eight bytes an instruction. */
export function seccompProgram(machine: Machine): Uint8Array {
  const program: Instruction[] = [
    [LOAD, 0, 0, ARCH_AT],
    [JUMP_EQUAL, 1, 0, machine.audit],
    [RETURN, 0, 0, KILL],
    [LOAD, 0, 0, NUMBER_AT],
  ];
  if (machine.x32 !== null) program.push([JUMP_GREATER_EQUAL, 0, 1, machine.x32], [RETURN, 0, 0, KILL]);
  program.push([JUMP_GREATER, 0, 1, machine.last], [RETURN, 0, 0, ENOSYS]);
  for (const number of MISSING) program.push(...when(number, [[RETURN, 0, 0, ENOSYS]]));
  for (const number of machine.denied) program.push(...when(number, [[RETURN, 0, 0, EPERM]]));
  program.push(
    ...when(machine.clone, [
      [LOAD, 0, 0, argumentAt(0)],
      [JUMP_ANY_BIT, 0, 1, NAMESPACES],
      [RETURN, 0, 0, EPERM],
      [RETURN, 0, 0, ALLOW],
    ]),
    ...when(machine.ioctl, oneOf(1, [TIOCSTI, TIOCLINUX], EPERM, ALLOW)),
    ...when(machine.personality, oneOf(0, PERSONALITIES, ALLOW, EPERM)),
    ...when(machine.socket, [
      [LOAD, 0, 0, argumentAt(0)],
      ...[AF_UNIX, AF_INET, AF_INET6].flatMap((family) => when(family, [[RETURN, 0, 0, ALLOW]])),
      ...when(AF_NETLINK, oneOf(2, [NETLINK_ROUTE], ALLOW, EAFNOSUPPORT)),
      [RETURN, 0, 0, EAFNOSUPPORT],
    ]),
    [RETURN, 0, 0, ALLOW],
  );
  return encoded(program);
}

/** Runs `then`, which ends in a return, where what is loaded is `value`. */
const when = (value: number, then: readonly Instruction[]): Instruction[] => [
  [JUMP_EQUAL, 0, then.length, value],
  ...then,
];

function oneOf(argument: number, values: readonly number[], found: number, other: number): Instruction[] {
  return [
    [LOAD, 0, 0, argumentAt(argument)],
    ...values.flatMap((value) => when(value, [[RETURN, 0, 0, found]])),
    [RETURN, 0, 0, other],
  ];
}

function encoded(program: readonly Instruction[]): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(program.length * 8));
  for (const [index, [code, jumpTrue, jumpFalse, value]] of program.entries()) {
    bytes.setUint16(index * 8, code, true);
    bytes.setUint8(index * 8 + 2, jumpTrue);
    bytes.setUint8(index * 8 + 3, jumpFalse);
    bytes.setUint32(index * 8 + 4, value >>> 0, true);
  }
  return new Uint8Array(bytes.buffer);
}
