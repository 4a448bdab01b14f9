import { existsSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { GuestMemory, HostMemory } from '@ringwire/guest-memory';
import { VTD_FAULT_STYLE, VTD_REG, type VtdRegister, type VtdRegisterValue, VtdUnit } from '@ringwire/iommu';
import { z } from 'zod';
import { readJson } from './input-file.js';
import { type MemoryDump, readDump } from './memory-dump.js';
import { UnusableInput } from './terminal.js';

/** Whose fault codes a report has. */
export type FaultCodes = 'specification' | 'qemu';

export interface VtdDumpOptions {
  /** A JSON file with the registers, instead of those in expected.json. */
  readonly registers?: string;
  /** Guest address of the first byte of a raw dump. */
  readonly base?: bigint;
  /** Bits of a physical address. */
  readonly addressWidth?: number;
  readonly faultCodes?: FaultCodes;
}

/** A VT-d unit over a memory dump, its registers as they were. */
export interface VtdDump {
  readonly unit: VtdUnit;
  readonly faultCodes: FaultCodes;
  readonly dump: MemoryDump;
}

const Hex64 = z.string().regex(/^0x[0-9a-f]{1,16}$/i, 'want a hex number such as 0x5452000');
const Registers = z.record(
  z.string(),
  z.object({
    offset: Hex64.transform((text) => Number(text)).refine((at) => at < 4096, 'want an offset below 0x1000'),
    size: z.union([z.literal(4), z.literal(8)]),
    value: Hex64.transform((text) => BigInt(text)),
  }),
);
type Registers = z.infer<typeof Registers>;

const Expected = z.object({
  registers: Registers,
  capture: z.object({ iommu: z.string().optional(), qemu: z.string().optional() }).optional(),
});

/** Without these nothing can be said of a walk. */
const NEEDED: readonly VtdRegister[] = ['CAP', 'ECAP', 'GSTS', 'RTADDR'];

/**
 * @param path a folder with pages.json, pages.bin and expected.json, one of the two JSON files, or a raw dump of memory
 * @throws UnusableInput, VirtioError
 */
export function readVtdDump(path: string, options: VtdDumpOptions): VtdDump {
  const index = indexOf(path);
  const dump = readDump(index ?? path, options.base ?? 0n);
  const { registers, capture } = described(index, options);
  const faultCodes = options.faultCodes ?? (capture?.qemu === undefined ? 'specification' : 'qemu');
  // No register says it; QEMU takes it from the same option as the largest input address.
  const captured = /aw-bits=(\d+)/.exec(capture?.iommu ?? '')?.[1];
  const width = options.addressWidth ?? (captured === undefined ? undefined : Number(captured));
  const { VER: version, CAP: cap, ECAP: ecap } = registers;
  const unit = new VtdUnit({
    memory: memoryOf(dump),
    sink: { all() {}, domain() {}, pages() {}, requester() {} },
    capabilities: { cap: cap!.value, ecap: ecap!.value },
    ...(version === undefined ? {} : { version: Number(version.value) }),
    ...(width === undefined ? {} : { hostAddressWidth: width }),
    faultStyle: faultCodes === 'qemu' ? VTD_FAULT_STYLE.QEMU : VTD_FAULT_STYLE.SPECIFICATION,
  });
  unit.load(Object.values(registers) satisfies VtdRegisterValue[]);
  return { unit, faultCodes, dump };
}

/** The list of pages that the path means; null for a raw dump. */
function indexOf(path: string): string | null {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return join(path, 'pages.json');
  if (basename(path) === 'expected.json') return join(dirname(path), 'pages.json');
  return path.endsWith('.json') ? path : null;
}

function described(index: string | null, { registers: file }: VtdDumpOptions): z.infer<typeof Expected> {
  if (file !== undefined) return { registers: complete(readJson(file, Registers), file) };
  if (index === null) throw new UnusableInput('a raw dump of memory wants --registers beside it');
  const path = join(dirname(index), 'expected.json');
  if (!existsSync(path)) throw new UnusableInput(`want --registers, or registers in ${path}, which is not there`);
  const expected = readJson(path, Expected);
  return { ...expected, registers: complete(expected.registers, path) };
}

function complete(registers: Registers, path: string): Registers {
  for (const name of NEEDED) {
    const { at, bytes } = VTD_REG[name];
    const found = registers[name];
    if (found === undefined) throw new UnusableInput(`${path} has no register ${name}`);
    if (found.offset !== at || found.size !== bytes) {
      const want = `want offset 0x${at.toString(16)} and size ${bytes}`;
      throw new UnusableInput(
        `${path}: register ${name} has offset 0x${found.offset.toString(16)} and size ${found.size}, ${want}`,
      );
    }
  }
  return registers;
}

const ALIGNMENT = 8;

function memoryOf({ pieces }: MemoryDump): GuestMemory {
  let end = 0;
  const regions = pieces.map(({ address, bytes }) => {
    // An entry that is aligned in the guest is aligned in the host.
    const host = Math.ceil(end / ALIGNMENT) * ALIGNMENT + Number(address % BigInt(ALIGNMENT));
    end = host + bytes.length;
    return { gpa: Number(address), size: bytes.length, host };
  });
  const memory = HostMemory.create(Math.max(end, 1));
  for (const [i, { bytes }] of pieces.entries()) memory.u8.set(bytes, regions[i]!.host);
  return new GuestMemory(memory, regions);
}
