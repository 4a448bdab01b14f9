import { describe, expect, test } from 'vitest';
import { DeviceBench } from '../testing/device-bench.js';
import type { MmioFace } from '../testing/mmio-face.js';
import type { PciFace } from '../testing/pci-face.js';
import { RecordingModel } from '../testing/recording-model.js';
import { REGISTER_SPACE, runDeviceThread, threadedMmio, threadedPci } from './device-thread.js';
import { RemoteDevice } from './remote-device.js';
import { ThreadEvents } from './thread-events.js';
import { newThreadPlace, type ThreadPlace, WORD } from './thread-words.js';

const QUEUES = 70;
const queueSizes = Array.from({ length: QUEUES }, () => 16);

/** Run the loop in this thread: it ends with its first step. */
function oneTurn(place: ThreadPlace, bench: DeviceBench<RecordingModel>, kicks = true): void {
  const step = bench.model.step.bind(bench.model);
  bench.model.step = (budget) => {
    new RemoteDevice(place).stop();
    return step(budget);
  };
  const { face } = bench;
  const threaded = face.name === 'mmio' ? threadedMmio((face as MmioFace).mmio) : threadedPci((face as PciFace).virtio);
  runDeviceThread(place, kicks ? threaded : { ...threaded, kicks: undefined });
  Atomics.store(place.words, WORD.STOP, 0);
  bench.model.step = step;
}

describe('doorbells', () => {
  test('each bit notifies its queue, once, before the step', () => {
    const place = newThreadPlace(QUEUES, 0);
    const bench = new DeviceBench('mmio', new RecordingModel({ queueSizes }));
    // As many queues as the bench's memory has room for.
    bench.start([0, 1, 2, 3]);
    const remote = new RemoteDevice(place);
    for (const queue of [3, 0, 3, 2, 33, 69]) remote.ring(queue);
    bench.model.takeCalls();
    oneTurn(place, bench);
    expect(bench.model.takeCalls()).toEqual(['notified 0', 'notified 2', 'notified 3']);
    expect(bench.device.counters.kicksIgnored).toBe(2);
    oneTurn(place, bench);
    expect(bench.model.takeCalls()).toEqual([]);
  });

  test.each([
    ['mmio', REGISTER_SPACE.MMIO, 0x50, 4, 2, 2],
    ['pci', 0, 0x5000 + 8, 2, 0, 2],
    ['pci', 0, 0x5000 + 12, 4, 0, 3],
  ] as const)('over %s a notification at 0x%i:%i rings one', (face, space, offset, bytes, value, queue) => {
    const place = newThreadPlace(4, 8);
    const bench = new DeviceBench(
      face,
      new RecordingModel({ queueSizes: [16, 16, 16, 16], config: new Uint8Array(0) }),
    );
    bench.start([0]);
    oneTurn(place, bench);
    new RemoteDevice(place, { patience: 1 }).write(space, offset, bytes, value);
    expect(place.words[WORD.DOORBELLS]).toBe(1 << queue);
  });

  test.each([
    ['a queue that there is not', REGISTER_SPACE.MMIO, 0x50, 4, 4],
    ['notification data', REGISTER_SPACE.MMIO, 0x50, 4, 0x1_0000],
    ['another register', REGISTER_SPACE.MMIO, 0x70, 4, 0],
    ['another width', REGISTER_SPACE.MMIO, 0x50, 2, 0],
    ['another space', 0, 0x50, 4, 0],
  ])('what is written for %s is left to the device', (_, space, offset, bytes, value) => {
    const place = newThreadPlace(4, 0);
    const bench = new DeviceBench('mmio', new RecordingModel());
    bench.start([0]);
    oneTurn(place, bench);
    const remote = new RemoteDevice(place, { patience: 0 });
    remote.write(space, offset, bytes, value);
    expect([place.words[WORD.DOORBELLS], place.words[WORD.OFFSET]]).toEqual([0, offset]);
  });
});

test('a parked device steps at its deadline', () => {
  const place = newThreadPlace(2, 0);
  const bench = new DeviceBench('mmio', new RecordingModel());
  bench.start([0]);
  let clock = 0;
  const calls: string[] = [];
  bench.model.deadline = () => {
    calls.push('deadline');
    return 3000;
  };
  bench.model.step = () => {
    calls.push('step');
    // Once more after it parked.
    if (calls.includes('deadline')) new RemoteDevice(place).stop();
    return 0;
  };
  const now = (): number => {
    clock += 1000;
    return clock;
  };
  runDeviceThread(place, threadedMmio((bench.face as MmioFace).mmio), { spinBudget: 3, now });
  expect(calls).toEqual(['step', 'step', 'step', 'step', 'deadline', 'step']);
});

describe('what a device does to the machine', () => {
  const drained = (remote: RemoteDevice): string[] => {
    const seen: string[] = [];
    remote.drain({
      sendMessage: (low, high, data) => seen.push(`${low}/${high}=${data}`),
      setLevel: (level) => seen.push(`level ${level}`),
      barMoved: (bar, address) => seen.push(`bar ${bar} ${address}`),
    });
    return seen;
  };

  test('messages arrive once each, however often they were sent before they were fetched', () => {
    const place = newThreadPlace(1, 3);
    const events = new ThreadEvents(place);
    const remote = new RemoteDevice(place);
    for (const data of [1, 2, 1, 1]) events.sendMessage(0xfee0_0000, 0xffff_ffff, data);
    expect(drained(remote)).toEqual(['4276092928/4294967295=1', '4276092928/4294967295=2']);
    expect(drained(remote)).toEqual([]);
    events.sendMessage(0xfee0_0000, 0xffff_ffff, 2);
    expect(drained(remote)).toEqual(['4276092928/4294967295=2']);
  });

  test('a place that was fetched takes another message; with all of them waiting one is lost and counted', () => {
    const place = newThreadPlace(1, 2);
    const events = new ThreadEvents(place);
    const remote = new RemoteDevice(place);
    for (const data of [1, 2, 3]) events.sendMessage(4, 0, data);
    expect([drained(remote), remote.messagesLost]).toEqual([['4/0=1', '4/0=2'], 1]);
    for (let data = 3; data < 100; data++) {
      events.sendMessage(4, 0, data);
      expect(drained(remote)).toEqual([`4/0=${data}`]);
    }
    expect(remote.messagesLost).toBe(1);
  });

  test('the level is told when it differs, BARs with their address', () => {
    const place = newThreadPlace(1, 0);
    const events = new ThreadEvents(place);
    const remote = new RemoteDevice(place);
    expect(drained(remote)).toEqual([]);
    events.setIntx(true);
    events.barMoved(0, 0x12_ffff_0000);
    expect(drained(remote)).toEqual(['level true', 'bar 0 81604313088']);
    events.setIntx(false);
    events.setIntx(true);
    expect(drained(remote)).toEqual([]);
    events.barMoved(0, -1);
    events.setIntx(false);
    expect(drained(remote)).toEqual(['level false', 'bar 0 -1']);
    expect(remote.barAddress(0)).toBe(-1);
  });
});
