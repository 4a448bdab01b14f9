import { closeSync, ftruncateSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ACCESS, HostMemory } from '@ringwire/guest-memory';
import { close, newEvent, newMemoryFile } from '@ringwire/linux';
import { expect, test } from 'vitest';
import { type Mapping, PeerMemory } from './peer-memory.js';

const { READ, WRITE } = ACCESS;
const PAGE = 4096;

function peers(): PeerMemory {
  const memory = HostMemory.create(0x200_0000);
  return new PeerMemory(memory, 0, memory.size);
}

test('a part of a file is in the host memory: both see what the other writes, until it is let go', () => {
  const peer = peers();
  const { u8 } = peer.memory;
  const file = newMemoryFile('peer-ram', 3 * PAGE);
  const { host, ...rest } = peer.map(file, PAGE + 16, 100) as Mapping;
  expect(peer.inUse).toBe(PAGE);
  writeSync(file, Uint8Array.of(1, 2, 3), 0, 3, PAGE + 16);
  expect([...u8.subarray(host, host + 4)]).toEqual([1, 2, 3, 0]);
  u8[host + 3] = 4;
  const read = new Uint8Array(4);
  readSync(file, read, 0, 4, PAGE + 16);
  expect([...read]).toEqual([1, 2, 3, 4]);
  peer.unmap({ host, ...rest });
  expect([...u8.subarray(host, host + 4), peer.inUse]).toEqual([0, 0, 0, 0, 0]);
  close(file);
});

test('VU-08: a part that reaches behind the end of its file, or of no file, is refused', () => {
  const peer = peers();
  const file = newMemoryFile('peer-ram', PAGE);
  const event = newEvent();
  expect(peer.map(file, PAGE, 1)).toBe("1 bytes from 4096 on are more than the file's 4096");
  expect(peer.map(event, 0, 8)).toBe('the descriptor is no file');
  expect(peer.map(0x7fff_ffff, 0, 8)).toBe('no such descriptor');
  expect(peer.mapVouched(0x7fff_ffff, 0, 8, READ)).toBe('no such descriptor');
  expect(peer.mapVouched(event, 0, 8, READ)).toBe('mmap: ENODEV');
  expect(peer.map(file, 0, 2 ** 40)).toContain('are more than');
  expect(peer.mapVouched(file, 0, 2 ** 40, READ)).toContain('no room');
  expect(peer.inUse).toBe(0);
  close(file);
  close(event);
});

test('what may only be read is mapped so; what was not opened for writing is not written', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ringwire-peer-'));
  const path = join(folder, 'rom');
  writeFileSync(path, new Uint8Array(PAGE).fill(7));
  const file = openSync(path, 'r');
  const peer = peers();
  expect(peer.mapVouched(file, 0, PAGE, READ | WRITE)).toBe('mmap: EACCES');
  const mapping = peer.mapVouched(file, 0, PAGE, READ) as Mapping;
  expect(peer.memory.u8[mapping.host]).toBe(7);
  peer.unmap(mapping);
  closeSync(file);
  rmSync(folder, { recursive: true });
});

test.runIf(process.arch === 'x64')('VU-09: what is gone from a file reads as zeros, and is known to be gone', () => {
  const peer = peers();
  const file = newMemoryFile('peer-ram', PAGE);
  const mapping = peer.mapVouched(file, 0, PAGE, READ | WRITE) as Mapping;
  peer.memory.u8[mapping.host] = 1;
  expect(peer.wasCut(mapping)).toBe(false);
  ftruncateSync(file, 0);
  expect(peer.memory.u8[mapping.host]).toBe(0);
  expect([peer.wasCut(mapping), peer.survivesCuts]).toEqual([true, true]);
  peer.unmap(mapping);
  close(file);
});
