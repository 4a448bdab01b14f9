import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hex, join } from '../net/testing/frames.js';
import { S } from '../testing/device-bench.js';
import { decodeParts } from './device-part.js';
import { INVALID, le, OK } from './testing/admin-bench.js';
import type { NetFunctionOptions } from './testing/net-function.js';
import { none, OPTIONAL, PART, PartsBench, part, partValue, status, text } from './testing/parts-bench.js';

const F = VIRTIO_NET_F;

describe('setting parts', () => {
  const stopped = (features: readonly number[] = [], options: NetFunctionOptions = {}): PartsBench => {
    const bench = new PartsBench(features, options);
    expect([bench.mode(1, 1).outcome, bench.mode(2, 1).outcome]).toEqual([OK, OK]);
    return bench;
  };

  test('AD-14 dev.admin.device-parts.4: not while it runs', () => {
    const bench = new PartsBench();
    const parts = bench.get(1);
    expect(bench.set(1, parts)).toBe(INVALID.COMMAND);
    bench.mode(1, 1);
    expect(bench.set(1, parts)).toBe(OK);
    bench.mode(1, 0);
    expect(bench.set(1, parts)).toBe(INVALID.COMMAND);
  });

  test('dev.admin.device-parts.5: the same parts or others, as often as is wanted', () => {
    const bench = stopped();
    const parts = bench.get(1);
    for (let n = 0; n < 3; n++) expect(bench.set(1, parts)).toBe(OK);
    expect(bench.set(1, status(3))).toBe(OK);
    expect(bench.set(1, part(PART.COMMON, le(0x16, 8), le(2, 2)))).toBe(OK);
    expect(partValue(bench.get(1), PART.STATUS)).toEqual(hex('03'));
    expect(partValue(bench.get(1), PART.COMMON, le(0x16, 8))).toEqual(hex('0200'));
    expect(bench.set(1, status(1))).toBe(OK);
    expect(partValue(bench.get(1), PART.STATUS)).toEqual(hex('01'));
  });

  /** Nothing of a list that is refused is kept: here a status of 1 in front of what is wrong. */
  const refuses = (bench: PartsBench, ...wrong: readonly Uint8Array[]): void => {
    const before = text(bench.get(1));
    for (const parts of wrong) {
      expect(bench.set(1, parts), text(parts)).toBe(INVALID.FIELD);
      expect(text(bench.get(1))).toBe(before);
    }
  };

  test('AD-15 dev.admin.device-parts.6: a part of another length is refused, and everything with it', () => {
    const bench = stopped();
    const offered = partValue(bench.get(1), PART.DEV)!;
    refuses(
      bench,
      join(status(1), part(PART.VQ, le(0, 2), new Uint8Array(31))),
      join(status(1), part(PART.VQ, le(0, 2), new Uint8Array(33))),
      join(status(1), part(PART.NOTIFY, le(0, 2), new Uint8Array(4))),
      part(PART.STATUS, none, hex('')),
      part(PART.STATUS, none, hex('0100')),
      part(PART.DRV, none, new Uint8Array(8)),
      part(PART.DEV, none, offered.slice(0, 8)),
      part(PART.COMMON, le(0x16, 8), le(1, 4)),
      part(PART.COMMON, le(0x10, 8), le(1, 1)),
      // Claims 4 GiB, and 64 KiB and a byte.
      join(part(PART.STATUS, none, hex('')).slice(0, 12), hex('ffffffff')),
      join(part(PART.STATUS, none, hex('')).slice(0, 12), hex('01000100')),
    );
  });

  test('AD-16 dev.admin.device-parts.7,.8,.33,.34: device features and read-only fields are compared, and not set', () => {
    const bench = stopped();
    const offered = partValue(bench.get(1), PART.DEV)!;
    const other = offered.slice();
    other[0]! ^= 1;
    refuses(
      bench,
      join(part(PART.DEV, none, other, OPTIONAL), status(1)),
      part(PART.DEV, none, other),
      part(PART.COMMON, le(0x12, 8), le(4, 2)),
      part(PART.NOTIFY, le(0, 2), join(le(1, 2), le(0, 6))),
      // Fields that are no parts: config_generation, a queue's, none.
      part(PART.COMMON, le(0x15, 8), le(0, 1)),
      part(PART.COMMON, le(0x18, 8), le(16, 2)),
      part(PART.COMMON, le(0x40, 8), le(0, 2)),
    );
    expect(bench.set(1, join(part(PART.DEV, none, offered), part(PART.COMMON, le(0x12, 8), le(3, 2))))).toBe(OK);
  });

  test('AD-17: parts out of order, twice, or not known and not optional', () => {
    const bench = stopped();
    const offered = partValue(bench.get(1), PART.DEV)!;
    const drv = part(PART.DRV, none, new Uint8Array(16));
    const unknown = (type: number, flags: number): Uint8Array => part(type, none, hex('01020304'), flags);
    refuses(
      bench,
      join(status(1), drv),
      join(drv, part(PART.DEV, none, offered)),
      join(drv, drv),
      join(status(1), status(1)),
      // Reserved bytes of a selector tell no two parts apart.
      join(status(1), part(PART.STATUS, le(9, 8), hex('01'))),
      join(part(PART.NOTIFY, le(0, 8), new Uint8Array(8)), part(PART.NOTIFY, le(0x1_0000, 8), new Uint8Array(8))),
      join(status(1), unknown(0x106, 0)),
      join(status(1), unknown(0x600, 0)),
      join(status(1), unknown(0xffff, 0)),
      join(status(1), unknown(0x201, 0)),
    );
    expect(bench.set(1, join(unknown(0x106, OPTIONAL), drv, status(1), unknown(0x201, OPTIONAL)))).toBe(OK);
  });

  test('AD-18: a queue with a size or an index that it cannot have', () => {
    const bench = stopped();
    const queue = (index: number, size: number, enabled = 0, high = 0): Uint8Array => {
      const address = join(le(0x1000, 4), le(high, 4));
      return part(
        PART.VQ,
        le(index, 2),
        join(le(size, 2), le(0, 2), le(enabled, 2), le(0, 2), address, address, address),
      );
    };
    refuses(
      bench,
      join(status(1), queue(0, 0)),
      join(status(1), queue(0, 512)),
      join(status(1), queue(0, 24)),
      queue(0, 0xffff),
      queue(3, 16),
      queue(0xffff, 16),
      queue(0, 16, 2),
      // Enabled, and features are not negotiated.
      queue(0, 16, 1),
      part(PART.NOTIFY, le(3, 2), new Uint8Array(8)),
    );
    const negotiated = join(part(PART.DRV, none, hex('0000000001000000 0000000000000000')), status(0x0b));
    refuses(bench, join(negotiated, queue(0, 16, 1, 0x20_0000)));
    expect(bench.set(1, join(negotiated, queue(0, 16, 1, 0x1f_ffff)))).toBe(OK);
  });

  test('MG-19: vectors beyond the MSI-X table, of a queue or of the configuration', () => {
    const bench = stopped();
    const queue = (vector: number): Uint8Array =>
      part(PART.VQ, le(0, 2), join(le(16, 2), le(vector, 2), new Uint8Array(28)));
    const config = (vector: number): Uint8Array => part(PART.COMMON, le(0x10, 8), le(vector, 2));
    for (const vector of [0x800, 0xfffe, 64]) refuses(bench, join(status(1), queue(vector)), config(vector));
    expect(bench.set(1, join(config(0xffff), queue(0xffff)))).toBe(OK);
    expect(bench.set(1, join(config(0), queue(0)))).toBe(OK);
  });

  test('a status or features that no driver can have brought about', () => {
    const bench = stopped();
    const drv = (value: string): Uint8Array => part(PART.DRV, none, hex(value));
    refuses(
      bench,
      ...[2, 4, 8, 9, 0x10, 0x20].map(status),
      // No VERSION_1; a feature that was not offered; SUSPEND without its feature; with DRIVER_OK.
      status(0x0b),
      join(drv('00000000 01000200 0000000000000000'), status(0x0b)),
      join(drv('00000000 01000000 0000000000000000'), status(0x1b)),
      join(drv('00000000 01080000 0000000000000000'), status(0x1f)),
    );
    // As long as FEATURES_OK is not set the driver may have written anything.
    expect(bench.set(1, join(drv('ffffffffffffffff ffffffffffffffff'), status(3)))).toBe(OK);
  });

  test('what the driver set by commands: data that the command refuses, of features that were not negotiated', () => {
    const bench = stopped([], { pairs: 2 });
    const features = part(
      PART.DRV,
      none,
      join(le((1 << F.CTRL_VQ) | (1 << F.CTRL_RX) | (1 << F.MQ), 4), le(1, 4), le(0, 8)),
    );
    const base = join(features, status(0x0f));
    const cvq = (code: string, value: string): Uint8Array =>
      part(PART.CVQ, join(hex(code), new Uint8Array(6)), hex(value));
    refuses(
      bench,
      ...[
        ['0000', ''],
        ['0000', '02'],
        ['0000', '0101'],
        ['0100', '00000000'],
        ['0100', '01000000 525400000001 01000000 01005e0001'],
        ['0100', 'ffffffff 525400000001 00000000'],
        ['0400', '0000'],
        ['0400', '0300'],
        ['0400', '01'],
        // Not negotiated: MAC address, VLAN, RSS, coalescing, offloads.
        ['0101', '525400777777'],
        ['0200', '0500'],
        ['0401', '00000000 0000 0000 0000 0100 00'],
        ['0600', '0000000000000000'],
        ['0500', '0000000000000000'],
        // No command that is a part.
        ['0103', '00'],
        ['0801', ''],
      ].map(([code, value]) => join(base, cvq(code!, value!))),
    );
    expect(bench.set(1, join(base, cvq('0000', '00'), cvq('0400', '0200')))).toBe(OK);
  });

  test('dev.admin.device-parts.9: optional parts of no known type are passed over', () => {
    const bench = stopped();
    const before = text(bench.get(1));
    expect(bench.set(1, part(0x1234, none, hex('ff'.repeat(40)), OPTIONAL))).toBe(OK);
    expect(text(bench.get(1))).toBe(before);
  });

  test('dev.admin.vq.1,.2: a list of parts is padded, or cut, as any buffer', () => {
    const bench = stopped();
    expect(bench.set(1, join(status(1), new Uint8Array(100)))).toBe(OK);
    // Without its last byte the value is 0.
    expect(bench.set(1, status(1).slice(0, 16))).toBe(OK);
    expect(partValue(bench.get(1), PART.STATUS)).toEqual(hex('00'));
    expect(bench.set(1, hex(''))).toBe(OK);
  });

  test('random parts neither throw nor leave half of themselves', () => {
    const bench = stopped([F.CTRL_VQ, F.CTRL_RX]);
    const own = decodeParts(bench.get(1))!;
    const types = [...new Set(own.map(({ type }) => type)), PART.CVQ, 0xff00, 0x300, 0x999];
    const one = fc.record({
      type: fc.constantFrom(...types),
      selector: fc.oneof(
        fc.constantFrom(...own.map(({ selector }) => selector)),
        fc.uint8Array({ minLength: 8, maxLength: 8 }),
      ),
      value: fc.oneof(fc.constantFrom(...own.map(({ value }) => value)), fc.uint8Array({ maxLength: 40 })),
      flags: fc.constantFrom(0, OPTIONAL),
    });
    fc.assert(
      fc.property(fc.array(one, { maxLength: 6 }), fc.nat(8), (parts, cut) => {
        const bytes = join(...parts.map(({ type, selector, value, flags }) => part(type, selector, value, flags)));
        const before = text(bench.get(1));
        const outcome = bench.set(1, bytes.subarray(0, Math.max(0, bytes.length - cut)));
        expect([OK, INVALID.FIELD]).toContain(outcome);
        if (outcome !== OK) expect(text(bench.get(1))).toBe(before);
        bench.mode(1, 0);
        bench.mode(1, 1);
      }),
      { numRuns: 150 },
    );
    expect(bench.owner.face.device.status).toBe(S.ACK | S.DRIVER | S.FEATURES | S.OK);
  });
});
