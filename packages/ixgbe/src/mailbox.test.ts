import {
  EICR,
  PF_REG,
  PF_ROW,
  PFMAILBOX,
  PFMBICR,
  rowAt,
  VF_REG,
  VFMAILBOX,
  VFMBMEM_WORDS,
} from '@ringwire/nic-spec/ixgbe';
import { expect, test } from 'vitest';
import { IxgbeStage } from './testing/ixgbe-stage.js';

const { REQ, ACK, VFU, PFU, PFSTS, PFACK, RSTI, RSTD } = VFMAILBOX;

function stageOf(vfs = 2) {
  const stage = new IxgbeStage();
  stage.enable(vfs);
  stage.openPools();
  stage.pf.write(PF_REG.IVAR_MISC, 0xbf00);
  stage.pf.write(PF_REG.EIMS, EICR.MAILBOX);
  for (const vf of stage.vfs) vf.openInterrupts();
  return { stage, pf: stage.pf, vf: stage.vfs[0]!, sibling: stage.vfs[1]! };
}

test('82599 datasheet §7.10.2.9: one side at a time holds the memory, and may give it back', () => {
  const { pf, vf } = stageOf();
  const held = rowAt(PF_ROW.PFMAILBOX, 0);
  vf.write(VF_REG.VFMAILBOX, VFU);
  pf.write(held, PFMAILBOX.PFU);
  expect([vf.read(VF_REG.VFMAILBOX), pf.read(held)]).toEqual([VFU, PFMAILBOX.VFU]);
  vf.write(VF_REG.VFMAILBOX, 0);
  pf.write(held, PFMAILBOX.PFU);
  vf.write(VF_REG.VFMAILBOX, VFU);
  expect([vf.read(VF_REG.VFMAILBOX), pf.read(held)]).toEqual([PFU, PFMAILBOX.PFU]);
  pf.write(held, 0);
  expect([vf.read(VF_REG.VFMAILBOX), pf.read(held)]).toEqual([0, 0]);
});

test('a message of a virtual function: both see its words, PFMBICR names the function, the answer interrupts it', () => {
  const { stage, pf, vf } = stageOf();
  for (let i = 0; i < VFMBMEM_WORDS; i++) vf.write(VF_REG.VFMBMEM + 4 * i, 0x100 + i);
  vf.write(VF_REG.VFMAILBOX, VFU);
  vf.write(VF_REG.VFMAILBOX, REQ);
  expect(pf.takeMessages()).toEqual([63]);
  expect(pf.read(PF_REG.EICR)).toBe((EICR.MAILBOX | EICR.OTHER) >>> 0);
  expect(pf.read(rowAt(PF_ROW.PFMBICR, 0))).toBe(1);
  pf.write(rowAt(PF_ROW.PFMBICR, 0), 1);
  expect(pf.read(rowAt(PF_ROW.PFMBICR, 0))).toBe(0);
  const words = Array.from({ length: VFMBMEM_WORDS }, (_, i) => pf.read(rowAt(PF_ROW.PFMBMEM, 0) + 4 * i));
  expect(words).toEqual(Array.from({ length: VFMBMEM_WORDS }, (_, i) => 0x100 + i));
  pf.write(rowAt(PF_ROW.PFMBMEM, 0), 0x8000_0100);
  pf.write(rowAt(PF_ROW.PFMAILBOX, 0), PFMAILBOX.STS | PFMAILBOX.ACK);
  expect(vf.takeMessages()).toEqual([2]);
  // Reading clears both.
  expect([vf.read(VF_REG.VFMAILBOX), vf.read(VF_REG.VFMAILBOX), vf.read(VF_REG.VFMBMEM)]).toEqual([
    PFSTS | PFACK,
    0,
    0x8000_0100,
  ]);
  vf.write(VF_REG.VFMAILBOX, ACK);
  expect(pf.read(rowAt(PF_ROW.PFMBICR, 0))).toBe(1 << PFMBICR.VFACK_SHIFT);
  expect(stage.vfs[1]!.takeMessages()).toEqual([]);
});

test('the mailbox of one virtual function is not that of another', () => {
  const { pf, vf, sibling } = stageOf();
  sibling.write(VF_REG.VFMBMEM, 0xabcd);
  sibling.write(VF_REG.VFMAILBOX, REQ);
  expect([vf.read(VF_REG.VFMBMEM), pf.read(rowAt(PF_ROW.PFMBMEM, 1)), pf.read(rowAt(PF_ROW.PFMBMEM, 0))]).toEqual([
    0, 0xabcd, 0,
  ]);
  expect(pf.read(rowAt(PF_ROW.PFMBICR, 0))).toBe(2);
  pf.write(rowAt(PF_ROW.PFMAILBOX, 1), PFMAILBOX.STS);
  expect([vf.takeMessages(), sibling.takeMessages()]).toEqual([[], [2]]);
});

test('PFMBIMR: requests of a function that is masked are there, and interrupt nobody', () => {
  const { pf, vf, sibling } = stageOf();
  expect(pf.read(rowAt(PF_ROW.PFMBIMR, 0))).toBe(0xffff_ffff);
  pf.write(rowAt(PF_ROW.PFMBIMR, 0), 2);
  vf.write(VF_REG.VFMAILBOX, REQ);
  expect([pf.takeMessages(), pf.read(rowAt(PF_ROW.PFMBICR, 0))]).toEqual([[], 1]);
  sibling.write(VF_REG.VFMAILBOX, REQ);
  expect(pf.takeMessages()).toEqual([63]);
});

test('PFMAILBOX.RVFU takes the memory from a function that keeps it, and what it asked is void', () => {
  const { pf, vf, sibling } = stageOf();
  vf.write(VF_REG.VFMAILBOX, VFU | REQ | ACK);
  sibling.write(VF_REG.VFMAILBOX, REQ);
  pf.write(rowAt(PF_ROW.PFMAILBOX, 0), PFMAILBOX.RVFU | PFMAILBOX.PFU);
  expect([vf.read(VF_REG.VFMAILBOX), pf.read(rowAt(PF_ROW.PFMBICR, 0))]).toEqual([PFU, 2]);
});

test('RSTI stands until CTRL_EXT.PFRSTD, which RSTD says once', () => {
  const stage = new IxgbeStage();
  stage.enable(1);
  const vf = stage.vfs[0]!;
  expect([vf.read(VF_REG.VFMAILBOX), vf.read(VF_REG.VFMAILBOX)]).toEqual([RSTI, RSTI]);
  stage.pf.write(PF_REG.CTRL_EXT, 0x4000);
  expect([vf.read(VF_REG.VFMAILBOX), vf.read(VF_REG.VFMAILBOX)]).toEqual([RSTD, 0]);
});
