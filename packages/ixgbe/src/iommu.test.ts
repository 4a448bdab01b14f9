import { SENT } from '@ringwire/guest-drivers';
import { ACCESS } from '@ringwire/guest-memory';
import { RX_QUEUE, TX_QUEUE, vfRxAt, vfTxAt } from '@ringwire/nic-spec/ixgbe';
import { expect, test } from 'vitest';
import { DriverStage, frameTo, macOf } from './testing/driver-stage.js';

/** VT-d: no write, no read permission in the entry that an address leads to; the entry is not there counts as that. */
const WRITE_REFUSED = 5;
const READ_REFUSED = 6;
const FIRST_VF_ID = 0x0180;
/** Where nothing of the function's is mapped. */
const NOWHERE = 0x7_0000_0000;
const PAGE = 4096;

/** A stage with two guests whose drivers run. */
function pair(): DriverStage {
  const stage = new DriverStage(2);
  stage.open(0);
  stage.open(1);
  expect(stage.iommu.takeFault()).toBeUndefined();
  return stage;
}

function sendTo(stage: DriverStage, from: number, to: number, times = 1): void {
  for (let i = 0; i < times; i++)
    expect(stage.guests[from]!.driver.sendBytes(frameTo(macOf(1 + to), macOf(1 + from)))).toBe(SENT.OK);
}

const registerOf = (stage: DriverStage, vf: number, at: number): number => stage.accessOf(vf).barRead(0, at, 4);
const addressOf = (stage: DriverStage, vf: number, at: number): number =>
  registerOf(stage, vf, at + 4) * 2 ** 32 + registerOf(stage, vf, at);

/** Have a guest's own driver send, but from an address that its descriptor does not say. */
function forge(stage: DriverStage, vf: number, address: number): void {
  sendTo(stage, vf, 1 - vf);
  // The last one: a context may be before it.
  const last = registerOf(stage, vf, vfTxAt(0, TX_QUEUE.TDT)) - 1;
  const { space } = stage.dmaOf(vf);
  const ring = addressOf(stage, vf, vfTxAt(0, TX_QUEUE.TDBAL));
  const at = stage.hostOf(vf, ring + last * 16) >>> 2;
  space.memory.u32[at] = address >>> 0;
  space.memory.u32[at + 1] = Math.floor(address / 2 ** 32);
}

test('F14 F15: two virtual functions with the same addresses reach the memory of their own guests, and frames flow between them', () => {
  const stage = pair();
  expect(addressOf(stage, 0, vfTxAt(0, TX_QUEUE.TDBAL))).toBe(addressOf(stage, 1, vfTxAt(0, TX_QUEUE.TDBAL)));
  sendTo(stage, 0, 1, 3);
  sendTo(stage, 1, 0, 2);
  stage.run();
  expect(stage.guests.map((guest) => guest!.heard.length)).toEqual([2, 3]);
  expect(stage.guests[1]!.heard[0]!.bytes).toEqual(frameTo(macOf(2), macOf(1)));
  expect(stage.iommu.takeFault()).toBeUndefined();
});

test('F17 L15: a packet at an address that is not the guest’s is refused and recorded under its function’s id; that queue stops, its sibling goes on', () => {
  const stage = pair();
  const other = stage.bytesOf(1);
  forge(stage, 0, NOWHERE);
  stage.nic.step(64);
  expect(stage.iommu.takeFault()).toEqual({ reason: READ_REFUSED, sourceId: FIRST_VF_ID, address: NOWHERE });
  expect(Buffer.compare(stage.bytesOf(1), other)).toBe(0);
  stage.run();
  expect(stage.pf.told).toEqual(['VF 0, transmit queue 0: an address or a length that is nowhere']);
  expect(stage.guests[1]!.driver.sendBytes(frameTo(macOf(0), macOf(2)))).toBe(SENT.OK);
  stage.run();
  expect([stage.pf.heard.length, stage.guests[1]!.told]).toEqual([1, ['up']]);
});

test('IO-18: a receive buffer that may only be read stays as it is, and the frame is lost to that function alone', () => {
  const stage = pair();
  const domain = stage.domainOf(1);
  const ring = stage.hostOf(1, addressOf(stage, 1, vfRxAt(0, RX_QUEUE.RDBAL))) >>> 2;
  const { u32, u8 } = stage.dmaOf(1).space.memory;
  const iova = u32[ring]! + u32[ring + 1]! * 2 ** 32;
  const page = iova - (iova % PAGE);
  const host = stage.hostOf(1, page);
  const before = u8.slice(host, host + PAGE);
  domain.unmap(page, PAGE);
  domain.map(page, host, PAGE, ACCESS.READ);
  sendTo(stage, 0, 1);
  stage.nic.step(64);
  expect(stage.iommu.takeFault()).toEqual({ reason: WRITE_REFUSED, sourceId: FIRST_VF_ID + 2, address: page });
  expect(u8.slice(host, host + PAGE)).toEqual(before);
  // Whoever sent it has done nothing wrong.
  expect(stage.guests[0]!.driver.counters.txLost).toBe(0);
});

test('IO-19 IO-26: a ring that is unmapped is out of reach at once, wherever it was found before', () => {
  const stage = pair();
  sendTo(stage, 0, 1, 2);
  stage.run();
  const ring = addressOf(stage, 0, vfTxAt(0, TX_QUEUE.TDBAL));
  const host = stage.hostOf(0, ring);
  const { u8 } = stage.dmaOf(0).space.memory;
  sendTo(stage, 0, 1);
  const before = u8.slice(host, host + 1024);
  stage.domainOf(0).unmap(ring, PAGE);
  stage.nic.step(64);
  expect(stage.iommu.takeFault()).toMatchObject({ sourceId: FIRST_VF_ID, address: ring });
  expect(u8.slice(host, host + 1024)).toEqual(before);
  expect(stage.guests[1]!.heard).toHaveLength(2);
});

test('F16: a driver that closes leaves nothing mapped', () => {
  const stage = pair();
  sendTo(stage, 0, 1);
  stage.run();
  expect(stage.domainOf(0).mappedBytes).toBeGreaterThan(0);
  stage.guests[0]!.driver.close();
  expect(stage.domainOf(0).mappedBytes).toBe(0);
  expect(stage.iommu.takeFault()).toBeUndefined();
});
