import { HostMemory } from '@ringwire/guest-memory';
import { describe, expect, test } from 'vitest';
import { FrameQueue } from './frame-queue.js';
import { LoopbackBackend } from './loopback-backend.js';
import { DELIVERED, EVERY_OFFLOAD, OFFLOAD } from './net-backend.js';
import { NullBackend } from './null-backend.js';
import { pairBackends } from './pair-backend.js';
import { frameWith, ScriptedBackend } from './testing/index.js';

const bytes = (length: number, value = 7): Uint8Array => new Uint8Array(length).fill(value);
const queue = (frames = 4): FrameQueue => new FrameQueue(HostMemory.create(1), 0, 4000, frames);

test('EVERY_OFFLOAD is each of them', () => {
  expect(EVERY_OFFLOAD).toBe(Object.values(OFFLOAD).reduce((all, bit) => all | bit, 0));
});

test('NullBackend counts what is sent, and nothing comes', () => {
  const backend = new NullBackend();
  backend.attach(new ScriptedBackend());
  expect(backend.receive(frameWith(bytes(60)))).toBe(DELIVERED.ACCEPTED);
  expect(backend.receive(frameWith(bytes(40)))).toBe(DELIVERED.ACCEPTED);
  expect(backend).toMatchObject({ frames: 2, bytes: 100, offloads: EVERY_OFFLOAD });
  expect(backend.pump(10)).toBe(0);
});

describe('LoopbackBackend', () => {
  test('TX-28: brings each frame back once, fields and all, as copies', () => {
    const backend = new LoopbackBackend(queue());
    const device = new ScriptedBackend(OFFLOAD.CSUM);
    backend.attach(device);
    expect(backend.offloads).toBe(OFFLOAD.CSUM);
    const frame = Object.assign(frameWith(bytes(60)), { flags: 1, csumStart: 34, csumOffset: 16, pair: 2 });
    expect(backend.receive(frame)).toBe(DELIVERED.ACCEPTED);
    frame.memory.u8.fill(0);
    expect(backend.pump(10)).toBe(1);
    expect(device.frames).toMatchObject([{ bytes: bytes(60), flags: 1, csumStart: 34, csumOffset: 16, pair: 2 }]);
    expect(backend.pump(10)).toBe(0);
  });

  test('takes no more than its queue holds, and keeps what the device has no room for', () => {
    const backend = new LoopbackBackend(queue(2));
    const device = new ScriptedBackend(0, [DELIVERED.ACCEPTED, DELIVERED.FULL]);
    backend.attach(device);
    const answers = [1, 2, 3].map((value) => backend.receive(frameWith(bytes(60, value))));
    expect(answers).toEqual([DELIVERED.ACCEPTED, DELIVERED.ACCEPTED, DELIVERED.FULL]);
    expect(backend.pump(10)).toBe(1);
    expect(backend.pump(10)).toBe(1);
    expect(device.bytes).toEqual([bytes(60, 1), bytes(60, 2)]);
  });

  test('brings at most what the budget allows, and a frame that is refused does not come again', () => {
    const backend = new LoopbackBackend(queue());
    const device = new ScriptedBackend(0, [DELIVERED.DROPPED]);
    backend.attach(device);
    for (const value of [1, 2, 3]) backend.receive(frameWith(bytes(60, value)));
    expect(backend.pump(2)).toBe(2);
    expect(device.bytes).toEqual([bytes(60, 2)]);
    expect(backend.pump(2)).toBe(1);
  });

  test('forgets what waits when the device goes', () => {
    const backend = new LoopbackBackend(queue());
    backend.receive(frameWith(bytes(60)));
    backend.attach(undefined);
    expect(backend.pump(1)).toBe(0);
    const device = new ScriptedBackend();
    backend.attach(device);
    expect(backend.pump(1)).toBe(0);
  });
});

describe('a pair', () => {
  test('hands a frame to the other device in the same call, without a copy between', () => {
    const [first, second] = pairBackends();
    const [a, b] = [new ScriptedBackend(OFFLOAD.CSUM), new ScriptedBackend(OFFLOAD.TSO4)];
    first.attach(a);
    second.attach(b);
    expect([first.offloads, second.offloads]).toEqual([OFFLOAD.TSO4, OFFLOAD.CSUM]);
    expect(first.receive(frameWith(bytes(60, 1)))).toBe(DELIVERED.ACCEPTED);
    expect(second.receive(frameWith(bytes(60, 2)))).toBe(DELIVERED.ACCEPTED);
    expect([a.bytes, b.bytes]).toEqual([[bytes(60, 2)], [bytes(60, 1)]]);
    expect(first.counters).toEqual({ direct: 1, queued: 0, noRoom: 0, noDevice: 0, refused: 0 });
  });

  test('drops for a device that has no room or is not there, and counts it', () => {
    const [first, second] = pairBackends();
    expect(first.receive(frameWith(bytes(60)))).toBe(DELIVERED.DROPPED);
    second.attach(new ScriptedBackend(0, [DELIVERED.FULL, DELIVERED.DROPPED]));
    expect(first.receive(frameWith(bytes(60)))).toBe(DELIVERED.DROPPED);
    expect(first.receive(frameWith(bytes(60)))).toBe(DELIVERED.DROPPED);
    expect(first.counters).toEqual({ direct: 0, queued: 0, noRoom: 1, noDevice: 1, refused: 1 });
    expect(first.pump(5)).toBe(0);
    expect(second.pump(5)).toBe(0);
  });

  test('with a queue keeps them in order, and holds the sender up when that is full', () => {
    const [first, second] = pairBackends(undefined, queue(2));
    const device = new ScriptedBackend(0, [DELIVERED.FULL]);
    second.attach(device);
    const answers = [1, 2, 3].map((value) => first.receive(frameWith(bytes(60, value))));
    expect(answers).toEqual([DELIVERED.ACCEPTED, DELIVERED.ACCEPTED, DELIVERED.FULL]);
    expect(device.bytes).toEqual([]);
    expect(second.pump(1)).toBe(1);
    expect(first.receive(frameWith(bytes(60, 4)))).toBe(DELIVERED.ACCEPTED);
    expect(second.pump(9)).toBe(2);
    expect(first.receive(frameWith(bytes(60, 5)))).toBe(DELIVERED.ACCEPTED);
    expect(device.bytes.map(([value]) => value)).toEqual([1, 2, 4, 5]);
    expect(first.counters).toEqual({ direct: 1, queued: 3, noRoom: 0, noDevice: 0, refused: 0 });
  });

  test('a burst that ends at one end ends for the device at the other', () => {
    const [first, second] = pairBackends();
    let flushes = 0;
    const device = new ScriptedBackend();
    second.attach({ offloads: 0, receive: (frame) => device.receive(frame), flush: () => void flushes++ });
    first.receive(frameWith(bytes(60)));
    first.flush();
    second.flush();
    expect(flushes).toBe(1);
  });

  test('forgets what waits for a device that goes', () => {
    const [first, second] = pairBackends(undefined, queue());
    second.attach(new ScriptedBackend(0, [DELIVERED.FULL]));
    first.receive(frameWith(bytes(60)));
    const device = new ScriptedBackend();
    second.attach(device);
    expect(second.pump(5)).toBe(0);
    expect(device.bytes).toEqual([]);
  });
});

test('ScriptedBackend brings its frames, and again what was not taken', () => {
  const backend = new ScriptedBackend();
  const device = new ScriptedBackend(0, [DELIVERED.ACCEPTED, DELIVERED.FULL]);
  backend.bring(bytes(60, 1), { flags: 1 });
  backend.bring(bytes(60, 2));
  expect(backend.pump(5)).toBe(0);
  backend.attach(device);
  expect(backend.pump(5)).toBe(1);
  expect(backend.pump(5)).toBe(1);
  expect(device.frames).toMatchObject([
    { bytes: bytes(60, 1), flags: 1 },
    { bytes: bytes(60, 2), flags: 0 },
  ]);
  expect(backend.delivered).toEqual([DELIVERED.ACCEPTED, DELIVERED.FULL, DELIVERED.ACCEPTED]);
});
