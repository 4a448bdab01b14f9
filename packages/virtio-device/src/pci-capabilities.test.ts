import { describe, expect, test } from 'vitest';
import type { VendorData } from './pci-capabilities.js';
import { DeviceBench, S } from './testing/device-bench.js';
import type { PciFace } from './testing/pci-face.js';
import { RecordingModel } from './testing/recording-model.js';

const COMMON_CFG = 1;
const NOTIFY_CFG = 2;
const ISR_CFG = 3;
const DEVICE_CFG = 4;
const PCI_CFG = 5;
/** In struct virtio_pci_cfg_cap by hand, virtio 1.4 §4.1.4.9. */
const [BAR, OFFSET, LENGTH, DATA] = [4, 8, 12, 16];

/** The window into BARs as a driver without them uses it. */
class Window {
  readonly bench: DeviceBench<RecordingModel> = new DeviceBench('pci', new RecordingModel(), { pci: { msix: false } });
  readonly face = this.bench.face as PciFace;
  private readonly at = this.face.find(PCI_CFG)!.at;

  select(bar: number, offset: number, length: number): void {
    const { pci } = this.face.virtio;
    pci.configWrite(this.at + BAR, 1, bar);
    pci.configWrite(this.at + OFFSET, 4, offset);
    pci.configWrite(this.at + LENGTH, 4, length);
  }

  /** Select `bytes` at `at` of a structure. */
  to(type: number, at: number, bytes: number): void {
    const { bar, offset } = this.face.find(type)!;
    this.select(bar, offset + at, bytes);
  }

  read(bytes: number, skip = 0): number {
    return this.face.cfg(this.at + DATA + skip, bytes);
  }

  write(bytes: number, value: number, skip = 0): void {
    this.face.virtio.pci.configWrite(this.at + DATA + skip, bytes, value);
  }
}

describe('the window from configuration space', () => {
  test('dev.pci.cfg-access.2,.3: reads and writes as many bytes of the BAR as length says', () => {
    const window = new Window();
    window.to(COMMON_CFG, 0x14, 1);
    window.write(1, S.ACK);
    expect([window.face.status(), window.read(1)]).toEqual([1, 1]);
    window.write(4, 0xffff_ff03);
    expect(window.face.status()).toBe(3);
    window.to(COMMON_CFG, 0x00, 4);
    window.write(4, 1);
    window.to(COMMON_CFG, 0x04, 4);
    expect(window.read(4)).toBe(window.face.offered(1));
    window.to(DEVICE_CFG, 2, 2);
    expect(window.read(4)).toBe(0x0403);
  });

  test('works before BARs are decoded, and for a whole start of the device', () => {
    const window = new Window();
    window.face.virtio.pci.configWrite(4, 2, 4);
    window.face.readCommon = (at, bytes) => {
      window.to(COMMON_CFG, at, bytes);
      return window.read(bytes);
    };
    window.face.writeCommon = (at, bytes, value) => {
      window.to(COMMON_CFG, at, bytes);
      window.write(bytes, value);
    };
    window.bench.start();
    window.bench.offer(0);
    window.to(NOTIFY_CFG, 0, 2);
    window.write(2, 0);
    expect(window.bench.device.step(8)).toBe(1);
    expect(window.bench.collect(0)).toEqual([16]);
    window.to(ISR_CFG, 0, 1);
    expect([window.read(1), window.read(1)]).toEqual([1, 0]);
  });

  test('an access that arrives byte by byte takes effect once', () => {
    const window = new Window();
    window.bench.start();
    window.bench.model.takeCalls();
    window.to(NOTIFY_CFG, 0, 2);
    window.write(1, 0);
    expect(window.bench.model.calls).toEqual([]);
    window.write(1, 0, 1);
    expect(window.bench.model.calls).toEqual(['notified 0']);
    window.bench.probe(0);
    window.to(ISR_CFG, 0, 1);
    expect([window.read(1), window.read(1, 1)]).toEqual([1, 0]);
    window.to(DEVICE_CFG, 0, 4);
    expect([window.read(1), window.read(1, 1), window.read(1, 2), window.read(1, 3)]).toEqual([1, 2, 3, 4]);
  });

  test.each([[1], [3], [5], [6], [7], [0xff]])(
    'PC-15: BAR %i, which there is not: reads 0, and writes vanish',
    (bar) => {
      const window = new Window();
      window.to(DEVICE_CFG, 0, 4);
      expect(window.read(4)).toBe(0x0403_0201);
      window.select(bar, 0x14, 4);
      window.write(4, 1);
      expect([window.read(4), window.face.status()]).toEqual([0, 0]);
    },
  );

  test.each([
    ['behind the BAR', 0x1_0000, 4],
    ['over its end', 0x7ffe, 4],
    ['far beyond', 0xffff_fffc, 4],
    ['3 bytes wide', 0x14, 3],
    ['0 bytes wide', 0x14, 0],
    ['8 bytes wide', 0x10, 8],
    ['of all ones', 0x14, 0xffff_ffff],
    ['misaligned', 0x13, 2],
  ])('PC-16: an access %s reads 0 and writes nothing', (_, offset, length) => {
    const window = new Window();
    window.select(0, offset, length);
    window.write(4, 0x0101_0101);
    expect([window.read(4), window.face.status()]).toEqual([0, 0]);
  });
});

test("the capabilities are read-only but for the window's fields", () => {
  const { face } = new Window();
  for (const { at, length, type } of face.structures) {
    const before = Array.from({ length }, (_, i) => face.cfg(at + i, 1));
    for (let i = 0; i < length; i++) face.virtio.pci.configWrite(at + i, 1, before[i]! ^ 0xff);
    const changed = before.flatMap((byte, i) => (face.cfg(at + i, 1) === byte ? [] : [i]));
    expect(changed.filter((i) => i < DATA)).toEqual(type === PCI_CFG ? [4, 8, 9, 10, 11, 12, 13, 14, 15] : []);
  }
});

describe('vendor data', () => {
  const open = (vendorData: readonly VendorData[]): PciFace =>
    new DeviceBench('pci', new RecordingModel(), { pci: { vendorData } }).face as PciFace;

  test('dev.pci.vendor-cap.1,.2,.4,.5: several capabilities of one vendor, none that of the function, each of whole words, read without effect', () => {
    const face = open([
      { vendorId: 0x1028, bytes: Uint8Array.of(1, 2, 3) },
      { vendorId: 0x1028, bytes: new Uint8Array(0) },
    ]);
    const found = face.structures.filter(({ type }) => type === 9);
    expect(found.map(({ length }) => length)).toEqual([12, 8]);
    const bytes = (): number[] => Array.from({ length: 12 }, (_, i) => face.cfg(found[0]!.at + i, 1));
    expect(bytes().slice(2)).toEqual([12, 9, 0x28, 0x10, 1, 2, 3, 0, 0, 0]);
    expect(bytes()).toEqual(bytes());
    expect([face.cfg(found[1]!.at + 4, 2), face.status()]).toEqual([0x1028, 0]);
  });

  test.each([[0x1af4], [-1], [0x1_0000]])('dev.pci.vendor-cap.3: vendor_id %i is refused', (vendorId) => {
    expect(() => open([{ vendorId, bytes: new Uint8Array(2) }])).toThrow('want 16 bits, and not 0x1af4');
  });
});
