import type { DmaMemory, MmioAccess, MsixMessage, PciAccess, Transport } from '@ringwire/guest-drivers';

/**
 * The machine that a driver finds itself in. The driver needs nothing of this project: all that it uses is plain methods and
 * memory.
 */
export interface GuestMachine {
  /**
   * The device's registers, ready to be used, whatever they are behind. A driver with register code of its own leaves it
   * alone and takes {@link pci} or {@link mmio}.
   */
  readonly transport: Transport;
  /** The PCI function, where the device is one. */
  readonly pci?: PciAccess;
  /** The registers of virtio-mmio, where the device has them. */
  readonly mmio?: MmioAccess;
  /** Memory that the device reaches: `allocate` gives addresses for it, `space` says where the driver finds their bytes. */
  readonly dma: DmaMemory;
  /** MSI-X messages that the machine can receive, one per vector: {@link GuestDriver.interrupt} gets the vector's number. */
  readonly messages: readonly MsixMessage[];
  /** A clock in ms that never goes back. */
  now(): number;
  /** Wait a little: the device goes on meanwhile. To be called between two reads of a register that is to change. */
  pause(): void;
  /** A frame came in: its bytes, which the machine copies. */
  receive(frame: Uint8Array): void;
}

/** A driver at work. What it makes available while one of these runs, it has made known to the device when it returns. */
export interface GuestDriver {
  /** The station's address, 6 bytes. */
  readonly mac: Uint8Array;
  /** As the device says; left out by a driver that does not say. */
  readonly isLinkUp?: boolean;
  /** The driver gave the device up for good. */
  readonly isBroken?: boolean;
  /** Take a frame to be sent, good during the call. @returns false: no room now, or none of that length */
  transmit(frame: Uint8Array): boolean;
  /** Frames that {@link transmit} took go to the device now, where that is not done at once. */
  flush?(): void;
  /** An interrupt came in. @param vector its number; 0 where there is one line */
  interrupt?(vector: number): void;
  /** Do what there is to do. @returns whether there was anything */
  poll(): boolean;
  /** Look after the device's state: ten times a second. */
  watch?(): void;
  /** Stop the device until {@link resume}, its state kept; asked for with SUSPEND negotiated alone. */
  suspend?(): void;
  resume?(): void;
  /** Reset the first pair of queues and set it up anew; asked for with RING_RESET negotiated alone. */
  restart?(): void;
  /** Give the device back: nothing of it reaches memory any more, and all memory is free. */
  stop(): void;
}

/** Why a driver does not take a device into use. */
export interface DriverRefusal {
  readonly refused: string;
}

/** What a driver's module exports under the name `openDriver`: bring the device up. */
export type OpenDriver = (machine: GuestMachine) => GuestDriver | DriverRefusal;

/** A driver to be certified. */
export interface DriverModule {
  /** For reports. */
  readonly name: string;
  readonly openDriver: OpenDriver;
}
