import { describe, expect, test } from 'vitest';
import { AT, DeviceBench, EVERYWHERE, F, FACES, placeOf, S, SIZE } from './testing/device-bench.js';
import { RecordingModel } from './testing/recording-model.js';

const RUNNING = S.ACK | S.DRIVER | S.FEATURES | S.OK;
const PLACE = placeOf(0);

describe.each(FACES)('the registers of a queue over %s', (face) => {
  const negotiated = (model = new RecordingModel()): DeviceBench<RecordingModel> => {
    const bench = new DeviceBench(face, model);
    bench.negotiate();
    return bench;
  };

  test('a queue that is set up and enabled says so', () => {
    const bench = negotiated();
    expect([bench.face.queueSize(0), bench.face.enabled(0)]).toEqual([16, 0]);
    bench.face.place(0, PLACE);
    bench.face.enable(0);
    expect(bench.face.enabled(0)).toBe(1);
    expect([bench.face.enabled(1), bench.device.counters.enableRefused]).toEqual([0, 0]);
  });

  test.each([
    [0, 'queue_size is 0, want a power of two ≤ 16 (virtio 1.4 §2.7)'],
    [12, 'queue_size is 12, want a power of two ≤ 16 (virtio 1.4 §2.7)'],
    [32, 'queue_size is 32, want a power of two ≤ 16 (virtio 1.4 §2.7)'],
    [0x8000, 'queue_size is 32768, want a power of two ≤ 16 (virtio 1.4 §2.7)'],
    [0xffff, 'queue_size is 65535, want a power of two ≤ 16 (virtio 1.4 §2.7)'],
  ])('PC-02: a size of %i is not taken, and the queue not enabled until another is written', (size, refusal) => {
    const bench = negotiated();
    bench.face.place(0, { ...PLACE, size });
    bench.face.enable(0);
    expect([bench.face.queueSize(0), bench.face.enabled(0)]).toEqual([16, 0]);
    expect(bench.device.queues[0]!.refusal).toBe(refusal);
    expect(bench.device.counters.enableRefused).toBe(1);
    bench.addQueue(0);
    bench.face.setStatus(RUNNING);
    bench.probe(0);
  });

  test('with RING_PACKED any size up to the offered one will do', () => {
    const bench = new DeviceBench(face, new RecordingModel(), { layout: 'packed' });
    bench.negotiate();
    bench.face.place(0, { ...PLACE, size: 13 });
    bench.face.enable(0);
    expect([bench.face.enabled(0), bench.device.queues[0]!.queue!.size]).toEqual([1, 13]);
  });

  test.each([
    ['none', {}, 'queue_desc, queue_driver, queue_device were never written (virtio 1.4 §4.1.5.1.3)'],
    ['no device area', { desc: 0, driver: 0 }, 'queue_device was never written (virtio 1.4 §4.1.5.1.3)'],
  ])('PC-04: with %s of its addresses written a queue is not enabled', (_, place, refusal) => {
    const bench = negotiated();
    bench.face.place(0, place);
    bench.face.enable(0);
    expect([bench.face.enabled(0), bench.device.queues[0]!.refusal]).toEqual([0, refusal]);
  });

  test.each([
    ['beyond all memory', { desc: 0x50_0000 }, 'desc is 5242880, want 128 bytes of contiguous memory within reach'],
    ['misaligned', { driver: PLACE.driver + 1 }, 'driver is 69633, want a multiple of 2'],
    ['over another', { device: PLACE.desc + 64 }, 'device is 65600, want memory apart from the desc area'],
    ['at 2^53', { device: 2n ** 53n }, 'queue_device is 0x20000000000000, want an address below 2^53'],
    ['at 2^64 - 16', { desc: 2n ** 64n - 16n }, 'queue_desc is 0xfffffffffffffff0, want an address below 2^53'],
  ])('an area %s is no place for a queue: nothing is written, and the reason is named', (_, change, refusal) => {
    const bench = negotiated();
    const since = bench.guest.snapshot();
    bench.face.place(0, { ...PLACE, ...change });
    bench.face.enable(0);
    expect(bench.face.enabled(0)).toBe(0);
    expect(bench.device.queues[0]!.refusal).toContain(refusal);
    expect(bench.strayChanges(since)).toEqual([]);
  });

  test('before FEATURES_OK no queue is enabled: what its bytes mean is not settled', () => {
    const bench = new DeviceBench(face, new RecordingModel());
    bench.face.setStatus(S.ACK | S.DRIVER);
    bench.face.place(0, PLACE);
    bench.face.enable(0);
    expect(bench.face.enabled(0)).toBe(0);
    expect(bench.device.queues[0]!.refusal).toContain('features are not negotiated');
  });

  test('PC-03: MM-06: MM-07: what is written to an enabled queue changes nothing', () => {
    const bench = negotiated();
    bench.addQueue(0);
    bench.face.place(0, { size: 4, desc: 1n << 60n, driver: 2, device: (1n << 40n) + 4n });
    bench.face.enable(0);
    expect(bench.device.queues[0]!.queue!.size).toBe(SIZE);
    bench.face.setStatus(RUNNING);
    bench.face.place(0, { size: 0, desc: 0, driver: 0, device: 0 });
    bench.probe(0);
    expect(bench.device.queues[0]!.size).toBe(SIZE);
    expect(bench.device.counters.queueWritesIgnored).toBe(15);
  });

  test('PC-05: MM-05: only 1 enables a queue; 2 and 0xffff do not, and do not stop it either', () => {
    const bench = negotiated();
    bench.face.place(0, PLACE);
    for (const value of [0, 2, 3, 0xffff]) bench.face.enable(0, value);
    expect(bench.face.enabled(0)).toBe(0);
    bench.addQueue(0);
    for (const value of [2, 3, 0xffff]) bench.face.enable(0, value);
    expect(bench.face.enabled(0)).toBe(1);
    bench.face.setStatus(RUNNING);
    bench.probe(0);
  });

  test('dev.pci.common-cfg.14: a type may leave a queue out: its size is 0, and it cannot be enabled', () => {
    const bench = negotiated(new RecordingModel({ queueSizes: [16, 0, 16] }));
    expect([0, 1, 2, 3].map((index) => bench.face.queueSize(index))).toEqual([16, 0, 16, 0]);
    bench.face.place(1, placeOf(1));
    bench.face.enable(1);
    expect(bench.face.enabled(1)).toBe(0);
  });

  test('a queue may be enabled while the device runs: its type is told, and looks at it', () => {
    const bench = negotiated();
    bench.face.setStatus(RUNNING);
    bench.model.takeCalls();
    bench.addQueue(1);
    expect(bench.model.takeCalls()).toEqual(['changed 1', 'notified 1']);
    bench.probe(1);
  });

  test('MM-11: PC-07: a notification of a queue that there is not changes nothing', () => {
    const bench = negotiated();
    bench.addQueue(0);
    bench.face.setStatus(RUNNING);
    bench.model.takeCalls();
    for (const index of [1, 2, 3, 0xffff]) bench.device.notify(index);
    expect(bench.model.takeCalls()).toEqual([]);
    expect(bench.device.counters).toMatchObject({ kicks: 0, kicksIgnored: 4 });
  });

  test.each([[3], [0x10000], [-1], [1.5]])('a type with a queue of %d descriptors makes no device', (size) => {
    expect(() => new DeviceBench(face, new RecordingModel({ queueSizes: [size] }))).toThrow('queueSizes is');
  });
});

describe.each(EVERYWHERE)('the reset of a queue over %s and %s rings', (face, layout) => {
  const started = (accept = [F.RING_RESET]): DeviceBench<RecordingModel> => {
    const bench = new DeviceBench(face, new RecordingModel(), { layout, accept });
    bench.start([0, 1]);
    bench.probe(0);
    bench.probe(1);
    bench.face.takeInterrupts();
    bench.model.takeCalls();
    return bench;
  };

  test('dev.basic.vq-reset.1,.2: dev.mmio.registers.10,.12: dev.pci.common-cfg.11,.13: NG-19: ends the queue alone: nothing of it is used or told, and its state starts anew', () => {
    const bench = started();
    bench.offer(0);
    bench.face.kick(0);
    bench.offer(1);
    bench.face.kick(1);
    bench.face.resetQueue(0);
    expect([bench.face.resetting(0), bench.face.enabled(0), bench.face.enabled(1)]).toEqual([0, 0, 1]);
    const since = bench.guest.snapshot();
    expect(bench.device.step(SIZE)).toBe(1);
    expect(bench.collect(0)).toEqual([]);
    expect(bench.collect(1)).toEqual([16]);
    expect(bench.strayChanges(since, [1])).toEqual([]);
    bench.face.kick(0);
    expect(bench.device.step(SIZE)).toBe(0);
    expect(bench.model.takeCalls()).toEqual(['notified 0', 'notified 1', 'changed 0']);
    expect(bench.device.counters.queueResets).toBe(1);
    // From the first entry on, as at first discovery.
    bench.addQueue(0);
    expect([bench.face.enabled(0), bench.face.resetting(0)]).toEqual([1, 0]);
    bench.probe(0);
  });

  test('dev.basic.vq-reenable.1: dev.mmio.registers.9: dev.pci.common-cfg.10: a queue that is enabled again has the size and the places that are written then', () => {
    const bench = started();
    bench.face.resetQueue(0);
    expect(bench.face.queueSize(0)).toBe(16);
    bench.face.enable(0);
    expect(bench.face.enabled(0)).toBe(0);
    const place = placeOf(4);
    bench.face.place(0, { ...place, size: 4 });
    bench.guest.write(place.desc, new Uint8Array(0x3000));
    bench.face.enable(0);
    expect([bench.face.enabled(0), bench.face.resetting(0)]).toEqual([1, 0]);
    expect(bench.device.queues[0]!.queue).toMatchObject({ size: 4, layout });
    const since = bench.guest.snapshot();
    bench.face.kick(0);
    bench.device.step(SIZE);
    expect(bench.strayChanges(since, [4])).toEqual([]);
  });

  test('NG-17: resets of a queue that was never enabled, and twice in a row, are done at once', () => {
    const bench = new DeviceBench(face, new RecordingModel(), { layout, accept: [F.RING_RESET] });
    bench.negotiate();
    for (let round = 0; round < 2; round++) {
      bench.face.resetQueue(0);
      expect([bench.face.resetting(0), bench.face.enabled(0)]).toEqual([0, 0]);
    }
    bench.addQueue(0);
    bench.face.setStatus(RUNNING);
    bench.probe(0);
    for (let round = 0; round < 2; round++) bench.face.resetQueue(0);
    expect([bench.face.resetting(0), bench.face.enabled(0)]).toEqual([0, 0]);
    bench.addQueue(0);
    bench.probe(0);
  });

  test('NG-18: a reset that was not negotiated, or another value than 1, does nothing', () => {
    const bench = started([]);
    bench.face.resetQueue(0);
    expect([bench.face.enabled(0), bench.face.resetting(0)]).toEqual([1, 0]);
    bench.probe(0);
    const able = started();
    for (const value of [0, 2, 0xffff]) able.face.resetQueue(0, value);
    expect(able.face.enabled(0)).toBe(1);
    able.probe(0);
  });

  test('dev.mmio.registers.11: dev.pci.common-cfg.12: asked for within a step, it is under way until the step ends', () => {
    const bench = started();
    bench.offer(0, AT.buffers);
    bench.face.kick(0);
    bench.model.duringStep = () => {
      bench.model.duringStep = undefined;
      bench.face.resetQueue(0);
      expect([bench.face.resetting(0), bench.face.enabled(0)]).toEqual([1, 1]);
    };
    bench.device.step(SIZE);
    expect([bench.face.resetting(0), bench.face.enabled(0)]).toEqual([0, 0]);
    expect(bench.face.takeInterrupts()).toEqual({ used: false, config: false });
    bench.addQueue(0);
    bench.probe(0);
  });

  test('dev.mmio.registers.8: dev.pci.common-cfg.9: after a device reset no queue is being reset', () => {
    const bench = started();
    bench.offer(0, AT.buffers);
    bench.face.kick(0);
    bench.model.duringStep = () => {
      bench.model.duringStep = undefined;
      bench.face.resetQueue(0);
      bench.face.setStatus(0);
    };
    bench.device.step(SIZE);
    expect(bench.face.status()).toBe(0);
    expect(bench.face.resetting(0)).toBe(0);
    bench.start();
    bench.probe(0);
  });
});
