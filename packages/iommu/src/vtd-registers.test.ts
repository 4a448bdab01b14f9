import { VirtioError } from '@ringwire/virtio-spec';
import { describe, expect, test } from 'vitest';
import { legacyBench, REG, VtdBench } from './testing/vtd-bench.js';
import { vtdCapabilities, vtdCapabilityRegisters } from './vtd-capabilities.js';
import { VTD_REG, type VtdRegisterRow } from './vtd-registers.js';

const rows: [string, VtdRegisterRow][] = Object.entries(VTD_REG);

test('VT-d 4.0 §11.4: registers follow one another, aligned to their size, and writable bits fit', () => {
  let end = 0;
  for (const [name, row] of rows) {
    expect(row.at, name).toBeGreaterThanOrEqual(end);
    expect(row.at % row.bytes, name).toBe(0);
    expect(row.bytes === 8 || row.writable[1] === 0, name).toBe(true);
    expect(row.access === 'ro' && (row.writable[0] | row.writable[1]) !== 0, name).toBe(false);
    end = row.at + row.bytes;
  }
});

describe('VT-d 4.0 §11.4.2, §11.4.3: CAP and ECAP', () => {
  test('the features of the recorded units give their very values', () => {
    // Recorded: 48 bits, legacy; 39 bits; 48 bits with scalable mode, second stage only.
    const recorded = { interruptRemapping: false };
    expect(vtdCapabilityRegisters({ ...recorded }).cap).toBe(0xd2_008c_222f_0606n);
    expect(vtdCapabilityRegisters({ ...recorded, addressWidths: [39] }).cap).toBe(0xd2_008c_2226_0206n);
    expect(vtdCapabilityRegisters(recorded).ecap).toBe(0xf42n);
  });

  test('what the model has not is taken out of a dump', () => {
    const { cap } = vtdCapabilities((1n << 59n) | 0x68n | 0x2200_0000n, 0n);
    expect(cap).toEqual([0x2200_0000, 0]);
  });

  test('mistakes of the caller are named', () => {
    expect(() => vtdCapabilityRegisters({ faultRegisters: 0 })).toThrow(VirtioError);
    expect(() => vtdCapabilityRegisters({ domainBits: 5 })).toThrow(/domainBits is 5/);
    expect(() => new VtdBench({ hostAddressWidth: 53 })).toThrow(/hostAddressWidth is 53/);
    expect(() => new VtdBench({ capabilities: { cap: 0n, ecap: 0xf00n } })).toThrow(/CAP.FRO/);
    expect(() => new VtdBench({ capabilities: { cap: 0x2200_0000n, ecap: 0x2200n } })).toThrow(/ECAP.IRO/);
  });

  test('registers that CAP and ECAP move are where they say', () => {
    // FRO 400h with 8 registers, IRO 500h.
    const bench = new VtdBench({ capabilities: { cap: 0x700_402f_0606n, ecap: 0x5042n } });
    bench.start(0n);
    bench.translate(0x18, 0x5000, 1);
    expect(bench.unit.read(0x408, 8)).toBe(0xc000_0001_0000_0018n);
    bench.unit.write(0x508, 8, 0x9000_0000_0000_0000n);
    expect(bench.told).toEqual(['all']);
  });
});

describe('accesses', () => {
  test('reset values', () => {
    const { unit } = new VtdBench({ version: 0x10 });
    const nonzero = rows
      .filter(([, { at, bytes }]) => BigInt(unit.read(at, bytes as 4 | 8)) !== 0n)
      .map(([name]) => name);
    expect(nonzero).toEqual(['VER', 'CAP', 'ECAP', 'FECTL', 'IECTL']);
    expect(unit.read(0, 4)).toBe(0x10);
    expect(unit.read(REG.FECTL, 4)).toBe(0x8000_0000);
  });

  test('1, 2, 4 and 8 bytes are read, aligned; elsewhere is 0', () => {
    const { unit } = new VtdBench();
    expect(unit.read(8, 8)).toBe(0xd2_008c_222f_0606n);
    expect([unit.read(8, 4), unit.read(12, 4)]).toEqual([0x222f_0606, 0x00d2_008c]);
    expect([unit.read(10, 2), unit.read(11, 1), unit.read(9, 1)]).toEqual([0x222f, 0x22, 0x06]);
    expect([unit.read(10, 4), unit.read(12, 8), unit.read(0x1000, 4), unit.read(-4, 4)]).toEqual([0, 0n, 0, 0]);
  });

  test('writes change writable bits alone, and other widths nothing', () => {
    const { unit } = legacyBench();
    for (let at = 0; at < 0xc0; at += 4) if (at !== REG.GCMD && at !== REG.IQT) unit.write(at, 4, 0xffff_ffff);
    const found = rows.map(([name, { at, bytes }]) => [name, BigInt(unit.read(at, bytes as 4 | 8)).toString(16)]);
    expect(Object.fromEntries(found)).toMatchObject({
      VER: '60',
      GSTS: 'c0000000',
      RTADDR: 'fffffffffffff000',
      CCMD: '78000003ffffffff',
      FSTS: '0',
      FECTL: '80000000',
      FEADDR: 'fffffffc',
      PMEN: '0',
      IQH: '0',
      IQA: 'fffffffffffff007',
      ICS: '0',
      IQERCD: '0',
      IRTA: 'fffffffffffff80f',
    });
    unit.write(REG.FEDATA, 2, 0x1234);
    unit.write(REG.FEDATA, 1, 0x12);
    unit.write(REG.FEDATA + 2, 4, 0x12);
    expect(unit.read(REG.FEDATA, 4)).toBe(0xffff_ffff);
  });

  test('a dump is loaded as it is: tables are taken over, nothing is sent, the unit’s own CAP stays', () => {
    const bench = legacyBench();
    bench.unit.load([
      { offset: 8, size: 8, value: 0n },
      { offset: REG.RTADDR, size: 8, value: 0x1000n },
      { offset: REG.GSTS, size: 4, value: 0xc400_0000n },
      { offset: REG.IQH, size: 8, value: 0xf40n },
      { offset: REG.IQT, size: 8, value: 0xf40n },
      { offset: REG.FSTS, size: 4, value: 0x2n },
    ]);
    expect(bench.unit.read(8, 8)).toBe(0xd2_008c_222f_0606n);
    expect(bench.unit.read(REG.IQH, 8)).toBe(0xf40n);
    expect(bench.unit.read(REG.FSTS, 4)).toBe(2);
    expect(bench.interrupts).toEqual([]);
    expect(bench.translate(0x18, 0x40_2345_6000, 1)).toBe(0);
    bench.unit.reset();
    expect(bench.unit.read(REG.GSTS, 4)).toBe(0);
    expect(bench.translate(0x18, 0x5000, 1)).toBe(1);
  });
});
