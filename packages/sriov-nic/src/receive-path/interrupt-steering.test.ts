import { VirtioError } from '@ringwire/virtio-spec';
import { expect, test } from 'vitest';
import { MessageRouter } from '../message-router.js';
import { InterruptSteering, messageTo } from './interrupt-steering.js';

test('a message goes where bits 19:12 of its address say, until the table says otherwise, and on to who listens', () => {
  const router = new MessageRouter();
  const taken: number[] = [];
  router.route(0x100, (low, _high, data) => taken.push(low, data));
  const steering = new InterruptSteering(4, router);
  const { addressLo, addressHi, data } = messageTo(3, 0x41);
  expect([addressLo, addressHi, data]).toEqual([0xfee0_3000, 0, 0x41]);
  steering.deliver(0x100, addressLo, addressHi, data, 2);
  steering.steer(0x100, 2, 1);
  steering.deliver(0x100, addressLo, addressHi, data, 2);
  steering.post(0x100, 2, 0);
  steering.deliver(0x100, addressLo, addressHi, data, 2);
  steering.release(0x100, 2);
  steering.deliver(0x100, addressLo, addressHi, data, 2);
  expect(taken).toEqual(Array(4).fill([0xfee0_3000, 0x41]).flat());
  expect(steering.report()).toEqual([
    { requesterId: 0x100, vector: 2, messages: [1, 1, 0, 2], wrongCore: 0, posted: 1 },
  ]);
});

test('an address of a guest’s own choice reaches a core that there is; functions and vectors do not mix', () => {
  const steering = new InterruptSteering(3, new MessageRouter());
  for (const low of [0, 0xffff_ffff, 0xfeef_f000]) expect(steering.coreOf(0x180, 0, low)).toBeLessThan(3);
  steering.home(0x180, 1);
  steering.steer(0x180, 1, 1);
  steering.deliver(0x180, 0xfee0_2000, 0, 0, 0);
  steering.deliver(0x180, 0xfee0_2000, 0, 0, 1);
  steering.deliver(0x181, 0xfee0_2000, 0, 0, 1);
  expect(steering.report()).toEqual([
    { requesterId: 0x180, vector: 0, messages: [0, 0, 1], wrongCore: 1, posted: 0 },
    { requesterId: 0x180, vector: 1, messages: [0, 1, 0], wrongCore: 0, posted: 0 },
    { requesterId: 0x181, vector: 1, messages: [0, 0, 1], wrongCore: 0, posted: 0 },
  ]);
});

test('cores and vectors that there are not are their caller’s mistakes', () => {
  const router = new MessageRouter();
  const steering = new InterruptSteering(2, router);
  expect(() => new InterruptSteering(0, router)).toThrow(VirtioError);
  expect(() => new InterruptSteering(257, router)).toThrow(VirtioError);
  expect(() => steering.steer(0x100, 0, 2)).toThrow('core is 2, want 0 to 1 (InterruptSteering)');
  expect(() => steering.post(0x100, 2048, 0)).toThrow(VirtioError);
  expect(() => steering.home(0x100, -1)).toThrow(VirtioError);
});
