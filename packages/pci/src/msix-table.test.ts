import { expect, test } from 'vitest';
import { MSIX_MAX_VECTORS, MsixTable } from './msix-table.js';
import { COMMAND, PBA, started, type TestFunction, VECTORS } from './testing/test-function.js';

/** MSI-X of the test function lies at 0x48, behind Power Management; Message Control at 0x4a. */
const CONTROL = 0x4a;
const ENABLE = 0x8000;
const FUNCTION_MASK = 0x4000;

/** Write a vector's address and data, and unmask it: as Linux does. */
function program(test: TestFunction, vector: number, low: number, data: number, high = 0): void {
  const at = vector * 16;
  test.pci.barWrite(2, at, 4, low);
  test.pci.barWrite(2, at + 4, 4, high);
  test.pci.barWrite(2, at + 8, 4, data);
  test.pci.barWrite(2, at + 12, 4, 0);
}

function enabled(): TestFunction {
  const test = started();
  test.pci.configWrite(CONTROL, 2, ENABLE);
  for (let vector = 0; vector < VECTORS; vector++) program(test, vector, 0xfee0_1000, 0x4020 + vector);
  return test;
}

const pendingBits = ({ pci }: TestFunction): number => pci.barRead(2, PBA, 4);

test('PCIe 5.0 §7.7.2: table size, places, and after power-on all vectors masked', () => {
  const { pci } = started();
  expect(pci.configRead(0x48, 4)).toBe(0x0003_5411); // 4 vectors; next: Express at 0x54
  expect(pci.configRead(0x4c, 4)).toBe(0x0000_0002);
  expect(pci.configRead(0x50, 4)).toBe(0x0000_0802);
  expect([0, 4, 8, 12].map((at) => pci.barRead(2, at, 4))).toEqual([0, 0, 0, 1]);
  pci.configWrite(CONTROL, 2, 0xffff);
  expect(pci.configRead(CONTROL, 2)).toBe(0xc003);
});

test('a message says whose it is: its vector', () => {
  const vectors: number[] = [];
  const table = new MsixTable(3, (_low, _high, _data, vector) => vectors.push(vector));
  table.reset();
  table.setGate(true, false);
  for (const at of [12, 44]) table.tableRegion(0).write(at, 4, 0);
  table.raise(2);
  table.raise(0);
  expect(vectors).toEqual([2, 0]);
});

test('a message goes to the address and with the data of its entry', () => {
  const test = enabled();
  program(test, 2, 0xfee0_3007, 0xdead_beef, 0x1234_5678);
  test.pci.msix!.raise(2);
  test.pci.msix!.raise(3);
  // Address bits 1:0 are always 0.
  expect(test.messages).toEqual(['fee03004/12345678=deadbeef', 'fee01000/0=4023']);
  expect(test.pci.barRead(2, 0x20, 4)).toBe(0xfee0_3004);
});

test('PC-13: masked, raised, unmasked 100 000 times: exactly one message each time, and none in between', () => {
  const test = enabled();
  const msix = test.pci.msix!;
  for (let i = 0; i < 100_000; i++) {
    test.pci.barWrite(2, 0x1c, 4, 1);
    msix.raise(1);
    if (i % 3 === 0) msix.raise(1);
    if (test.messages.length !== i || !msix.isPending(1)) break;
    test.pci.barWrite(2, 0x1c, 4, 0);
    if (test.messages.length !== i + 1 || msix.isPending(1)) break;
  }
  expect(test.messages.length).toBe(100_000);
});

test('PC-13: the function mask keeps events of all vectors, each once', () => {
  const test = enabled();
  test.pci.configWrite(CONTROL, 2, ENABLE | FUNCTION_MASK);
  for (const vector of [3, 0, 3, 3, 0]) test.pci.msix!.raise(vector);
  expect([test.messages.length, pendingBits(test)]).toEqual([0, 0b1001]);
  // A vector with a mask of its own waits on.
  test.pci.barWrite(2, 0x3c, 4, 1);
  test.pci.configWrite(CONTROL, 2, ENABLE);
  expect([test.messages, pendingBits(test)]).toEqual([['fee01000/0=4020'], 0b1000]);
  test.pci.barWrite(2, 0x3c, 4, 0);
  expect([test.messages.length, pendingBits(test)]).toEqual([2, 0]);
});

test('PC-18: without bus mastering events stay pending, and are sent when it comes back', () => {
  const test = enabled();
  test.pci.configWrite(COMMAND, 2, 0x0002);
  test.pci.msix!.raise(1);
  test.pci.msix!.raise(1);
  expect([test.pci.mayMaster, test.messages.length, pendingBits(test)]).toEqual([false, 0, 0b10]);
  test.pci.configWrite(COMMAND, 2, 0x0006);
  expect([test.pci.mayMaster, test.messages, pendingBits(test)]).toEqual([true, ['fee01000/0=4021'], 0]);
  expect(test.events).toEqual(['master off', 'bar 3 off', 'master on']);
});

test('PC-14: with MSI-X and INTx off nothing is sent and nothing is kept, however often an event comes', () => {
  const test = enabled();
  test.pci.configWrite(CONTROL, 2, 0);
  test.pci.configWrite(COMMAND, 2, 0x0406);
  test.events.length = 0;
  for (let i = 0; i < 10_000; i++) {
    test.pci.msix!.raise(i % VECTORS);
    test.pci.setIntx(i % 2 === 0);
  }
  expect([test.messages, test.events, pendingBits(test)]).toEqual([[], [], 0]);
  test.pci.configWrite(CONTROL, 2, ENABLE);
  expect(test.messages).toEqual([]);
});

test('an event that was settled otherwise is withdrawn: no message on unmasking', () => {
  const test = enabled();
  test.pci.barWrite(2, 0x0c, 4, 1);
  test.pci.msix!.raise(0);
  test.pci.msix!.withdraw(0);
  test.pci.msix!.withdraw(99);
  test.pci.barWrite(2, 0x0c, 4, 0);
  expect(test.messages).toEqual([]);
});

test('PC-10: the table takes words and pairs of words; narrower writes and those past its end do nothing', () => {
  const test = enabled();
  const { pci } = test;
  const entry = (): number[] => [0, 4, 8, 12, 16].map((at) => pci.barRead(2, at, 4));
  const before = entry();
  for (let at = 0; at < 16; at++) {
    pci.barWrite(2, at, 1, 0xff);
    pci.barWrite(2, at, 2, 0xffff);
    if (at % 4 !== 0) pci.barWrite(2, at, 3, 0xff_ffff);
  }
  expect(entry()).toEqual(before);
  expect([pci.barRead(2, 1, 1), pci.barRead(2, 2, 2), pci.barRead(2, 1, 3)]).toEqual([0x10, 0xfee0, 0xfe_e010]);
  for (const at of [VECTORS * 16, PBA - 4, 0xffc]) {
    pci.barWrite(2, at, 4, 0xffff_ffff);
    expect(pci.barRead(2, at, 4)).toBe(0);
  }
  expect(entry()).toEqual(before);
  // Of Vector Control only the mask exists.
  pci.barWrite(2, 12, 4, 0xffff_ffff);
  expect(pci.barRead(2, 12, 4)).toBe(1);
});

test('PC-11: pending bits are read-only and 0 past the last vector', () => {
  const test = enabled();
  test.pci.barWrite(2, 0x0c, 4, 1);
  test.pci.msix!.raise(0);
  for (let at = PBA; at < PBA + 16; at += 4) {
    test.pci.barWrite(2, at, 4, 0xffff_fffe);
    test.pci.barWrite(2, at, 1, 0);
  }
  expect([0, 4, 8, 12].map((at) => test.pci.barRead(2, PBA + at, 4))).toEqual([1, 0, 0, 0]);
  expect(test.pci.barRead(2, PBA, 1)).toBe(1);
  test.pci.barWrite(2, 0x0c, 4, 0);
  expect(test.messages).toEqual(['fee01000/0=4020']);
});

test('pending bits of 2048 vectors lie where PCIe 5.0 §7.7.2.9 puts them', () => {
  const messages: number[] = [];
  const table = new MsixTable(MSIX_MAX_VECTORS, (_low, _high, data) => messages.push(data));
  table.reset();
  const pba = table.pbaRegion(0);
  const entries = table.tableRegion(0);
  expect([pba.size, entries.size]).toEqual([256, 32768]);
  table.setGate(true, false);
  for (const vector of [31, 32, 63, 64, 2047, 2048, -1, 0x7fff, 0.5]) table.raise(vector);
  expect([0, 4, 8, 252].map((at) => pba.read(at, 4))).toEqual([0x8000_0000, 0x8000_0001, 1, 0x8000_0000]);
  for (const vector of [31, 32, 63, 64, 2047]) {
    entries.write(vector * 16 + 8, 4, vector);
    entries.write(vector * 16 + 12, 4, 0);
  }
  expect(messages).toEqual([31, 32, 63, 64, 2047]);
});

test('PC-12: a message is sent to whatever address the entry holds, as a write of this function, and nothing else happens', () => {
  const test = enabled();
  for (const [vector, low, high] of [
    [0, 0x0000_1000, 0],
    [1, 0xfd00_0000, 0],
    [2, 0xffff_fffc, 0xffff_ffff],
  ] as const) {
    program(test, vector, low, 7, high);
    test.pci.msix!.raise(vector);
  }
  expect(test.messages).toEqual(['1000/0=7', 'fd000000/0=7', 'fffffffc/ffffffff=7']);
  expect(test.accesses).toEqual([]);
});

test('PC-12: a message whose write unmasks another pending vector of the same table ends', () => {
  const { pci } = started();
  const sent: number[] = [];
  const table = new MsixTable(2, (low, _high, data) => {
    sent.push(low);
    entries.write(low, 4, data);
    table.raise(1);
  });
  table.reset();
  const entries = table.tableRegion(0);
  table.setGate(true, false);
  entries.write(0, 4, 0x1c);
  entries.write(16, 4, 0x1c);
  entries.write(24, 4, 1);
  table.raise(1);
  table.raise(0);
  entries.write(12, 4, 0);
  // Vector 0 unmasks vector 1, whose message masks it again.
  expect(sent).toEqual([0x1c, 0x1c]);
  expect([table.isPending(0), table.isPending(1)]).toEqual([false, true]);
  expect(pci.removed).toBe(false);
});

test('our own mistakes are told: a table without vectors, or without enough words', () => {
  expect(() => new MsixTable(0, () => {})).toThrow('MSI-X vectors is 0, want 1 to 2048');
  expect(() => new MsixTable(2, () => {}, new Int32Array(9))).toThrow('MSI-X words is 9, want at least 10');
});
