import {
  EICR,
  EITR,
  eitrAt,
  GPIE,
  PF_REG,
  PF_ROW,
  pfRxAt,
  RX_QUEUE,
  RXCTRL,
  RXDCTL,
  rowAt,
  SRRCTL,
  VF_REG,
} from '@ringwire/nic-spec/ixgbe';
import { describe, expect, test } from 'vitest';
import { AT, frameOf, IxgbeStage, PF_ID, RAM, type StageVf } from './testing/ixgbe-stage.js';

function receiving(): { stage: IxgbeStage; vf: StageVf; bring: () => void } {
  const stage = new IxgbeStage();
  stage.enable(1);
  stage.openPools();
  const vf = stage.vfs[0]!;
  vf.openRx();
  vf.post([0, 1, 2, 3, 4, 5, 6].map((i) => RAM + AT.buffers + 0x800 * i));
  return { stage, vf, bring: () => void stage.ports[1]!.bring(frameOf(60)) };
}

describe('82599 datasheet §7.3: interrupts of a virtual function', () => {
  test('VTIVAR names a vector, VTEIMS enables it; a cause that is not cleared by its message is there to be read', () => {
    const { vf, bring } = receiving();
    vf.write(VF_REG.VTIVAR, 0x81);
    bring();
    expect([vf.takeMessages(), vf.read(VF_REG.VTEICS)]).toEqual([[], 2]);
    vf.write(VF_REG.VTEIMS, 2);
    expect(vf.takeMessages()).toEqual([1]);
    bring();
    expect(vf.takeMessages()).toEqual([1]);
    expect([vf.read(VF_REG.VTEICR), vf.read(VF_REG.VTEICR)]).toEqual([2, 0]);
    vf.write(VF_REG.VTEIMC, 2);
    bring();
    expect([vf.takeMessages(), vf.read(VF_REG.VTEIMS)]).toEqual([[], 0]);
    vf.write(VF_REG.VTEICR, 2);
    expect(vf.read(VF_REG.VTEICS)).toBe(0);
  });

  test('an entry that is not valid names none', () => {
    const { vf, bring } = receiving();
    vf.write(VF_REG.VTEIMS, 7);
    vf.write(VF_REG.VTIVAR, 0x01);
    bring();
    expect([vf.takeMessages(), vf.read(VF_REG.VTEICR)]).toEqual([[], 0]);
  });

  test('VTEIAC clears the cause with its message, VTEIAM disables the vector until it is enabled again', () => {
    const { vf, bring } = receiving();
    vf.write(VF_REG.VTIVAR, 0x80);
    vf.write(VF_REG.VTEIAC, 1);
    vf.write(VF_REG.VTEIAM, 1);
    vf.write(VF_REG.VTEIMS, 1);
    bring();
    expect([vf.takeMessages(), vf.read(VF_REG.VTEICR), vf.read(VF_REG.VTEIMS)]).toEqual([[0], 0, 0]);
    bring();
    expect(vf.takeMessages()).toEqual([]);
    vf.write(VF_REG.VTEIMS, 1);
    expect(vf.takeMessages()).toEqual([0]);
  });

  test('VTEICS sets causes, of vectors that there are', () => {
    const { vf } = receiving();
    vf.write(VF_REG.VTEIMS, 0xffff_ffff);
    vf.write(VF_REG.VTEICS, 0xffff_ffff);
    expect([vf.takeMessages(), vf.read(VF_REG.VTEIMS)]).toEqual([[0, 1, 2], 7]);
  });

  test('VTEITR keeps messages of a vector apart; the last one is not lost', () => {
    const { stage, vf, bring } = receiving();
    vf.openInterrupts();
    // 25 units of 2 µs.
    vf.write(VF_REG.VTEITR, 25 << EITR.INTERVAL_SHIFT);
    stage.now = 1000;
    bring();
    stage.now = 1010;
    bring();
    bring();
    expect([vf.takeMessages(), stage.nic.deadline()]).toEqual([[0], 1050]);
    stage.now = 1049;
    stage.step();
    expect(vf.takeMessages()).toEqual([]);
    stage.now = 1050;
    stage.step();
    expect([vf.takeMessages(), stage.nic.deadline()]).toEqual([[0], Number.POSITIVE_INFINITY]);
  });

  test('one burst of frames is one message', () => {
    const { stage, vf } = receiving();
    vf.openInterrupts();
    for (let i = 0; i < 4; i++) stage.ports[1]!.bringOpen(frameOf(60, i));
    // The first descriptor is published last: until then the driver does not look behind it.
    expect(vf.words(AT.rx, 4)[2]).toBe(0);
    stage.ports[1]!.device!.flush!();
    expect([vf.takeMessages(), [0, 1, 2, 3].map((i) => vf.words(AT.rx + 16 * i, 4)[2])]).toEqual([[0], [3, 3, 3, 3]]);
  });
});

describe('82599 datasheet §7.3, §8.2.3.5: interrupts of the physical function', () => {
  function physical(): IxgbeStage {
    const stage = new IxgbeStage();
    const { pf } = stage;
    pf.write(PF_REG.RXCTRL, RXCTRL.RXEN);
    for (const queue of [0, 70]) {
      const ring = queue * 0x100;
      pf.write(pfRxAt(queue, RX_QUEUE.RDBAL), ring);
      pf.write(pfRxAt(queue, RX_QUEUE.RDBAH), RAM / 2 ** 32);
      pf.write(pfRxAt(queue, RX_QUEUE.RDLEN), 128);
      pf.write(pfRxAt(queue, RX_QUEUE.SRRCTL), SRRCTL.DESCTYPE_ADV_ONE_BUFFER | 2);
      pf.write(pfRxAt(queue, RX_QUEUE.RXDCTL), RXDCTL.ENABLE);
      for (let i = 0; i < 7; i++) pf.putWords(ring + 16 * i, 0x8000 + queue * 0x10, RAM / 2 ** 32, 0, 0);
      pf.write(pfRxAt(queue, RX_QUEUE.RDT), 7);
    }
    return stage;
  }

  test('a queue’s vector is one of 64; those below 16 are in EICR, all of them in EIMS_EX', () => {
    const stage = physical();
    const { pf } = stage;
    pf.write(rowAt(PF_ROW.IVAR, 0), 0x85);
    // Queue 70 is receive entry 0 of IVAR 35.
    pf.write(rowAt(PF_ROW.IVAR, 35), 0xa8);
    pf.write(rowAt(PF_ROW.EIMS_EX, 0), 0x20);
    pf.write(rowAt(PF_ROW.EIMS_EX, 1), 0x100);
    stage.ports[0]!.bring(frameOf(60));
    expect([pf.takeMessages(), pf.read(PF_REG.EICR), pf.read(PF_REG.EIMS)]).toEqual([[5], 0x20, 0x20]);
    pf.write(rowAt(PF_ROW.ETQF, 0), (0x8000_0000 | 0x88b5) >>> 0);
    pf.write(rowAt(PF_ROW.ETQS, 0), (0x8000_0000 | (70 << 16)) >>> 0);
    stage.ports[0]!.bring(frameOf(60));
    expect([pf.takeMessages(), pf.read(rowAt(PF_ROW.EIMS_EX, 1))]).toEqual([[40], 0x100]);
    pf.write(rowAt(PF_ROW.EIMC_EX, 1), 0x100);
    stage.ports[0]!.bring(frameOf(60));
    expect(pf.takeMessages()).toEqual([]);
    pf.write(rowAt(PF_ROW.EICS_EX, 0), 0x20);
    expect(pf.takeMessages()).toEqual([5]);
  });

  test('EIAC and EIAM_EX clear and disable with the message; EITR moderates by vector', () => {
    const stage = physical();
    const { pf } = stage;
    pf.write(rowAt(PF_ROW.IVAR, 0), 0x80 | 24);
    pf.write(rowAt(PF_ROW.EIMS_EX, 0), 1 << 24);
    pf.write(rowAt(PF_ROW.EIAM_EX, 0), 1 << 24);
    stage.ports[0]!.bring(frameOf(60));
    expect([pf.takeMessages(), pf.read(rowAt(PF_ROW.EIMS_EX, 0))]).toEqual([[24], 0]);
    pf.write(rowAt(PF_ROW.EIAM_EX, 0), 0);
    pf.write(rowAt(PF_ROW.EIMS_EX, 0), 1 << 24);
    pf.write(eitrAt(24), 100 << EITR.INTERVAL_SHIFT);
    expect(pf.read(eitrAt(24))).toBe(800);
    for (let i = 0; i < 3; i++) stage.ports[0]!.bring(frameOf(60));
    expect(pf.takeMessages()).toEqual([24]);
    stage.now = 200;
    stage.step();
    expect(pf.takeMessages()).toEqual([24]);
  });

  test('other causes go by IVAR_MISC; EICS reads them, EICR reads and clears; with GPIE.OCD queues’ causes stay', () => {
    const stage = physical();
    const { pf } = stage;
    pf.write(PF_REG.IVAR_MISC, 0xbe00);
    pf.write(PF_REG.EIMS, EICR.LSC);
    stage.ports[0]!.isUp = false;
    stage.ports[0]!.onLink!(false);
    expect([pf.takeMessages(), pf.read(PF_REG.LINKS)]).toEqual([[62], 0x3000_0000]);
    pf.write(PF_REG.EICS, 3);
    const causes = (EICR.LSC | EICR.OTHER | 3) >>> 0;
    expect([pf.read(PF_REG.EICS), pf.read(PF_REG.EICS)]).toEqual([causes, causes]);
    pf.write(PF_REG.GPIE, GPIE.OCD);
    expect([pf.read(PF_REG.EICR), pf.read(PF_REG.EICR)]).toEqual([causes, 3]);
    pf.write(PF_REG.EICR, 1);
    expect(pf.read(PF_REG.EICS)).toBe(2);
  });

  test('with GPIE.EIAME the message of other causes disables those in EIAM', () => {
    const stage = physical();
    const { pf } = stage;
    pf.write(PF_REG.GPIE, GPIE.EIAME);
    pf.write(PF_REG.EIAM, EICR.LSC);
    pf.write(PF_REG.IVAR_MISC, 0x8000);
    pf.write(PF_REG.EIMS, EICR.LSC | EICR.MAILBOX);
    pf.write(PF_REG.EICS, EICR.LSC);
    expect([pf.takeMessages(), pf.read(PF_REG.EIMS)]).toEqual([[0], EICR.MAILBOX]);
  });

  test('without MSI-X the pin is asserted as long as an enabled cause is there', () => {
    const stage = new IxgbeStage();
    const { pf } = stage;
    const control = stage.nic.pci.capabilityAt(0x11) + 2;
    stage.machine.configWrite(PF_ID, control, 2, 0);
    const isAsserted = (): boolean => (stage.machine.configRead(PF_ID, 6, 2) & 8) !== 0;
    pf.write(PF_REG.EICS, EICR.LSC);
    expect(isAsserted()).toBe(false);
    pf.write(PF_REG.EIMS, EICR.LSC);
    expect(isAsserted()).toBe(true);
    pf.read(PF_REG.EICR);
    expect(isAsserted()).toBe(false);
  });
});
