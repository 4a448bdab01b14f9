import { DELIVERED } from '@ringwire/net-backend';
import { PF_REG, PF_ROW, RX_QUEUE, rowAt, TX_QUEUE, VF_REG, VFMAILBOX, vfRxAt, vfTxAt } from '@ringwire/nic-spec/ixgbe';
import { disableVfs } from '@ringwire/pci';
import { describe, expect, test } from 'vitest';
import { AT, FIRST_VF_ID, frameOf, IxgbeStage, PF_ID, RAM, type StageVf } from './testing/ixgbe-stage.js';

const DATA = 0x2b30_0000;

function running(): { stage: IxgbeStage; vf: StageVf; sibling: StageVf } {
  const stage = new IxgbeStage();
  stage.enable(2);
  stage.openPools();
  const [vf, sibling] = stage.vfs;
  for (const each of [vf!, sibling!]) {
    each.openRx();
    each.openTx();
    each.openInterrupts();
    each.post([0, 1, 2, 3, 4].map((i) => RAM + AT.buffers + 0x800 * i));
    each.put(AT.frames, frameOf(60));
    for (let i = 0; i < 8; i++) each.putWords(AT.tx + 16 * i, AT.frames, 0x10, DATA | 60, 60 << 14);
  }
  return { stage, vf: vf!, sibling: sibling! };
}

const send = (vf: StageVf, tail: number): void => vf.write(vfTxAt(0, TX_QUEUE.TDT), tail);

/** Device Control with Initiate Function Level Reset, wherever the capability is. */
function functionReset(stage: IxgbeStage, id: number): void {
  const at = stage.machine.functionAt(id)!.capabilityAt(0x10) + 8;
  stage.machine.configWrite(id, at, 2, 0x8000);
}

describe.each(['VFCTRL.RST', 'a function-level reset'])('%s of a virtual function', (kind) => {
  const reset = (stage: IxgbeStage, vf: StageVf): void => {
    if (kind === 'VFCTRL.RST') vf.write(VF_REG.VFCTRL, 0x0400_0000);
    else functionReset(stage, FIRST_VF_ID);
  };

  test('SR-09, RX-20: stops its queues and interrupts, tells the physical function, and leaves the sibling as it is', () => {
    const { stage, vf, sibling } = running();
    const { pf } = stage;
    pf.write(PF_REG.IVAR_MISC, 0x8b00);
    pf.write(PF_REG.EIMS, 0x8_0000);
    vf.write(VF_REG.VFMAILBOX, VFMAILBOX.VFU);
    const before = stage.snapshotOf(sibling);
    send(vf, 3);
    reset(stage, vf);
    expect(pf.takeMessages()).toEqual([11]);
    expect([
      pf.read(rowAt(PF_ROW.PFVFLRE, 0)),
      pf.read(rowAt(PF_ROW.PFVFRE, 0)) & 3,
      pf.read(rowAt(PF_ROW.PFVFTE, 0)) & 3,
    ]).toEqual([1, 2, 2]);
    pf.write(rowAt(PF_ROW.PFVFLREC, 0), 1);
    expect(pf.read(rowAt(PF_ROW.PFVFLRE, 0))).toBe(0);
    const ram = vf.ram();
    stage.step();
    expect(stage.ports[1]!.bring(frameOf(60))).toBe(DELIVERED.DROPPED);
    expect(stage.ports[1]!.sent).toEqual([]);
    expect(vf.ram() === ram).toBe(true);
    expect(stage.snapshotOf(sibling)).toBe(before);
    // RSTD, and VFU is given back.
    expect(vf.read(VF_REG.VFMAILBOX)).toBe(VFMAILBOX.RSTD);
    expect([vf.read(vfRxAt(0, RX_QUEUE.RXDCTL)), vf.read(VF_REG.VTEIMS), vf.read(VF_REG.VTIVAR)]).toEqual([0, 0, 0]);
    stage.ports[2]!.bring(frameOf(60));
    expect(sibling.takeMessages()).toEqual([0]);
  });

  test('within its own step: what was in hand is dropped, and nothing is touched any more', () => {
    const { stage, vf } = running();
    send(vf, 5);
    stage.ports[1]!.onFrame = () => reset(stage, vf);
    const ram = vf.ram();
    stage.step();
    expect(stage.ports[1]!.sent.length).toBe(1);
    expect(vf.ram() === ram).toBe(true);
    expect(vf.takeMessages()).toEqual([]);
  });

  test('between a frame and the end of its burst: the descriptor is not published', () => {
    const { stage, vf } = running();
    stage.ports[1]!.bringOpen(frameOf(60));
    reset(stage, vf);
    stage.ports[1]!.device!.flush!();
    expect(vf.words(AT.rx, 4)[2]).toBe(0);
    expect(vf.takeMessages()).toEqual([]);
  });

  test('set up again, both directions work', () => {
    const { stage, vf } = running();
    reset(stage, vf);
    stage.pf.write(rowAt(PF_ROW.PFVFRE, 0), 3);
    stage.pf.write(rowAt(PF_ROW.PFVFTE, 0), 3);
    if (kind !== 'VFCTRL.RST') stage.machine.configWrite(FIRST_VF_ID, 4, 2, 4);
    vf.openRx();
    vf.openTx();
    vf.post([RAM + AT.buffers]);
    send(vf, 1);
    stage.step();
    expect(stage.ports[1]!.sent.length).toBe(1);
    expect(stage.ports[1]!.bring(frameOf(60))).toBe(DELIVERED.ACCEPTED);
  });
});

test('CTRL.RST of the physical function: virtual ones stand still with RSTI until CTRL_EXT.PFRSTD', () => {
  const { stage, vf } = running();
  const { pf } = stage;
  pf.write(rowAt(PF_ROW.PFMBMEM, 0), 0x1234);
  pf.write(PF_REG.CTRL, 0x0400_0000);
  expect([pf.read(PF_REG.CTRL), pf.read(PF_REG.GCR_EXT), pf.read(PF_REG.RXCTRL)]).toEqual([0, 0, 0]);
  send(vf, 2);
  stage.step();
  expect([stage.ports[1]!.sent, stage.ports[1]!.bring(frameOf(60))]).toEqual([[], DELIVERED.DROPPED]);
  expect([vf.read(VF_REG.VFMAILBOX), vf.read(VF_REG.VFMBMEM)]).toEqual([VFMAILBOX.RSTI, 0]);
  stage.openPools();
  vf.openTx();
  send(vf, 1);
  stage.step();
  expect(stage.ports[1]!.sent.length).toBe(1);
});

test('SR-10: a function-level reset of the physical function takes the virtual ones with it; nothing is written after', () => {
  const { stage, vf } = running();
  stage.step();
  send(vf, 4);
  functionReset(stage, PF_ID);
  const ram = vf.ram();
  stage.step();
  expect(stage.ports[1]!.device).toBeUndefined();
  expect([vf.ram() === ram, stage.nic.personalityOf(0)]).toEqual([true, undefined]);
  expect(stage.ports[1]!.runs).toEqual([true, false]);
});

test('SR-03: virtual functions that come and go under traffic leave no port plugged and touch no memory', () => {
  const { stage } = running();
  for (let round = 0; round < 50; round++) {
    send(stage.vfs[0]!, 1 + (round % 4));
    stage.step();
    disableVfs(stage.machine, stage.found);
    const ram = stage.vfs[0]!.ram();
    stage.step();
    expect(stage.vfs[0]!.ram() === ram).toBe(true);
    expect([stage.ports[1]!.device, stage.card.virtualCount]).toEqual([undefined, 0]);
    stage.enable(2);
    stage.vfs[0]!.openTx();
  }
});

test('a virtual function that goes and comes again within the card’s step has its port and its mailbox', () => {
  const { stage, vf } = running();
  vf.write(VF_REG.VFMAILBOX, VFMAILBOX.VFU);
  send(vf, 1);
  const [, port] = stage.ports;
  let isDone = false;
  port!.onFrame = () => {
    if (isDone) return;
    isDone = true;
    disableVfs(stage.machine, stage.found);
    stage.portAgain = port;
    stage.enable(1);
  };
  stage.step();
  expect([port!.device === undefined, stage.card.virtualCount]).toEqual([false, 1]);
  expect(stage.vfs[0]!.read(VF_REG.VFMAILBOX)).toBe(VFMAILBOX.RSTD);
  stage.vfs[0]!.openRx();
  stage.vfs[0]!.post([RAM + AT.buffers]);
  expect(port!.bring(frameOf(60))).toBe(DELIVERED.ACCEPTED);
});

test('without bus mastering nothing is sent, received or told', () => {
  const { stage, vf } = running();
  stage.machine.configWrite(FIRST_VF_ID, 4, 2, 0);
  send(vf, 2);
  stage.step();
  expect([stage.ports[1]!.sent, stage.ports[1]!.bring(frameOf(60))]).toEqual([[], DELIVERED.DROPPED]);
  stage.machine.configWrite(FIRST_VF_ID, 4, 2, 4);
  stage.step();
  expect(stage.ports[1]!.sent.length).toBe(2);
});

test('PFVFRE and PFVFTE: a pool that may not receive or send does not', () => {
  const { stage, vf, sibling } = running();
  stage.pf.write(rowAt(PF_ROW.PFVFTE, 0), 2);
  stage.pf.write(rowAt(PF_ROW.PFVFRE, 0), 2);
  for (const each of [vf, sibling]) send(each, 1);
  stage.step();
  expect([1, 2].map((n) => stage.ports[n]!.sent.length)).toEqual([0, 1]);
  expect([1, 2].map((n) => stage.ports[n]!.bring(frameOf(60)))).toEqual([DELIVERED.DROPPED, DELIVERED.ACCEPTED]);
});
