import { HostMemory } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';
import { expect, test } from 'vitest';
import { DELIVERED, EVERY_OFFLOAD, OFFLOAD } from './net-backend.js';
import type { Pcap } from './pcap-reader.js';
import { PcapSource, pcapBytes } from './pcap-source.js';
import { frameWith, ScriptedBackend } from './testing/index.js';

function capture(lengths: readonly number[], cut: readonly number[] = []): Pcap {
  const frames = lengths.map((length, index) => ({
    bytes: new Uint8Array(length).fill(index + 1),
    wireLength: cut.includes(index) ? length + 1 : length,
    seconds: 0,
    nanoseconds: 0,
  }));
  return { linkType: 1, snapLength: 0, frames };
}

function play(source: PcapSource, device: ScriptedBackend, budget: number): number[] {
  const from = device.frames.length;
  source.pump(budget);
  return device.frames.slice(from).map(({ bytes }) => bytes[0]!);
}

test('a capture is played in order, as often as wanted, a budget at a time', () => {
  const source = new PcapSource(capture([60, 100, 70]), HostMemory.create(1), 50, { laps: 2 });
  expect(source.pump(5)).toBe(0);
  const device = new ScriptedBackend();
  source.attach(device);
  expect(play(source, device, 2)).toEqual([1, 2]);
  expect(play(source, device, 3)).toEqual([3, 1, 2]);
  expect(source.finished).toBe(false);
  expect(play(source, device, 9)).toEqual([3]);
  expect(source).toMatchObject({ finished: true, played: 6, refused: 0 });
  expect(device.frames[1]!.bytes).toEqual(new Uint8Array(100).fill(2));
  expect(source.pump(9)).toBe(0);
});

test('for ever is for ever, and a capture without frames is over', () => {
  const device = new ScriptedBackend();
  const source = new PcapSource(capture([60]), HostMemory.create(1), 0, { laps: Number.POSITIVE_INFINITY });
  source.attach(device);
  expect(source.pump(1000)).toBe(1000);
  const empty = new PcapSource(capture([]), HostMemory.create(1), 0, { laps: Number.POSITIVE_INFINITY });
  empty.attach(device);
  expect([empty.finished, empty.pump(10)]).toEqual([true, 0]);
});

test('a frame that the device has no room for comes again, one that it refuses does not', () => {
  const source = new PcapSource(capture([60, 61, 62]), HostMemory.create(1), 0);
  const device = new ScriptedBackend(0, [DELIVERED.ACCEPTED, DELIVERED.FULL, DELIVERED.DROPPED]);
  source.attach(device);
  expect(play(source, device, 9)).toEqual([1]);
  expect(play(source, device, 9)).toEqual([3]);
  expect(source).toMatchObject({ played: 2, refused: 1, finished: true });
});

test('frames that the capture cut are left out', () => {
  const source = new PcapSource(capture([60, 61, 62], [0, 2]), HostMemory.create(1), 0);
  const device = new ScriptedBackend();
  source.attach(device);
  expect(play(source, device, 9)).toEqual([2]);
});

test('what the device sends goes where it is wanted', () => {
  const sent = new ScriptedBackend(OFFLOAD.CSUM, [DELIVERED.ACCEPTED, DELIVERED.FULL]);
  const source = new PcapSource(capture([60]), HostMemory.create(1), 0, { sent });
  expect(source.offloads).toBe(OFFLOAD.CSUM);
  expect(source.receive(frameWith(new Uint8Array(60)))).toBe(DELIVERED.ACCEPTED);
  expect(source.receive(frameWith(new Uint8Array(60)))).toBe(DELIVERED.FULL);
  expect(source.received).toBe(1);
  const counted = new PcapSource(capture([60]), HostMemory.create(1), 0);
  expect(counted.offloads).toBe(EVERY_OFFLOAD);
  expect(counted.receive(frameWith(new Uint8Array(60)))).toBe(DELIVERED.ACCEPTED);
  expect(counted.received).toBe(1);
});

test('a capture of something else and an area that is too small are refused', () => {
  const memory = HostMemory.create(1);
  expect(() => new PcapSource({ ...capture([60]), linkType: 113 }, memory, 0)).toThrow(VirtioError);
  const bytes = pcapBytes(capture([60, 40]));
  expect(bytes).toBe(100);
  expect(() => new PcapSource(capture([60, 40]), memory, memory.size - 99)).toThrow(VirtioError);
  expect(() => new PcapSource(capture([60, 40]), memory, memory.size - 100)).not.toThrow();
});
