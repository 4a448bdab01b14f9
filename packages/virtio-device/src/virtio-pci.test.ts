import { describe, expect, test } from 'vitest';
import { DeviceBench, F, S, SIZE } from './testing/device-bench.js';
import { lspci } from './testing/lspci.js';
import type { PciFace, PciFaceOptions } from './testing/pci-face.js';
import { RecordingModel, type RecordingOptions } from './testing/recording-model.js';

const COMMAND = 4;
const RUNNING = S.ACK | S.DRIVER | S.FEATURES | S.OK;
/** Structure types by hand, virtio 1.4 §4.1.4. */
const [COMMON_CFG, NOTIFY_CFG, ISR_CFG, DEVICE_CFG, PCI_CFG, SHARED] = [1, 2, 3, 4, 5, 8];

function open(
  model: RecordingOptions = {},
  pci: PciFaceOptions = {},
  accept: readonly number[] = [],
): { bench: DeviceBench<RecordingModel>; face: PciFace } {
  const bench = new DeviceBench('pci', new RecordingModel(model), { pci, accept });
  return { bench, face: bench.face as PciFace };
}

describe('what a host finds', () => {
  test.each([
    [1, 0x1041, 0x02_0000],
    [4, 0x1044, 0x00_ff00],
    [23, 0x1057, 0x00_ff00],
    [63, 0x107f, 0x00_ff00],
  ])(
    'dev.pci.discovery.1,.2,.4,.5,.6: device type %i has vendor 0x1af4, device id %i and is no transitional device',
    (deviceId, id, classCode) => {
      const { face } = open({ deviceId });
      expect([face.cfg(0, 2), face.cfg(2, 2)]).toEqual([0x1af4, id]);
      expect(face.cfg(8, 1)).toBeGreaterThanOrEqual(1);
      expect(face.cfg(9, 3)).toBe(classCode);
      expect(face.cfg(0x2c, 2)).toBe(0x1af4);
      expect(face.cfg(0x2e, 2)).toBeGreaterThanOrEqual(0x40);
    },
  );

  test("dev.pci.discovery.3: subsystem ids are the embedder's", () => {
    const { face } = open({}, { subsystemVendorId: 0x1028, subsystemId: 0x8888 });
    expect([face.cfg(0x2c, 2), face.cfg(0x2e, 2)]).toEqual([0x1028, 0x8888]);
  });

  test('a transitional device is refused, with the reason', () => {
    expect(() => open({}, { subsystemId: 1 })).toThrow(
      "subsystemId is 1, want 0x40 or above: there is no legacy interface for a transitional device's driver (virtio 1.4 §4.1.2.1)",
    );
    expect(() => open({ deviceId: 64 })).toThrow('deviceId is 64, want at most 63 (virtio 1.4 §4.1.2.1)');
  });

  test('dev.pci.common-cfg.1,.2: dev.pci.notify-cap.1: dev.pci.isr.1: dev.pci.cfg-access.1: dev.pci.device-cfg.1: dev.pci.caps.1: every structure is there, aligned, inside its BAR, with its whole length', () => {
    const { face } = open();
    const { structures } = face;
    expect(structures.map(({ type, length }) => [type, length])).toEqual([
      [COMMON_CFG, 16],
      [NOTIFY_CFG, 20],
      [ISR_CFG, 16],
      [DEVICE_CFG, 16],
      [PCI_CFG, 20],
    ]);
    const { pci } = face.virtio;
    pci.configWrite(0x10, 4, 0xffff_ffff);
    const size = (~(pci.configRead(0x10, 4) & ~0xf) >>> 0) + 1;
    for (const { type, bar, offset, size: bytes } of structures.slice(0, 4)) {
      expect(bar).toBe(0);
      expect(offset % 4).toBe(0);
      expect(offset + bytes).toBeLessThanOrEqual(size);
      expect(bytes).toBe({ 1: 0x40, 2: 8, 3: 1, 4: 8 }[type]);
    }
    // None lies over another.
    const places = structures.slice(0, 4).map(({ offset, size: bytes }) => [offset, offset + bytes] as const);
    for (const [start, end] of places) expect(places.filter(([from, to]) => from < end && start < to)).toHaveLength(1);
  });

  test('a type without a configuration has no structure for one', () => {
    const { face } = open({ config: new Uint8Array(0) });
    expect(face.structures.map(({ type }) => type)).toEqual([COMMON_CFG, NOTIFY_CFG, ISR_CFG, PCI_CFG]);
  });

  test('dev.pci.bus.1: lspci reads the function as it was meant', (context) => {
    const { face } = open({ deviceId: 1 });
    face.virtio.pci.configWrite(0x14, 4, 0);
    const text = lspci(face.virtio.pci);
    if (text === undefined) return context.skip('lspci (Debian: pciutils) is not installed');
    const lines = text.split('\n').map((line) => line.trim());
    expect(lines[0]).toBe('00:04.0 0200: 1af4:1041 (rev 01)');
    expect(lines).toContain('Region 0: Memory at fe000000 (64-bit, non-prefetchable)');
    expect(lines).toContain('Capabilities: [48] MSI-X: Enable+ Count=3 Masked-');
    const at = lines.findIndex((line) => line.includes('VirtIO: CommonCfg'));
    expect(lines.slice(at, at + 10)).toEqual([
      'Capabilities: [90] Vendor Specific Information: VirtIO: CommonCfg',
      'BAR=0 offset=00000000 size=00000040',
      'Capabilities: [a0] Vendor Specific Information: VirtIO: Notify',
      'BAR=0 offset=00005000 size=00000008 multiplier=00000004',
      'Capabilities: [b4] Vendor Specific Information: VirtIO: ISR',
      'BAR=0 offset=00001000 size=00000001',
      'Capabilities: [c4] Vendor Specific Information: VirtIO: DeviceCfg',
      'BAR=0 offset=00002000 size=00000008',
      'Capabilities: [d4] Vendor Specific Information: VirtIO: <unknown>',
      'BAR=0 offset=00000000 size=00000000',
    ]);
  });

  test('dev.pci.shm-cap.1,.2: shared memory is in a BAR of its own, each region with its id, and its bytes are there', () => {
    const bytes = new Uint8Array(0x1004);
    bytes.set([1, 2, 3, 4], 0x1000);
    const { face } = open({ sharedMemory: [{ id: 9, bytes }] });
    const region = face.find(SHARED)!;
    expect([region.id, region.length, region.bar, region.offset, region.size]).toEqual([9, 24, 2, 0, 0x1004]);
    expect(face.cfg(region.at + 16, 4)).toBe(0);
    const { pci } = face.virtio;
    pci.configWrite(0x18, 4, 0xffff_ffff);
    expect((~(pci.configRead(0x18, 4) & ~0xf) >>> 0) + 1).toBe(0x2000);
    expect(face.read(region, 0x1000, 4)).toBe(0x0403_0201);
    face.write(region, 0x1002, 2, 0xbbaa);
    expect([...bytes.subarray(0x1000)]).toEqual([1, 2, 0xaa, 0xbb]);
    expect(face.read(region, 0x1004, 4)).toBe(0);
    const same = [
      { id: 9, bytes },
      { id: 9, bytes },
    ];
    expect(() => open({ sharedMemory: same })).toThrow('sharedMemory id is 9, want 0 to 255, once in a device');
  });
});

describe('notifications of the driver', () => {
  test.each([
    [4, true],
    [16, true],
    [0, true],
    [4, false],
    [2, false],
    [0, false],
  ])(
    "dev.pci.notify-cap.2,.3,.4,.5,.6,.7,.8,.9,.10,.11: with a multiplier of %i, NOTIFICATION_DATA offered: %s, every queue's address lies in the structure",
    (multiplier, offered) => {
      const offer = offered ? {} : { offer: Uint32Array.of(0, 1, 0, 0) };
      const model = { queueSizes: Array.from({ length: 9 }, () => 16) };
      const { face, bench } = open(model, { notifyOffMultiplier: multiplier, ...offer });
      expect((face.offered(1) & (1 << 6)) !== 0).toBe(offered);
      const { offset, size, at } = face.find(NOTIFY_CFG)!;
      const width = offered ? 4 : 2;
      expect(face.cfg(at + 16, 4)).toBe(multiplier);
      expect(offset % width).toBe(0);
      expect(size).toBeGreaterThanOrEqual(width);
      bench.start([0, 8]);
      for (let index = 0; index < 9; index++) expect(size).toBeGreaterThanOrEqual(face.notifyAt(index) + width);
      bench.probe(0);
      bench.probe(8);
    },
  );

  test.each([
    [2, 'notifyOffMultiplier is 2, want 0, or a power of two from 4 to 4096'],
    [6, 'notifyOffMultiplier is 6, want 0, or a power of two from 4 to 4096'],
    [-4, 'notifyOffMultiplier is -4, want'],
    [0x2000, 'notifyOffMultiplier is 8192, want'],
  ])('a multiplier of %i makes no device that offers NOTIFICATION_DATA', (multiplier, message) => {
    expect(() => open({}, { notifyOffMultiplier: multiplier })).toThrow(message);
  });

  test("PC-07: behind the last queue's address, and beside an address, nothing is notified", () => {
    const { bench, face } = open();
    bench.start([0, 1]);
    bench.model.takeCalls();
    for (const at of [8, 12, 0xffc]) face.notifyRaw(at, 2, 0);
    for (const at of [1, 2, 3, 5, 6, 7]) face.notifyRaw(at, 1, 0);
    expect(bench.model.takeCalls()).toEqual([]);
  });

  test.each([
    [
      'two bytes',
      [
        [4, 1, 1],
        [5, 1, 0],
      ],
    ],
    ['one word', [[4, 4, 1]]],
    [
      'a byte and half a word',
      [
        [4, 1, 1],
        [5, 2, 0],
      ],
    ],
  ] as const)('a notification that arrives as %s counts once', (_, writes) => {
    const { bench, face } = open();
    bench.start([0, 1]);
    bench.model.takeCalls();
    for (const [at, bytes, value] of writes) face.notifyRaw(at, bytes, value);
    expect(bench.model.takeCalls()).toEqual(['notified 1']);
  });

  test('with one address for all the value says which queue, in whatever pieces it comes', () => {
    const model = { queueSizes: Array.from({ length: 0x102 }, () => 16) };
    const { bench, face } = open(model, { notifyOffMultiplier: 0, vectors: 2 });
    bench.start([0, 1]);
    bench.model.takeCalls();
    face.notifyRaw(0, 2, 1);
    face.notifyRaw(0, 1, 1);
    expect(bench.model.takeCalls()).toEqual(['notified 1']);
    face.notifyRaw(1, 1, 0);
    expect(bench.model.takeCalls()).toEqual(['notified 1']);
    face.notifyRaw(0, 1, 1);
    face.notifyRaw(1, 1, 1);
    expect(bench.device.counters.kicksIgnored).toBe(1);
    face.notifyRaw(2, 2, 0);
    expect(face.virtio.notify.ignored).toBe(1);
  });

  test('PC-08: with NOTIFICATION_DATA the address and the ring decide, not index and offset in the word', () => {
    const { bench, face } = open({}, {}, [F.NOTIFICATION_DATA]);
    bench.start([0, 1]);
    bench.offer(1);
    face.notifyRaw(face.notifyAt(1), 4, 0xffff_7777);
    bench.device.step(SIZE);
    expect(bench.collect(1)).toEqual([16]);
  });

  test('with NOTIF_CONFIG_DATA a queue has the name that the device gave it', () => {
    const notifConfigData = (queue: number): number => 0x100 + queue;
    const { bench, face } = open({}, { notifConfigData, notifyOffMultiplier: 0 }, [F.NOTIF_CONFIG_DATA]);
    bench.start([0, 1]);
    bench.model.takeCalls();
    face.writeCommon(0x16, 2, 1);
    expect(face.readCommon(0x38, 2)).toBe(0x101);
    face.notifyRaw(0, 2, 0x101);
    expect(bench.model.takeCalls()).toEqual(['notified 1']);
    face.notifyRaw(0, 2, 1);
    expect(bench.model.takeCalls()).toEqual([]);
    const without = open({}, { notifConfigData });
    without.bench.start();
    without.face.writeCommon(0x16, 2, 1);
    expect(without.face.readCommon(0x38, 2)).toBe(0);
  });
});

describe('bus mastering, memory and resets', () => {
  test('PC-18: without bus mastering nothing moves and no message leaves; with it again everything goes on', () => {
    const { bench, face } = open();
    bench.start();
    bench.probe(0);
    face.takeInterrupts();
    bench.offer(0);
    face.virtio.pci.configWrite(COMMAND, 2, 2);
    const since = bench.guest.snapshot();
    face.kick(0);
    expect(bench.device.step(SIZE)).toBe(0);
    bench.model.port!.configChanged();
    bench.device.step(SIZE);
    expect(bench.strayChanges(since)).toEqual([]);
    expect(face.messages).toEqual([]);
    face.virtio.pci.configWrite(COMMAND, 2, 6);
    expect(bench.device.step(SIZE)).toBe(1);
    expect(bench.collect(0)).toEqual([16]);
    expect(face.takeInterrupts()).toEqual({ used: true, config: true });
  });

  test('a driver that turns bus mastering on after DRIVER_OK finds what it offered before served', () => {
    const { bench, face } = open();
    face.virtio.pci.configWrite(COMMAND, 2, 2);
    bench.start();
    bench.offer(0);
    face.kick(0);
    expect(bench.device.step(SIZE)).toBe(0);
    face.virtio.pci.configWrite(COMMAND, 2, 6);
    expect(bench.device.step(SIZE)).toBe(1);
  });

  test('PC-19: with memory decoding off registers read all ones, and writes vanish', () => {
    const { bench, face } = open();
    bench.start();
    face.virtio.pci.configWrite(COMMAND, 2, 4);
    expect([face.status(), face.readCommon(0, 4), face.readIsr(), face.config(0, 4)]).toEqual([
      0xff, 0xffff_ffff, 0xff, 0xffff_ffff,
    ]);
    face.setStatus(0);
    face.kick(0);
    face.virtio.pci.configWrite(COMMAND, 2, 6);
    expect(face.status()).toBe(RUNNING);
    bench.probe(0);
  });

  test('PC-20: a function-level reset within a step: done when the step ends, no access afterwards', () => {
    const { bench, face } = open();
    bench.start();
    bench.offer(0);
    face.kick(0);
    const express = face.virtio.pci.capabilityAt(0x10);
    bench.model.duringStep = () => {
      bench.model.duringStep = undefined;
      face.virtio.pci.configWrite(express + 8, 2, 0x8000);
    };
    bench.device.step(SIZE);
    const since = bench.guest.snapshot();
    expect(bench.device.status).toBe(0);
    expect(bench.device.step(SIZE)).toBe(0);
    expect(face.messages).toEqual([]);
    expect(bench.strayChanges(since)).toEqual([]);
    expect(face.cfg(COMMAND, 2)).toBe(0);
    face.powerUp();
    bench.start();
    bench.probe(0);
    expect(face.takeInterrupts().used).toBe(true);
  });

  test('a function that is pulled out does nothing more', () => {
    const { bench, face } = open();
    bench.start();
    bench.offer(0);
    face.virtio.pci.remove();
    const since = bench.guest.snapshot();
    expect(bench.device.step(SIZE)).toBe(0);
    expect(face.status()).toBe(0xff);
    expect(bench.strayChanges(since)).toEqual([]);
    expect(bench.model.calls.at(-1)).toBe('stop');
  });
});
