import type { VdpaVectorPlan } from './vdpa-interrupts.js';
import type { VdpaQueueSetup } from './vdpa-transport.js';

/** One MSI-X message as the host wants it written. */
export interface VdpaMessage {
  readonly addressLo: number;
  readonly addressHi: number;
  readonly data: number;
}

/**
 * The registers of a virtio function, as a driver accesses them: what {@link VpVdpa} needs of a `PciTransport` of
 * `@ringwire/guest-drivers`, which is one.
 */
export interface VirtioRegisters {
  readonly deviceId: number;
  readonly queueLimit: number;
  readonly configBytes: number;
  readonly unusable: readonly number[];
  readonly vectorLimit: number;
  status(): number;
  setStatus(value: number): void;
  deviceFeatures(word: number): number;
  setDriverFeatures(word: number, bits: number): void;
  configGeneration(): number;
  readConfig(at: number, bytes: 1 | 2 | 4): number;
  queueSizeMax(index: number): number;
  /** @returns what is wrong with the device */
  enableQueue(index: number, setup: VdpaQueueSetup, features: Uint32Array): { readonly message: string } | undefined;
  queueEnabled(index: number): boolean;
  resetQueue(index: number): void;
  queueResetDone(index: number): boolean;
  notify(index: number, data: number): void;
  mapVectors(plan: VdpaVectorPlan, messages: readonly VdpaMessage[]): boolean;
  unmapVectors(): void;
  interruptCause(): number;
}
