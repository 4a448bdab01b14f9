import { type DmaDirection, wayOf } from './dma-direction.js';

/** What a {@link DmaReport} is about. */
export const DMA_MISTAKE = {
  /** An unmap of what was unmapped before. */
  DOUBLE_UNMAP: 'double unmap',
  /** An unmap of what was never mapped. */
  UNKNOWN_UNMAP: 'unmap of no mapping',
  WRONG_SIZE: 'unmap with another size',
  WRONG_DIRECTION: 'unmap with another direction',
  /** DMA that faulted on an address that was mapped before. */
  USE_AFTER_UNMAP: 'DMA after the unmap',
  /** DMA that hit an address after its unmap and before the flush. */
  STALE_HIT: 'DMA in the stale window',
  /** DMA that faulted in a mapping that lives: the wrong way, or past the buffer's pages. */
  BEYOND_RIGHTS: 'DMA against the mapping',
  /** Still mapped when the driver went. */
  LEAK: 'leak',
} as const;
/** One of {@link DMA_MISTAKE}. */
export type DmaMistake = (typeof DMA_MISTAKE)[keyof typeof DMA_MISTAKE];

/** One mapping as its calls said it. */
export interface DmaRecord {
  readonly iova: number;
  readonly bytes: number;
  readonly direction: DmaDirection;
  readonly owner: string;
  /** Number of the event that mapped it. */
  readonly mappedAt: number;
  /** Call stack of the map; empty unless stacks are captured. */
  readonly mapStack: string;
  /** Number of the event that unmapped it; 0 while it lives. */
  unmappedAt: number;
  unmappedBy: string;
  unmapStack: string;
}

/** One mistake, for people: nothing is printed anywhere. */
export interface DmaReport {
  readonly mistake: DmaMistake;
  /** All of it in one sentence. */
  readonly sentence: string;
  /** Number of the event in which it happened. */
  readonly at: number;
  /** The address that was asked for. */
  readonly iova: number;
  readonly bytes: number;
  /** Who asked: the owner of the call, or `the device`. */
  readonly by: string;
  /** The mapping that it was about; none for an address that no mapping had. */
  readonly mapping: Readonly<DmaRecord> | undefined;
}

/** `0x5008 (64 bytes, to the device, mapped by nic in event 3)` */
export function describe({ iova, bytes, direction, owner, mappedAt }: DmaRecord): string {
  return `${hex(iova)} (${bytes} bytes, ${wayOf(direction)}, mapped by ${owner} in event ${mappedAt})`;
}

export const hex = (address: number): string => `0x${address.toString(16)}`;
