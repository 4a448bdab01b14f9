import type { DmaMemory, MmioAccess, MsixMessage, PciAccess, Transport } from '@ringwire/guest-drivers';
import type { LabPort } from './lab-port.js';

/** How a driver reaches a device: by registers of its own, or by a transport that somebody else made. */
type RigAccess =
  | { readonly kind: 'pci'; readonly pci: PciAccess }
  | { readonly kind: 'mmio'; readonly mmio: MmioAccess }
  | { readonly kind: 'vdpa'; readonly transport: Transport };

/** A network device to be driven, and the far end of its cable. */
export interface Rig {
  readonly access: RigAccess;
  readonly dma: DmaMemory;
  readonly messages: readonly MsixMessage[];
  readonly port: LabPort;
  /** The device works when it is told to; otherwise it runs by itself, in a thread of its own. */
  readonly inTurns: boolean;
  /** Interrupts since the last call: vectors, 0 for the line. */
  takeInterrupts(): readonly number[];
  /** Whether there is a line, and an event on it that is not acknowledged. */
  isLineUp(): boolean;
  /** The device's turn, or some time for it. @returns whether it did anything, as far as one can tell */
  step(): boolean;
  /** Nothing of it touches memory any more when this is over. */
  close(): void | Promise<void>;
}

/** What a device is made for. */
export interface RigWish {
  readonly iommu: boolean;
  /** Most queue pairs. */
  readonly pairs: number;
}

/** Makes the devices of one backend. */
export interface Backend {
  /** As it stands in reports, such as `vdpa-82599`. */
  readonly name: string;
  /** For people: what drives what. */
  readonly title: string;
  readonly vendor: string;
  /** As of its {@link Rig}s. */
  readonly inTurns: boolean;
  /** Why there is no device with so many queue pairs; undefined where there is. */
  cannot?(pairs: number): string | undefined;
  open(wish: RigWish): Rig;
}
