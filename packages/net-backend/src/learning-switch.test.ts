import { RangeList } from '@ringwire/guest-memory';
import { expect, test } from 'vitest';
import type { Frame } from './frame.js';
import { LearningSwitch } from './learning-switch.js';
import { DELIVERED, EVERY_OFFLOAD, OFFLOAD } from './net-backend.js';
import { frameWith, ScriptedBackend } from './testing/index.js';

const station = (number: number): number[] => [2, 0, 0, 0, number >>> 8, number & 0xff];
const BROADCAST = [255, 255, 255, 255, 255, 255];
const bytes = (to: number[], from: number[]): Uint8Array => Uint8Array.of(...to, ...from, 0x88, 0xb5, 1, 2);
const frame = (to: number[], from: number[]): Frame => frameWith(bytes(to, from));

function plugged(ports: number): { lan: LearningSwitch; devices: ScriptedBackend[]; counts: () => number[] } {
  const lan = new LearningSwitch(ports);
  const devices = lan.ports.map((port) => {
    const device = new ScriptedBackend();
    port.attach(device);
    return device;
  });
  return { lan, devices, counts: () => devices.map(({ frames }) => frames.length) };
}

test('a frame to an address that is not known goes to all others, and then its sender is known', () => {
  const { lan, devices, counts } = plugged(3);
  expect(lan.ports[0]!.receive(frame(station(2), station(1)))).toBe(DELIVERED.ACCEPTED);
  expect(counts()).toEqual([0, 1, 1]);
  expect(lan.ports[1]!.receive(frame(station(1), station(2)))).toBe(DELIVERED.ACCEPTED);
  expect(counts()).toEqual([1, 1, 1]);
  expect(devices[0]!.bytes).toEqual([bytes(station(1), station(2))]);
  expect(lan.ports[0]!.counters).toEqual({ forwarded: 0, flooded: 1, filtered: 0, lost: 0 });
  expect(lan.ports[1]!.counters).toEqual({ forwarded: 1, flooded: 0, filtered: 0, lost: 0 });
});

test('groups go to all others, and their addresses are never learnt', () => {
  const { lan, counts } = plugged(3);
  lan.ports[0]!.receive(frame(BROADCAST, station(1)));
  lan.ports[1]!.receive(frame(station(9), [3, 0, 0, 0, 0, 1]));
  lan.ports[2]!.receive(frame([3, 0, 0, 0, 0, 1], station(3)));
  expect(counts()).toEqual([2, 2, 2]);
});

test('a station that moves is found where it sent last', () => {
  const { lan, counts } = plugged(3);
  lan.ports[0]!.receive(frame(BROADCAST, station(1)));
  lan.ports[1]!.receive(frame(BROADCAST, station(1)));
  lan.ports[2]!.receive(frame(station(1), station(3)));
  expect(counts()).toEqual([1, 2, 2]);
});

test('in the middle of a flow, frames follow a station that moves, and go to all when its device went', () => {
  const { lan, counts } = plugged(3);
  const send = (): void => void lan.ports[0]!.receive(frame(station(2), station(1)));
  lan.ports[1]!.receive(frame(BROADCAST, station(2)));
  send();
  send();
  expect(counts()).toEqual([1, 2, 1]);
  lan.ports[2]!.receive(frame(BROADCAST, station(2)));
  send();
  expect(counts()).toEqual([2, 3, 2]);
  lan.ports[2]!.attach(undefined);
  send();
  expect(counts()).toEqual([2, 4, 2]);
  // Its sender moved: what it sent before counts no more.
  lan.ports[1]!.receive(frame(BROADCAST, station(1)));
  send();
  lan.ports[1]!.receive(frame(station(1), station(3)));
  expect(counts()).toEqual([4, 5, 2]);
});

test('addresses are told apart in all of their bytes', () => {
  const { lan, counts } = plugged(3);
  const from = [0x02, 0x84, 0xa2, 0xb4, 0xc2, 0x99];
  lan.ports[1]!.receive(frame(BROADCAST, from));
  expect(counts()).toEqual([1, 0, 1]);
  lan.ports[0]!.receive(frame(from, station(1)));
  expect(counts()).toEqual([1, 1, 1]);
  for (let byte = 0; byte < 6; byte++) {
    const other = from.map((value, at) => (at === byte ? value ^ 0x40 : value));
    lan.ports[0]!.receive(frame(other, station(1)));
    expect(counts()).toEqual([1, 2 + byte, 2 + byte]);
  }
});

test('a frame to its own port goes nowhere, as one without anybody else does', () => {
  const { lan, counts } = plugged(2);
  lan.ports[0]!.receive(frame(BROADCAST, station(1)));
  expect(lan.ports[0]!.receive(frame(station(1), station(5)))).toBe(DELIVERED.ACCEPTED);
  lan.ports[1]!.attach(undefined);
  expect(lan.ports[0]!.receive(frame(BROADCAST, station(1)))).toBe(DELIVERED.ACCEPTED);
  expect(counts()).toEqual([0, 1]);
  expect(lan.ports[0]!.counters).toMatchObject({ flooded: 1, filtered: 2 });
});

test('a port without room holds a frame for it alone up, and loses one for several', () => {
  const { lan, devices, counts } = plugged(3);
  lan.ports[1]!.receive(frame(BROADCAST, station(2)));
  devices[1]!.answers.push(DELIVERED.FULL, DELIVERED.FULL, DELIVERED.DROPPED);
  expect(lan.ports[0]!.receive(frame(station(2), station(1)))).toBe(DELIVERED.FULL);
  expect(lan.ports[0]!.receive(frame(BROADCAST, station(1)))).toBe(DELIVERED.ACCEPTED);
  expect(lan.ports[0]!.receive(frame(station(2), station(1)))).toBe(DELIVERED.DROPPED);
  expect(counts()).toEqual([1, 0, 2]);
  expect(lan.ports[0]!.counters).toEqual({ forwarded: 0, flooded: 1, filtered: 0, lost: 2 });
});

test('of two ports the other one holds even a flooded frame up', () => {
  const { lan, devices } = plugged(2);
  devices[1]!.answers.push(DELIVERED.FULL, DELIVERED.DROPPED);
  expect(lan.ports[0]!.receive(frame(BROADCAST, station(1)))).toBe(DELIVERED.FULL);
  expect(lan.ports[0]!.receive(frame(BROADCAST, station(1)))).toBe(DELIVERED.DROPPED);
  expect(lan.ports[0]!.counters).toEqual({ forwarded: 0, flooded: 0, filtered: 0, lost: 1 });
});

test('addresses are found through ranges and behind a header; a frame without both is lost', () => {
  const { lan, devices } = plugged(2);
  const whole = frameWith(Uint8Array.of(9, 9, ...bytes(station(2), station(1))));
  whole.ranges = new RangeList();
  for (const [offset, length] of [
    [0, 2],
    [2, 5],
    [7, 1],
    [8, 10],
  ] as const)
    whole.ranges.push(offset, length);
  Object.assign(whole, { first: 0, end: 4, skip: 2, length: 16 });
  lan.ports[0]!.receive(whole);
  lan.ports[1]!.receive(frame(station(1), station(2)));
  expect(devices.map(({ frames }) => frames.length)).toEqual([1, 1]);
  expect(lan.ports[1]!.counters.forwarded).toBe(1);
  expect(lan.ports[0]!.receive(frameWith(new Uint8Array(11)))).toBe(DELIVERED.DROPPED);
});

test('a sender leaves undone what every other device takes', () => {
  const lan = new LearningSwitch(3);
  expect(lan.ports[0]!.offloads).toBe(EVERY_OFFLOAD);
  lan.ports[0]!.attach(new ScriptedBackend(0));
  lan.ports[1]!.attach(new ScriptedBackend(OFFLOAD.CSUM | OFFLOAD.TSO4));
  lan.ports[2]!.attach(new ScriptedBackend(OFFLOAD.CSUM | OFFLOAD.TSO6));
  expect(lan.ports.map(({ offloads }) => offloads)).toEqual([OFFLOAD.CSUM, 0, 0]);
});

test('more senders than there are places for: the latest are known, and nothing else breaks', () => {
  const { lan, devices } = plugged(3);
  for (let number = 0; number < 20_000; number++) lan.ports[0]!.receive(frame(BROADCAST, station(number)));
  const before = lan.ports[1]!.counters.flooded;
  for (let number = 19_990; number < 20_000; number++) lan.ports[1]!.receive(frame(station(number), station(30_000)));
  expect(lan.ports[1]!.counters).toMatchObject({ flooded: before, forwarded: 10 });
  expect(devices[0]!.frames).toHaveLength(10);
});

test('a device that goes is forgotten, and the end of a burst reaches the others', () => {
  const { lan, counts } = plugged(2);
  lan.ports[0]!.receive(frame(BROADCAST, station(1)));
  let flushes = 0;
  const another = new ScriptedBackend();
  lan.ports[0]!.attach({ offloads: 0, receive: (got) => another.receive(got), flush: () => void flushes++ });
  lan.ports[1]!.receive(frame(station(1), station(2)));
  lan.ports[1]!.flush?.();
  lan.ports[0]!.flush?.();
  expect([flushes, another.frames.length, lan.ports[1]!.counters.flooded]).toEqual([1, 1, 1]);
  expect(counts()).toEqual([0, 1]);
});

test('a switch has 1 to 1024 ports', () => {
  expect(() => new LearningSwitch(0)).toThrow('ports is 0, want an integer from 1 to 1024');
});
