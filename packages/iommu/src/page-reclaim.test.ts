import { ACCESS, PageAllocator } from '@ringwire/guest-memory';
import { expect, test } from 'vitest';
import { PageReclaim } from './page-reclaim.js';
import { PinAccount, PinMap } from './pin-map.js';
import { ScalableStage } from './testing/scalable-stage.js';
import { VfioContainer, VfioGroup } from './vfio-container.js';

const RW = ACCESS.READ | ACCESS.WRITE;
const PAGE = 4096;
const SOURCE = 0x18;

function setUp() {
  const stage = new ScalableStage();
  const pins = new PinMap();
  const ram = new PageAllocator(0x10_0000, 0x10_0000);
  const reclaim = new PageReclaim(stage.physical, ram, pins);
  /** The device fills the page that it knows by IOVA 0. */
  const dma = (value: number): number => {
    const space = stage.space(SOURCE);
    const offset = space.resolve(0, PAGE, RW);
    stage.memory.engine.fill(offset, value, PAGE);
    return offset;
  };
  return { stage, pins, ram, reclaim, dma };
}

test('F21: a page that a device can reach is neither given up nor swapped, and who holds it is named', () => {
  const { stage, pins, ram, reclaim } = setUp();
  const { requesters, physical } = stage;
  const account = new PinAccount('guest 1', Number.POSITIVE_INFINITY);
  const container = new VfioContainer({ domain: stage.domain(1), requesters, physical, pins, account });
  container.attach(new VfioGroup(1, [SOURCE]));
  const page = ram.allocate(PAGE);
  container.map(0, page, PAGE, RW, 'receive buffers');
  expect(reclaim.giveUp(page)).toMatchObject({ gone: false, heldBy: [{ label: 'receive buffers', since: 1 }] });
  expect(reclaim.swapOut(page)).toMatchObject({ heldBy: [{ account: { name: 'guest 1' } }] });
  expect([reclaim.refused, ram.inUse]).toEqual([2, PAGE]);
  container.unmap(0, PAGE);
  expect(reclaim.giveUp(page)).toEqual({ gone: true });
  expect(ram.inUse).toBe(0);
});

test('F21: a mapping behind the pin map’s back lets a swapped page’s next owner be written to', () => {
  const { stage, ram, reclaim, dma } = setUp();
  const domain = stage.domain(1);
  stage.requesters.attach(SOURCE, domain);
  const page = ram.allocate(PAGE);
  domain.map(0, page, PAGE, RW);
  stage.memory.engine.fill(page, 1, PAGE);
  const swapped = reclaim.swapOut(page);
  const theirs = ram.allocate(PAGE);
  stage.memory.engine.fill(theirs, 2, PAGE);
  dma(3);
  // Somebody else's page, and not a byte of what the device sent is with the guest.
  expect(stage.memory.u8[theirs]).toBe(3);
  expect('bytes' in swapped && reclaim.swapIn(swapped)).not.toBe(theirs);
  expect('bytes' in swapped && swapped.bytes.every((byte) => byte === 1)).toBe(true);
});

test('contents come back to whatever page is free', () => {
  const { stage, ram, reclaim } = setUp();
  const page = ram.allocate(PAGE);
  stage.memory.u8.set([1, 2, 3], page);
  const swapped = reclaim.swapOut(page);
  ram.allocate(PAGE);
  const back = 'bytes' in swapped ? reclaim.swapIn(swapped) : -1;
  expect(back).toBe(page + PAGE);
  expect([...stage.memory.u8.subarray(back, back + 4)]).toEqual([1, 2, 3, 0]);
});
