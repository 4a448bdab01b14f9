import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HostMemory } from '@ringwire/guest-memory';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FDS_MAX, receive, send } from './channel.js';
import {
  accept,
  addressOf,
  close,
  connectUnix,
  GONE,
  listenUnix,
  mapFileAt,
  mapZerosAt,
  NOT_NOW,
  newEvent,
  newMemoryFile,
  PollSet,
  pinThread,
  SystemError,
  sealSize,
  signalEvent,
  socketPair,
  takeEvent,
} from './libc.js';

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ringwire-libc-'));
  path = join(directory, 's.sock');
});

afterEach(() => rmSync(directory, { recursive: true }));

function pair(): [number, number] {
  const listener = listenUnix(path);
  expect(accept(listener)).toBe(NOT_NOW);
  const client = connectUnix(path);
  const server = accept(listener);
  close(listener);
  return [client, server];
}

const openFds = (): number => readdirSync('/proc/self/fd').length;

test('bytes and descriptors cross a socket, and the received descriptor is the same file', () => {
  const [client, server] = pair();
  const file = newMemoryFile('sent', 4096);
  writeSync(file, 'hello', 0);
  expect(send(client, Uint8Array.of(1, 2, 3), [file, file])).toBe(3);
  const [bytes, fds] = [new Uint8Array(8), [] as number[]];
  expect(receive(server, bytes, fds)).toBe(3);
  expect([...bytes]).toEqual([1, 2, 3, 0, 0, 0, 0, 0]);
  expect(fds).toHaveLength(2);
  expect(fstatSync(fds[0]!).ino).toBe(fstatSync(file).ino);
  const text = Buffer.alloc(5);
  readSync(fds[1]!, text, 0, 5, 0);
  expect(text.toString()).toBe('hello');
  for (const fd of [client, server, file, ...fds]) close(fd);
});

test('nothing there is NOT_NOW, and a peer that went is GONE', () => {
  const [client, server] = pair();
  const bytes = new Uint8Array(4);
  expect(receive(server, bytes, [])).toBe(NOT_NOW);
  close(client);
  expect(receive(server, bytes, [])).toBe(GONE);
  expect(send(server, bytes)).toBe(GONE);
  close(server);
});

test('VU-06: more descriptors than a message may carry are all closed, and the peer counts as gone', () => {
  const [client, server] = pair();
  const file = newMemoryFile('sent', 4096);
  const before = openFds();
  for (let round = 0; round < 1000; round++) {
    expect(send(client, Uint8Array.of(1), Array(FDS_MAX + 1).fill(file))).toBe(1);
    const fds: number[] = [];
    expect(receive(server, new Uint8Array(4), fds)).toBe(GONE);
    expect(fds).toEqual([]);
  }
  expect(openFds()).toBe(before);
  expect(() => send(client, Uint8Array.of(1), Array(17).fill(file))).toThrow(RangeError);
  for (const fd of [client, server, file]) close(fd);
});

test('two messages are received one by one, each with its own descriptors', () => {
  const [client, server] = pair();
  const file = newMemoryFile('sent', 4096);
  for (const count of [FDS_MAX, 1, 0]) send(client, Uint8Array.of(count), Array(count).fill(file));
  for (const count of [FDS_MAX, 1, 0]) {
    const [bytes, fds] = [new Uint8Array(1), [] as number[]];
    expect(receive(server, bytes, fds)).toBe(1);
    expect([bytes[0], fds.length]).toEqual([count, count]);
    for (const fd of fds) close(fd);
  }
  for (const fd of [client, server, file]) close(fd);
});

test('a failed call throws with the name of its errno', () => {
  expect(() => connectUnix(path)).toThrow(new SystemError(`connect ${path}`, 2));
  expect(() => listenUnix(join(directory, 'none', 's'))).toThrow(`bind ${join(directory, 'none', 's')}: ENOENT`);
  expect(() => listenUnix('x'.repeat(108))).toThrow(RangeError);
});

test('a socket takes the place of one whose process was killed, and of nothing else', () => {
  // A process that is killed leaves its socket's path behind.
  close(listenUnix(path));
  const listener = listenUnix(path);
  const client = connectUnix(path);
  expect(() => listenUnix(path)).toThrow(new SystemError(`bind ${path}`, 98));
  const server = accept(listener);
  expect(send(client, Uint8Array.of(1))).toBe(1);
  const file = join(directory, 'file');
  writeFileSync(file, 'kept');
  expect(() => listenUnix(file)).toThrow(`bind ${file}: EADDRINUSE`);
  expect(readFileSync(file, 'latin1')).toBe('kept');
  for (const fd of [listener, client, server]) close(fd);
});

test('events are counted until they are taken, and a full counter does not block', () => {
  const event = newEvent();
  expect(takeEvent(event)).toBe(false);
  signalEvent(event);
  signalEvent(event);
  expect(takeEvent(event)).toBe(true);
  expect(takeEvent(event)).toBe(false);
  writeSync(event, new Uint8Array(new BigUint64Array([0xffff_ffff_ffff_fffen]).buffer));
  signalEvent(event);
  expect(takeEvent(event)).toBe(true);
  close(event);
});

test('a poll set tells which descriptor is ready, at once and after a wait', async () => {
  const [first, second] = [newEvent(), newEvent()];
  const set = new PollSet(2);
  set.add(first);
  set.add(second);
  expect(() => set.add(first)).toThrow(RangeError);
  expect(set.look()).toBe(0);
  signalEvent(second);
  expect([set.look(), set.isReady(0), set.isReady(1)]).toEqual([1, false, true]);
  takeEvent(second);
  const waited = set.wait(60_000);
  signalEvent(first);
  await waited;
  expect([set.isReady(0), set.isReady(1)]).toEqual([true, false]);
  close(first);
  close(second);
});

test('a file laid over host memory is the same bytes, and zeros take its place', () => {
  const memory = HostMemory.create(0x4_0000);
  const file = newMemoryFile('ram', 0x2000);
  const at = 0x1_0000;
  memory.u8.fill(9);
  mapFileAt(addressOf(memory.u8) + at, 0x2000, file, 0);
  memory.engine.fill(at + 4, 7, 2);
  const read = Buffer.alloc(8);
  readSync(file, read, 0, 8, 0);
  expect([...read]).toEqual([0, 0, 0, 0, 7, 7, 0, 0]);
  writeSync(file, Uint8Array.of(5), 0, 1, 0x1fff);
  expect(memory.u8.subarray(at + 0x1ffe, at + 0x2001)).toEqual(Uint8Array.of(0, 5, 9));
  mapZerosAt(addressOf(memory.u8) + at, 0x2000);
  expect(memory.u8[at + 4]).toBe(0);
  expect(memory.u8[at - 1]).toBe(9);
  close(file);
});

test('VU-10: what cannot be mapped for writing is refused, and the memory stays as it was', () => {
  const memory = HostMemory.create(0x1_0000);
  memory.u8.fill(9);
  for (const open of [() => openSync('/proc/self/exe', 'r'), () => openSync('/', 'r'), newEvent]) {
    const fd = open();
    expect(() => mapFileAt(addressOf(memory.u8), 0x1000, fd, 0)).toThrow(SystemError);
    closeSync(fd);
  }
  expect(memory.u8[0]).toBe(9);
});

test("two sockets of a pair are each other's far end", () => {
  const before = openFds();
  const [one, other] = socketPair();
  expect(receive(other, new Uint8Array(4), [])).toBe(NOT_NOW);
  expect(send(one, Uint8Array.of(5, 6))).toBe(2);
  const bytes = new Uint8Array(4);
  expect(receive(other, bytes, [])).toBe(2);
  expect([...bytes]).toEqual([5, 6, 0, 0]);
  close(one);
  expect(receive(other, bytes, [])).toBe(GONE);
  close(other);
  expect(openFds()).toBe(before);
});

test('a thread that blocks in a set goes on when a descriptor is ready, and after the time given', () => {
  const event = newEvent();
  const set = new PollSet(1);
  set.add(event);
  expect(set.block(1)).toBe(0);
  signalEvent(event);
  expect(set.block(60_000)).toBe(1);
  expect(set.isReady(0)).toBe(true);
  close(event);
});

test("a file of a size that there can't be leaves no descriptor behind", () => {
  const before = openFds();
  expect(() => newMemoryFile('none', -1)).toThrow('ftruncate: EINVAL');
  expect(openFds()).toBe(before);
});

test('a thread is had on one core, and not on one that is not there', () => {
  const allowed = (): string =>
    /^Cpus_allowed_list:\s+(\S+)/m.exec(readFileSync('/proc/thread-self/status', 'latin1'))![1]!;
  const core = Number.parseInt(allowed(), 10);
  pinThread(core);
  expect(allowed()).toBe(`${core}`);

  expect(() => pinThread(1000)).toThrow('sched_setaffinity: EINVAL');
});

test('a file whose size is sealed keeps it, for those that have its descriptor too', () => {
  const file = newMemoryFile('sealed', 4096);
  ftruncateSync(file, 8192);
  sealSize(file);
  expect(() => ftruncateSync(file, 4096)).toThrow('EPERM');
  expect(() => ftruncateSync(file, 16_384)).toThrow('EPERM');
  expect(fstatSync(file).size).toBe(8192);
  writeSync(file, 'still', 0);
  close(file);
});
