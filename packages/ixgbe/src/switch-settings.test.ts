import type { PortSettings } from '@ringwire/eswitch';
import { PF_REG, PF_ROW, rowAt } from '@ringwire/nic-spec/ixgbe';
import { expect, test } from 'vitest';
import { IxgbeStage } from './testing/ixgbe-stage.js';

const VF0 = 1;
const PF = 0;

function stageOf(): IxgbeStage {
  const stage = new IxgbeStage();
  stage.enable(2);
  stage.openPools();
  return stage;
}

function settingsOf(stage: IxgbeStage, number: number): Partial<PortSettings> {
  stage.step();
  return stage.ports[number]!.settings;
}

/** Receive address i: 02:00:00:00:00:n, or a group's, for pools. */
function address(stage: IxgbeStage, i: number, n: number, pools: number, first = 2): void {
  stage.pf.write(rowAt(PF_ROW.RAL, i), first);
  stage.pf.write(rowAt(PF_ROW.RAH, i), (0x8000_0000 | (n << 8)) >>> 0);
  stage.pf.write(rowAt(PF_ROW.MPSAR_LO, i), pools);
}

test('82599 datasheet §7.10.3.3: receive addresses of a pool are its port’s, the first one its own', () => {
  const stage = stageOf();
  address(stage, 3, 7, 1);
  address(stage, 4, 8, 1);
  address(stage, 5, 9, 2);
  address(stage, 6, 1, 3, 1);
  expect(settingsOf(stage, VF0)).toMatchObject({
    mac: Uint8Array.of(2, 0, 0, 0, 0, 7),
    unicast: [Uint8Array.of(2, 0, 0, 0, 0, 8)],
    multicast: [Uint8Array.of(1, 0, 0, 0, 0, 1)],
  });
  expect(settingsOf(stage, 2)).toMatchObject({ mac: Uint8Array.of(2, 0, 0, 0, 0, 9), unicast: [] });
  // The card's own address has no pools: it is the default pool's.
  expect(settingsOf(stage, PF).mac).toEqual(Uint8Array.of(0, 0x1b, 0x21, 0, 0, 1));
});

test('PFVML2FLT: broadcast, groups by hash or all, frames without a tag', () => {
  const stage = stageOf();
  const filter = rowAt(PF_ROW.PFVML2FLT, 0);
  expect(settingsOf(stage, VF0)).toMatchObject({
    broadcast: false,
    allMulticast: false,
    untagged: false,
    multicastHash: undefined,
  });
  stage.pf.write(rowAt(PF_ROW.MTA, 3), 0x10);
  stage.pf.write(PF_REG.MCSTCTRL, 5);
  stage.pf.write(filter, 0x0b00_0000);
  const settings = settingsOf(stage, VF0);
  expect(settings).toMatchObject({ broadcast: true, untagged: true, allMulticast: false });
  const table = new Uint32Array(128);
  table[3] = 0x10;
  expect(settings.multicastHash).toEqual({ table, offset: 1 });
  stage.pf.write(filter, 0x1000_0000);
  expect(settingsOf(stage, VF0)).toMatchObject({ broadcast: false, allMulticast: true, multicastHash: undefined });
});

test('ROPE with every bit of PFUTA is promiscuous; with one bit less it is not', () => {
  const stage = stageOf();
  stage.pf.write(rowAt(PF_ROW.PFVML2FLT, 0), 0x0400_0000);
  for (let i = 0; i < 128; i++) stage.pf.write(rowAt(PF_ROW.PFUTA, i), 0xffff_ffff);
  expect(settingsOf(stage, VF0).promiscuous).toBe(true);
  stage.pf.write(rowAt(PF_ROW.PFUTA, 127), 0x7fff_ffff);
  expect(settingsOf(stage, VF0).promiscuous).toBe(false);
});

test('82599 datasheet §7.10.3.2: VLANs are those whose entry names the pool, with the filter on', () => {
  const stage = stageOf();
  stage.pf.write(rowAt(PF_ROW.PFVLVF, 2), 0x8000_0064);
  stage.pf.write(rowAt(PF_ROW.PFVLVFB, 4), 1);
  stage.pf.write(rowAt(PF_ROW.PFVLVF, 3), 0x8000_00c8);
  stage.pf.write(rowAt(PF_ROW.PFVLVFB, 6), 2);
  stage.pf.write(rowAt(PF_ROW.PFVLVF, 4), 0x8000_0000);
  stage.pf.write(rowAt(PF_ROW.PFVLVFB, 8), 3);
  expect(settingsOf(stage, VF0).vlans).toBe('all');
  stage.pf.write(PF_REG.VLNCTRL, 0x4000_8100);
  expect([settingsOf(stage, VF0).vlans, settingsOf(stage, 2).vlans]).toEqual([new Set([100]), new Set([200])]);
});

test('82599 datasheet §7.10.3.9: PFVFSPOOF checks addresses and VLANs of its pools alone', () => {
  const stage = stageOf();
  stage.pf.write(rowAt(PF_ROW.PFVFSPOOF, 0), 0x0201);
  expect(settingsOf(stage, VF0)).toMatchObject({ checkMac: true, checkVlan: false });
  expect(settingsOf(stage, 2)).toMatchObject({ checkMac: false, checkVlan: true });
});

test('82599 datasheet §8.2.3.27: PFVMTXSW has a bit for each pool, 32 in a register; the physical function’s pools are together', () => {
  const stage = stageOf();
  const hairpins = (): (boolean | undefined)[] => [PF, VF0, 2].map((number) => settingsOf(stage, number).hairpin);
  expect(hairpins()).toEqual([false, false, false]);
  stage.pf.write(rowAt(PF_ROW.PFVMTXSW, 0), 2);
  expect(hairpins()).toEqual([false, false, true]);
  stage.pf.write(rowAt(PF_ROW.PFVMTXSW, 0), 0);
  stage.pf.write(rowAt(PF_ROW.PFVMTXSW, 1), 1 << 31);
  expect(hairpins()).toEqual([true, false, false]);
});

test('PFVMVIR with the default tag is a port VLAN; ids that are none are nothing', () => {
  const stage = stageOf();
  stage.pf.write(rowAt(PF_ROW.PFVMVIR, 0), 0x4000_a064);
  expect(settingsOf(stage, VF0).portVlan).toEqual({ id: 100, priority: 5, protocol: 0x8100 });
  for (const value of [0x4000_0000, 0x4000_0fff, 0x8000_0064, 0x64]) {
    stage.pf.write(rowAt(PF_ROW.PFVMVIR, 0), value);
    expect(settingsOf(stage, VF0).portVlan).toBeUndefined();
  }
});

test('82599 datasheet §7.7.2.2, SR-27: a rate is the link’s divided by a number with 14 bits behind the point', () => {
  const stage = stageOf();
  const rate = (queue: number, value: number): void => {
    stage.pf.write(PF_REG.RTTDQSEL, queue);
    stage.pf.write(PF_REG.RTTBCNRC, value);
  };
  // 10000 / 8 = 1250 Mbit/s of both queues of pool 0.
  rate(0, 0x8000_0000 + 8 * 2 ** 14);
  expect(settingsOf(stage, VF0).maxTxRate).toBe(0);
  rate(1, 0x8000_0000 + 8 * 2 ** 14);
  expect(settingsOf(stage, VF0).maxTxRate).toBe(1250);
  rate(0, 0x8000_0000 + 3 * 2 ** 14 + 0x2000);
  expect(settingsOf(stage, VF0).maxTxRate).toBe(2857);
  // Divisors below 1, such as 0, limit nothing.
  rate(0, 0x8000_0000);
  expect([settingsOf(stage, VF0).maxTxRate, settingsOf(stage, 2).maxTxRate]).toEqual([0, 0]);
});

test('HLREG0.JUMBOEN and MAXFRS are the longest frame', () => {
  const stage = stageOf();
  expect(settingsOf(stage, VF0).longestFrame).toBe(1518);
  stage.pf.write(PF_REG.MAXFRS, 9018 * 2 ** 16);
  expect(settingsOf(stage, VF0).longestFrame).toBe(1518);
  stage.pf.write(PF_REG.HLREG0, 0x407);
  expect(settingsOf(stage, VF0).longestFrame).toBe(9018);
});

test('without pools the physical function’s port is as FCTRL, VFTA and the receive addresses say', () => {
  const stage = new IxgbeStage();
  const { pf } = stage;
  pf.write(PF_REG.FCTRL, 0x500);
  pf.write(PF_REG.VLNCTRL, 0x4000_8100);
  pf.write(rowAt(PF_ROW.VFTA, 3), 0x10);
  expect(settingsOf(stage, PF)).toMatchObject({
    mac: Uint8Array.of(0, 0x1b, 0x21, 0, 0, 1),
    broadcast: true,
    allMulticast: true,
    promiscuous: false,
    untagged: true,
    vlans: new Set([100]),
  });
  pf.write(PF_REG.FCTRL, 0x200);
  expect(settingsOf(stage, PF)).toMatchObject({ broadcast: false, allMulticast: false, promiscuous: true });
});
