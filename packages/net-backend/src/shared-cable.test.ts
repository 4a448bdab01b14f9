import { HostMemory } from '@ringwire/guest-memory';
import { expect, test } from 'vitest';
import { DELIVERED, OFFLOAD } from './net-backend.js';
import { SharedCable, unplugCable } from './shared-cable.js';
import { frameWith, ScriptedBackend } from './testing/index.js';

const PLACE = { at: 0, bytes: 0x4000, frames: 16 };
const bytes = (value: number): Uint8Array => new Uint8Array(60).fill(value);

function joined(): { ends: [SharedCable, SharedCable]; woken: number[]; memory: HostMemory } {
  const memory = HostMemory.create(PLACE.bytes);
  const woken: number[] = [];
  const end = (which: 0 | 1): SharedCable => new SharedCable(memory, PLACE, which, () => woken.push(1 - which));
  return { ends: [end(0), end(1)], woken, memory };
}

test('what one end sends the other one brings, once it was flushed, and is woken for once per burst', () => {
  const { ends, woken } = joined();
  const [left, right] = ends;
  const device = new ScriptedBackend(OFFLOAD.CSUM);
  right.attach(device);
  right.running(true);
  expect(left.offloads).toBe(OFFLOAD.CSUM);
  for (const value of [1, 2, 3]) expect(left.receive(frameWith(bytes(value)))).toBe(DELIVERED.ACCEPTED);
  expect(right.pump(10)).toBe(0);
  left.flush();
  left.flush();
  expect(woken).toEqual([1]);
  expect([right.pump(2), right.pump(2), right.pump(2)]).toEqual([2, 1, 0]);
  expect(device.bytes).toEqual([bytes(1), bytes(2), bytes(3)]);
  expect([left.counters.sent, right.counters.received, left.pump(10)]).toEqual([3, 3, 0]);
});

test('while the other device has no room nothing more is taken; room that it makes is used again', () => {
  const { ends } = joined();
  const [left, right] = ends;
  const device = new ScriptedBackend(0, [DELIVERED.FULL]);
  right.attach(device);
  right.running(true);
  let sent = 0;
  while (left.receive(frameWith(bytes(sent))) === DELIVERED.ACCEPTED) sent++;
  expect(sent).toBe(16);
  left.flush();
  expect(right.pump(100)).toBe(0);
  expect(left.receive(frameWith(bytes(16)))).toBe(DELIVERED.FULL);
  expect(right.pump(100)).toBe(16);
  expect(left.receive(frameWith(bytes(16)))).toBe(DELIVERED.ACCEPTED);
  expect(device.bytes).toEqual(Array.from({ length: 16 }, (_, value) => bytes(value)));
});

test('frames for a device that no driver runs are lost and counted, also those that waited for it', () => {
  const { ends, memory } = joined();
  const [left, right] = ends;
  expect(left.receive(frameWith(bytes(1)))).toBe(DELIVERED.DROPPED);
  const device = new ScriptedBackend(0);
  right.attach(device);
  expect(left.receive(frameWith(bytes(2)))).toBe(DELIVERED.DROPPED);
  right.running(true);
  expect(left.receive(frameWith(bytes(3)))).toBe(DELIVERED.ACCEPTED);
  left.flush();
  right.running(false);
  expect(left.receive(frameWith(bytes(4)))).toBe(DELIVERED.DROPPED);
  right.running(true);
  expect([right.pump(10), device.bytes]).toEqual([0, []]);
  unplugCable(memory, PLACE, 1);
  expect(left.receive(frameWith(bytes(5)))).toBe(DELIVERED.DROPPED);
  expect(left.counters).toEqual({ sent: 1, noDevice: 4, received: 0 });
});

test('an end is 0 or 1', () => {
  expect(() => new SharedCable(HostMemory.create(1), PLACE, 2 as 1, () => {})).toThrow('end is 2, want 0 or 1');
});
