import { featureWords, VirtioError } from '@ringwire/virtio-spec';
import { NO_ROOM } from '@ringwire/virtqueue';
import { describe, expect, test } from 'vitest';
import { ALL_FEATURES } from './testing/virtio-iommu-bench.js';
import { CONFIG, IommuDriverBench } from './testing/virtio-iommu-driver-bench.js';
import { acceptIommuFeatures, readIommuLimits } from './virtio-iommu-driver-config.js';
import { UNANSWERED } from './virtio-iommu-driver-slots.js';

const OK = '00000000';
const without = (...bits: number[]): number[] => ALL_FEATURES.filter((bit) => !bits.includes(bit));
const close = (digits: string): string => digits.replaceAll(' ', '');

/** The field that a refused call names. */
function refused(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (error instanceof VirtioError) return error.field;
    throw error;
  }
  return 'none';
}

describe('features and configuration', () => {
  test('drv.iommu.features.1, drv.iommu.init.1: the ranges, PROBE and MAP_UNMAP are accepted, of what is offered', () => {
    expect(acceptIommuFeatures(featureWords([0, 1, 2, 3, 4, 5, 6, 7, 32]))).toEqual(featureWords([0, 1, 2, 4, 5, 6]));
    expect(acceptIommuFeatures(featureWords([2, 4]))).toEqual(featureWords([2, 4]));
    // It is able to send both requests.
    const { driver } = new IommuDriverBench({ features: [2] });
    expect([typeof driver.map, typeof driver.unmap]).toEqual(['function', 'function']);
  });

  test.each([
    ['MAP_UNMAP', without(2), CONFIG],
    ['page_size_mask', ALL_FEATURES, `${'00'.repeat(8)}${close(CONFIG).slice(16)}`],
    ['page_size_mask', ALL_FEATURES, `${'00'.repeat(7)}20${close(CONFIG).slice(16)}`],
    ['input_range', ALL_FEATURES, close(CONFIG).replace('ffffffff00000000', 'ff0f000000000000')],
    ['input_range', ALL_FEATURES, close(CONFIG).replace('0010000000000000ff', '00000000000000ffff')],
    ['domain_range', ALL_FEATURES, close(CONFIG).replace('0100000009', '0a00000009')],
    ['probe_size', ALL_FEATURES, close(CONFIG).replace('30000000', '01000100')],
  ])(
    'virtio 1.4 §5.13.5: a device without a usable %s is given up, without an exception',
    (field, features, config) => {
      expect(() => new IommuDriverBench({ features, config: close(config).padEnd(80, '0') })).toThrow(field);
      const bytes = Buffer.from(close(config).padEnd(80, '0'), 'hex');
      const access = {
        read: (at: number, into: Uint8Array) => into.set(bytes.subarray(at, at + into.length)),
        write: () => {},
      };
      expect(readIommuLimits(access, featureWords(features))).toContain(field);
    },
  );

  test('a granularity of 2^52, and ranges over all of 64 bits, are believed as far as 2^53', () => {
    const { driver } = new IommuDriverBench({
      config: `0000000000001000 0000000000000000 ffffffffffffffff 00000000 ffffffff 30000000 00 000000`,
    });
    expect(driver.limits).toEqual({
      granule: 2 ** 52,
      firstAddress: 0,
      lastAddress: 2 ** 53 - 1,
      firstDomain: 0,
      lastDomain: 2 ** 32 - 1,
      probeSize: 48,
    });
  });

  test('fields whose feature is not negotiated are not believed', () => {
    const { driver } = new IommuDriverBench({ features: [2], config: `00100000${'00'.repeat(4)}${'ff'.repeat(32)}` });
    expect(driver.limits).toEqual({
      granule: 0x1000,
      firstAddress: 0,
      lastAddress: 2 ** 53 - 1,
      firstDomain: 0,
      lastDomain: 2 ** 32 - 1,
      probeSize: 0,
    });
  });

  test('drv.iommu.config.1,.2,.3: only bypass is written, with 0 or 1, and only once BYPASS_CONFIG is negotiated', () => {
    const bench = new IommuDriverBench();
    bench.driver.bypass = true;
    bench.driver.bypass = false;
    expect(bench.configWrites).toEqual(['36: 01', '36: 00']);
    bench.attach();
    expect(bench.configWrites.length).toBe(2);
    const old = new IommuDriverBench({ features: without(6) });
    expect(refused(() => (old.driver.bypass = true))).toBe('bypass');
    expect(old.configWrites).toEqual([]);
  });

  test('drv.iommu.config.4: bits 1 to 7 of bypass are ignored', () => {
    const bench = new IommuDriverBench();
    for (const [byte, want] of [
      [0, false],
      [1, true],
      [0xfe, false],
      [0xff, true],
    ] as const) {
      bench.config[36] = byte;
      expect(bench.driver.bypass).toBe(want);
    }
  });
});

describe('requests', () => {
  test('drv.iommu.requests.1, drv.iommu.attach.1, drv.iommu.detach.1, drv.iommu.unmap.1: their bytes, reserved ones zero', () => {
    const bench = new IommuDriverBench().attach();
    const { driver } = bench;
    driver.probe(9);
    bench.finish(0);
    const ask = (): string => {
      const next = bench.next()!;
      expect(next.room).toBe(4);
      bench.answer(OK);
      return next.asked;
    };
    driver.attach(9, 1);
    expect(ask()).toBe(close('01000000 01000000 09000000 00000000 00000000'));
    driver.map(1, 0x12_3000, 0x12_4fff, 0x5_6789_a000, { read: true });
    expect(ask()).toBe(close('03000000 01000000 0030120000000000 ff4f120000000000 00a0896705000000 01000000'));
    driver.unmap(1, 0x12_3000, 0x12_4fff);
    expect(ask()).toBe(close('04000000 01000000 0030120000000000 ff4f120000000000 00000000'));
    driver.detach(9);
    expect(ask()).toBe(close('02000000 01000000 09000000 0000000000000000'));
    bench.expectNoStrayChange();
  });

  test('drv.iommu.requests.2: reserved bytes of the tail are ignored', () => {
    const bench = new IommuDriverBench().attach();
    const ticket = bench.driver.map(1, 0x1000, 0x1fff, 0, { read: true });
    bench.next();
    expect(bench.answer('00ffeedd')).toEqual([[ticket, 0]]);
  });

  test('drv.iommu.requests.3: used length 0, or too short a one, is a failure', () => {
    const bench = new IommuDriverBench().attach();
    for (const written of [0, 3]) {
      const ticket = bench.driver.map(1, 0x1000, 0x1fff, 0, { read: true });
      bench.next();
      expect(bench.answer(OK, written)).toEqual([[ticket, UNANSWERED]]);
    }
    // Nothing is mapped for the driver, so that it may ask once more.
    bench.driver.map(1, 0x1000, 0x1fff, 0, { read: true });
    bench.finish(0);
    expect(refused(() => bench.driver.map(1, 0x1000, 0x1fff, 0, { read: true }))).toBe('virt_start');
  });

  test('drv.iommu.requests.4: no address outside input_range', () => {
    const { driver } = new IommuDriverBench().attach();
    expect(refused(() => driver.map(1, 0, 0xfff, 0, { read: true }))).toBe('virt_start');
    expect(refused(() => driver.map(1, 0xffff_f000, 0x1_0000_0fff, 0, { read: true }))).toBe('virt_end');
    expect(refused(() => driver.unmap(1, 0, 0xfff))).toBe('virt_start');
    expect(refused(() => driver.unmap(1, 0x1000, 0x1_0000_0000))).toBe('virt_end');
    expect(refused(() => driver.map(1, 0xffff_f000, 0xffff_ffff, 0, { read: true }))).toBe('none');
  });

  test('drv.iommu.requests.5: no domain outside domain_range', () => {
    const bench = new IommuDriverBench().attach();
    for (const domain of [0, 10, -1, 2 ** 32]) {
      expect(refused(() => bench.driver.attach(8, domain))).toBe('domain');
      expect(refused(() => bench.driver.map(domain, 0x1000, 0x1fff, 0, { read: true }))).toBe('domain');
    }
    expect(refused(() => bench.driver.attach(8, 9))).toBe('none');
  });

  test('drv.iommu.init.2: an endpoint is probed before it is attached', () => {
    const bench = new IommuDriverBench();
    expect(refused(() => bench.driver.attach(8, 1))).toBe('endpoint');
    bench.driver.probe(8);
    bench.finish(6);
    expect(refused(() => bench.driver.attach(8, 1))).toBe('endpoint');
    bench.driver.probe(8);
    bench.finish(0);
    expect(refused(() => bench.driver.attach(8, 1))).toBe('none');
    const noProbe = new IommuDriverBench({ features: without(4) });
    expect(refused(() => noProbe.driver.probe(8))).toBe('endpoint');
    expect(refused(() => noProbe.driver.attach(8, 1))).toBe('none');
  });

  test('drv.iommu.attach.3,.4: BYPASS is set for a bypass domain and for no other', () => {
    const bench = new IommuDriverBench().attach();
    for (const endpoint of [9, 10]) {
      bench.driver.probe(endpoint);
      bench.finish(0);
    }
    expect(refused(() => bench.driver.attach(9, 1, true))).toBe('domain');
    bench.driver.attach(9, 2, true);
    expect(bench.next()!.asked).toBe(close('01000000 02000000 09000000 01000000 00000000'));
    bench.answer(OK);
    expect(refused(() => bench.driver.attach(10, 2))).toBe('domain');
    bench.driver.attach(10, 2, true);
    expect(bench.next()!.asked).toBe(close('01000000 02000000 0a000000 01000000 00000000'));
    bench.answer(OK);
    // Gone with its endpoints, the domain may be of the other kind.
    for (const endpoint of [9, 10]) {
      bench.driver.detach(endpoint);
      bench.finish(0);
    }
    expect(refused(() => bench.driver.attach(10, 2))).toBe('none');
    const old = new IommuDriverBench({ features: without(6) }).attach();
    expect(refused(() => old.driver.attach(8, 2, true))).toBe('domain');
  });

  test('an endpoint that is attached elsewhere has left its domain, which is gone with its last one', () => {
    const bench = new IommuDriverBench().attach();
    bench.driver.attach(8, 2);
    bench.finish(0);
    expect(refused(() => bench.driver.map(1, 0x1000, 0x1fff, 0, { read: true }))).toBe('domain');
    expect(refused(() => bench.driver.map(2, 0x1000, 0x1fff, 0, { read: true }))).toBe('none');
    bench.finish(0);
    // A refused move changes nothing.
    bench.driver.attach(8, 3);
    bench.finish(2);
    expect(refused(() => bench.driver.map(2, 0x2000, 0x2fff, 0, { read: true }))).toBe('none');
  });

  test('drv.iommu.map.1,.4,.6: the flags that are asked for and no others', () => {
    const bench = new IommuDriverBench().attach();
    const flags = (access: object): string => {
      bench.driver.map(1, 0x1000, 0x1fff, 0, access);
      const { asked } = bench.next()!;
      bench.answer('04000000');
      return asked.slice(64);
    };
    expect(flags({ read: true })).toBe('01000000');
    expect(flags({ write: true })).toBe('02000000');
    expect(flags({ read: true, write: true })).toBe('03000000');
    expect(flags({ write: true, mmio: true })).toBe('06000000');
  });

  test('drv.iommu.map.2, drv.iommu.unmap.6: nothing is mapped or unmapped on a bypass domain', () => {
    const bench = new IommuDriverBench();
    bench.driver.probe(8);
    bench.finish(0);
    bench.driver.attach(8, 1, true);
    bench.finish(0);
    expect(refused(() => bench.driver.map(1, 0x1000, 0x1fff, 0, { read: true }))).toBe('domain');
    expect(refused(() => bench.driver.unmap(1, 0x1000, 0x1fff))).toBe('domain');
    expect(bench.next()).toBeUndefined();
  });

  test('drv.iommu.map.3: virt_end is above virt_start; both are on the granularity', () => {
    const { driver } = new IommuDriverBench().attach();
    expect(refused(() => driver.map(1, 0x2000, 0x1fff, 0, { read: true }))).toBe('virt_end');
    expect(refused(() => driver.map(1, 0x2000, 0x2000, 0, { read: true }))).toBe('virt_end');
    expect(refused(() => driver.map(1, 0x2800, 0x2fff, 0, { read: true }))).toBe('virt_start');
    expect(refused(() => driver.map(1, 0x2000, 0x27ff, 0, { read: true }))).toBe('virt_start');
    expect(refused(() => driver.map(1, 0x2000, 0x2fff, 0x10, { read: true }))).toBe('virt_start');
  });

  test('drv.iommu.map.7: no MMIO unless negotiated', () => {
    const { driver } = new IommuDriverBench({ features: without(5) }).attach();
    expect(refused(() => driver.map(1, 0x1000, 0x1fff, 0, { write: true, mmio: true }))).toBe('flags');
  });

  test('drv.iommu.unmap.2,.3,.4,.5: whole mappings, and gaps with them, but no part of one', () => {
    const bench = new IommuDriverBench().attach();
    for (const [start, end] of [
      [0x8000, 0x8fff],
      [0x2000, 0x3fff],
      [0x4000, 0x5fff],
    ] as const) {
      bench.driver.map(1, start, end, 0, { read: true });
      bench.finish(0);
    }
    const unmap = (start: number, end: number): string => refused(() => bench.driver.unmap(1, start, end));
    expect(unmap(0x3000, 0x5fff)).toBe('virt_start');
    expect(unmap(0x2000, 0x4fff)).toBe('virt_end');
    expect(unmap(0x3000, 0x3000)).toBe('virt_start');
    expect(unmap(0x2fff, 0x2000)).toBe('virt_end');
    expect(unmap(0x6000, 0x7fff)).toBe('none');
    bench.finish(0);
    expect(unmap(0x1000, 0x7fff)).toBe('none');
    // Not before the device says so is it unmapped for the driver.
    expect(refused(() => bench.driver.map(1, 0x2000, 0x2fff, 0, { read: true }))).toBe('virt_start');
    bench.finish(0);
    expect(refused(() => bench.driver.map(1, 0x2000, 0x7fff, 0, { read: true }))).toBe('none');
    expect(refused(() => bench.driver.map(1, 0x8000, 0x8fff, 0, { read: true }))).toBe('virt_start');
  });

  test('a request that does not fit is not made; a slot that came back is used again', () => {
    const bench = new IommuDriverBench({ requestBytes: 256 });
    expect([bench.driver.probe(8), bench.driver.probe(9), bench.driver.probe(10)]).toEqual([0, 1, NO_ROOM]);
    bench.finish(0);
    expect(bench.driver.probe(10)).toBe(2);
    expect(() => new IommuDriverBench({ requestBytes: 120 })).toThrow('want at least 128');
  });

  test('a ring that is full keeps the mapping unasked for', () => {
    const bench = new IommuDriverBench().attach();
    for (let page = 1; page <= 4; page++) bench.driver.map(1, page * 0x1000, page * 0x1000 + 0xfff, 0, { read: true });
    expect(bench.driver.map(1, 0x5000, 0x5fff, 0, { read: true })).toBe(NO_ROOM);
    for (let page = 1; page <= 4; page++) bench.finish(0);
    expect(bench.driver.map(1, 0x5000, 0x5fff, 0, { read: true })).not.toBe(NO_ROOM);
  });
});

describe('probe', () => {
  const RESV = '0100 1400 00 000000 0080000000000000 ff8f000000000000';
  const MSI = '0100 1400 01 000000 0000e0fe00000000 ffffeffe00000000';

  /** Whether pages can be mapped once a device has given these properties for endpoint 8. */
  function mappable(properties: string, ...pages: number[]): boolean[] {
    const bench = new IommuDriverBench({ config: close(CONFIG).replace('30000000', '60000000') });
    bench.driver.probe(8);
    bench.next();
    bench.answer(close(properties).padEnd(2 * 96, '0') + OK);
    bench.driver.attach(8, 1);
    bench.finish(0);
    return pages.map((page) => {
      const outcome = refused(() => bench.driver.map(1, page, page + 0xfff, 0, { read: true }));
      if (outcome === 'none') bench.finish(0);
      return outcome === 'none';
    });
  }

  test('drv.iommu.probe.1,.2: the request’s bytes, reserved ones zero, with exactly probe_size bytes for properties', () => {
    const bench = new IommuDriverBench();
    bench.driver.probe(8);
    expect(bench.next()).toEqual({ asked: `0500000008000000${'00'.repeat(64)}`, room: 48 + 4 });
  });

  test('drv.iommu.resv-mem.1: nothing is mapped in a RESERVED or MSI region', () => {
    expect(mappable(RESV + MSI, 0x7000, 0x8000, 0x9000, 0xfee0_0000, 0xfeef_f000, 0xfef0_0000)).toEqual([
      true,
      false,
      true,
      false,
      false,
      true,
    ]);
  });

  test('drv.iommu.resv-mem.2: the reserved field is ignored', () => {
    expect(mappable(RESV.replace('00 000000', '00 ffffff'), 0x8000)).toEqual([false]);
  });

  test('drv.iommu.resv-mem.3: a subtype that is unknown is taken as RESERVED', () => {
    expect(mappable(RESV.replace('00 000000', '7f 000000'), 0x8000)).toEqual([false]);
  });

  test('drv.iommu.probe.3,.6: an unknown type is ignored, and the list goes on behind it', () => {
    expect(mappable(`0200 0500 8080808080 ${RESV}`, 0x8000, 0x9000)).toEqual([false, true]);
    expect(mappable(`ff0f 0000 ${RESV}`, 0x8000)).toEqual([false]);
  });

  test('drv.iommu.probe.4: the next property is where the length says, not where the type suggests', () => {
    expect(mappable(`${RESV.replace('1400', '1800')} aaaaaaaa ${MSI}`, 0x8000, 0xfee0_0000)).toEqual([false, false]);
    // Too short for what the type needs: passed over by its length.
    expect(mappable(`0100 0400 00000000 ${MSI}`, 0x0000_1000, 0xfee0_0000)).toEqual([true, false]);
  });

  test('drv.iommu.probe.5: a property with a reserved bit is ignored', () => {
    for (const bit of ['10', '20', '40', '80'])
      expect(mappable(`01${bit} ${RESV.slice(5)} ${MSI}`, 0x8000, 0xfee0_0000)).toEqual([true, false]);
  });

  test('a list that lies about its lengths is read no further than its bytes; an empty property ends it', () => {
    expect(mappable(`${RESV} 0100 ffff 00`, 0x8000, 0x9000)).toEqual([false, true]);
    expect(mappable(`0000 1400 00 000000 0080000000000000 ff8f000000000000 ${MSI}`, 0x8000, 0xfee0_0000)).toEqual([
      true,
      true,
    ]);
    // A property in the last four bytes, whose value would be past the end.
    expect(mappable(`0200 5800 ${'00'.repeat(88)} 0100 1400`, 0x8000)).toEqual([true]);
    // Ends before it starts; beyond 2^53; from below to far beyond it.
    expect(mappable('0100 1400 00 000000 0090000000000000 ff8f000000000000', 0x8000, 0x9000)).toEqual([true, true]);
    expect(mappable('0100 1400 00 000000 0000000000002000 ffffffffffffffff', 0x8000)).toEqual([true]);
    expect(mappable('0100 1400 00 000000 0080000000000000 ffffffffffffffff', 0x7000, 0x8000, 0xffff_f000)).toEqual([
      true,
      false,
      false,
    ]);
    const bench = new IommuDriverBench();
    bench.driver.probe(8);
    bench.next();
    // The list and the tail in the last bytes, with a used length that leaves the tail out.
    expect(bench.answer('00'.repeat(52), 48)).toEqual([[0, UNANSWERED]]);
  });
});

describe('fault reports', () => {
  const REPORT = '02 000000 01010000 08000000 00000000 3412000001000000';
  const FAULT = { reason: 2, endpoint: 8, read: true, write: false, address: 0x1_0000_1234 };

  test('a report is taken from its buffer, which the device then gets back, round and round', () => {
    const bench = new IommuDriverBench();
    for (let round = 0; round < 20; round++) expect(bench.report(REPORT)).toEqual([FAULT]);
    bench.expectNoStrayChange();
  });

  test('drv.iommu.fault.1: a report whose reserved field isn’t zero is ignored', () => {
    const bench = new IommuDriverBench();
    for (const reserved of ['010000', '000100', '000080'])
      expect(bench.report(REPORT.replace('000000', reserved))).toEqual([]);
    expect(bench.report(REPORT)).toEqual([FAULT]);
  });

  test('drv.iommu.fault.2: reserved1 is ignored', () => {
    expect(new IommuDriverBench().report(REPORT.replace('08000000 00000000', '08000000 ffffffff'))).toEqual([FAULT]);
  });

  test('drv.iommu.fault.3: undefined flags are ignored, and so is the address without its flag', () => {
    const bench = new IommuDriverBench();
    expect(bench.report(REPORT.replace('01010000', 'fdffffff'))).toEqual([FAULT]);
    expect(bench.report(REPORT.replace('01010000', '02000000'))).toEqual([
      { ...FAULT, read: false, write: true, address: undefined },
    ]);
  });

  test('drv.iommu.fault.4: an unknown reason is taken as UNKNOWN', () => {
    const bench = new IommuDriverBench();
    for (const reason of ['03', '80', 'ff', '00'])
      expect(bench.report(reason + REPORT.slice(2))).toEqual([{ ...FAULT, reason: 0 }]);
    expect(bench.report(`01${REPORT.slice(2)}`)).toEqual([{ ...FAULT, reason: 1 }]);
  });

  test('a report that is too short is ignored', () => {
    const bench = new IommuDriverBench();
    expect(bench.report(REPORT, 0)).toEqual([]);
    expect(bench.report(REPORT, 23)).toEqual([]);
    expect(bench.report(REPORT)).toEqual([FAULT]);
  });
});
