import { describe, expect, test } from 'vitest';
import { AT, DeviceBench, EVERYWHERE, FACES, S, SIZE } from './testing/device-bench.js';
import { FILL, RecordingModel } from './testing/recording-model.js';

const RUNNING = S.ACK | S.DRIVER | S.FEATURES | S.OK;

describe.each(FACES)('the status of a device over %s', (face) => {
  test('is 0 at first, and has the bits that the driver set one after the other', () => {
    const bench = new DeviceBench(face, new RecordingModel());
    expect(bench.face.status()).toBe(0);
    bench.face.setStatus(S.ACK);
    expect(bench.face.status()).toBe(1);
    bench.face.setStatus(S.ACK | S.DRIVER);
    expect(bench.face.status()).toBe(3);
    expect(bench.negotiate()).toBe(11);
    bench.face.setStatus(15);
    expect(bench.face.status()).toBe(15);
    expect(bench.model.takeCalls()).toEqual(['start']);
  });

  test('NG-06: DRIVER_OK without FEATURES_OK starts nothing', () => {
    const bench = new DeviceBench(face, new RecordingModel());
    bench.face.setStatus(S.ACK | S.DRIVER);
    bench.face.setStatus(S.ACK | S.DRIVER | S.OK);
    expect(bench.face.status()).toBe(S.ACK | S.DRIVER);
    expect(bench.model.calls).toEqual([]);
    expect(bench.device.statusProblem).toBe('DRIVER_OK was written before FEATURES_OK (virtio 1.4 §3.1.1)');
    bench.negotiate();
    expect(bench.device.statusProblem).toBeUndefined();
    bench.start();
    bench.probe(0);
  });

  test.each([[S.OK], [S.FEATURES | S.OK], [S.ACK | S.OK], [S.DRIVER | S.FEATURES | S.OK]])(
    'NG-07: status %i written first starts nothing',
    (value) => {
      const bench = new DeviceBench(face, new RecordingModel());
      bench.face.setStatus(value);
      expect(bench.face.status() & (S.OK | S.FEATURES | S.DRIVER)).toBe(0);
      expect(bench.model.calls).toEqual([]);
      expect(bench.device.counters.statusIgnored).toBe(1);
      bench.start();
      bench.probe(0);
    },
  );

  test('NG-08: a bit is not taken back but with a whole reset', () => {
    const bench = new DeviceBench(face, new RecordingModel());
    bench.start();
    bench.face.setStatus(S.ACK | S.DRIVER | S.FEATURES);
    expect(bench.face.status()).toBe(RUNNING);
    bench.face.setStatus(S.ACK);
    expect(bench.face.status()).toBe(RUNNING);
    expect(bench.model.calls).not.toContain('stop');
    bench.probe(0);
  });

  test('NG-10: NEEDS_RESET and bits that there are not are not taken over', () => {
    const bench = new DeviceBench(face, new RecordingModel());
    bench.start();
    bench.face.setStatus(RUNNING | S.NEEDS_RESET | 0x20);
    expect(bench.face.status()).toBe(RUNNING);
    expect(bench.device.counters.statusIgnored).toBe(1);
    bench.probe(0);
  });

  test('NG-11: DRIVER_OK with no queue enabled runs with nothing to do', () => {
    const bench = new DeviceBench(face, new RecordingModel());
    bench.start([]);
    bench.face.kick(0);
    expect(bench.device.step(SIZE)).toBe(0);
    expect(bench.model.steps).toBe(1);
    expect(bench.face.status()).toBe(RUNNING);
    expect(bench.device.counters.kicksIgnored).toBe(1);
  });

  test('NG-16: of two feature sets with a reset between, the second alone counts', () => {
    const bench = new DeviceBench(face, new RecordingModel({ features: [0, 1] }));
    expect(bench.negotiate([0, 32])).toBe(11);
    expect(bench.negotiate([1, 32])).toBe(11);
    bench.face.setStatus(15);
    expect([...bench.model.port!.features]).toEqual([2, 1, 0, 0]);
  });
});

describe.each(EVERYWHERE)('over %s and %s rings', (face, layout) => {
  const started = (): DeviceBench<RecordingModel> => {
    const bench = new DeviceBench(face, new RecordingModel(), { layout });
    bench.start([0, 1]);
    bench.probe(0);
    bench.face.takeInterrupts();
    bench.model.takeCalls();
    return bench;
  };

  test('dev.basic.status.1: NG-12: before DRIVER_OK no buffer is used and nothing is told, however often notified', () => {
    const bench = new DeviceBench(face, new RecordingModel(), { layout });
    bench.negotiate();
    bench.addQueue(0);
    bench.offer(0);
    const since = bench.guest.snapshot();
    for (let round = 0; round < 3; round++) {
      bench.face.kick(0);
      expect(bench.device.step(SIZE)).toBe(0);
    }
    expect(bench.strayChanges(since)).toEqual([]);
    expect(bench.model.steps).toBe(0);
    expect(bench.face.takeInterrupts()).toEqual({ used: false, config: false });
    // What was offered before is found then, without another notification.
    bench.face.setStatus(RUNNING);
    expect(bench.model.takeCalls()).toEqual(['start', 'notified 0']);
    expect(bench.device.step(SIZE)).toBe(1);
    expect(bench.collect(0)).toEqual([16]);
  });

  test('dev.basic.status.2,.3: dev.basic.features.5: NG-23: a ring that cannot be trusted needs a reset, is told by a configuration change, and a reset mends it', () => {
    const bench = started();
    bench.breakRing(0);
    bench.face.kick(0);
    bench.device.step(SIZE);
    expect(bench.face.status()).toBe(RUNNING | S.NEEDS_RESET);
    expect(bench.face.takeInterrupts().config).toBe(true);
    expect(bench.device.counters.needsReset).toBe(1);
    expect(bench.device.resetReason).toMatch(/^queue 0 cannot be trusted: (AVAIL_INDEX|ENDLESS_CHAIN)$/);
    expect(bench.model.takeCalls()).toEqual(['notified 0', 'stop']);
    // The other queue is not served either, and a status written by the driver changes nothing.
    bench.offer(1);
    const offered = bench.guest.snapshot();
    bench.face.kick(1);
    bench.face.setStatus(RUNNING);
    expect(bench.device.step(SIZE)).toBe(0);
    expect(bench.strayChanges(offered)).toEqual([]);

    expect(bench.face.status()).toBe(RUNNING | S.NEEDS_RESET);
    expect(bench.face.takeInterrupts()).toEqual({ used: false, config: false });
    bench.start([0, 1]);
    bench.probe(0);
    bench.probe(1);
  });

  test('NG-09: FAILED ends all queues until a reset', () => {
    const bench = started();
    bench.face.setStatus(RUNNING | S.FAILED);
    expect(bench.face.status()).toBe(RUNNING | S.FAILED);
    expect(bench.model.takeCalls()).toEqual(['stop']);
    bench.offer(0);
    const since = bench.guest.snapshot();
    bench.face.kick(0);
    expect(bench.device.step(SIZE)).toBe(0);
    expect(bench.strayChanges(since)).toEqual([]);
    expect(bench.face.takeInterrupts()).toEqual({ used: false, config: false });
    bench.start();
    bench.probe(0);
  });

  test('dev.basic.reset.1,.2: dev.pci.common-cfg.7,.8: NG-13: after a reset the status is 0, and no queue is touched and nothing told', () => {
    const bench = started();
    bench.offer(0);
    bench.face.kick(0);
    bench.face.setStatus(0);
    expect(bench.face.status()).toBe(0);
    expect([bench.face.enabled(0), bench.face.enabled(1)]).toEqual([0, 0]);
    expect(bench.model.takeCalls()).toEqual(['notified 0', 'stop']);
    const since = bench.guest.snapshot();
    bench.face.kick(0);
    expect(bench.device.step(SIZE)).toBe(0);
    expect(bench.strayChanges(since)).toEqual([]);
    expect(bench.face.takeInterrupts()).toEqual({ used: false, config: false });
    expect(bench.device.deadline()).toBe(Number.POSITIVE_INFINITY);
    bench.start();
    bench.probe(0);
  });

  test('NG-14: MM-12: a reset in the middle of a step ends with the step: status 0 then, no access and no interrupt later', () => {
    const bench = started();
    for (let at = 0; at < SIZE; at++) bench.offer(0, AT.buffers + at * 16);
    bench.model.duringStep = () => {
      bench.model.duringStep = undefined;
      bench.face.setStatus(0);
      // Not done yet: the device may still be writing to a buffer.
      expect(bench.face.status()).toBe(RUNNING);
      expect(bench.device.step(SIZE)).toBe(0);
    };
    const since = bench.guest.snapshot();
    bench.device.step(SIZE);
    expect(bench.face.status()).toBe(0);
    // The buffers were being filled when the reset came; the rings were touched no more.
    expect(bench.guest.read(AT.buffers, 1)[0]).toBe(FILL);
    expect(bench.guest.changesOutside(since, [{ gpa: AT.buffers, length: 16 * SIZE }])).toEqual([]);
    expect(bench.face.takeInterrupts()).toEqual({ used: false, config: false });
    expect(bench.model.calls.at(-1)).toBe('stop');
    bench.start();
    bench.probe(0);
  });

  test('MM-12: an interrupt handler may reset the device: it is 0 when the write returns, and no later interrupt comes', () => {
    const bench = started();
    const seen: number[] = [];
    bench.face.onInterrupt = () => {
      bench.face.setStatus(0);
      seen.push(bench.face.status());
    };
    bench.offer(0);
    bench.offer(1);
    bench.face.kick(0);
    bench.face.kick(1);
    bench.device.step(SIZE);
    expect(seen).toEqual([0]);
    expect(bench.model.takeCalls()).toEqual(['notified 0', 'notified 1', 'stop']);
    bench.face.onInterrupt = () => {};
    bench.face.takeInterrupts();
    bench.start();
    bench.probe(0);
  });

  test('an interrupt handler may step the device again', () => {
    const bench = started();
    const done: number[] = [];
    bench.face.onInterrupt = () => {
      bench.face.onInterrupt = () => {};
      bench.offer(1);
      bench.face.kick(1);
      done.push(bench.device.step(SIZE));
    };
    bench.offer(0);
    bench.face.kick(0);
    expect(bench.device.step(SIZE)).toBe(1);
    expect(done).toEqual([1]);
    expect([bench.collect(0), bench.collect(1)]).toEqual([[16], [16]]);
  });
});

test('NG-15: ten thousand resets with traffic between leave no trace', () => {
  const bench = new DeviceBench('mmio', new RecordingModel());
  for (let round = 0; round < 10_000; round++) {
    bench.start();
    bench.face.takeInterrupts();
    bench.probe(0);
    bench.model.calls.length = 0;
  }
  expect(bench.device.counters).toMatchObject({ resets: 10_000, needsReset: 0, usedNotifications: 10_000 });
});

test('NX-10: a flood of notifications is one mark, and one wake each for the host to coalesce', () => {
  const bench = new DeviceBench('mmio', new RecordingModel());
  bench.start();
  bench.offer(0);
  for (let at = 0; at < 100_000; at++) bench.face.kick(0);
  expect(bench.model.steps).toBe(0);
  expect(bench.device.step(SIZE)).toBe(1);
  expect(bench.device.step(SIZE)).toBe(0);
});
