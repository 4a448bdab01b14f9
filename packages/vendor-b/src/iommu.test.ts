import { SENT } from '@ringwire/guest-drivers';
import { ACCESS } from '@ringwire/guest-memory';
import { VB_FAULT, WORK_ENTRY } from '@ringwire/nic-spec/vendor-b';
import { expect, test } from 'vitest';
import {
  FIRST_VF,
  frameTo,
  macOf,
  numberIn,
  RAM,
  RAM_BYTES,
  type StageSide,
  VendorBStage,
} from './testing/vendor-b-stage.js';

/** VT-d 4.0 §7.1.3: what an address leads to may not be written, or read; where nothing is mapped, that too. */
const WRITE_REFUSED = 5;
const READ_REFUSED = 6;
const NOWHERE = 0x7_0000_0000;
const PAGE = 4096;

function pair(): { stage: VendorBStage; a: StageSide; b: StageSide } {
  const stage = new VendorBStage({ hasSwitch: true, isTranslated: true });
  const [a, b] = stage.enable(2);
  a!.drive();
  b!.drive();
  expect(stage.iommu!.takeFault()).toBeUndefined();
  return { stage, a: a!, b: b! };
}

const send = (from: StageSide, to: number, number: number): void =>
  expect(from.driver!.sendBytes(frameTo(macOf(to), macOf(from.index), number))).toBe(SENT.OK);

/** Host offset of the first entry of a function's ring that receives, or sends. */
function ringAt({ index, function: { native } }: StageSide, id: number): number {
  const { address } = native.submissionRings[id]!.place;
  return (index + 1) * RAM_BYTES + address - RAM;
}

test('F14 F15: two functions with the same addresses reach the memory of their own guests, and frames flow between them', () => {
  const { stage, a, b } = pair();
  const [one, other] = [a, b].map((side) => side.function.native.submissionRings.map((ring) => ring?.place.address));
  expect(one).toEqual(other);
  for (let number = 0; number < 40; number++) {
    send(a, 1, number);
    send(b, 0, 100 + number);
    stage.settle();
  }
  expect(b.heard.map(numberIn)).toEqual(Array.from({ length: 40 }, (_, number) => number));
  expect(a.heard.map(numberIn)).toEqual(Array.from({ length: 40 }, (_, number) => 100 + number));
  expect(stage.iommu!.takeFault()).toBeUndefined();
});

test('F17 L15: an entry at an address that is not the guest’s is refused and recorded under its function’s id, and costs its own frame alone', () => {
  const { stage, a, b } = pair();
  const before = b.bytes();
  const { u32 } = stage.memory;
  send(a, 1, 1);
  // The low word of a segment, and the upper 16 bits of its address below the length.
  const entry = (ringAt(a, 1) + WORK_ENTRY.segment) >>> 2;
  u32[entry] = NOWHERE >>> 0;
  u32[entry + 1] = (u32[entry + 1]! & 0xffff_0000) | Math.floor(NOWHERE / 2 ** 32);
  stage.nic.step(16);
  expect(stage.iommu!.takeFault()).toEqual({ reason: READ_REFUSED, sourceId: FIRST_VF, address: NOWHERE });
  expect(Buffer.compare(b.bytes(), before)).toBe(0);
  stage.settle();
  send(a, 1, 2);
  stage.settle();
  expect([a.function.counters.badEntries, a.driver!.counters.failedBuffers, b.heard.map(numberIn)]).toEqual([
    1,
    1,
    [2],
  ]);
});

test('IO-18: a receive buffer that may only be read stays as it is, and the frame goes into the next one', () => {
  const { stage, a, b } = pair();
  const domain = stage.iommu!.domain(FIRST_VF + 1);
  const { u32, u8 } = stage.memory;
  const entry = (ringAt(b, 0) + WORK_ENTRY.segment) >>> 2;
  const page = u32[entry]! + (u32[entry + 1]! & 0xffff) * 2 ** 32;
  const host = 2 * RAM_BYTES + page - RAM;
  domain.protect(page, PAGE, ACCESS.READ);
  const before = u8.slice(host, host + PAGE);
  send(a, 1, 1);
  stage.settle();
  expect(stage.iommu!.takeFault()).toEqual({ reason: WRITE_REFUSED, sourceId: FIRST_VF + 1, address: page });
  expect(u8.slice(host, host + PAGE)).toEqual(before);
  expect([b.heard.map(numberIn), b.driver!.counters.failedBuffers]).toEqual([[1], 1]);
});

test('IO-19 IO-26: rings that are unmapped are out of reach at once; that function is told, its sibling goes on', () => {
  const { stage, a, b } = pair();
  send(a, 1, 1);
  stage.settle();
  const { address } = a.function.native.submissionRings[1]!.place;
  stage.iommu!.domain(FIRST_VF).unmap(address, PAGE);
  send(a, 1, 2);
  stage.nic.step(16);
  expect(stage.iommu!.takeFault()).toMatchObject({ sourceId: FIRST_VF, address });
  expect([a.function.fault, b.heard.map(numberIn)]).toEqual([VB_FAULT.RING_ADDRESS, [1]]);
  send(b, -1, 3);
  stage.settle();
  expect([b.driver!.state, b.driver!.counters.sent, b.function.fault]).toEqual(['running', 1, VB_FAULT.NONE]);
});
