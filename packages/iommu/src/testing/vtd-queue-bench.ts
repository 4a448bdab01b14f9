import type { VtdUnitConfig } from '../vtd-unit-config.js';
import { REG, VtdBench } from './vtd-bench.js';

export const QUEUE = 0x8_0000;
export const STATUS: number = 0x9_0000;
export const QIE = 0x0400_0000;
export const GLOBAL_IOTLB = [0x12n, 0n] as const;
/** Invalidation wait with status write of `data`. */
export const wait = (data: number, address = STATUS): readonly [bigint, bigint] => [
  (BigInt(data) << 32n) | 0x25n,
  BigInt(address),
];

/** A unit with an invalidation queue of 256 descriptors in use. */
export class QueueBench extends VtdBench {
  /** Byte offset where the next descriptor goes. */
  tail = 0;

  constructor(config: Omit<VtdUnitConfig, 'memory' | 'sink'> = {}) {
    super({ capabilities: { domainBits: 16, deviceTlb: true }, ...config });
    this.unit.write(REG.IQA, 8, BigInt(QUEUE));
    this.unit.write(REG.GCMD, 4, QIE);
  }

  /** Queue descriptors of 128 bits and ring the doorbell. */
  submit(...descriptors: (readonly [bigint, bigint])[]): void {
    for (const [low, high] of descriptors) {
      this.put(QUEUE + this.tail, low, high);
      this.tail = (this.tail + 16) % 4096;
    }
    this.unit.write(REG.IQT, 4, this.tail);
  }

  get fsts(): number {
    return this.unit.read(REG.FSTS, 4);
  }

  /** What the last wait wrote. */
  status(): number {
    return Number(this.quad(STATUS) & 0xffff_ffffn);
  }
}
