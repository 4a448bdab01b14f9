import { ACCESS, type GuestMemory } from '@ringwire/guest-memory';
import { NO_PASID, newTranslation, TRANSLATED, type Translated } from '../translation.js';
import { VTD_FRCD, VTD_REG } from '../vtd-registers.js';
import type { VtdUnit } from '../vtd-unit.js';
import type { VtdRegisterValue } from '../vtd-unit-config.js';
import {
  hex64,
  hexAddress,
  type VtdExpectation,
  type VtdMutation,
  type VtdProbe,
  type VtdSetFiles,
  vtdMemory,
  vtdRegisterValues,
  vtdUnitOf,
} from './vtd-golden-set.js';

/** One statement of a set with which the unit disagrees. */
export interface VtdDifference {
  /** Where in expected.json, such as `probes[3]`. */
  readonly where: string;
  readonly what: string;
  readonly expected: string;
  readonly found: string;
}

/** What came of comparing a set with what was expected of it. */
export interface VtdCheck {
  readonly differences: VtdDifference[];
  /** Statements compared, by section of expected.json. */
  readonly compared: Record<string, number>;
}

/** QEMU leaves a PASID in FRCD where none is present. */
const IGNORED_FRCD_HIGH = 0x00ff_ff00_0000_0000n;
/** What the unit was made from, and what software only writes. */
const NOT_READ_BACK = ['VER', 'CAP', 'ECAP', 'GCMD', 'IVA'];
const RESULT_NAMES = ['ok', 'pass-through', 'fault', 'blocked', 'interrupt-range'];

/**
 * Run everything that a set of kind `vtd` or `vtd-tables` says of its tables through a unit.
 * @throws VirtioError where a file is not as the sets' README describes it
 */
export function checkVtdSet(files: VtdSetFiles): VtdDifference[] {
  return runVtdSet(files).differences;
}

/** The same with the number of statements compared. */
export function runVtdSet(files: VtdSetFiles): VtdCheck {
  return new SetCheck(files).run();
}

class SetCheck {
  readonly differences: VtdDifference[] = [];
  readonly compared: Record<string, number> = {};
  private readonly expected: VtdExpectation;
  private readonly memory: GuestMemory;
  private readonly unit: VtdUnit;
  private readonly registers: readonly VtdRegisterValue[];
  private readonly out = newTranslation();
  private readonly frcd: number;

  constructor(files: VtdSetFiles) {
    this.expected = files.expected;
    this.memory = vtdMemory(files);
    this.unit = vtdUnitOf(files, this.memory);
    this.registers = vtdRegisterValues(files.expected);
    this.frcd = this.unit.capabilities.faultRegisters;
  }

  run(): VtdCheck {
    const { expected } = this;
    this.unit.load(this.registers);
    this.checkRegisters();
    expected.devices?.forEach(({ source_id, domain }, i) => {
      this.checkDevice(`devices[${i}]`, source_id, domain);
    });
    expected.probes?.forEach((probe, i) => {
      this.count('probes');
      this.checkProbe(`probes[${i}]`, probe);
    });
    expected.mutations?.forEach((mutation, i) => {
      this.count('mutations');
      this.checkMutation(`mutations[${i}] (${mutation.name})`, mutation);
    });
    this.checkKernelMaps();
    this.checkVfioMaps();
    this.checkLiveTranslations();
    return { differences: this.differences, compared: this.compared };
  }

  private count(section: string): void {
    this.compared[section] = (this.compared[section] ?? 0) + 1;
  }

  private compare(where: string, what: string, expected: string | number, found: string | number): boolean {
    if (expected === found) return true;
    this.differences.push({ where, what, expected: String(expected), found: String(found) });
    return false;
  }

  private compareHex(where: string, what: string, expected: bigint | number, found: bigint | number): void {
    this.compare(where, what, `0x${expected.toString(16)}`, `0x${found.toString(16)}`);
  }

  private translate(sourceId: number, address: number, access: number): Translated {
    this.unit.load(this.registers);
    return this.unit.translate(sourceId, NO_PASID, address, access, this.out);
  }

  private checkRegisters(): void {
    for (const [name, { size }] of Object.entries(this.expected.registers)) {
      if (NOT_READ_BACK.includes(name)) continue;
      const { offset, value } = this.registers[Object.keys(this.expected.registers).indexOf(name)]!;
      this.count('registers');
      this.compareHex(`registers.${name}`, 'value', value, BigInt(this.unit.read(offset, size === 8 ? 8 : 4)));
    }
  }

  private checkDevice(where: string, sourceId: number, domain: number | undefined): void {
    this.count('devices');
    const walk = this.unit.spectator();
    if (!this.compare(where, 'fault reason of its entry', 0, walk.locate(sourceId, NO_PASID))) return;
    if (domain !== undefined) this.compare(where, 'domain', domain, walk.domain);
  }

  private checkProbe(where: string, probe: VtdProbe): void {
    const { unit, out } = this;
    const address = hexAddress(`${where}.iova`, probe.iova);
    const write = probe.access === 'write';
    const result = this.translate(probe.sid, address, write ? ACCESS.WRITE : ACCESS.READ);
    // A read of the interrupt range is no memory access either: the unit blocks it without a record.
    const found =
      result === TRANSLATED.BLOCKED && !write && probe.result === 'interrupt-range'
        ? 'interrupt-range'
        : RESULT_NAMES[result]!;
    const fsts = unit.read(VTD_REG.FSTS.at, 4);
    const high = unit.read(this.frcd + VTD_FRCD.HIGH, 8);
    if (!this.compare(where, 'result', probe.result, found)) {
      if (result === TRANSLATED.FAULT)
        this.compare(where, 'reason', probe.reason ?? 'none', Number((high >> 32n) & 0xffn));
      return;
    }
    if (probe.pa !== undefined) this.compareHex(where, 'pa', hex64(`${where}.pa`, probe.pa), out.physical);
    if (probe.page_mask !== undefined)
      this.compareHex(where, 'page_mask', hex64(`${where}.page_mask`, probe.page_mask), out.pageMask);
    if (probe.reason !== undefined) this.compare(where, 'reason', probe.reason, Number((high >> 32n) & 0xffn));
    if (probe.frcd_hi !== undefined) {
      const mask = ~IGNORED_FRCD_HIGH;
      this.compareHex(where, 'frcd_hi', hex64(`${where}.frcd_hi`, probe.frcd_hi) & mask, high & mask);
    }
    if (probe.frcd_lo !== undefined)
      this.compareHex(where, 'frcd_lo', hex64(`${where}.frcd_lo`, probe.frcd_lo), unit.read(this.frcd, 8));
    if (probe.fsts !== undefined) this.compareHex(where, 'fsts', hex64(`${where}.fsts`, probe.fsts), fsts);
    else this.compare(where, 'faults recorded', 0, fsts);
  }

  private checkMutation(where: string, mutation: VtdMutation): void {
    const undo = mutation.edits.map(({ gpa, qword }, i) => {
      const at = hexAddress(`${where}.edits[${i}].gpa`, gpa);
      const before = this.memory.read(at, 8);
      const bytes = new Uint8Array(8);
      new DataView(bytes.buffer).setBigUint64(0, hex64(`${where}.edits[${i}].qword`, qword), true);
      this.memory.write(at, bytes);
      return { at, before };
    });
    this.checkProbe(where, mutation);
    for (const { at, before } of undo.reverse()) this.memory.write(at, before);
  }

  private checkKernelMaps(): void {
    const { kernel_maps: maps, source_id: sourceId } = this.expected;
    if (maps === undefined || sourceId === undefined) return;
    maps.live?.forEach(([iova, pa], i) => {
      this.count('kernel_maps.live');
      const where = `kernel_maps.live[${i}]`;
      // The record does not say for which direction: one of them has to be allowed.
      const address = hexAddress(where, iova);
      let result = this.translate(sourceId, address, ACCESS.READ);
      if (result !== TRANSLATED.OK) result = this.translate(sourceId, address, ACCESS.WRITE);
      if (!this.compare(where, 'result', 'ok', RESULT_NAMES[result]!)) return;
      this.compareHex(where, 'pa', hex64(where, pa), this.out.physical);
    });
    maps.unmapped_before?.forEach((iova, i) => {
      for (const access of [ACCESS.READ, ACCESS.WRITE]) {
        this.count('kernel_maps.unmapped_before');
        const result = this.translate(sourceId, hexAddress(`kernel_maps.unmapped_before[${i}]`, iova), access);
        this.compare(`kernel_maps.unmapped_before[${i}]`, `result of access ${access}`, 'fault', RESULT_NAMES[result]!);
      }
    });
  }

  private checkVfioMaps(): void {
    const { vfio_maps: maps, source_id: sourceId } = this.expected;
    if (maps === undefined || sourceId === undefined) return;
    maps.list.forEach(([iova, pa, size, permissions], i) => {
      const where = `vfio_maps[${i}]`;
      // The driver gives write-only areas read access too.
      const allowed = permissions === ACCESS.WRITE ? ACCESS.READ | ACCESS.WRITE : permissions;
      const first = hexAddress(where, iova);
      const bytes = hexAddress(where, size);
      const target = hexAddress(where, pa);
      for (let at = 0; at < bytes; ) {
        this.count('vfio_maps');
        const result = this.translate(sourceId, first + at, ACCESS.READ);
        if (!this.compare(where, `result at +0x${at.toString(16)}`, 'ok', RESULT_NAMES[result]!)) return;
        this.compareHex(where, `pa of +0x${at.toString(16)}`, target + at, this.out.physical);
        this.compare(where, `permissions at +0x${at.toString(16)}`, allowed, this.out.allowed);
        at += this.out.pageMask + 1 - ((first + at) % (this.out.pageMask + 1));
      }
    });
  }

  private checkLiveTranslations(): void {
    this.expected.live_translations?.list.forEach(([sourceId, iova, pa, mask], i) => {
      this.count('live_translations');
      const where = `live_translations[${i}]`;
      const address = hexAddress(where, iova);
      let result = this.translate(sourceId, address, ACCESS.READ);
      if (result !== TRANSLATED.OK) result = this.translate(sourceId, address, ACCESS.WRITE);
      if (!this.compare(where, 'result', 'ok', RESULT_NAMES[result]!)) return;
      this.compareHex(where, 'pa', hex64(where, pa), this.out.physical);
      this.compareHex(where, 'mask', hex64(where, mask), this.out.pageMask);
    });
  }
}
