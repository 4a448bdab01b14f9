import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readRequest, readState, response } from './messages.js';

/** 152 bytes with these at their beginning. */
function bytes(...parts: readonly number[]): Uint8Array {
  const all = new Uint8Array(152);
  all.set(parts);
  return all;
}
const RESERVED = new Array<number>(16).fill(0);

test('GET_VQ_STATE, SET_STATUS and UPDATE_IOTLB are read where Linux puts them', () => {
  expect(readRequest(bytes(0, 0, 0, 0, 7, 0, 0, 0, ...RESERVED, 1, 0, 0, 0))).toEqual({
    kind: 'get-vq-state',
    id: 7,
    index: 1,
  });
  // The status is one byte: what is behind it is padding.
  expect(readRequest(bytes(1, 0, 0, 0, 0, 1, 0, 0x80, ...RESERVED, 0x0b, 0xff))).toEqual({
    kind: 'set-status',
    id: 0x8000_0100,
    status: 11,
  });
  const [first, last] = [
    [0, 0x10, 0, 0, 0, 0, 0, 0],
    [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  ] as const;
  expect(readRequest(bytes(2, 0, 0, 0, 1, 0, 0, 0, ...RESERVED, ...first, ...last))).toEqual({
    kind: 'update-iotlb',
    id: 1,
    first: 0x1000n,
    last: 2n ** 64n - 1n,
  });
});

test('VU-30: a message that is shorter than the structure is refused, with its id if that is there', () => {
  const whole = bytes(1, 0, 0, 0, 9, 0, 0, 0, ...RESERVED, 3);
  for (let length = 0; length < 152; length++) {
    const bad = { kind: 'bad', id: length < 8 ? undefined : 9, problem: `a request of ${length} bytes, want 152` };
    expect(readRequest(whole.subarray(0, length))).toEqual(bad);
  }
  expect(readRequest(whole).kind).toBe('set-status');
});

test('VU-30: an unknown type, and translations that end before they begin, are refused', () => {
  expect(readRequest(bytes(3, 0, 0, 0, 9))).toEqual({ kind: 'bad', id: 9, problem: 'a request of type 3' });
  expect(readRequest(bytes(1, 0, 0, 1, 9))).toEqual({ kind: 'bad', id: 9, problem: 'a request of type 16777217' });
  expect(readRequest(bytes(2, 0, 0, 0, 9, 0, 0, 0, ...RESERVED, 0, 0, 1))).toEqual({
    kind: 'bad',
    id: 9,
    problem: 'translations from 0x10000 to 0x0',
  });
});

test('whatever is read is a request or is not, and nothing throws', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (some) => {
      expect(['bad', 'get-vq-state', 'set-status', 'update-iotlb']).toContain(readRequest(some).kind);
    }),
  );
});

test('an answer has its id, its result, and a state of 16-bit words where one was asked for', () => {
  expect(response(7, true)).toEqual(bytes(7));
  expect(response(0x8000_0001, false)).toEqual(bytes(1, 0, 0, 0x80, 1));
  const split = { layout: 'split', lastAvailIdx: 0xfffe, usedIdx: 0xfffe } as const;
  expect(response(7, true, 1, split)).toEqual(bytes(7, 0, 0, 0, 0, 0, 0, 0, ...RESERVED, 1, 0, 0, 0, 0xfe, 0xff));
  const packed = {
    layout: 'packed',
    lastAvailIdx: 0x102,
    lastAvailWrapCounter: 1,
    usedIdx: 0x103,
    usedWrapCounter: 0,
  } as const;
  const state = [1, 0, 2, 1, 0, 0, 3, 1];
  expect(response(7, true, 2, packed)).toEqual(bytes(7, 0, 0, 0, 0, 0, 0, 0, ...RESERVED, 2, 0, 0, 0, ...state));
  const view = new DataView(Uint8Array.from(state).buffer);
  expect(readState(view, 0, true)).toEqual(packed);
  expect(readState(view, 2, false)).toEqual({ layout: 'split', lastAvailIdx: 0x102, usedIdx: 0x102 });
});

test('a packed ring’s place is read as Linux reads it: counters of one bit, indexes of 15', () => {
  const view = new DataView(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xfe, 0xff, 0, 0x80).buffer);
  expect(readState(view, 0, true)).toEqual({
    layout: 'packed',
    lastAvailIdx: 0x7fff,
    lastAvailWrapCounter: 1,
    usedIdx: 0,
    usedWrapCounter: 0,
  });
});
