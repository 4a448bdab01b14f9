import { expect, test } from 'vitest';
import { FIRST_VF, PF, SRIOV, SriovMachine } from '../testing/sriov-machine.js';
import { enableVfs } from './enable-vfs.js';
import { placeBars } from './place-bars.js';
import { type FoundFunction, scanBuses } from './scan-buses.js';
import { restoreSriov, type SriovState, saveSriov } from './sriov-state.js';

const RANGES = {
  memory: { base: 0xe000_0000, end: 0xf000_0000 },
  prefetchable: { base: 0x10_0000_0000, end: 0x20_0000_0000 },
  io: { base: 0x1000, end: 0x1_0000 },
};

/** A card whose buses are numbered and whose BARs are placed, and its physical function. */
function placed(): { readonly stage: SriovMachine; readonly pf: FoundFunction } {
  const stage = new SriovMachine();
  const found = scanBuses(stage.machine);
  placeBars(stage.machine, found, RANGES);
  return { stage, pf: found.find(({ routingId }) => routingId === PF)! };
}

test('what was saved of five functions, on another card of the kind: they are there, at their places', () => {
  const { stage, pf } = placed();
  const vfs = enableVfs(stage.machine, pf, 5);
  const state = saveSriov(stage.machine, pf)!;
  expect(state).toMatchObject({ totalVfs: 8, numVfs: 5, systemPageSize: 1, vfDeviceId: 0x10ca, functions: 5 });
  const other = placed();
  expect(restoreSriov(other.stage.machine, other.pf, state)).toBeUndefined();
  expect(saveSriov(other.stage.machine, other.pf)).toEqual(state);
  expect(vfs.map(({ routingId }) => other.stage.machine.configRead(routingId, 0, 2))).toEqual(Array(5).fill(0xffff));
  expect(other.stage.virtualFunctions.functions).toHaveLength(5);
  // A register of the last one, through its share of the VF BAR.
  stage.machine.memoryWrite(vfs[4]!.bars[0]!.address, 4, 7);
  other.stage.machine.memoryWrite(vfs[4]!.bars[0]!.address, 4, 7);
  expect(other.stage.registers.get('vf4')).toEqual(stage.registers.get('vf4'));
  expect(restoreSriov(other.stage.machine, other.pf, state)).toBe(
    'VF Enable is set, want a function whose virtual ones are off',
  );
});

const OFF: SriovState = { totalVfs: 8, numVfs: 0, control: 0, systemPageSize: 1, vfDeviceId: 0x10ca, functions: 0 };
const ON: SriovState = { ...OFF, numVfs: 5, control: 9, functions: 5 };

test.each<readonly [Partial<SriovState> & { readonly isOff?: true }, string]>([
  [{ numVfs: 9, functions: 9 }, 'NumVFs is 9, want at most 8 (PCIe 5.0 §9.3.3.7)'],
  [{ numVfs: 0xffff, functions: 0xffff }, 'NumVFs is 65535, want at most 8'],
  [{ isOff: true, numVfs: 9 }, 'NumVFs is 9, want at most 8'],
  [{ isOff: true, numVfs: 5, functions: 5 }, '5 virtual functions are there while VF Enable is clear'],
  [{ isOff: true, functions: 1 }, '1 virtual functions are there while VF Enable is clear'],
  [{ functions: 4 }, '4 virtual functions are there with VF Enable and NumVFs 5'],
  [{ functions: 6 }, '6 virtual functions are there with VF Enable and NumVFs 5'],
  [{ numVfs: 0, functions: 0 }, '0 virtual functions are there with VF Enable and NumVFs 0'],
  [{ totalVfs: 64, numVfs: 64, functions: 64 }, 'TotalVFs is 64, want 8'],
  [{ control: 0x0b }, 'the control register is 11, want bits of 25 alone'],
  [{ systemPageSize: 3 }, 'System Page Size is 3, want one of'],
  [{ systemPageSize: 0 }, 'System Page Size is 0, want one of'],
  [{ vfDeviceId: 0x10cb }, 'VF Device ID is 4299, want 4298'],
  [{ numVfs: -1, functions: -1 }, 'numVfs is -1'],
  [{ numVfs: Number.NaN }, 'numVfs is NaN'],
])('MG-15: %j is refused, and nothing is written', ({ isOff, ...change }, why) => {
  const { stage, pf } = placed();
  const block = (): number[] =>
    Array.from({ length: 16 }, (_, word) => stage.machine.configRead(PF, SRIOV + 4 * word, 4));
  const before = block();
  expect(restoreSriov(stage.machine, pf, { ...(isOff ? OFF : ON), ...change })).toContain(why);
  expect(block()).toEqual(before);
  expect(stage.virtualFunctions.functions).toHaveLength(0);
  expect(stage.machine.configRead(FIRST_VF, 0, 2)).toBe(0xffff);
  // The card goes on: what is good is taken afterwards.
  expect(restoreSriov(stage.machine, pf, ON)).toBeUndefined();
  expect(stage.virtualFunctions.functions).toHaveLength(5);
});

test('MG-15: a function without SR-IOV takes none', () => {
  const { stage } = placed();
  const [port] = scanBuses(stage.machine).filter(({ isBridge }) => isBridge);
  expect(saveSriov(stage.machine, port!)).toBeUndefined();
  expect(restoreSriov(stage.machine, port!, ON)).toBe('the function has no SR-IOV');
});
