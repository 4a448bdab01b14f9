import { ACCESS } from '@ringwire/guest-memory';
import {
  explainWalk,
  NO_PASID,
  newTranslation,
  TRANSLATED,
  type Translation,
  type VtdUnit,
  vtdFaultName,
} from '@ringwire/iommu';
import { hex, type MemoryReader, type Presence } from '@ringwire/ring-oracle';

/** Bytes of physical memory. */
export interface PhysicalRun {
  readonly address: bigint;
  readonly length: number;
}

/** Memory as a set's device reaches it: addresses are those that stand in its rings. */
export interface DeviceMemory extends MemoryReader {
  /** Where the device's access to a range goes, or what stops it. */
  reach(address: bigint, length: number, access: 'read' | 'write'): readonly PhysicalRun[] | string;
}

/** The device uses physical addresses. */
export function directMemory(physical: MemoryReader): DeviceMemory {
  return {
    read: (address, length) => physical.read(address, length),
    probe: (address, length) => physical.probe(address, length),
    reach: (address, length) => [{ address, length }],
  };
}

const ADDRESS_LIMIT = 1n << 53n;

/** The device stands behind an IOMMU: every page of every access is translated for its source id. */
export class IommuMemory implements DeviceMemory {
  readonly #unit: VtdUnit;
  readonly #sourceId: number;
  readonly #physical: MemoryReader;
  readonly #out: Translation = newTranslation();

  constructor(unit: VtdUnit, sourceId: number, physical: MemoryReader) {
    this.#unit = unit;
    this.#sourceId = sourceId;
    this.#physical = physical;
  }

  read(address: bigint, length: number): Uint8Array | null {
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const run = this.#anyRun(address + BigInt(done), BigInt(length - done));
      const part = run === null ? null : this.#physical.read(run.address, run.length);
      if (part === null) return null;
      bytes.set(part, done);
      done += part.length;
    }
    return bytes;
  }

  /** What the tables do not map is known to be no memory of this device. */
  probe(address: bigint, length: bigint): Presence {
    const end = address + length;
    let unsaved: Presence | undefined;
    for (let at = address; at < end; ) {
      const run = this.#anyRun(at, end - at);
      if (run === null) return { state: 'unmapped', at };
      const presence = this.#physical.probe(run.address, BigInt(run.length));
      if (presence.state !== 'saved') {
        const found: Presence = { state: presence.state, at: at + (presence.at - run.address) };
        if (found.state === 'unmapped') return found;
        unsaved ??= found;
      }
      at += BigInt(run.length);
    }
    return unsaved ?? { state: 'saved' };
  }

  reach(address: bigint, length: number, access: 'read' | 'write'): readonly PhysicalRun[] | string {
    const runs: PhysicalRun[] = [];
    for (let done = 0; done < length; ) {
      const at = address + BigInt(done);
      const run = this.#run(at, BigInt(length - done), access === 'read' ? ACCESS.READ : ACCESS.WRITE);
      if (run === null) return `${access} of ${hex(at)} by source id ${hex(this.#sourceId)}: ${this.#why(at, access)}`;
      runs.push(run);
      done += run.length;
    }
    return runs;
  }

  /** Whether the device reads or writes there is not asked. */
  #anyRun(address: bigint, length: bigint): PhysicalRun | null {
    return this.#run(address, length, ACCESS.READ) ?? this.#run(address, length, ACCESS.WRITE);
  }

  /** The beginning of a range, as far as its page goes. */
  #run(address: bigint, length: bigint, access: number): PhysicalRun | null {
    if (address >= ADDRESS_LIMIT) return null;
    const out = this.#out;
    const result = this.#unit.translate(this.#sourceId, NO_PASID, Number(address), access, out);
    if (result !== TRANSLATED.OK && result !== TRANSLATED.PASS_THROUGH) return null;
    const left = out.pageMask + 1 - (out.physical % (out.pageMask + 1));
    return { address: BigInt(out.physical), length: length < left ? Number(length) : left };
  }

  #why(address: bigint, access: 'read' | 'write'): string {
    if (address >= ADDRESS_LIMIT) return 'an address past 2^53';
    const bits = access === 'read' ? ACCESS.READ : ACCESS.WRITE;
    const { result, reason } = explainWalk(this.#unit, this.#sourceId, NO_PASID, Number(address), bits);
    return reason === 0 ? result : `${result} ${hex(reason)} ${vtdFaultName(reason)}`;
  }
}
