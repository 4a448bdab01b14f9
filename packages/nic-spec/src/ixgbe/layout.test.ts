import { expect, test } from 'vitest';
import {
  eitrAt,
  IXGBE_PF_BAR,
  IXGBE_VF_BAR,
  PF_REG,
  PF_ROW,
  PF_STAT,
  pfRxAt,
  pfTxAt,
  RX_QUEUE,
  rowAt,
  TX_QUEUE,
  VF_REG,
  VFMBMEM_WORDS,
  vfRxAt,
  vfTxAt,
} from '../ixgbe.js';

const queueFields = (queue: Readonly<Record<string, number>>): [string, number][] =>
  Object.entries(queue).filter(([name]) => name !== 'STRIDE');

/** Adds a register's name to where it is; registers of two names are a mistake. */
function put(where: Map<number, string>, at: number, name: string, bytes: number): void {
  expect(at % 4, name).toBe(0);
  expect(at, name).toBeGreaterThanOrEqual(0);
  expect(at + 4, name).toBeLessThanOrEqual(bytes);
  expect(where.get(at), `${name} at ${at.toString(16)}`).toBeUndefined();
  where.set(at, name);
}

test('82599 datasheet §8.3: registers of a virtual function do not lie on each other', () => {
  const where = new Map<number, string>();
  const add = (at: number, name: string): void => put(where, at, name, IXGBE_VF_BAR.REGISTERS_BYTES);
  const { VFMBMEM, VTIVAR, VTEITR, ...single } = VF_REG;
  for (const [name, at] of Object.entries(single)) add(at, name);
  for (let i = 0; i < VFMBMEM_WORDS; i++) add(VFMBMEM + 4 * i, `VFMBMEM ${i}`);
  for (let i = 0; i < 4; i++) add(VTIVAR + 4 * i, `VTIVAR ${i}`);
  for (let i = 0; i < 3; i++) add(VTEITR + 4 * i, `VTEITR ${i}`);
  for (let queue = 0; queue < 8; queue++) {
    for (const [name, register] of queueFields(RX_QUEUE)) add(vfRxAt(queue, register), `${name} ${queue}`);
    for (const [name, register] of queueFields(TX_QUEUE)) add(vfTxAt(queue, register), `${name} ${queue}`);
  }
  expect(where.get(0x1018)).toBe('RDT 0');
  expect(where.get(0x11d8)).toBe('RDT 7');
  expect(where.get(0x2078)).toBe('TDWBAL 1');
});

test('82599 datasheet §8.2.3: registers of the physical function do not lie on each other', () => {
  const where = new Map<number, string>();
  const add = (at: number, name: string): void => put(where, at, name, IXGBE_PF_BAR.REGISTERS_BYTES);
  for (const [name, at] of Object.entries(PF_REG)) add(at, name);
  // MPC is the first of eight
  for (const [name, at] of Object.entries(PF_STAT)) add(at, name);
  for (const [name, row] of Object.entries(PF_ROW)) {
    if (name === 'PFMBMEM') continue;
    for (let index = 0; index < row.count; index++) add(rowAt(row, index), `${name} ${index}`);
  }
  for (let pool = 0; pool < 64; pool++) {
    for (let word = 0; word < VFMBMEM_WORDS; word++) {
      add(rowAt(PF_ROW.PFMBMEM, pool) + 4 * word, `PFMBMEM ${pool} ${word}`);
    }
  }
  for (let queue = 0; queue < 128; queue++) {
    for (const [name, register] of queueFields(RX_QUEUE)) add(pfRxAt(queue, register), `${name} ${queue}`);
    for (const [name, register] of queueFields(TX_QUEUE)) add(pfTxAt(queue, register), `${name} ${queue}`);
  }
  expect(where.get(0xdfd8)).toBe('RDT 127');
  expect(where.get(0x7fd8)).toBe('TDT 127');
  expect(where.get(0x1c0)).toBe('PFVFLRE 1');
});

test('82599 datasheet §8.2.3.5: EITR goes on at 0x12300 from vector 24', () => {
  expect([eitrAt(0), eitrAt(23), eitrAt(24), eitrAt(63)]).toEqual([0x820, 0x87c, 0x12300, 0x1239c]);
});
