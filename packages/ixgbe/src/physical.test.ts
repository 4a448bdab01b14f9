import { DELIVERED } from '@ringwire/net-backend';
import {
  DMATXCTL,
  PF_REG,
  PF_ROW,
  PF_STAT,
  pfRxAt,
  pfTxAt,
  RX_QUEUE,
  RXCTRL,
  RXDCTL,
  rowAt,
  SRRCTL,
  TX_QUEUE,
  TXDCTL,
  vfRxAt,
  vfTxAt,
} from '@ringwire/nic-spec/ixgbe';
import { expect, test } from 'vitest';
import { AT, frameOf, IxgbeStage, MAC, RAM, type StageFunction } from './testing/ixgbe-stage.js';

const HIGH = RAM / 2 ** 32;

function openQueue(pf: StageFunction, queue: number): void {
  const ring = AT.rx + queue * 0x100;
  pf.write(pfRxAt(queue, RX_QUEUE.RDBAL), ring);
  pf.write(pfRxAt(queue, RX_QUEUE.RDBAH), HIGH);
  pf.write(pfRxAt(queue, RX_QUEUE.RDLEN), 128);
  pf.write(pfRxAt(queue, RX_QUEUE.SRRCTL), SRRCTL.DESCTYPE_ADV_ONE_BUFFER | 2);
  pf.write(pfRxAt(queue, RX_QUEUE.RXDCTL), RXDCTL.ENABLE);
  for (let i = 0; i < 4; i++) pf.putWords(ring + 16 * i, 0x8000 + i * 0x800, HIGH, 0, 0);
  pf.write(pfRxAt(queue, RX_QUEUE.RDT), 4);
}

test('82599 datasheet §8.2.3: values after a reset', () => {
  const { pf } = new IxgbeStage();
  expect([pf.read(PF_REG.VLNCTRL), pf.read(PF_REG.MAXFRS), pf.read(PF_REG.LINKS)]).toEqual([
    0x8100,
    1518 << 16,
    0x7000_0000,
  ]);
  const [low, high] = [
    MAC[0]! + MAC[1]! * 2 ** 8 + MAC[2]! * 2 ** 16 + MAC[3]! * 2 ** 24,
    0x8000_0000 + MAC[4]! + MAC[5]! * 2 ** 8,
  ];
  expect([pf.read(rowAt(PF_ROW.RAL, 0)), pf.read(rowAt(PF_ROW.RAH, 0))]).toEqual([low, high]);
  expect([pf.read(0x5400), pf.read(0x5404)]).toEqual([low, high]);
  expect(pf.read(PF_REG.STATUS)).toBe(0x8_0080);
  expect(pf.read(PF_REG.RDRXCTL) & 8).toBe(8);
});

test('the first receive addresses and SRRCTLs are where the 82598 had them, too', () => {
  const { pf } = new IxgbeStage();
  pf.write(0x5408, 0x1234_5678);
  pf.write(0x2104, 0x0200_0003);
  expect([pf.read(rowAt(PF_ROW.RAL, 1)), pf.read(pfRxAt(1, RX_QUEUE.SRRCTL)), pf.read(0x2104)]).toEqual([
    0x1234_5678, 0x0200_0003, 0x0200_0003,
  ]);
});

test('a driver finds an EEPROM whose sum is right, and a semaphore that the first reader has', () => {
  const { pf } = new IxgbeStage();
  let sum = 0;
  for (let word = 0; word < 0x40; word++) {
    pf.write(PF_REG.EERD, (word << 2) | 1);
    expect(pf.read(PF_REG.EERD) & 2).toBe(2);
    sum += pf.read(PF_REG.EERD) >>> 16;
  }
  expect(sum & 0xffff).toBe(0xbaba);
  expect(pf.read(PF_REG.EEC) & 0x200).toBe(0x200);
  expect([pf.read(PF_REG.SWSM), pf.read(PF_REG.SWSM)]).toEqual([0, 1]);
  pf.write(PF_REG.SWSM, 0);
  expect(pf.read(PF_REG.SWSM)).toBe(0);
});

test('STATUS says how many virtual functions there are; what is no register reads as 0 and cannot be written', () => {
  const stage = new IxgbeStage();
  stage.enable(3);
  expect(stage.pf.read(PF_REG.STATUS)).toBe(0xc_0080 | (3 << 10));
  for (const at of [0x0c, 0x4044, 0x1_9000, 0x2_0000, 0x7_fffc]) {
    stage.pf.write(at, 0xffff_ffff);
    expect(stage.pf.read(at)).toBe(0);
  }
});

test('without pools its queues are all 128, and it sends and receives by its own port', () => {
  const stage = new IxgbeStage();
  const { pf } = stage;
  pf.write(PF_REG.RXCTRL, RXCTRL.RXEN);
  pf.write(PF_REG.DMATXCTL, DMATXCTL.TE);
  openQueue(pf, 0);
  expect(stage.ports[0]!.bring(frameOf(60))).toBe(DELIVERED.ACCEPTED);
  expect(pf.words(AT.rx, 4)).toEqual([0, 0, 3, 60]);
  pf.write(pfTxAt(127, TX_QUEUE.TDBAL), 0x7000);
  pf.write(pfTxAt(127, TX_QUEUE.TDBAH), HIGH);
  pf.write(pfTxAt(127, TX_QUEUE.TDLEN), 128);
  pf.write(pfTxAt(127, TX_QUEUE.TXDCTL), TXDCTL.ENABLE);
  pf.put(0x9000, frameOf(70));
  pf.putWords(0x7000, 0x9000, HIGH, 0x2b30_0046, 70 << 14);
  pf.write(pfTxAt(127, TX_QUEUE.TDT), 1);
  expect(stage.step()).toBe(1);
  expect(stage.ports[0]!.sent).toEqual([{ bytes: frameOf(70), pair: 127, flags: 0, gsoType: 0 }]);
});

test('statistics are read once: 82599 datasheet §8.2.3.23', () => {
  const stage = new IxgbeStage();
  const { pf } = stage;
  pf.write(PF_REG.RXCTRL, RXCTRL.RXEN);
  openQueue(pf, 0);
  const group = frameOf(200);
  group[0] = 1;
  const everybody = frameOf(60);
  everybody.fill(0xff, 0, 6);
  for (const frame of [group, everybody, frameOf(1514)]) stage.ports[0]!.bring(frame);
  const read = (): number[] =>
    [
      PF_STAT.GPRC,
      PF_STAT.GORC_L,
      PF_STAT.GORC_H,
      PF_STAT.MPRC,
      PF_STAT.BPRC,
      PF_STAT.PRC64,
      PF_STAT.PRC255,
      PF_STAT.PRC1522,
    ].map((at) => pf.read(at));
  expect(read()).toEqual([3, 200 + 60 + 1514 + 12, 0, 1, 1, 1, 1, 1]);
  expect(read()).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
});

test('with pools it sees the queues of a virtual function, which that function’s DMA and no other’s serves', () => {
  const stage = new IxgbeStage();
  stage.enable(2);
  stage.openPools(4);
  const { pf } = stage;
  const [, vf] = stage.vfs;
  vf!.openRx(3);
  vf!.openTx(1);
  expect([pf.read(pfRxAt(7, RX_QUEUE.RDLEN)), pf.read(pfTxAt(5, TX_QUEUE.TDLEN))]).toEqual([128, 256]);
  pf.write(pfTxAt(5, TX_QUEUE.TXDCTL), 0);
  pf.write(pfRxAt(7, RX_QUEUE.RXDCTL), 0);
  expect([vf!.read(vfTxAt(1, TX_QUEUE.TXDCTL)), vf!.read(vfRxAt(3, RX_QUEUE.RXDCTL))]).toEqual([0, 0]);
});

test('a frame by its port goes to its pool that the address names, else to the default pool', () => {
  const stage = new IxgbeStage();
  stage.enable(2);
  stage.openPools();
  const { pf } = stage;
  // Pool 8 is the default one; pool 9 has an address.
  for (const pool of [8, 9]) openQueue(pf, 2 * pool);
  pf.write(rowAt(PF_ROW.PFVFRE, 0), 0x3ff);
  pf.write(rowAt(PF_ROW.RAL, 5), 0x0000_0002);
  pf.write(rowAt(PF_ROW.RAH, 5), 0x8000_0200);
  pf.write(rowAt(PF_ROW.MPSAR_LO, 5), 1 << 9);
  stage.ports[0]!.bring(frameOf(60));
  const other = frameOf(60);
  other[5] = 9;
  stage.ports[0]!.bring(other);
  expect([8, 9].map((pool) => pf.read(pfRxAt(2 * pool, RX_QUEUE.RDH)))).toEqual([1, 1]);
  expect(pf.get(0x8000, 6)).toEqual(other.slice(0, 6));
});

test('a group’s frame goes to each pool of its own that takes it, and is received when one had room', () => {
  const stage = new IxgbeStage();
  stage.enable(2);
  stage.openPools();
  const { pf } = stage;
  for (const pool of [8, 9, 10]) openQueue(pf, 2 * pool);
  pf.write(rowAt(PF_ROW.PFVFRE, 0), 0x7ff);
  const group = frameOf(60);
  group[0] = 1;
  const heads = (): number[] => [8, 9, 10].map((pool) => pf.read(pfRxAt(2 * pool, RX_QUEUE.RDH)));
  expect([stage.ports[0]!.bring(group), heads()]).toEqual([DELIVERED.DROPPED, [0, 0, 0]]);
  pf.write(rowAt(PF_ROW.PFVML2FLT, 9), 0x1000_0000);
  pf.write(rowAt(PF_ROW.PFVML2FLT, 10), 0x1000_0000);
  expect([stage.ports[0]!.bring(group), heads()]).toEqual([DELIVERED.ACCEPTED, [0, 1, 1]]);
  pf.write(pfRxAt(18, RX_QUEUE.RXDCTL), 0);
  expect([stage.ports[0]!.bring(group), pf.read(pfRxAt(20, RX_QUEUE.RDH))]).toEqual([DELIVERED.ACCEPTED, 2]);
  const everybody = frameOf(60).fill(0xff, 0, 6);
  pf.write(rowAt(PF_ROW.PFVML2FLT, 8), 0x0800_0000);
  expect([stage.ports[0]!.bring(everybody), heads()[0]]).toEqual([DELIVERED.ACCEPTED, 1]);
});
