import { COMMON_CFG } from '@ringwire/virtio-spec/transport';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DeviceBench, F, placeOf, S, SIZE } from './testing/device-bench.js';
import { COMMON, type PciFace } from './testing/pci-face.js';
import { RecordingModel, type RecordingOptions } from './testing/recording-model.js';

const RUNNING = S.ACK | S.DRIVER | S.FEATURES | S.OK;

function open(
  accept: readonly number[] = [],
  model: RecordingOptions = {},
): { bench: DeviceBench<RecordingModel>; face: PciFace } {
  const bench = new DeviceBench('pci', new RecordingModel(model), { accept });
  return { bench, face: bench.face as PciFace };
}

test('the structure reads as virtio 1.4 §4.1.4.3 lays it out', () => {
  const { bench, face } = open();
  bench.start();
  face.writeCommon(COMMON.queueSelect, 2, 1);
  const bytes = Array.from({ length: 0x40 }, (_, at) => face.readCommon(at, 1));
  const words = (at: number, count: number): number[] => bytes.slice(at, at + count);
  expect(words(COMMON.configMsixVector, 6)).toEqual([0, 0, 2, 0, RUNNING, 0]);
  // Queue 1 is not set up: its offered size, no vector, not enabled, notification offset 1.
  expect(words(COMMON.queueSelect, 10)).toEqual([1, 0, 16, 0, 0xff, 0xff, 0, 0, 1, 0]);
  expect(words(COMMON.queueDesc, 32)).toEqual(new Array(32).fill(0));
});

test('dev.pci.common-cfg.4,.5: driver_feature shows what the driver wrote, for every selector', () => {
  const { face } = open([], { features: [5] });
  face.accept(0, 0x20);
  face.accept(1, 0xffff_ffff);
  const shown = [0, 1, 2, 4, 0xffff_ffff].map((select) => {
    face.writeCommon(COMMON.driverFeatureSelect, 4, select);
    return face.readCommon(COMMON.driverFeature, 4);
  });
  expect(shown).toEqual([0x20, 0xffff_ffff, 0, 0, 0]);
});

test('dev.pci.common-cfg.15: without RING_PACKED queue_size shows a power of two, whatever was written', () => {
  const { bench, face } = open();
  bench.negotiate();
  for (const [size, shown] of [
    [8, 8],
    [7, 8],
    [0, 8],
    [16, 16],
    [17, 16],
    [1, 1],
  ] as const) {
    face.place(0, { size });
    expect(face.queueSize(0)).toBe(shown);
  }
});

test('dev.pci.layout.1: the halves of an address are written and read by themselves', () => {
  const { bench, face } = open();
  bench.negotiate();
  for (const at of [COMMON.queueDesc, COMMON.queueDriver, COMMON.queueDevice]) {
    face.writeCommon(at + 4, 4, 0x1234_5678);
    expect([face.readCommon(at, 4), face.readCommon(at + 4, 4)]).toEqual([0, 0x1234_5678]);
    face.writeCommon(at, 4, 0x9abc_def0);
    expect([face.readCommon(at, 4), face.readCommon(at + 4, 4)]).toEqual([0x9abc_def0, 0x1234_5678]);
    face.writeCommon(at + 4, 4, 0);
    expect(face.readCommon(at, 4)).toBe(0x9abc_def0);
  }
});

test('PC-01: of a queue that there is not everything reads 0 and the vector none, and writes vanish', () => {
  const { bench, face } = open([F.RING_RESET]);
  bench.negotiate();
  for (const index of [2, 0x7fff, 0xffff]) {
    face.writeCommon(COMMON.queueSelect, 2, index);
    for (let at: number = COMMON.queueSize; at < 0x3c; at += 2) face.writeCommon(at, 2, 1);
    for (let at: number = COMMON.queueSize; at < 0x40; at += 2)
      expect(face.readCommon(at, 2)).toBe(at === COMMON.queueMsixVector ? 0xffff : 0);
  }
  bench.start();
  bench.probe(0);
});

test('admin_queue_index and admin_queue_num are 0: there are no administration virtqueues', () => {
  const { face } = open();
  expect([face.readCommon(COMMON.adminQueueIndex, 2), face.readCommon(COMMON.adminQueueNum, 2)]).toEqual([0, 0]);
});

test('read-only fields are not written', () => {
  const { bench, face } = open();
  bench.start();
  const readOnly = Object.values(COMMON_CFG).filter(({ access }) => access === 'ro');
  const before = readOnly.map(({ at, bytes }) => face.readCommon(at, bytes));
  for (const { at, bytes } of readOnly) face.writeCommon(at, bytes, 0xffff_ffff);
  expect(readOnly.map(({ at, bytes }) => face.readCommon(at, bytes))).toEqual(before);
  expect(face.virtio.common.refusedWrites).toBe(readOnly.length);
  bench.probe(0);
});

describe('PC-09: accesses of other widths', () => {
  /** Every write of a driver that sets a queue up and starts, cut as `widths` say. */
  function startInPieces(face: PciFace, bench: DeviceBench<RecordingModel>, widths: () => number): void {
    const write = face.writeCommon.bind(face);
    face.writeCommon = (at, bytes, value) => {
      for (let done = 0; done < bytes; ) {
        const piece = Math.min(widths(), bytes - done);
        write(at + done, piece, Math.floor(value / 2 ** (done * 8)) % 2 ** (piece * 8));
        done += piece;
      }
    };
    bench.start();
    face.writeCommon = write;
  }

  test.each([[1], [2], [3], [4]])('registers written in pieces of %i bytes come together', (width) => {
    const { bench, face } = open();
    startInPieces(face, bench, () => width);
    expect(face.status()).toBe(RUNNING);
    face.writeCommon(COMMON.queueSelect, 2, 0);
    expect(face.readCommon(COMMON.queueSize, 2)).toBe(SIZE);
    expect(face.readCommon(COMMON.queueMsixVector, 2)).toBe(1);
    bench.probe(0);
    expect(face.messages).toEqual([1]);
  });

  test('registers written in random pieces come together', () => {
    fc.assert(
      fc.property(fc.infiniteStream(fc.integer({ min: 1, max: 4 })), (widths) => {
        const { bench, face } = open();
        startInPieces(face, bench, () => widths.next().value as number);
        bench.probe(0);
      }),
      { numRuns: 50 },
    );
  });

  test('a size whose first byte alone would be none comes together too', () => {
    const { bench, face } = open([], { queueSizes: [0x400] });
    bench.negotiate();
    face.place(0, { ...placeOf(0), size: 0x80 });
    face.writeCommon(COMMON.queueSize, 1, 0);
    expect(face.queueSize(0)).toBe(0x80);
    face.writeCommon(COMMON.queueSize + 1, 1, 1);
    expect(face.queueSize(0)).toBe(0x100);
  });

  test('a word over several fields writes each of them', () => {
    const { bench, face } = open();
    bench.negotiate();
    // queue_select 1 together with device_status and config_generation, then queue_size 8 with vector 2.
    face.writeCommon(0x14, 4, 0x0001_000b);
    face.writeCommon(0x18, 4, 0x0002_0008);
    expect([face.queueSize(1), face.readCommon(COMMON.queueMsixVector, 2)]).toEqual([8, 2]);
    expect(face.readCommon(0x18, 4)).toBe(0x0002_0008);
    expect(face.status()).toBe(0x0b);
  });

  test('reads of any width and place agree with those of single bytes', () => {
    const { bench, face } = open();
    bench.start([0, 1]);
    const bytes = Array.from({ length: 0x40 }, (_, at) => face.readCommon(at, 1));
    for (let at = 0; at < 0x40; at++)
      for (const width of [2, 3, 4]) {
        const own = Array.from({ length: width }, (_, i) => bytes[at + i] ?? 0);
        expect(face.readCommon(at, width)).toBe(own.reduceRight((sum, byte) => sum * 256 + byte, 0));
      }
  });

  test('a driver that writes anything anywhere never makes it throw, and a reset mends everything', () => {
    const write = fc.tuple(fc.nat(0x3f), fc.integer({ min: 1, max: 4 }), fc.nat(0xffff_ffff));
    fc.assert(
      fc.property(fc.array(write, { maxLength: 60 }), (writes) => {
        const { bench, face } = open();
        for (const [at, bytes, value] of writes) {
          face.writeCommon(at, bytes, value);
          face.readCommon(at, bytes);
          bench.device.step(SIZE);
        }
        bench.start();
        bench.probe(0);
      }),
      { numRuns: 200 },
    );
  });
});
