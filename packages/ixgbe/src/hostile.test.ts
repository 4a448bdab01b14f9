import { DELIVERED } from '@ringwire/net-backend';
import {
  EICR,
  MISBEHAVIOR,
  PF_REG,
  PF_ROW,
  RX_QUEUE,
  rowAt,
  SRRCTL,
  TX_QUEUE,
  VF_REG,
  vfRxAt,
  vfTxAt,
} from '@ringwire/nic-spec/ixgbe';
import { expect, test } from 'vitest';
import { AT, frameOf, IxgbeStage, RAM, RAM_BYTES, type StageVf } from './testing/ixgbe-stage.js';
import { ipv4Frame, tagged } from './testing/packets.js';

const DATA = 0x2b30_0000;
const CONTEXT = 0x2020_0c00;
const TSE = 0x8000_0000;
const VLE = 0x4000_0000;
const BUFFER = RAM + AT.buffers;

type Words = readonly [number, number, number, number];

function stageOf(vfs = 2): { stage: IxgbeStage; vf: StageVf; sibling: StageVf } {
  const stage = new IxgbeStage();
  stage.enable(vfs);
  stage.openPools();
  const [vf, sibling] = stage.vfs;
  return { stage, vf: vf!, sibling: sibling! };
}

const frame = ipv4Frame({ checksums: 'segments', payload: new Array<number>(300).fill(1) });
const word = (command: number, length: number): number => (DATA | command | length) >>> 0;
const at = (offset: number): [number, number] => [AT.frames + offset, 0x10];
const segmentContext = (mss: number, l4Bytes: number, lens = (14 << 9) | 20): Words => [
  lens,
  0,
  CONTEXT,
  (mss * 2 ** 16 + (l4Bytes << 8)) >>> 0,
];
const segmented: Words = [...at(0), word(TSE, frame.length), (300 << 14) | 0x300];

test.each<[string, number, readonly Words[]]>([
  ['a data descriptor of 0 bytes', MISBEHAVIOR.DESCRIPTOR, [[...at(0), word(0, 0), 0]]],
  ['a frame of 16 bytes', MISBEHAVIOR.DESCRIPTOR, [[...at(0), word(0, 16), 16 << 14]]],
  ['a frame of more than 15.5 KiB', MISBEHAVIOR.DESCRIPTOR, [[...at(0), word(0, 15873), 15873 << 14]]],
  ['a buffer where there is no memory', MISBEHAVIOR.DMA, [[0x1000, 0, word(0, 60), 60 << 14]]],
  [
    'a buffer that begins in memory and ends behind it',
    MISBEHAVIOR.DMA,
    [[RAM_BYTES - 30, 0x10, word(0, 60), 60 << 14]],
  ],
  ['a buffer at an address of 64 bits', MISBEHAVIOR.DMA, [[0, 0xffff_ffff, word(0, 60), 60 << 14]]],
  ['PAYLEN that is not the length', MISBEHAVIOR.DESCRIPTOR, [[...at(0), word(0, 60), 61 << 14]]],
  ['a type of descriptor that there is not', MISBEHAVIOR.DESCRIPTOR, [[...at(0), 0x2b50_003c, 60 << 14]]],
  [
    'legacy and advanced descriptors in one packet',
    MISBEHAVIOR.DESCRIPTOR,
    [
      [...at(0), 30, 0],
      [...at(30), word(0, 30), 60 << 14],
    ],
  ],
  ['a context within a packet', MISBEHAVIOR.DESCRIPTOR, [[...at(0), 0x2030_001e, 60 << 14], segmentContext(100, 20)]],
  ['segmentation without a context', MISBEHAVIOR.DESCRIPTOR, [segmented]],
  ['a tag without a context', MISBEHAVIOR.DESCRIPTOR, [[...at(0), word(VLE, 60), 60 << 14]]],
  ['a third context', MISBEHAVIOR.DESCRIPTOR, [[(14 << 9) | 20, 0, CONTEXT, 2 << 4]]],
  [
    'a context that was not written',
    MISBEHAVIOR.DESCRIPTOR,
    [segmentContext(100, 20), [...at(0), word(TSE, frame.length), (300 << 14) | 0x310]],
  ],
  ['TX-14: MSS 0', MISBEHAVIOR.DESCRIPTOR, [segmentContext(0, 20), segmented]],
  [
    'TX-20: MSS so small that one packet would be more than 1366',
    MISBEHAVIOR.DESCRIPTOR,
    [segmentContext(1, 20), [...at(0), word(TSE, 2054), (2000 << 14) | 0x300]],
  ],
  ['TX-16: a transport header that is longer than it is', MISBEHAVIOR.DESCRIPTOR, [segmentContext(100, 24), segmented]],
  [
    'TX-16: headers longer than the packet',
    MISBEHAVIOR.DESCRIPTOR,
    [segmentContext(100, 255, (127 << 9) | 511), segmented],
  ],
  [
    'TX-18: an IP header that is longer than it is',
    MISBEHAVIOR.DESCRIPTOR,
    [segmentContext(100, 20, (14 << 9) | 24), segmented],
  ],
  ['TX-18: an IP header of 0 bytes', MISBEHAVIOR.DESCRIPTOR, [segmentContext(100, 20, 14 << 9), segmented]],
  ['TX-19: IPv4 that is no IPv4', MISBEHAVIOR.DESCRIPTOR, [segmentContext(100, 20, (12 << 9) | 20), segmented]],
  [
    'TX-21: segmentation without the checksum',
    MISBEHAVIOR.DESCRIPTOR,
    [segmentContext(100, 20), [...at(0), word(TSE, frame.length), (300 << 14) | 0x100]],
  ],
  [
    'TX-08: a checksum behind the end',
    MISBEHAVIOR.DESCRIPTOR,
    [segmentContext(0, 0, (127 << 9) | 511), [...at(0), word(0, 60), (60 << 14) | 0x200]],
  ],
  [
    'TX-11: a checksum in the Ethernet header',
    MISBEHAVIOR.DESCRIPTOR,
    [segmentContext(0, 0, 0), [...at(0), word(0, 60), (60 << 14) | 0x200]],
  ],
  ['TX-09: a legacy checksum field behind the end', MISBEHAVIOR.DESCRIPTOR, [[...at(0), 0x053b_003c, 14 << 8]]],
  ['a legacy checksum field before its start', MISBEHAVIOR.DESCRIPTOR, [[...at(0), 0x0510_003c, 34 << 8]]],
])(
  '%s stops the queue; nothing leaves, the driver of the physical function is told, and siblings go on',
  (_, cause, descriptors) => {
    const { stage, vf, sibling } = stageOf();
    const { pf } = stage;
    pf.write(PF_REG.IVAR_MISC, 0x8a00);
    pf.write(PF_REG.EIMS, EICR.MAILBOX);
    sibling.openTx();
    sibling.openRx();
    const before = stage.snapshotOf(sibling);
    vf.put(AT.frames, frame);
    vf.openTx();
    for (const [i, words] of descriptors.entries()) vf.putWords(AT.tx + 16 * i, ...words);
    vf.write(vfTxAt(0, TX_QUEUE.TDT), descriptors.length);
    stage.step();
    expect(stage.ports[1]!.sent).toEqual([]);
    expect(pf.takeMessages()).toEqual([10]);
    expect([pf.read(rowAt(PF_ROW.WQBR_TX, 0)), pf.read(PF_REG.LMVM_TX), pf.read(PF_REG.LVMMC_TX)]).toEqual([
      1,
      0,
      cause,
    ]);
    expect(stage.snapshotOf(sibling)).toBe(before);
    // It stays stopped, whatever the virtual function does.
    vf.put(AT.frames, frameOf(60));
    vf.write(VF_REG.VFCTRL, 0x0400_0000);
    pf.write(rowAt(PF_ROW.PFVFTE, 0), 3);
    vf.openTx();
    vf.putWords(AT.tx, ...at(0), word(0, 60), 60 << 14);
    vf.write(vfTxAt(0, TX_QUEUE.TDT), 1);
    stage.step();
    expect(stage.ports[1]!.sent).toEqual([]);
    // Until the driver of the physical function says otherwise.
    pf.write(rowAt(PF_ROW.WQBR_TX, 0), 1);
    stage.step();
    expect(stage.ports[1]!.sent.map(({ bytes }) => bytes)).toEqual([frameOf(60)]);
  },
);

test('41 buffers are no packet, 40 are', () => {
  for (const [count, sent] of [
    [40, 1],
    [41, 0],
  ] as const) {
    const { stage, vf } = stageOf(1);
    vf.openTx(0, AT.tx, 0x400);
    for (let i = 0; i < count; i++)
      vf.putWords(AT.tx + 16 * i, ...at(2 * i), i === count - 1 ? 0x2130_0002 : 0x2030_0002, (2 * count) << 14);
    vf.write(vfTxAt(0, TX_QUEUE.TDT), count);
    stage.step();
    expect(stage.ports[1]!.sent.length).toBe(sent);
  }
});

test('a tail behind the ring stops a queue of either direction; so does a ring that is nowhere', () => {
  const { stage, vf } = stageOf(1);
  const { pf } = stage;
  vf.openTx();
  vf.write(vfTxAt(0, TX_QUEUE.TDT), 16);
  vf.openRx();
  vf.write(vfRxAt(0, RX_QUEUE.RDT), 0xffff);
  vf.openTx(1, RAM_BYTES);
  vf.write(vfTxAt(1, TX_QUEUE.TDT), 3);
  vf.openRx(1, undefined, 0, RAM_BYTES);
  vf.write(vfRxAt(1, RX_QUEUE.RDT), 3);
  pf.write(PF_REG.MRQC, 0xa);
  stage.step();
  expect(stage.ports[1]!.bring(frameOf(60))).toBe(DELIVERED.DROPPED);
  expect([pf.read(rowAt(PF_ROW.WQBR_TX, 0)), pf.read(rowAt(PF_ROW.WQBR_RX, 0))]).toEqual([3, 1]);
  expect(pf.read(PF_REG.LVMMC_RX)).toBe(MISBEHAVIOR.RING);
});

test('82599 datasheet §8.2.3.8: a ring’s length and address have no bits below 128, and a ring of no bytes has no descriptors', () => {
  const { stage, vf } = stageOf(1);
  vf.write(vfRxAt(0, RX_QUEUE.RDLEN), 0xffff_ffff);
  vf.write(vfRxAt(0, RX_QUEUE.RDBAL), 0xffff_ffff);
  vf.write(vfTxAt(0, TX_QUEUE.TDLEN), 0x1f8);
  expect([vf.read(vfRxAt(0, RX_QUEUE.RDLEN)), vf.read(vfRxAt(0, RX_QUEUE.RDBAL))]).toEqual([0xf_ff80, 0xffff_ff80]);
  expect(vf.read(vfTxAt(0, TX_QUEUE.TDLEN))).toBe(0x180);
  vf.openTx(0, AT.tx, 0);
  vf.openRx(0, undefined, 0, AT.rx, 0);
  vf.write(vfTxAt(0, TX_QUEUE.TDT), 5);
  expect([stage.step(), stage.ports[1]!.bring(frameOf(60))]).toEqual([0, DELIVERED.FULL]);
});

test.each([
  ['nowhere', 0x1000],
  ['at the end of memory', RAM + RAM_BYTES - 50],
])('a receive buffer %s stops the queue, and nothing is written', (_, address) => {
  const { stage, vf } = stageOf(1);
  vf.openRx(0, SRRCTL.DESCTYPE_ADV_ONE_BUFFER | 1);
  stage.pf.write(PF_REG.HLREG0, 0x407);
  stage.pf.write(PF_REG.MAXFRS, 9018 * 2 ** 16);
  // The first buffer is good: of a frame all is written, or nothing.
  vf.post([BUFFER, address, BUFFER]);
  const before = vf.ram();
  expect(stage.ports[1]!.bring(frameOf(1500))).toBe(DELIVERED.DROPPED);
  expect(vf.ram() === before).toBe(true);
  expect([stage.pf.read(PF_REG.LVMMC_RX), vf.read(vfRxAt(0, RX_QUEUE.RDH))]).toEqual([MISBEHAVIOR.DMA, 0]);
  expect(stage.ports[1]!.bring(frameOf(60))).toBe(DELIVERED.DROPPED);
});

test('a header buffer that is nowhere stops the queue, and nothing is written', () => {
  const { stage, vf } = stageOf(1);
  vf.write(VF_REG.VFPSRTYPE, 0x1000);
  vf.openRx(0, SRRCTL.DESCTYPE_ADV_SPLIT | (2 << 8) | 2);
  vf.putWords(AT.rx, AT.buffers, 0x10, 0x1000, 0);
  vf.write(vfRxAt(0, RX_QUEUE.RDT), 1);
  const before = vf.ram();
  expect(stage.ports[1]!.bring(frameOf(200))).toBe(DELIVERED.DROPPED);
  expect(vf.ram() === before).toBe(true);
  expect(stage.pf.read(PF_REG.LVMMC_RX)).toBe(MISBEHAVIOR.DMA);
});

test('a packet buffer of 0 bytes, and a head write-back that is nowhere, stop their queues', () => {
  const { stage, vf } = stageOf(1);
  vf.openRx(0, SRRCTL.DESCTYPE_ADV_ONE_BUFFER);
  vf.post([BUFFER]);
  expect(stage.ports[1]!.bring(frameOf(60))).toBe(DELIVERED.DROPPED);
  vf.openTx();
  vf.write(vfTxAt(0, TX_QUEUE.TDWBAL), 0x1001);
  vf.putWords(AT.tx, ...at(0), word(0, 60), 60 << 14);
  vf.write(vfTxAt(0, TX_QUEUE.TDT), 1);
  stage.step();
  expect([stage.pf.read(rowAt(PF_ROW.WQBR_RX, 0)), stage.pf.read(rowAt(PF_ROW.WQBR_TX, 0))]).toEqual([1, 1]);
});

test('RX-08: a full ring makes the sender wait; with Drop_En, or by PFQDE, frames are dropped and counted', () => {
  const { stage, vf } = stageOf(1);
  vf.openRx();
  expect(stage.ports[1]!.bring(frameOf(60))).toBe(DELIVERED.FULL);
  vf.write(vfRxAt(0, RX_QUEUE.SRRCTL), SRRCTL.DESCTYPE_ADV_ONE_BUFFER | SRRCTL.DROP_EN | 2);
  expect(stage.ports[1]!.bring(frameOf(60))).toBe(DELIVERED.DROPPED);
  vf.write(vfRxAt(0, RX_QUEUE.SRRCTL), SRRCTL.DESCTYPE_ADV_ONE_BUFFER | 2);
  stage.pf.write(PF_REG.PFQDE, 0x1_0001);
  expect(stage.ports[1]!.bring(frameOf(60))).toBe(DELIVERED.DROPPED);
  stage.pf.write(PF_REG.PFQDE, 0x1_0000);
  expect(stage.ports[1]!.bring(frameOf(60))).toBe(DELIVERED.FULL);
  // MPC counts, and reading clears it.
  expect([stage.pf.read(0x3fa0), stage.pf.read(0x3fa0)]).toEqual([2, 0]);
});

test('RX-05: a frame for which there are too few buffers takes none; one that no ring of this size holds is dropped', () => {
  const { stage, vf } = stageOf(1);
  stage.pf.write(PF_REG.HLREG0, 0x407);
  stage.pf.write(PF_REG.MAXFRS, 9018 * 2 ** 16);
  vf.openRx(0, SRRCTL.DESCTYPE_ADV_ONE_BUFFER | 1);
  vf.post([BUFFER, BUFFER + 0x400]);
  const before = vf.ram();
  expect(stage.ports[1]!.bring(frameOf(2049))).toBe(DELIVERED.FULL);
  expect(stage.ports[1]!.bring(frameOf(7169))).toBe(DELIVERED.DROPPED);
  expect(vf.ram() === before).toBe(true);
  expect(stage.ports[1]!.bring(frameOf(2048))).toBe(DELIVERED.ACCEPTED);
});

test.each([0, 1, 13, 1515, 1523])(
  'RX-10, RX-04: a frame of %i bytes is not received, and nothing behind it is read',
  (length) => {
    const { stage, vf } = stageOf(1);
    vf.openRx();
    vf.post([BUFFER]);
    const bytes = length === 1523 ? tagged(frameOf(1519), 5) : frameOf(length);
    expect(stage.ports[1]!.bring(bytes)).toBe(DELIVERED.DROPPED);
    expect(vf.words(AT.rx, 4)).toEqual([AT.buffers, 0x10, 0, 0]);
  },
);

test.each([14, 15, 16, 17, 18, 33, 34, 53, 54])(
  'RX-11, RX-14: %i bytes of a tagged TCP packet are received as they are',
  (length) => {
    const { stage, vf } = stageOf(1);
    stage.pf.write(PF_REG.MRQC, 0x00ff_000a);
    vf.openRx(0, undefined, 0x4000_0000);
    vf.post([BUFFER]);
    const cut = tagged(ipv4Frame(), 5).slice(0, length);
    expect(stage.ports[1]!.bring(cut)).toBe(DELIVERED.ACCEPTED);
    const isStripped = length >= 18;
    const expected = isStripped ? ipv4Frame().slice(0, length - 4) : cut;
    expect(vf.get(AT.buffers, expected.length + 1)).toEqual(Uint8Array.of(...expected, 0));
  },
);

test('SR-07, SR-08: what is no register of a virtual function reads as 0, and writes to it change nothing of anybody', () => {
  const { stage, vf, sibling } = stageOf();
  const before = stage.snapshotOf(sibling);
  const registers = stage.pf.read(PF_REG.GCR_EXT);
  for (let offset = 0; offset < 0x4000; offset += 4) {
    if (offset >= 0x3000 || (offset >= 0x1080 && offset < 0x2000) || (offset >= 0x2080 && offset < 0x3000)) {
      vf.write(offset, 0xffff_ffff);
      expect(vf.read(offset)).toBe(0);
    }
  }
  expect(stage.snapshotOf(sibling)).toBe(before);
  expect(stage.pf.read(PF_REG.GCR_EXT)).toBe(registers);
});

test('a queue that it does not have, and writes narrower than a register, have no effect', () => {
  const { stage, vf } = stageOf(1);
  vf.openRx(2);
  expect(vf.read(vfRxAt(2, RX_QUEUE.RDLEN))).toBe(0);
  const base = stage.found === undefined ? 0 : stage.nic.personalityOf(0)!.pci.barAddress(0);
  stage.machine.memoryWrite(base + VF_REG.VTEIMS, 1, 7);
  stage.machine.memoryWrite(base + VF_REG.VTEIMS, 2, 7);
  expect(vf.read(VF_REG.VTEIMS)).toBe(0);
  stage.machine.memoryWrite(base + VF_REG.VTEIMS, 4, 6);
  expect([
    stage.machine.memoryRead(base + VF_REG.VTEIMS, 1),
    stage.machine.memoryRead(base + VF_REG.VTEIMS + 1, 1),
  ]).toEqual([6, 0]);
});

test('SR-23: what the physical function’s driver does for one function wakes no sibling; what all work by wakes all', () => {
  const { stage, vf } = stageOf(4);
  const { pf, nic } = stage;
  for (const each of stage.vfs) each.openTx();
  const steps = [0, 0, 0, 0];
  for (const index of steps.keys()) {
    const personality = nic.personalityOf(index)!;
    const step = personality.step.bind(personality);
    personality.step = (budget) => {
      steps[index]!++;
      return step(budget);
    };
  }
  const settle = (): number[] => {
    while (stage.step() > 0);
    return steps.splice(0, 4, 0, 0, 0, 0);
  };
  settle();
  // A storm in one mailbox, and all that its driver writes to answer it.
  for (let i = 0; i < 100; i++) {
    vf.write(VF_REG.VFMAILBOX, 1);
    pf.write(PF_REG.EICR, 0xffff_ffff);
    pf.write(rowAt(PF_ROW.PFMBICR, 0), 1);
    pf.write(rowAt(PF_ROW.PFMAILBOX, 0), 3);
    pf.write(PF_REG.EIMS, 1 << 19);
    expect(settle().slice(1)).toEqual([0, 0, 0]);
  }
  vf.write(VF_REG.VFMAILBOX, 1);
  pf.write(rowAt(PF_ROW.PFMAILBOX, 0), 3);
  expect(settle()).toEqual([1, 0, 0, 0]);
  // Its queue is stopped, and let go again.
  vf.putWords(AT.tx, ...at(0), word(0, 0), 0);
  vf.write(vfTxAt(0, TX_QUEUE.TDT), 1);
  settle();
  pf.write(rowAt(PF_ROW.WQBR_TX, 0), 1);
  expect(settle()).toEqual([1, 0, 0, 0]);
  pf.write(rowAt(PF_ROW.PFVFTE, 0), 0x1ff);
  expect(settle()).toEqual([1, 1, 1, 1]);
});
