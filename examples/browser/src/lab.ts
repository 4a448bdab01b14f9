import { guestDma, isBreakdown, type MmioAccess, openMmioTransport } from '@ringwire/guest-drivers';
import { GuestMemory, type HostMemory, PageAllocator } from '@ringwire/guest-memory';
import type { Station } from './frames.js';
import { Guest } from './guest.js';

/** Two guests on a switch, wherever their devices run. */
export interface Lab {
  /** Devices and switch in workers of their own, or on the page. */
  readonly mode: 'threads' | 'inline';
  readonly guests: readonly [Guest, Guest];
  /** Frames that the switch sent to one port, and to all. */
  readonly switched: () => { readonly forwarded: number; readonly flooded: number };
  /** Times that the devices' threads slept; undefined inline. */
  readonly sleeps?: () => number;
  /** Keep things going: to be called some times a second. */
  watch(): void;
  close(): Promise<void>;
}

/** Where RAM is for a guest. */
const RAM = 0x1_0000_0000;
const RAM_BYTES = 0x80_0000;
const SCRATCH_BYTES = 0x4_0000;
/** Host memory of one guest: its RAM, and what its device works in. */
const GUEST_BYTES = RAM_BYTES + SCRATCH_BYTES;
/** Of both guests, in which the cables of the threads' lab begin. */
export const GUESTS_BYTES: number = 2 * GUEST_BYTES;

export const STATIONS: readonly Station[] = [1, 2].map((number) => ({
  mac: Uint8Array.of(2, 0, 0, 0, 0, number),
  ip: Uint8Array.of(10, 0, 0, number),
}));

/** Host offset of a guest's RAM, and of its device's own memory behind it. @param index 0 or 1 */
const hostOf = (index: number): number => index * GUEST_BYTES;
export const scratchOf = (index: number): number => hostOf(index) + RAM_BYTES;
/** A guest's address space. */
export const regionOf = (index: number): { gpa: number; size: number; host: number } => ({
  gpa: RAM,
  size: RAM_BYTES,
  host: hostOf(index),
});

/** Make a guest, whose driver finds its device by these registers. @throws Error when there is none */
export function makeGuest(index: number, memory: HostMemory, registers: MmioAccess): Guest {
  const transport = openMmioTransport(registers);
  if (isBreakdown(transport)) throw new Error(transport.message);
  const dma = guestDma(new GuestMemory(memory, [regionOf(index)]), new PageAllocator(RAM, RAM_BYTES));
  return new Guest(transport, dma, STATIONS[index]!, STATIONS[1 - index]!.ip);
}
