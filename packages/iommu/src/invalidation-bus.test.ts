import { VirtioError } from '@ringwire/virtio-spec';
import { expect, test } from 'vitest';
import { BUS_WORDS, InvalidationBus } from './invalidation-bus.js';
import type { InvalidationSink } from './translation.js';

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
  const member = new InvalidationBus(words).join(target);
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
  const member = new InvalidationBus(words).join(target);
  for (let i = 0; i < 257; i++) other.domain(i);
  member.enter();
  expect(target.calls).toEqual(['all']);
});

test('an invalidation inside the thread’s own burst is a mistake of the caller: it could never return', () => {
  const bus = new InvalidationBus(newWords());
  const member = bus.join(recorder());
  member.enter();
  expect(() => bus.all()).toThrow(VirtioError);
  member.leave();
  bus.all();
});

test('a place on the bus is free again after its member quits, in the middle of a burst too', () => {
  const words = newWords();
  const bus = new InvalidationBus(words);
  for (let i = 0; i < 64; i++) bus.join(recorder());
  expect(() => bus.join(recorder())).toThrow('members is 65, want at most 64');
  const fresh = new InvalidationBus(newWords());
  for (let i = 0; i < 200; i++) {
    const member = fresh.join(recorder());
    member.enter();
    member.quit();
  }
  fresh.all();
});

test('too few words are refused', () => {
  expect(() => new InvalidationBus(new Int32Array(8))).toThrow(VirtioError);
});
