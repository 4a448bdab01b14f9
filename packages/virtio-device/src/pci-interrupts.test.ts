import { describe, expect, test } from 'vitest';
import { DeviceBench, F, SIZE } from './testing/device-bench.js';
import { COMMON, type PciFace, type PciFaceOptions } from './testing/pci-face.js';
import { RecordingModel } from './testing/recording-model.js';

const NO_VECTOR = 0xffff;

function open(pci: PciFaceOptions = {}, accept: number[] = []): { bench: DeviceBench<RecordingModel>; face: PciFace } {
  const bench = new DeviceBench('pci', new RecordingModel(), { pci, accept });
  return { bench, face: bench.face as PciFace };
}

const queueVector = (face: PciFace, index: number, vector?: number): number => {
  face.writeCommon(COMMON.queueSelect, 2, index);
  if (vector !== undefined) face.writeCommon(COMMON.queueMsixVector, 2, vector);
  return face.readCommon(COMMON.queueMsixVector, 2);
};

const configVector = (face: PciFace, vector?: number): number => {
  if (vector !== undefined) face.writeCommon(COMMON.configMsixVector, 2, vector);
  return face.readCommon(COMMON.configMsixVector, 2);
};

/** Interrupt Status in the Status register of configuration space. */
const pending = (face: PciFace): boolean => (face.cfg(6, 2) & 8) !== 0;

describe('MSI-X', () => {
  test.each([
    [undefined, 3],
    [2, 2],
    [2048, 2048],
  ])(
    'dev.pci.msix.1,.2,.3: with %s vectors wanted, the capability says %i: one per queue and one more unless told',
    (vectors, count) => {
      const { face } = open(vectors === undefined ? {} : { vectors });
      const at = face.virtio.pci.capabilityAt(0x11);
      expect((face.cfg(at + 2, 2) & 0x7ff) + 1).toBe(count);
    },
  );

  test('dev.pci.msix.4,.5,.6,.8: every event can be mapped to every vector, two to the same, and unmapped again', () => {
    const { bench, face } = open();
    bench.start([0, 1]);
    for (let vector = 0; vector < 3; vector++) {
      expect([configVector(face, vector), queueVector(face, 0, vector), queueVector(face, 1, vector)]).toEqual([
        vector,
        vector,
        vector,
      ]);
      face.messages.length = 0;
      bench.probe(0);
      bench.model.port!.configChanged();
      bench.device.step(SIZE);
      expect(face.messages).toEqual([vector, vector]);
    }
    expect([configVector(face, NO_VECTOR), queueVector(face, 0, NO_VECTOR)]).toEqual([NO_VECTOR, NO_VECTOR]);
    expect(queueVector(face, 1)).toBe(2);
  });

  test('dev.pci.used-notif.1: dev.pci.config-notif.1: an event without a vector interrupts nobody, and sets no pin either', () => {
    const { bench, face } = open();
    bench.start([0, 1]);
    configVector(face, NO_VECTOR);
    queueVector(face, 0, NO_VECTOR);
    bench.probe(0);
    bench.model.port!.configChanged();
    bench.device.step(SIZE);
    expect([face.messages, face.pin]).toEqual([[], []]);
    bench.probe(1);
    expect(face.messages).toEqual([2]);
  });

  test.each([[3], [0x7ff], [0x800], [0x7fff], [0xfffe]])(
    'dev.pci.msix.9: PC-06: vector %i, which the table does not have, reads back as none',
    (vector) => {
      const { bench, face } = open();
      bench.start();
      expect([configVector(face, vector), queueVector(face, 0, vector)]).toEqual([NO_VECTOR, NO_VECTOR]);
      bench.probe(0);
      expect(face.messages).toEqual([]);
      expect(queueVector(face, 0, 1)).toBe(1);
    },
  );

  test('dev.pci.msix.7: at first and after a reset no event is mapped', () => {
    const { bench, face } = open();
    const all = (): number[] => [configVector(face), queueVector(face, 0), queueVector(face, 1)];
    expect(all()).toEqual([NO_VECTOR, NO_VECTOR, NO_VECTOR]);
    bench.start([0, 1]);
    expect(all()).toEqual([0, 1, 2]);
    face.setStatus(0);
    expect(all()).toEqual([NO_VECTOR, NO_VECTOR, NO_VECTOR]);
  });

  test('a queue that is reset has no vector; one that runs may be given another', () => {
    const { bench, face } = open({}, [F.RING_RESET]);
    bench.start([0, 1]);
    face.resetQueue(0);
    expect([queueVector(face, 0), queueVector(face, 1)]).toEqual([NO_VECTOR, 2]);
    expect(queueVector(face, 1, 0)).toBe(0);
    bench.probe(1);
    expect(face.messages).toEqual([0]);
  });

  test('dev.pci.isr.2: ISR says that the configuration changed before its message arrives', () => {
    const { bench, face } = open();
    bench.start();
    const seen: number[] = [];
    face.onInterrupt = () => {
      seen.push(face.readIsr());
    };
    bench.model.port!.configChanged();
    bench.device.step(SIZE);
    expect([face.messages, seen]).toEqual([[0], [2]]);
    bench.probe(0);
    expect(seen).toEqual([2, 0]);
  });

  test('a function without MSI-X reads no vector, whatever is written', () => {
    const { bench, face } = open({ vectors: 0, msix: false });
    bench.start();
    expect(face.virtio.pci.capabilityAt(0x11)).toBe(-1);
    expect([configVector(face, 0), queueVector(face, 0, 0)]).toEqual([NO_VECTOR, NO_VECTOR]);
    bench.probe(0);
    expect(face.pin).toEqual([true]);
  });
});

describe('INTx', () => {
  test('dev.pci.isr.3,.4,.5: PC-17: the pin and Interrupt Status follow the ISR bits, which a read clears', () => {
    const { bench, face } = open({ msix: false });
    bench.start();
    expect([pending(face), face.pin]).toEqual([false, []]);
    const seen: number[] = [];
    face.onInterrupt = () => {
      seen.push(face.readIsr());
    };
    bench.probe(0);
    expect([seen, face.pin, pending(face)]).toEqual([[1], [true, false], false]);
    face.onInterrupt = () => {};
    bench.probe(0);
    bench.model.port!.configChanged();
    bench.device.step(SIZE);
    expect([pending(face), face.pin.at(-1)]).toEqual([true, true]);
    expect([face.readIsr(), pending(face), face.pin.at(-1)]).toEqual([3, false, false]);
    expect(face.readIsr()).toBe(0);
    // An event between two reads is not lost.
    bench.probe(0);
    expect(face.readIsr()).toBe(1);
    expect(face.messages).toEqual([]);
  });

  test('PC-14: with MSI-X off and INTx disabled nothing interrupts, and nothing queues up', () => {
    const { bench, face } = open({ msix: false });
    bench.start();
    face.virtio.pci.configWrite(4, 2, 0x406);
    for (let round = 0; round < 1000; round++) bench.probe(0);
    expect([face.pin, face.messages, pending(face)]).toEqual([[], [], true]);
    face.virtio.pci.configWrite(4, 2, 6);
    expect(face.pin).toEqual([true]);
    expect(face.readIsr()).toBe(1);
  });

  test('a reset takes the interrupt away', () => {
    const { bench, face } = open({ msix: false });
    bench.start();
    bench.probe(0);
    face.setStatus(0);
    expect([face.pin, face.readIsr(), pending(face)]).toEqual([[true, false], 0, false]);
  });
});
