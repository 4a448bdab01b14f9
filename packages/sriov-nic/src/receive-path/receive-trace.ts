import type { AddressSpace } from '@ringwire/guest-memory';
import type { NetBackend } from '@ringwire/net-backend';
import type { OwnedSpace } from '../sriov-nic.js';
import { TracedPort } from './traced-port.js';
import { TracedSpace } from './traced-space.js';

/** One thing that happens to a received frame on its way to a guest. */
export type ReceiveStep =
  /** The card wrote a frame. @param memory whose it was written into */
  | { readonly step: 'dma'; readonly requesterId: number; readonly memory: string; readonly bytes: number }
  /** A message of the card's reached a core, whose host takes it. */
  | {
      readonly step: 'physical interrupt';
      readonly requesterId: number;
      readonly vector: number;
      readonly core: number;
    }
  /** A core looked at a frame's headers, to find out whose it is. */
  | { readonly step: 'parse'; readonly core: number; readonly bytes: number; readonly lines: number }
  /** A core copied a frame into a guest's memory. */
  | {
      readonly step: 'copy';
      readonly core: number;
      readonly guest: string;
      readonly bytes: number;
      readonly lines: number;
    }
  /** A host made a guest take an interrupt. */
  | { readonly step: 'virtual interrupt'; readonly guest: string; readonly core: number }
  /** A message of the card's became a guest's interrupt without the host. */
  | { readonly step: 'posted interrupt'; readonly requesterId: number; readonly vector: number; readonly core: number };

/** Whose a stretch of host memory is. */
export interface MemoryOwner {
  readonly name: string;
  readonly host: number;
  readonly bytes: number;
}

/** What steps come to. */
export interface ReceiveTotals {
  dmas: number;
  dmaBytes: number;
  physicalInterrupts: number;
  parses: number;
  copies: number;
  copiedBytes: number;
  /** Lines of 64 bytes that cores read: headers that are parsed, and frames that are copied. */
  lines: number;
  virtualInterrupts: number;
  postedInterrupts: number;
}

const NOBODY = 'nobody';
const LIMIT = 10_000;

/**
 * Writes down what happens to received frames, as it happens: DMA is what a function's address space and its port of the switch
 * saw, interrupts are messages. Nothing is derived from what should happen. It is in the way of nobody who does not ask for
 * it: {@link space} and {@link port} wrap what is to be watched.
 */
export class ReceiveTrace {
  /** The first ones since the last {@link clear}, in their order. */
  readonly steps: ReceiveStep[] = [];
  /** Of all steps since the last {@link clear}, those that are not kept included. */
  totals: ReceiveTotals = newTotals();
  private readonly owners: readonly MemoryOwner[];
  private readonly limit: number;
  private readonly spaces: Map<number, TracedSpace> = new Map();

  /** @param limit steps that are kept, 10 000 unless given */
  constructor(owners: readonly MemoryOwner[], limit: number = LIMIT) {
    this.owners = owners;
    this.limit = limit;
  }

  clear(): void {
    this.steps.length = 0;
    this.totals = newTotals();
  }

  /** The way of a function to memory, watched: for `SriovNicOptions.openSpace`. */
  space(requesterId: number, space: AddressSpace & Partial<OwnedSpace>): OwnedSpace {
    const traced = new TracedSpace(space, (host) => this.ownerOf(host));
    this.spaces.set(requesterId, traced);
    return traced;
  }

  /** A function's port of the switch, watched: each frame that the function takes is a DMA of its. */
  port(requesterId: number, port: NetBackend): NetBackend {
    return new TracedPort(port, (bytes) => this.dma(requesterId, bytes));
  }

  /** A function wrote a frame. @param bytes of the frame, from the destination address on */
  dma(requesterId: number, bytes: number): void {
    this.totals.dmas++;
    this.totals.dmaBytes += bytes;
    const memory = this.spaces.get(requesterId)?.writesTo ?? NOBODY;
    this.keep({ step: 'dma', requesterId, memory, bytes });
  }

  physicalInterrupt(requesterId: number, vector: number, core: number): void {
    this.totals.physicalInterrupts++;
    this.keep({ step: 'physical interrupt', requesterId, vector, core });
  }

  postedInterrupt(requesterId: number, vector: number, core: number): void {
    this.totals.postedInterrupts++;
    this.keep({ step: 'posted interrupt', requesterId, vector, core });
  }

  parse(core: number, bytes: number, lines: number): void {
    this.totals.parses++;
    this.totals.lines += lines;
    this.keep({ step: 'parse', core, bytes, lines });
  }

  copy(core: number, guest: string, bytes: number, lines: number): void {
    this.totals.copies++;
    this.totals.copiedBytes += bytes;
    this.totals.lines += lines;
    this.keep({ step: 'copy', core, guest, bytes, lines });
  }

  virtualInterrupt(guest: string, core: number): void {
    this.totals.virtualInterrupts++;
    this.keep({ step: 'virtual interrupt', guest, core });
  }

  private keep(step: ReceiveStep): void {
    if (this.steps.length < this.limit) this.steps.push(step);
  }

  private ownerOf(host: number): string {
    for (const { name, host: from, bytes } of this.owners) if (host >= from && host < from + bytes) return name;
    return NOBODY;
  }
}

const newTotals = (): ReceiveTotals => ({
  dmas: 0,
  dmaBytes: 0,
  physicalInterrupts: 0,
  parses: 0,
  copies: 0,
  copiedBytes: 0,
  lines: 0,
  virtualInterrupts: 0,
  postedInterrupts: 0,
});
