import { expect, test } from 'vitest';
import { BREAK, breakdown, isBreakdown } from './breakdown.js';
import { gatherParts, giveParts } from './vdpa-plane.js';

const PARTS = Uint8Array.of(1, 2, 3, 4, 5, 6, 7);
const MOST = 8;
/** A card whose answers carry three bytes, and whatever lies behind the end. */
const pieceAt = (at: number, total: number = PARTS.length) => ({
  total,
  bytes: Uint8Array.from({ length: 3 }, (_, byte) => PARTS[at + byte] ?? 0xee),
});

test('parts come and go in pieces, of which the last one may be short; none are one empty piece', () => {
  const asked: number[] = [];
  const gathered = gatherParts(MOST, (at) => {
    asked.push(at);
    return pieceAt(at);
  });
  expect([gathered, asked]).toEqual([PARTS, [0, 3, 6]]);
  expect(gatherParts(MOST, (at) => pieceAt(at, 0))).toEqual(new Uint8Array(0));
  const given: (readonly [number, number[]])[] = [];
  const give = (at: number, piece: Uint8Array): undefined => {
    given.push([at, [...piece]]);
  };
  expect(giveParts(PARTS, MOST, 3, give)).toBeUndefined();
  expect(giveParts(new Uint8Array(0), MOST, 3, give)).toBeUndefined();
  expect(given).toEqual([
    [0, [1, 2, 3]],
    [3, [4, 5, 6]],
    [6, [7]],
    [0, []],
  ]);
});

test('a card that claims too much or another length each time has no parts, and what it refuses ends it', () => {
  for (const totalAt of [() => MOST + 1, (at: number) => 7 - (at > 0 ? 1 : 0)]) {
    const gathered = gatherParts(MOST, (at) => pieceAt(at, totalAt(at)));
    expect(isBreakdown(gathered) ? gathered.code : gathered).toBe(BREAK.NOT_USABLE);
  }
  const no = breakdown(BREAK.ADMIN_UNANSWERED, 'not answered');
  expect(gatherParts(MOST, (at) => (at === 0 ? pieceAt(at) : no))).toBe(no);
  let calls = 0;
  const refuse = () => (++calls === 2 ? no : undefined);
  expect([giveParts(PARTS, MOST, 3, refuse), calls]).toEqual([no, 2]);
  expect(giveParts(PARTS, 6, 3, refuse)).toMatchObject({ message: 'the parts have 7 bytes, want at most 6' });
  expect(calls).toBe(2);
});
