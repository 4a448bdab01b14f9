import { GuestMemory, HostMemory } from '@ringwire/guest-memory';
import { VirtioError } from '@ringwire/virtio-spec';
import { VTD_FAULT_STYLE } from '../vtd-reasons.js';
import { VtdUnit } from '../vtd-unit.js';
import type { VtdRegisterValue } from '../vtd-unit-config.js';

/** A recorded set of kind `vtd` or `vtd-tables`, as far as the unit's checks use it. Addresses are hex strings. */
export interface VtdExpectation {
  readonly capture?: { readonly iommu?: string | undefined; readonly qemu?: string | undefined } | undefined;
  readonly source_id?: number | undefined;
  readonly registers: Readonly<
    Record<string, { readonly offset: string; readonly size: number; readonly value: string }>
  >;
  readonly devices?: readonly { readonly source_id: number; readonly domain?: number | undefined }[] | undefined;
  readonly probes?: readonly VtdProbe[] | undefined;
  readonly mutations?: readonly VtdMutation[] | undefined;
  readonly kernel_maps?:
    | {
        readonly live?: readonly (readonly [iova: string, pa: string])[] | undefined;
        readonly unmapped_before?: readonly string[] | undefined;
      }
    | undefined;
  readonly vfio_maps?:
    | {
        readonly list: readonly (readonly [
          iova: string,
          pa: string,
          size: string,
          permissions: number,
          remark?: string | undefined,
        ])[];
      }
    | undefined;
  readonly live_translations?:
    | { readonly list: readonly (readonly [sourceId: number, iova: string, pa: string, mask: string])[] }
    | undefined;
}

/** One access and what became of it. */
export interface VtdProbe {
  readonly sid: number;
  readonly iova: string;
  readonly access: string;
  readonly result: string;
  readonly pa?: string | undefined;
  readonly page_mask?: string | undefined;
  readonly reason?: number | undefined;
  readonly frcd_hi?: string | undefined;
  readonly frcd_lo?: string | undefined;
  readonly fsts?: string | undefined;
}

/** A probe after 64-bit writes into the image. */
export interface VtdMutation extends VtdProbe {
  readonly name: string;
  readonly edits: readonly { readonly gpa: string; readonly qword: string }[];
}

export interface VtdPages {
  readonly page_size: number;
  readonly pages: readonly { readonly gpa: string; readonly offset: number }[];
}

/** The files of a set's folder. */
export interface VtdSetFiles {
  /** expected.json, parsed. */
  readonly expected: VtdExpectation;
  /** pages.json, parsed. */
  readonly pages: VtdPages;
  /** pages.bin. */
  readonly bytes: Uint8Array;
}

const HERE = 'golden/sets/README.md';

/** A hex string as 64 bits. */
export function hex64(field: string, text: unknown): bigint {
  if (typeof text !== 'string' || !/^0x[0-9a-f]{1,16}$/i.test(text))
    throw new VirtioError(field, String(text), 'a hex number such as 0x5452000', HERE);
  return BigInt(text);
}

/** A hex string as a number; past 2^53 only its page is kept, which is exact. */
export function hexAddress(field: string, text: unknown): number {
  const value = hex64(field, text);
  return Number(value < 2n ** 53n ? value : value & ~0xfffn);
}

/** The saved pages and nothing else as physical memory. */
export function vtdMemory({ pages, bytes }: VtdSetFiles): GuestMemory {
  const memory = HostMemory.create(Math.max(bytes.length, 1));
  memory.u8.set(bytes);
  const size = pages.page_size;
  return new GuestMemory(
    memory,
    pages.pages.map(({ gpa, offset }, i) => ({ gpa: hexAddress(`pages[${i}].gpa`, gpa), size, host: offset })),
  );
}

/** Registers of a set as numbers. @throws Error for one that is not hexadecimal */
export function vtdRegisterValues({ registers }: VtdExpectation): VtdRegisterValue[] {
  return Object.entries(registers).map(([name, { offset, size, value }]) => ({
    offset: hexAddress(`registers.${name}.offset`, offset),
    size: size === 8 ? 8 : 4,
    value: hex64(`registers.${name}.value`, value),
  }));
}

/** A unit with the set's capabilities over its memory, registers not yet loaded. */
export function vtdUnitOf(files: VtdSetFiles, memory: GuestMemory): VtdUnit {
  const { registers, capture } = files.expected;
  const registerValue = (name: string): bigint => hex64(`registers.${name}.value`, registers[name]?.value);
  // The host address width is no register; QEMU takes it from the same option as the largest input address.
  const width = /aw-bits=(\d+)/.exec(capture?.iommu ?? '')?.[1];
  return new VtdUnit({
    memory,
    sink: { all() {}, domain() {}, pages() {}, requester() {} },
    capabilities: { cap: registerValue('CAP'), ecap: registerValue('ECAP') },
    version: Number(registerValue('VER')),
    ...(width === undefined ? {} : { hostAddressWidth: Number(width) }),
    faultStyle: capture?.qemu === undefined ? VTD_FAULT_STYLE.SPECIFICATION : VTD_FAULT_STYLE.QEMU,
  });
}
