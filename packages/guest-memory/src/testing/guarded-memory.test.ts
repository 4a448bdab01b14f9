import { ACCESS, RESOLVE } from '@ringwire/guest-memory';
import { formatChange, GuardedGuest } from '@ringwire/guest-memory/testing';
import { VirtioError } from '@ringwire/virtio-spec';
import { expect, test } from 'vitest';

const HIGH = 2 ** 32;
const REGIONS = [
  { gpa: 0x1000, size: 0x1000 },
  { gpa: 0x2000, size: 0x0ff9 },
  { gpa: HIGH, size: 0x2000 },
];

test('RAM starts as zeros, is written and read by guest address, and is split between regions', () => {
  const guest = new GuardedGuest(REGIONS);
  expect(guest.read(0x1000, 0x1000).every((byte) => byte === 0)).toBe(true);
  guest.write(0x1ffe, Uint8Array.of(1, 2, 3, 4));
  expect([...guest.read(0x1ffe, 4)]).toEqual([1, 2, 3, 4]);
  expect(guest.space.resolve(0x1ffe, 4, ACCESS.READ)).toBe(RESOLVE.SPLIT);
});

test('an untouched guest has no changes', () => {
  const guest = new GuardedGuest(REGIONS);
  expect(guest.changes(guest.snapshot())).toEqual([]);
});

test('changes name the address and the bytes before and after', () => {
  const guest = new GuardedGuest(REGIONS);
  guest.write(HIGH + 0x10, Uint8Array.of(5));
  const since = guest.snapshot();
  guest.write(HIGH + 0x10, Uint8Array.of(6, 7));
  guest.write(0x1000, Uint8Array.of(8));
  expect(guest.changes(since)).toEqual([
    { gpa: 0x1000, before: Uint8Array.of(0), after: Uint8Array.of(8), guard: false },
    { gpa: HIGH + 0x10, before: Uint8Array.of(5, 0), after: Uint8Array.of(6, 7), guard: false },
  ]);
});

test('one byte before or behind a region is a change of its guard, up to the ends of the memory', () => {
  const guest = new GuardedGuest(REGIONS);
  const since = guest.snapshot();
  const { u8 } = guest.memory;
  const host = (gpa: number): number => guest.space.resolve(gpa, 1, ACCESS.READ);
  const flip = (offset: number): void => {
    u8[offset] = u8[offset]! ^ 0xff;
  };
  flip(host(0x1000) - 1);
  flip(host(0x1fff) + 1);
  flip(host(0x2000 + 0xff8) + 1);
  flip(0);
  flip(guest.memory.size - 1);
  const changes = guest.changes(since);
  expect(changes.map((change) => change.gpa)).toEqual([
    0x1000 - host(0x1000),
    0xfff,
    0x2000,
    0x2ff9,
    HIGH + guest.memory.size - 1 - host(HIGH),
  ]);
  expect(changes.every((change) => change.guard)).toBe(true);
  // No list of allowed ranges makes a guard writable, and a snapshot taken afterwards does not hide the damage.
  expect(guest.changesOutside(guest.snapshot(), [{ gpa: 0, length: 2 ** 52 }])).toEqual(changes);
});

test('every byte of the memory is watched', () => {
  const guest = new GuardedGuest(
    [
      { gpa: 0x1003, size: 13 },
      { gpa: 0x9000, size: 1 },
    ],
    { guard: 8 },
  );
  const since = guest.snapshot();
  const { u8 } = guest.memory;
  for (let at = 0; at < u8.length; at++) u8[at] = u8[at]! ^ 0x55;
  const changed = guest.changes(since).reduce((sum, change) => sum + change.after.length, 0);
  expect(changed).toBe(u8.length);
});

test('host offsets have the alignment of their guest addresses', () => {
  const guest = new GuardedGuest(
    [
      { gpa: 0x1234, size: 0x100 },
      { gpa: 0x5ff8, size: 8 },
    ],
    { guard: 64 },
  );
  expect(guest.space.resolve(0x1234, 1, ACCESS.READ) % 4096).toBe(0x234);
  expect(guest.space.resolve(0x5ff8, 1, ACCESS.READ) % 4096).toBe(0xff8);
});

test('only the bytes outside the allowed ranges are violations', () => {
  const guest = new GuardedGuest(REGIONS);
  const since = guest.snapshot();
  guest.write(0x1100, Uint8Array.of(1, 2, 3, 4, 5, 6));
  const allowed = [
    { gpa: 0x1101, length: 2 },
    { gpa: 0x1104, length: 1 },
  ];
  expect(guest.changesOutside(since, allowed).map(formatChange)).toEqual([
    '0x1100: 00 -> 01',
    '0x1103: 00 -> 04',
    '0x1105: 00 -> 06',
  ]);
  expect(guest.changesOutside(since, [{ gpa: 0x1100, length: 6 }])).toEqual([]);
  expect(guest.changesOutside(since, [])).toEqual(guest.changes(since));
});

test('with patterned RAM a stray zero is seen', () => {
  const guest = new GuardedGuest(REGIONS, { patternedRam: true });
  const since = guest.snapshot();
  guest.write(0x1000, new Uint8Array(16));
  const bytes = guest.changes(since).reduce((sum, change) => sum + change.after.length, 0);
  expect(bytes).toBeGreaterThanOrEqual(15);
});

test('a guard has its mark and an address before the region, below zero perhaps', () => {
  const guest = new GuardedGuest([{ gpa: 0, size: 4096 }]);
  const since = guest.snapshot();
  const at = guest.space.resolve(0, 1, ACCESS.READ) - 2;
  const before = guest.memory.u8[at]!;
  guest.memory.u8[at] = before ^ 0xff;
  const hex = (byte: number): string => byte.toString(16).padStart(2, '0');
  expect(guest.changes(since).map(formatChange)).toEqual([`guard -0x2: ${hex(before)} -> ${hex(before ^ 0xff)}`]);
});

test('a guard too narrow and a snapshot of another guest are refused', () => {
  expect(() => new GuardedGuest(REGIONS, { guard: 0 })).toThrow(VirtioError);
  const other = new GuardedGuest([{ gpa: 0, size: 0x10_0000 }]).snapshot();
  expect(() => new GuardedGuest(REGIONS).changes(other)).toThrow(VirtioError);
});
