import type { VirtioDevice } from '../virtio-device.js';

/** Which events the device has interrupted for. */
export interface Interrupts {
  readonly used: boolean;
  readonly config: boolean;
}

/** Addresses and size of a queue, as a driver writes them into registers; what is left out is not written. */
export interface QueuePlace {
  readonly size?: number;
  readonly desc?: number | bigint;
  readonly driver?: number | bigint;
  readonly device?: number | bigint;
}

/** A device's registers as a driver knows them, the same for every transport. Nothing is checked, and nothing spared. */
export interface Face {
  readonly name: 'mmio' | 'pci';
  readonly device: VirtioDevice;
  status(): number;
  setStatus(value: number): void;
  offered(select: number): number;
  accept(select: number, word: number): void;
  /** Queue Size that the registers show: what is offered (MMIO), or what holds (PCI). */
  queueSize(index: number): number;
  place(index: number, place: QueuePlace): void;
  /** Write the enable register. */
  enable(index: number, value?: number): void;
  enabled(index: number): number;
  /** Write the reset register. */
  resetQueue(index: number, value?: number): void;
  resetting(index: number): number;
  kick(index: number): void;
  config(at: number, bytes: number): number;
  writeConfig(at: number, bytes: number, value: number): void;
  generation(): number;
  /** What the device interrupted for since the last call; acknowledged. */
  takeInterrupts(): Interrupts;
  /** Called when an interrupt arrives. */
  onInterrupt: () => void;
}

/** Low and high word of an address. */
export function halves(address: number | bigint): [lo: number, hi: number] {
  const value = BigInt(address);
  return [Number(value & 0xffff_ffffn), Number(value >> 32n)];
}
