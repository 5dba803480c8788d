import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seccompProgram } from './seccomp.ts';
import { MACHINES } from './syscalls.ts';
import type { Machine } from './syscalls.ts';

const ALLOW = 0x7fff0000;
const KILL = 0x80000000;
const errno = (number: number): number => 0x00050000 | number;

/** The kernel's classic BPF machine, as far as filters use it (linux/filter.h). */
function verdict(
  program: Uint8Array,
  { arch, number, args = [] }: { arch: number; number: number; args?: number[] },
): number {
  const view = new DataView(program.buffer);
  const data = new Map([[0, number], [4, arch], ...args.map((value, index) => [16 + 8 * index, value] as const)]);
  let accumulator = 0;
  for (let at = 0; ; at++) {
    assert.ok(at * 8 < program.length, 'the program has no end');
    const [code, value] = [view.getUint16(at * 8, true), view.getUint32(at * 8 + 4, true)];
    const [yes, no] = [view.getUint8(at * 8 + 2), view.getUint8(at * 8 + 3)];
    if (code === 0x20) accumulator = (data.get(value) ?? 0) >>> 0;
    else if (code === 0x15) at += accumulator === value ? yes : no;
    else if (code === 0x25) at += accumulator > value ? yes : no;
    else if (code === 0x35) at += accumulator >= value ? yes : no;
    else if (code === 0x45) at += (accumulator & value) !== 0 ? yes : no;
    else if (code === 0x06) return value;
    else assert.fail(`an instruction ${code}`);
  }
}

for (const [name, machine] of Object.entries(MACHINES) as [string, Machine][]) {
  const program = seccompProgram(machine);
  const judge = (number: number, ...args: number[]): number => verdict(program, { arch: machine.audit, number, args });

  void test(`${name}: what is denied is denied, and the filter fits the kernel`, () => {
    assert.ok(program.length / 8 <= 4096);
    assert.equal(new Set(machine.denied).size, machine.denied.length);
    for (const number of machine.denied) assert.equal(judge(number), errno(1), `call ${number}`);
    for (const number of [machine.last + 1, 1_000, 0x3fffffff])
      assert.equal(judge(number), errno(38), `call ${number}`);
    assert.equal(judge(435), errno(38));
  });

  void test(`${name}: everything else is allowed`, () => {
    const asked = new Set([...machine.denied, 435, machine.clone, machine.ioctl, machine.socket, machine.personality]);
    for (let number = 0; number <= machine.last; number++)
      if (!asked.has(number)) assert.equal(judge(number), ALLOW, `call ${number}`);
  });

  void test(`${name}: a call of another interface ends the process`, () => {
    assert.equal(verdict(program, { arch: 0x40000003, number: 1 }), KILL);
    if (machine.x32 !== null) assert.equal(judge(machine.x32 + 1), KILL);
  });

  void test(`${name}: processes and threads are made, namespaces are not`, () => {
    for (const flags of [0x11, 0x1200011, 0x3d0f00]) assert.equal(judge(machine.clone, flags), ALLOW);
    for (const bit of [17, 25, 26, 27, 28, 29, 30])
      assert.equal(judge(machine.clone, 0x11 | (1 << bit)), errno(1), `${bit}`);
  });

  void test(`${name}: nothing is typed into a terminal`, () => {
    assert.equal(judge(machine.ioctl, 0, 0x5401), ALLOW);
    for (const request of [0x5412, 0x541c]) assert.equal(judge(machine.ioctl, 0, request), errno(1));
  });

  void test(`${name}: sockets are local, of the own network, or ask for routes`, () => {
    for (const family of [1, 2, 10]) assert.equal(judge(machine.socket, family, 1, 0), ALLOW);
    assert.equal(judge(machine.socket, 16, 3, 0), ALLOW);
    for (const protocol of [1, 6, 9, 12, 15]) assert.equal(judge(machine.socket, 16, 3, protocol), errno(97));
    for (const family of [0, 3, 4, 9, 15, 17, 21, 29, 31, 38, 40, 44])
      assert.equal(judge(machine.socket, family, 1, 0), errno(97));
  });

  void test(`${name}: a process keeps its personality`, () => {
    for (const value of [0, 0xffffffff]) assert.equal(judge(machine.personality, value), ALLOW);
    for (const value of [8, 0x0040000, 0x0400000]) assert.equal(judge(machine.personality, value), errno(1));
  });
}
