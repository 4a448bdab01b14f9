import { featureWords, VirtioError } from '@ringwire/virtio-spec';
import { describe, expect, test } from 'vitest';
import { DeviceBench, F, FACES, S, SIZE } from './testing/device-bench.js';
import { RecordingModel } from './testing/recording-model.js';

/** Bits 28, 29 · 32, 34, 35, 38, 40, 43 − 32: what every transport offers. */
const LOW = 0x3000_0000;
const HIGH = 0x0000_094d;
const NEGOTIATED = S.ACK | S.DRIVER | S.FEATURES;
const NOT_NEGOTIATED = S.ACK | S.DRIVER;

describe.each(FACES)('negotiation over %s', (face) => {
  // NOTIF_CONFIG_DATA, bit 39, is PCI's.
  const high = face === 'pci' ? HIGH | 0x80 : HIGH;

  test('dev.basic.reserved-features.1,.10: dev.pci.common-cfg.3: dev.basic.features.4: what is offered is what there is, VERSION_1 above all, no SR_IOV and nothing reserved', () => {
    const { face: registers } = new DeviceBench(face, new RecordingModel({ features: [0, 23, 50, 127] }));
    expect([0, 1, 2, 3].map((select) => registers.offered(select))).toEqual([
      (LOW | 0x80_0001) >>> 0,
      high | (1 << 18),
      0,
      0x8000_0000,
    ]);
  });

  test('NG-04: beyond bit 127 features read 0, and writes vanish', () => {
    const bench = new DeviceBench(face, new RecordingModel());
    for (const select of [4, 5, 0x8000_0000, 0xffff_ffff]) {
      expect(bench.face.offered(select)).toBe(0);
      bench.face.accept(select, 0xffff_ffff);
    }
    expect(bench.negotiate()).toBe(NEGOTIATED);
    bench.start();
    bench.probe(0);
  });

  test.each([
    ['one that was not offered', [32, 3], 'feature bit 3 was accepted and not offered'],
    [
      'several',
      [32, 3, 100, 36],
      'feature bit 3, VIRTIO_F_ORDER_PLATFORM, feature bit 100 were accepted and not offered',
    ],
    ['a reserved one', [32, 45], 'feature bit 45 was accepted and not offered'],
    ['ADMIN_VQ', [32, 41], 'VIRTIO_F_ADMIN_VQ was accepted and not offered'],
  ])('dev.basic.features.3: NG-01: with %s FEATURES_OK stays clear, and the reason is named', (_, accept, reason) => {
    const bench = new DeviceBench(face, new RecordingModel());
    expect(bench.negotiate(accept)).toBe(NOT_NEGOTIATED);
    expect(bench.device.featuresRefusal).toBe(reason);
    expect(bench.device.counters.featuresRefused).toBe(1);
    bench.start();
    bench.probe(0);
  });

  test('dev.basic.features.3: NG-02: a feature without one that it needs is refused', () => {
    const bench = new DeviceBench(face, new RecordingModel({ features: [5, 6], needs: [5, 6] }));
    expect(bench.negotiate([5, 32])).toBe(NOT_NEGOTIATED);
    expect(bench.device.featuresRefusal).toBe('bit 5 needs bit 6');
    expect(bench.negotiate([5, 6, 32])).toBe(NEGOTIATED);
  });

  test('dev.basic.reserved-features.2: NG-03: without VERSION_1 the device refuses: it has no legacy interface', () => {
    const bench = new DeviceBench(face, new RecordingModel());
    expect(bench.negotiate([28])).toBe(NOT_NEGOTIATED);
    expect(bench.device.featuresRefusal).toBe('VIRTIO_F_VERSION_1 was not accepted: there is no legacy interface');
  });

  test('a driver whose features were refused may write others and try again', () => {
    const bench = new DeviceBench(face, new RecordingModel());
    expect(bench.negotiate([3, 32])).toBe(NOT_NEGOTIATED);
    bench.face.accept(0, 0);
    bench.face.setStatus(NEGOTIATED);
    expect(bench.face.status()).toBe(NEGOTIATED);
    expect(bench.device.featuresRefusal).toBeUndefined();
  });

  test('NG-05: after FEATURES_OK features do not change until a reset', () => {
    const bench = new DeviceBench(face, new RecordingModel({ features: [0, 1] }));
    bench.negotiate([0, 32]);
    bench.face.accept(0, 2);
    bench.face.accept(1, 0);
    bench.face.setStatus(NEGOTIATED | S.OK);
    expect([...bench.model.port!.features]).toEqual([1, 1, 0, 0]);
    expect(bench.device.counters.featureWritesIgnored).toBe(2);
  });

  test('dev.basic.features.2,.5: every subset of what is offered is accepted, and again after a reset', () => {
    const offered = [
      0,
      7,
      50,
      F.INDIRECT,
      F.EVENT_IDX,
      F.PACKED,
      F.IN_ORDER,
      F.NOTIFICATION_DATA,
      F.RING_RESET,
      F.SUSPEND,
    ];
    const bench = new DeviceBench(face, new RecordingModel({ features: [0, 7, 50] }));
    for (let subset = 0; subset < 1 << offered.length; subset++) {
      const accept = [F.VERSION_1, ...offered.filter((_, bit) => (subset >> bit) & 1)];
      expect([bench.negotiate(accept), bench.negotiate(accept)]).toEqual([NEGOTIATED, NEGOTIATED]);
    }
  });

  test('dev.basic.reserved-features.3,.4,.8: behind an IOMMU the two PLATFORM bits are offered, and ACCESS_PLATFORM has to be accepted', () => {
    const bench = new DeviceBench(face, new RecordingModel(), { translated: true });
    expect(bench.face.offered(1)).toBe(high | 0x2 | 0x10);
    expect(bench.negotiate([32])).toBe(NOT_NEGOTIATED);
    expect(bench.device.featuresRefusal).toBe(
      'VIRTIO_F_ACCESS_PLATFORM was not accepted: the device reaches memory through an IOMMU alone',
    );
    expect(bench.negotiate([32, 33])).toBe(NEGOTIATED);
  });

  test('a mask takes features away, VERSION_1 and ACCESS_PLATFORM excepted', () => {
    const options = { translated: true, offer: featureWords([0, F.EVENT_IDX]) };
    const bench = new DeviceBench(face, new RecordingModel({ features: [0, 1] }), options);
    expect([0, 1, 2, 3].map((select) => bench.face.offered(select))).toEqual([0x2000_0001, 3, 0, 0]);
  });

  test('dev.basic.features.1: a mask that leaves a feature without what it needs makes no device', () => {
    const model = new RecordingModel({ features: [5, 6], needs: [5, 6] });
    expect(() => new DeviceBench(face, model, { offer: featureWords([5]) })).toThrow(
      'offer is bit 5 needs bit 6, want no feature without those it needs (virtio 1.4 §2.2.2)',
    );
  });

  test.each([[24], [41], [44], [49]])(
    "dev.basic.features.4: a type that offers bit %i, which is no type's, makes no device",
    (bit) => {
      expect(() => new DeviceBench(face, new RecordingModel({ features: [bit] }))).toThrow(VirtioError);
    },
  );

  test.each([['split'], ['packed']] as const)(
    'dev.basic.reserved-features.5: with IN_ORDER, %s rings give buffers back in the order they came in',
    (layout) => {
      const bench = new DeviceBench(face, new RecordingModel(), { layout, accept: [F.IN_ORDER] });
      bench.start();
      for (let round = 0; round < 3; round++) {
        // Lengths tell the buffers apart.
        for (const length of [1, 2, 3, 4, 5]) bench.offer(0, 0x8_0000 + length * 16, length);
        bench.face.kick(0);
        bench.device.step(SIZE);
        expect(bench.collect(0)).toEqual([1, 2, 3, 4, 5]);
      }
    },
  );
});
