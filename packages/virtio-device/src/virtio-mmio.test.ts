import { MMIO_REGISTERS } from '@ringwire/virtio-spec/transport';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DeviceBench, F, S, SIZE } from './testing/device-bench.js';
import { MmioFace, REG } from './testing/mmio-face.js';
import { RecordingModel, type RecordingOptions } from './testing/recording-model.js';
import type { VirtioMmioConfig } from './virtio-mmio.js';

const RUNNING = S.ACK | S.DRIVER | S.FEATURES | S.OK;

function bench(options: RecordingOptions = {}): { bench: DeviceBench<RecordingModel>; face: MmioFace } {
  const made = new DeviceBench('mmio', new RecordingModel(options));
  return { bench: made, face: made.face as MmioFace };
}

function bare(model: RecordingOptions, config: Partial<VirtioMmioConfig>): MmioFace {
  const { guest } = new DeviceBench('mmio', new RecordingModel());
  return new MmioFace({ model: new RecordingModel(model), space: guest.space }, config);
}

test('dev.mmio.registers.1,.2: the bytes at 0 spell "virt", and the version is 2', () => {
  const { face } = bench({ deviceId: 23 });
  expect([face.read(REG.magic), face.read(REG.version)]).toEqual([0x74726976, 2]);
  expect([face.read(REG.deviceId), face.read(REG.vendorId)]).toEqual([23, 0x1af4]);
  expect(bare({}, { vendorId: 0x554d4551 }).read(REG.vendorId)).toBe(0x554d4551);
});

describe('accesses that do not exist', () => {
  test('MM-01: registers have aligned words alone: any other access reads 0 and writes nothing', () => {
    const { bench: made, face } = bench();
    for (const bytes of [1, 2, 3, 8]) {
      expect(face.mmio.read(REG.magic, bytes)).toBe(0);
      face.mmio.write(REG.status, bytes, S.ACK);
    }
    for (const at of [1, 2, 3]) {
      expect(face.mmio.read(REG.magic + at, 4)).toBe(0);
      face.mmio.write(REG.status + at, 4, S.ACK);
    }
    expect(face.status()).toBe(0);
    expect(face.mmio.counters.badAccesses).toBe(14);
    expect(face.mmio.read(REG.config, 8)).toBe(0);
    made.start();
    made.probe(0);
  });

  test('MM-02: a read-only register is not written, a write-only one reads 0', () => {
    const { bench: made, face } = bench();
    made.start();
    made.probe(0);
    const rows = Object.values(MMIO_REGISTERS);
    const readOnly = rows.filter(({ access }) => access === 'ro');
    const before = readOnly.map(({ at }) => face.read(at));
    for (const { at } of readOnly) face.write(at, 0xffff_ffff);
    expect(readOnly.map(({ at }) => face.read(at))).toEqual(before);
    for (const { at } of rows.filter(({ access }) => access === 'wo')) expect(face.read(at)).toBe(0);
    expect(face.mmio.counters.refusedAccesses).toBe(rows.length - 3);
    made.probe(0);
  });

  test('MM-03: every offset up to the end of the page without a register reads 0 and takes any write', () => {
    const { bench: made, face } = bench();
    made.start();
    const known = new Set<number>(Object.values(MMIO_REGISTERS).map(({ at }) => at));
    for (let at = 0; at < 0x1000; at += 4) {
      if (known.has(at) || (at >= 0x100 && at < 0x108)) continue;
      face.write(at, 0xffff_ffff);
      expect(face.read(at)).toBe(0);
    }
    expect(face.status()).toBe(RUNNING);
    made.probe(0);
  });

  test('MM-04: a size of 0x10000 is refused, not narrowed to 0', () => {
    const { bench: made, face } = bench();
    made.negotiate();
    made.addQueue(1);
    face.place(0, { size: 0x1_0000, desc: 0x1_0000, driver: 0x1_1000, device: 0x1_2000 });
    face.enable(0);
    expect(face.enabled(0)).toBe(0);
    expect(made.device.queues[0]!.refusal).toBe('queue_size is 65536, want a power of two ≤ 16 (virtio 1.4 §2.7)');
  });

  test('MM-05: QueueReady has the values 0 and 1: others are refused', () => {
    const { bench: made, face } = bench();
    made.start();
    for (const value of [2, 0xffff_fffe, 0xffff_ffff]) face.enable(0, value);
    expect(face.enabled(0)).toBe(1);
    made.probe(0);
  });

  test('MM-11: a notification of a queue that there is not has no effect, whatever its high bits', () => {
    const { bench: made, face } = bench();
    made.start();
    for (const value of [2, 0x1_0000, 0xffff_ffff]) face.write(REG.queueNotify, value);
    expect(made.device.counters).toMatchObject({ kicks: 0, kicksIgnored: 3 });
  });

  test('PC-08: with NOTIFICATION_DATA the index is in the low half, and the ring decides, not the hint in the high half', () => {
    const made = new DeviceBench('mmio', new RecordingModel(), { accept: [F.NOTIFICATION_DATA] });
    const face = made.face as MmioFace;
    made.start([0, 1]);
    made.offer(1);
    face.write(REG.queueNotify, 0xffff_0001);
    expect(made.device.counters).toMatchObject({ kicks: 1, kicksIgnored: 0 });
    made.device.step(SIZE);
    expect(made.collect(1)).toEqual([16]);
    face.write(REG.queueNotify, 0x0001_0005);
    expect(made.device.counters).toMatchObject({ kicks: 1, kicksIgnored: 1 });
  });

  test('PC-01: of a queue that there is not everything reads 0, and writes vanish', () => {
    const { bench: made, face } = bench();
    made.negotiate();
    for (const index of [2, 0xffff, 0xffff_ffff]) {
      face.place(index, { size: 8, desc: 0x1_0000, driver: 0x1_1000, device: 0x1_2000 });
      face.enable(index);
      face.resetQueue(index);
      expect([face.queueSize(index), face.enabled(index), face.resetting(index)]).toEqual([0, 0, 0]);
    }
    made.addQueue(0);
    face.setStatus(RUNNING);
    made.probe(0);
  });
});

test('a driver that writes anything anywhere never makes it throw, and a reset mends everything', () => {
  const at = fc.oneof(fc.constantFrom(...Object.values(MMIO_REGISTERS).map((row) => row.at)), fc.nat(0x110));
  // Values that get somewhere, among others that do not.
  const value = fc.oneof(fc.constantFrom(0, 1, 3, 8, 11, 15, 27, 0x1_0000, 0x1_1000, 0x1_2000), fc.nat(0xffff_ffff));
  const access = fc.tuple(at, fc.constantFrom(4, 4, 4, 1, 2), value);
  fc.assert(
    fc.property(fc.array(access, { maxLength: 200 }), (accesses) => {
      const { bench: made, face } = bench();
      const since = made.guest.snapshot();
      for (const [offset, bytes, word] of accesses) {
        face.mmio.write(offset, bytes, word);
        const read = face.mmio.read(offset, bytes);
        expect(read >= 0 && read < 2 ** (8 * bytes)).toBe(true);
        made.device.step(SIZE);
      }
      // Wherever the driver put queues: guest memory is all that was written.
      expect(made.guest.changes(since).filter(({ guard }) => guard)).toEqual([]);
      made.start();
      made.probe(0);
    }),
    { numRuns: 150 },
  );
});

describe('interrupts', () => {
  test('dev.mmio.registers.3,.4: a bit of InterruptStatus is set from its event until it is acknowledged, and no other', () => {
    const { bench: made, face } = bench();
    made.start();
    expect(face.read(REG.interruptStatus)).toBe(0);
    made.probe(0);
    expect(face.read(REG.interruptStatus)).toBe(1);
    expect(face.read(REG.interruptStatus)).toBe(1);
    made.model.port!.configChanged();
    made.device.step(SIZE);
    expect(face.read(REG.interruptStatus)).toBe(3);
    face.write(REG.interruptAck, 1);
    expect(face.read(REG.interruptStatus)).toBe(2);
    face.write(REG.interruptAck, 2);
    expect(face.read(REG.interruptStatus)).toBe(0);
    // The line follows: on with the first event, off with the last one acknowledged.
    expect(face.levels).toEqual([true, false]);
  });

  test('MM-08: acknowledging what is not pending, or does not exist, clears nothing else', () => {
    const { bench: made, face } = bench();
    made.start();
    made.probe(0);
    face.write(REG.interruptAck, 0xffff_fffe);
    expect(face.read(REG.interruptStatus)).toBe(1);
    expect(face.levels).toEqual([true]);
    face.write(REG.interruptAck, 0xffff_ffff);
    expect(face.read(REG.interruptStatus)).toBe(0);
    face.write(REG.interruptAck, 3);
    expect(face.levels).toEqual([true, false]);
  });

  test('MM-09: never acknowledged, the level stays, and nothing queues up', () => {
    const { bench: made, face } = bench();
    made.start();
    for (let round = 0; round < 20_000; round++) made.probe(0);
    expect(face.levels).toEqual([true]);
    expect(face.read(REG.interruptStatus)).toBe(1);
    face.write(REG.interruptAck, 1);
    expect(face.levels).toEqual([true, false]);
  });

  test('dev.mmio.registers.5: a reset clears InterruptStatus, takes the line back and makes every queue not ready', () => {
    const { bench: made, face } = bench();
    made.start([0, 1]);
    made.probe(0);
    face.setStatus(0);
    expect(face.read(REG.interruptStatus)).toBe(0);
    expect(face.levels).toEqual([true, false]);
    expect([face.enabled(0), face.enabled(1)]).toEqual([0, 0]);
  });
});

test('dev.mmio.registers.7: while QueueReady is 0 a queue is not looked at; ready again it starts from its beginning', () => {
  const { bench: made, face } = bench();
  made.start([0, 1]);
  made.probe(0);
  made.offer(0);
  face.enable(0, 0);
  expect(face.enabled(0)).toBe(0);
  const since = made.guest.snapshot();
  face.kick(0);
  expect(made.device.step(SIZE)).toBe(0);
  expect(made.strayChanges(since)).toEqual([]);
  expect(made.collect(0)).toEqual([]);
  made.probe(1);
  made.addQueue(0);
  made.probe(0);
});

test('stopped within a step, a queue is ready until the step ends', () => {
  const { bench: made, face } = bench();
  made.start();
  made.offer(0);
  face.kick(0);
  made.model.duringStep = () => {
    face.enable(0, 0);
    expect(face.enabled(0)).toBe(1);
  };
  expect(made.device.step(SIZE)).toBe(1);
  expect(face.enabled(0)).toBe(0);
});

describe('shared memory', () => {
  const regions = [
    { id: 1, bytes: new Uint8Array(0x2000) },
    { id: 7, bytes: new Uint8Array(0x10) },
  ];
  const at = (face: MmioFace, id: number): number[] => {
    face.write(REG.shmSel, id);
    return [face.read(REG.shmLen), face.read(REG.shmLen + 4), face.read(REG.shmBase), face.read(REG.shmBase + 4)];
  };

  test('a region has its length and the address that the embedder gave', () => {
    const face = bare({ sharedMemory: regions }, { sharedMemoryAt: ({ id }) => 0x5_0000_0000 + id * 0x10_0000 });
    expect(at(face, 1)).toEqual([0x2000, 0, 0x10_0000, 5]);
    expect(at(face, 7)).toEqual([0x10, 0, 0x70_0000, 5]);
  });

  test('MM-10: where there is none, length and address are all ones', () => {
    const face = bare({ sharedMemory: regions }, { sharedMemoryAt: () => 0 });
    const none = [0xffff_ffff, 0xffff_ffff, 0xffff_ffff, 0xffff_ffff];
    expect([at(face, 0), at(face, 2), at(face, 0xffff_ffff)]).toEqual([none, none, none]);
    expect(at(bare({}, {}), 0)).toEqual(none);
  });

  test('a region without an address makes no device', () => {
    expect(() => bare({ sharedMemory: regions }, {})).toThrow(
      'sharedMemoryAt is undefined, want a place for the shared memory of the device (virtio 1.4 §4.2.2)',
    );
  });
});
