import fc from 'fast-check';
import { expect, test } from 'vitest';
import { barReadBytes, barWriteBytes, configReadBytes, configWriteBytes } from './byte-access.js';
import { advancedErrorReporting } from './extended-capabilities.js';
import { COMMAND, PBA, started, type TestFunction } from './testing/test-function.js';

test('PC-09: configuration registers written in parts, whole and across one another mean the same', () => {
  const ways: ((write: TestFunction['pci']['configWrite']) => void)[] = [
    (write) => {
      write(COMMAND, 2, 0x0406);
      write(0x0c, 1, 0x10);
      write(0x10, 4, 0x1234_4000);
    },
    (write) => {
      for (const [i, byte] of [0x06, 0x04, 0, 0, 1, 0, 0, 2, 0x10, 0, 0, 0, 0, 0x40, 0x34, 0x12].entries())
        write(COMMAND + i, 1, byte);
    },
    (write) => {
      write(0x03, 3, 0x04_06ff);
      write(0x06, 4, 0xffff_0000);
      write(0x0a, 3, 0x10_ffff);
      write(0x0d, 4, 0x00ff_ffff);
      write(0x11, 3, 0x12_3440);
    },
  ];
  const spaces = ways.map((way) => {
    const { pci } = started();
    way((at, size, value) => pci.configWrite(at, size, value));
    expect([pci.barAddress(0), pci.mayMaster]).toEqual([0x10_1234_4000, true]);
    return pci.config.bytes;
  });
  expect(spaces[1]).toEqual(spaces[0]);
  expect(spaces[2]).toEqual(spaces[0]);
});

const offset = fc.oneof(
  fc.integer({ min: 0, max: 0x180 }),
  fc.integer({ min: 0, max: 0x4010 }),
  fc.constantFrom(0x44, 0x4a, 0x5c, COMMAND, PBA, 0xfff, 0x1000, -1, 2 ** 32, 2 ** 53, Number.NaN, 0.5),
);
const value = fc.oneof(fc.integer({ min: 0, max: 0xffff_ffff }), fc.constantFrom(0, 1, 6, 7, 0x8000, 0xffff_ffff));
const size = fc.constantFrom(1, 2, 3, 4, 4, 8, 0);
const bar = fc.constantFrom(0, 1, 2, 2, 3, 5, 6, 255);
const access = fc.oneof(
  fc.record({ kind: fc.constantFrom('config', 'config', 'config read'), bar, offset, size, value }),
  fc.record({ kind: fc.constantFrom('bar', 'bar', 'bar read', 'window', 'window read'), bar, offset, size, value }),
  fc.record({ kind: fc.constantFrom('raise', 'intx', 'wide', 'on'), bar, offset, size, value }),
);
type Access = typeof access extends fc.Arbitrary<infer One> ? One : never;

function perform({ pci }: TestFunction, { kind, bar: index, offset: at, size: bytes, value: data }: Access): void {
  if (kind === 'config') pci.configWrite(at, bytes, data);
  else if (kind === 'config read') pci.configRead(at, bytes);
  else if (kind === 'bar') pci.barWrite(index, at, bytes, data);
  else if (kind === 'bar read') pci.barRead(index, at, bytes);
  else if (kind === 'window') pci.windowWrite(index, at, bytes, data);
  else if (kind === 'window read') pci.windowRead(index, at, bytes);
  else if (kind === 'raise') pci.msix!.raise(data % 6);
  else if (kind === 'intx') pci.setIntx((data & 1) !== 0);
  else if (kind === 'on') {
    pci.configWrite(0x44, 1, 0);
    pci.configWrite(COMMAND, 2, 7);
  } else {
    const some = new Uint8Array(11).fill(data);
    configReadBytes(pci, at, some);
    configWriteBytes(pci, at, some);
    barReadBytes(pci, index, at, some);
    barWriteBytes(pci, index, at, some);
  }
}

/** Bits that no software changes: ids, class, header type, pin, capability headers. */
const fixed = ({ pci }: TestFunction): number[] =>
  [0x00, 0x08, 0x2c, 0x30, 0x34, 0x48, 0x4c, 0x50, 0x58, 0x100, 0x104 + 0x48].map((at, i) =>
    i === 5 ? pci.config.get16(at) : pci.config.get32(at),
  );

test('PC-09 PC-10 PC-11 PC-22 PC-23: no sequence of accesses throws, changes what is fixed, or reaches what is not there', () => {
  fc.assert(
    fc.property(fc.array(access, { maxLength: 60 }), fc.option(fc.nat(59), { nil: -1 }), (accesses, removedAt) => {
      const stage = started({ extra: [advancedErrorReporting()] });
      const before = fixed(stage);
      const { pci } = stage;
      for (const [i, one] of accesses.entries()) {
        if (i === removedAt) pci.remove();
        perform(stage, one);
      }
      expect(fixed(stage)).toEqual(before);
      for (const text of stage.accesses) {
        const [, width, at] = /^[rw](\d)@([0-9a-f]+)/.exec(text)!;
        const place = Number.parseInt(at!, 16);
        expect(place % Number(width)).toBe(0);
        expect(place + Number(width)).toBeLessThanOrEqual(0x100);
      }
      // Addresses are those that the host was told, and what is off has none.
      const told = new Map(
        stage.events.map((event) => /^bar (\d) (.*)$/.exec(event)).map((found) => [found?.[1], found?.[2]]),
      );
      for (const index of [0, 2, 3]) {
        const text = told.get(`${index}`);
        if (text !== undefined) expect(pci.barAddress(index)).toBe(text === 'off' ? -1 : Number.parseInt(text, 16));
        if (pci.removed) expect(pci.barAddress(index)).toBe(-1);
      }
      if (!pci.mayMaster) {
        const sent = stage.messages.length;
        for (let vector = 0; vector < 4; vector++) pci.msix!.raise(vector);
        expect(stage.messages.length).toBe(sent);
      }
      const last = stage.events.findLast((event) => event.startsWith('intx'));
      if (pci.removed) expect([pci.configRead(0, 4), last ?? 'intx off']).toEqual([0xffff_ffff, 'intx off']);
    }),
    { numRuns: 1000 },
  );
});
