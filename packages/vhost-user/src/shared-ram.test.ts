import { fstatSync, ftruncateSync, readFileSync, readSync } from 'node:fs';
import { ACCESS, HostMemory } from '@ringwire/guest-memory';
import { PeerMemory } from '@ringwire/peer-memory';
import { expect, test } from 'vitest';
import { SharedRam } from './shared-ram.js';
import { held } from './testing/session-stage.js';

const hugeBytes = (): number =>
  2 ** 20 * 2 * Number(/^HugePages_Free:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'latin1'))?.[1] ?? 0);

function peer(): PeerMemory {
  const host = HostMemory.create(0x100_0000);
  return new PeerMemory(host, 0, host.size);
}

test('what is written at a guest-physical address is in the file of its region', () => {
  const before = held();
  const ram = new SharedRam(peer(), [
    { gpa: 0, size: 0x1000 },
    { gpa: 0x1_0000_0000, size: 0x20_0000 },
  ]);
  const at = ram.space.resolve(0x1_0000_0ffe, 2, ACCESS.WRITE);
  ram.space.memory.u8.set([0xab, 0xcd], at);
  const bytes = new Uint8Array(2);
  readSync(ram.regions[1]!.fd, bytes, 0, 2, 0xffe);
  expect([...bytes]).toEqual([0xab, 0xcd]);
  expect(ram.regions.map(({ fd }) => fstatSync(fd).size)).toEqual([0x1000, 0x20_0000]);
  expect(ram.space.resolve(0x1000, 1, ACCESS.READ)).toBeLessThan(0);
  ram.close();
  expect(held()).toEqual(before);
});

test('VU-28: a back-end cannot cut short what it was given', () => {
  const ram = new SharedRam(peer(), [{ gpa: 0, size: 0x20_0000 }]);
  expect(() => ftruncateSync(ram.regions[0]!.fd, 0)).toThrow('EPERM');
  ram.space.memory.u8[ram.space.resolve(0x1f_ffff, 1, ACCESS.WRITE)] = 1;
  ram.close();
});

test('regions that there is no room for are refused, and those made before are let go of', () => {
  const before = held();
  const memory = peer();
  const regions = [
    { gpa: 0, size: 0x20_0000 },
    { gpa: 0x4000_0000, size: 0x200_0000 },
  ];
  expect(() => new SharedRam(memory, regions)).toThrow('want memory that can be shared: no room for 33554432 bytes');
  expect(memory.inUse).toBe(0);
  expect(held()).toEqual(before);
});

test('a region of huge pages is a file of them', ({ skip }) => {
  if (hugeBytes() < 0x20_0000) return skip('skipped, because no huge page is free');
  const ram = new SharedRam(peer(), [{ gpa: 0, size: 0x20_0000 }], true);
  expect(fstatSync(ram.regions[0]!.fd).blksize).toBe(0x20_0000);
  ram.space.memory.u8[ram.space.resolve(0x1f_ffff, 1, ACCESS.WRITE)] = 1;
  ram.close();
});
