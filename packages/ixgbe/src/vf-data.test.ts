import { DELIVERED } from '@ringwire/net-backend';
import { RX_QUEUE, RXDCTL, SRRCTL, TX_QUEUE, VF_REG, vfRxAt, vfTxAt } from '@ringwire/nic-spec/ixgbe';
import { expect, test } from 'vitest';
import { AT, frameOf, IxgbeStage, RAM } from './testing/ixgbe-stage.js';

function stageOf(vfs = 1): IxgbeStage {
  const stage = new IxgbeStage();
  stage.enable(vfs);
  stage.openPools();
  return stage;
}

test('82599 datasheet §7.1.6: a frame lies in the buffer of an advanced descriptor, whose write-back says so', () => {
  const stage = stageOf();
  const vf = stage.vfs[0]!;
  vf.openRx();
  vf.openInterrupts();
  vf.post([RAM + AT.buffers, RAM + AT.buffers + 0x800]);
  const frame = frameOf(100, 3);
  expect(stage.ports[1]!.bring(frame)).toBe(DELIVERED.ACCEPTED);
  expect(vf.get(AT.buffers, 100)).toEqual(frame);
  // No IP: no types, no hash; DD | EOP; 100 bytes.
  expect(vf.words(AT.rx, 4)).toEqual([0, 0, 0x3, 100]);
  expect(vf.read(vfRxAt(0, RX_QUEUE.RDH))).toBe(1);
  expect(vf.takeMessages()).toEqual([0]);
  expect([vf.read(VF_REG.VFGPRC), vf.read(VF_REG.VFGORC_LSB), vf.read(VF_REG.VFGORC_MSB)]).toEqual([1, 104, 0]);
});

test('82599 datasheet §7.1.5: a frame lies in the buffer of a legacy descriptor', () => {
  const stage = stageOf();
  const vf = stage.vfs[0]!;
  vf.openRx(0, 2);
  vf.post([RAM + AT.buffers]);
  stage.ports[1]!.bring(frameOf(61));
  expect(vf.words(AT.rx, 4)).toEqual([AT.buffers, 0x10, 61, 0x3]);
  expect(vf.get(AT.buffers, 61)).toEqual(frameOf(61));
});

test('82599 datasheet §7.1.6.2: a frame over several buffers has EOP in the last descriptor alone', () => {
  const stage = stageOf();
  const vf = stage.vfs[0]!;
  stage.pf.write(0x4240, 0x407);
  stage.pf.write(0x4268, 9018 << 16);
  vf.openRx(0, SRRCTL.DESCTYPE_ADV_ONE_BUFFER | 1);
  vf.post([0, 1, 2, 3].map((i) => RAM + AT.buffers + i * 0x1000));
  const frame = frameOf(2500);
  stage.ports[1]!.bring(frame, 999);
  expect([0, 1, 2].map((i) => vf.words(AT.rx + i * 16, 4))).toEqual([
    [0, 0, 1, 1024],
    [0, 0, 1, 1024],
    [0, 0, 3, 452],
  ]);
  expect(vf.get(AT.buffers, 1024)).toEqual(frame.slice(0, 1024));
  expect(vf.get(AT.buffers + 0x1000, 1024)).toEqual(frame.slice(1024, 2048));
  expect(vf.get(AT.buffers + 0x2000, 453)).toEqual(Uint8Array.of(...frame.slice(2048), 0));
});

test('82599 datasheet §7.4.5: with RXDCTL.VME a tag is taken out, and is in the descriptor', () => {
  const stage = stageOf();
  const vf = stage.vfs[0]!;
  vf.openRx(0, undefined, RXDCTL.VME);
  vf.post([RAM + AT.buffers, RAM + AT.buffers + 0x800]);
  const plain = frameOf(80);
  const tagged = Uint8Array.of(...plain.slice(0, 12), 0x81, 0x00, 0x60, 0x07, ...plain.slice(12));
  stage.ports[1]!.bring(tagged, 13);
  stage.ports[1]!.bring(tagged);
  for (const i of [0, 1]) {
    expect(vf.get(AT.buffers + i * 0x800, 81)).toEqual(Uint8Array.of(...plain, 0));
    // DD | EOP | VP, 80 bytes, tag 0x6007
    expect(vf.words(AT.rx + i * 16, 4)).toEqual([0, 0, 0xb, 0x6007_0050]);
  }
});

test('82599 datasheet §7.2.3.2.4: a frame of one descriptor leaves; with RS its descriptor says DD', () => {
  const stage = stageOf();
  const vf = stage.vfs[0]!;
  vf.openTx();
  vf.openInterrupts();
  const frame = frameOf(64, 1);
  vf.put(AT.frames, frame);
  // DEXT, data, RS, IFCS, EOP, 64 bytes; PAYLEN 64
  vf.putWords(AT.tx, AT.frames, 0x10, 0x2b30_0040, 64 << 14);
  vf.write(vfTxAt(0, TX_QUEUE.TDT), 1);
  expect(stage.step()).toBe(1);
  expect(stage.ports[1]!.sent).toEqual([{ bytes: frame, pair: 0, flags: 0, gsoType: 0 }]);
  expect(vf.words(AT.tx, 4)[3]).toBe(1);
  expect(vf.read(vfTxAt(0, TX_QUEUE.TDH))).toBe(1);
  expect(vf.takeMessages()).toEqual([1]);
  expect([vf.read(VF_REG.VFGPTC), vf.read(VF_REG.VFGOTC_LSB)]).toEqual([1, 68]);
});
