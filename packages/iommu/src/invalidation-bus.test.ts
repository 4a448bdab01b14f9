import { VirtioError } from '@ringwire/virtio-spec';
import { expect, test } from 'vitest';
import { BUS_WORDS, evictThread, InvalidationBus, newBusOwner } from './invalidation-bus.js';
import { type InvalidationSink, KEEP, NO_PASID } from './translation.js';

function recorder(): InvalidationSink & { readonly calls: string[] } {
  const calls: string[] = [];
  return {
    calls,
    all: () => calls.push('all'),
    domain: (id) => calls.push(`domain ${id}`),
    pages: (id, address, mask) => calls.push(`pages ${id} ${address} ${mask}`),
    requester: (id) => calls.push(`requester ${id}`),
  };
}

const newWords = () => new Int32Array(new SharedArrayBuffer(BUS_WORDS * 4));

test('a member learns of everything published since its last burst, in order, when it begins the next', () => {
  const words = newWords();
  const other = new InvalidationBus(words);
  const target = recorder();
  const member = new InvalidationBus(words);
  member.join(target);
  const first = member.enter();
  member.leave();
  other.pages(7, 2 ** 52 - 4096, 4095);
  other.domain(2 ** 31 - 1);
  other.requester(0x18);
  other.all();
  expect(target.calls).toEqual([]);
  expect(member.enter()).not.toBe(first);
  member.leave();
  expect(target.calls).toEqual([`pages 7 ${2 ** 52 - 4096} 4095`, 'domain 2147483647', 'requester 24', 'all']);
  member.enter();
  expect(target.calls).toHaveLength(4);
});

test('a member that missed more than the log holds forgets everything', () => {
  const words = newWords();
  const other = new InvalidationBus(words);
  const target = recorder();
  const member = new InvalidationBus(words);
  member.join(target);
  for (let i = 0; i < 256; i++) other.domain(i);
  member.enter();
  expect(target.calls).toEqual(['all']);
});

test('an invalidation inside the thread’s own burst is a mistake of the caller: it could never return', () => {
  const bus = new InvalidationBus(newWords());
  bus.join(recorder());
  bus.enter();
  expect(() => bus.all()).toThrow(VirtioError);
  bus.leave();
  bus.all();
});

test('a burst inside another is a part of it: what is published meanwhile is forgotten by the next one', () => {
  const words = newWords();
  const target = recorder();
  const bus = new InvalidationBus(words);
  bus.join(target);
  const outer = bus.enter();
  // Only the record: waiting for this burst would be for ever.
  const before = words.slice();
  bus.leave();
  new InvalidationBus(words).all();
  const after = words.slice();
  words.set(before);
  expect(bus.enter()).toBe(outer);
  words.set(after);
  expect(bus.enter()).toBe(outer);
  expect(target.calls).toEqual([]);
  bus.leave();
  expect(bus.inBurst).toBe(true);
  bus.leave();
  expect(bus.enter()).not.toBe(outer);
  expect(target.calls).toEqual(['all']);
});

test('a cache that several spaces use is told once, until the last of them quits', () => {
  const words = newWords();
  const target = recorder();
  const bus = new InvalidationBus(words);
  bus.join(target);
  bus.join(target);
  const look = (): string[] => {
    new InvalidationBus(words).domain(1);
    bus.enter();
    bus.leave();
    return target.calls;
  };
  expect(look()).toEqual(['domain 1']);
  bus.quit(target);
  expect(look()).toEqual(['domain 1', 'domain 1']);
  bus.quit(target);
  expect(look()).toHaveLength(2);
});

test('what an invalidation keeps, and the address of a device’s, reach the caches whole', () => {
  const words = newWords();
  const bus = new InvalidationBus(words);
  const calls: unknown[] = [];
  bus.join({
    all: (...it) => calls.push(['all', ...it]),
    domain: (...it) => calls.push(['domain', ...it]),
    pages: (...it) => calls.push(['pages', ...it]),
    requester: (...it) => calls.push(['requester', ...it]),
    deviceTlb: (...it) => calls.push(['deviceTlb', ...it]),
  });
  bus.pages(1, 0x1000, 0xfff, KEEP.TABLES | KEEP.DEVICES);
  bus.all(KEEP.DEVICES);
  bus.deviceTlb(0x18, NO_PASID, 0x7fff_0000_1000, 0x1fff);
  bus.deviceTlb(0x18, 2 ** 20 - 1, 0, Number.POSITIVE_INFINITY);
  bus.enter();
  expect(calls).toEqual([
    ['pages', 1, 0x1000, 0xfff, 3],
    ['all', 2],
    ['deviceTlb', 0x18, NO_PASID, 0x7fff_0000_1000, 0x1fff],
    ['deviceTlb', 0x18, 2 ** 20 - 1, 0, Number.MAX_SAFE_INTEGER],
  ]);
});

test('a thread’s place on the bus is free again after its last cache quits, in the middle of a burst too', () => {
  const words = newWords();
  const threads = Array.from({ length: 65 }, () => new InvalidationBus(words));
  for (const bus of threads.slice(0, 64)) bus.join(recorder());
  expect(() => threads[64]!.join(recorder())).toThrow('threads is 65, want at most 64');
  const fresh = newWords();
  for (let i = 0; i < 200; i++) {
    const bus = new InvalidationBus(fresh);
    const target = recorder();
    bus.join(target);
    bus.enter();
    bus.quit(target);
    expect(bus.inBurst).toBe(false);
  }
  new InvalidationBus(fresh).all();
});

test('too few words are refused', () => {
  expect(() => new InvalidationBus(new Int32Array(8))).toThrow(VirtioError);
});

test('a thread that ended within a burst is waited for no more once it was evicted, and its line is free', () => {
  const words = newWords();
  const owner = newBusOwner(words);
  const dead = new InvalidationBus(words, owner);
  dead.join(recorder());
  dead.enter();
  evictThread(words, newBusOwner(words));
  expect(words[16 + 1]! & 1).toBe(1);
  evictThread(words, owner);
  // Would wait for the end of the burst.
  new InvalidationBus(words).all();
  const next = new InvalidationBus(words);
  const target = recorder();
  next.join(target);
  expect(words[16]).toBe(1);
  new InvalidationBus(words).domain(3);
  next.enter();
  expect(target.calls).toEqual(['domain 3']);
});

test('a thread that ended while it published holds up nobody: its lock is given back, the record begun is another’s', () => {
  const words = newWords();
  const owner = newBusOwner(words);
  const target = recorder();
  const member = new InvalidationBus(words);
  member.join(target);
  // As it is found when the thread is ended between the record and the epoch: the lock is word 1, the log at 16 + 64 * 16.
  words[1] = owner;
  words.set([1, 99], 16 + 64 * 16);
  evictThread(words, owner + 1);
  expect(words[1]).toBe(owner);
  evictThread(words, owner);
  new InvalidationBus(words).domain(7);
  member.enter();
  expect(target.calls).toEqual(['domain 7']);
});
