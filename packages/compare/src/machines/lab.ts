import { type DmaMemory, guestDma, type MsixMessage } from '@ringwire/guest-drivers';
import { GuestMemory, HostMemory, PageAllocator } from '@ringwire/guest-memory';
import type { OwnedSpace } from '@ringwire/sriov-nic';
import type { VdpaHost, VdpaMapping } from '@ringwire/vdpa';
import { MovingRam } from '@ringwire/vdpa/testing';
import { NET_SCRATCH_BYTES } from '@ringwire/virtio-device';
import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import type { Rings } from '../architecture.js';
import { CountedSpace, type Ledger } from '../ledger.js';

/** Where guests have their RAM, and how much. */
const RAM = 0x1_0000_0000;
const RAM_BYTES = 0x40_0000;
/** The guests, and the host as one with a driver for a physical function. */
export const HOST = 2;
const GUESTS = 3;
/** Room for what a move brings. */
const SPARE = GUESTS * RAM_BYTES;
const OWN = SPARE + RAM_BYTES;
const OWN_BYTES = 0x200_0000;

/** Three messages: one for each queue of a pair, and one more. */
export const MESSAGES: readonly MsixMessage[] = [0, 1, 2].map((data) => ({
  addressLo: 0xfee0_0000,
  addressHi: 0,
  data,
}));

/** Memory of a machine: RAM of its guests, and what devices and switches work in. */
export class Lab {
  readonly memory: HostMemory = HostMemory.create(OWN + OWN_BYTES);
  /** Memory that no driver reaches. */
  readonly own: PageAllocator = new PageAllocator(OWN, OWN_BYTES);
  readonly host: VdpaHost = { memory: this.memory, pages: this.own, now: () => 0 };
  private readonly isCounted: boolean;
  private readonly guests: readonly GuestMemory[];
  private readonly pages: readonly PageAllocator[];

  /** @param isCounted devices' accesses to memory are counted */
  constructor(isCounted: boolean) {
    this.isCounted = isCounted;
    const places = Array.from({ length: GUESTS }, (_, guest) => guest);
    this.guests = places.map(
      (guest) => new GuestMemory(this.memory, [{ gpa: RAM, size: RAM_BYTES, host: guest * RAM_BYTES }]),
    );
    this.pages = places.map(() => new PageAllocator(RAM, RAM_BYTES));
  }

  /** A guest's memory, for its driver. */
  dma(guest: number): DmaMemory {
    return guestDma(this.guests[guest]!, this.pages[guest]!);
  }

  /** The same for its device, where software of the host translates. */
  space(guest: number, ledger: Ledger): OwnedSpace {
    const memory = this.guests[guest]!;
    return this.isCounted ? new CountedSpace(memory, ledger) : Object.assign(memory, { close: () => {} });
  }

  /** A function's way to memory, counted. */
  watched(space: OwnedSpace, ledger: Ledger): OwnedSpace {
    return this.isCounted ? new CountedSpace(space, ledger) : space;
  }

  /** All of a guest's RAM, as it is mapped for a device. */
  mapping(guest: number): VdpaMapping {
    return { iova: RAM, bytes: RAM_BYTES, host: guest * RAM_BYTES, access: 3 };
  }

  /** RAM of a guest that moves. */
  movingRam(guest: number): MovingRam {
    return new MovingRam(this.memory, guest * RAM_BYTES, SPARE, RAM_BYTES, RAM);
  }

  scratch(): number {
    return this.own.allocate(NET_SCRATCH_BYTES);
  }

  static mac(guest: number): Uint8Array {
    return Uint8Array.of(2, 0, 0, 0, 0, guest + 1);
  }

  /** What the guests' virtio drivers choose from: whole frames, and either format of rings. */
  static features(rings: Rings): Uint32Array {
    const bits: number[] = [
      VIRTIO_F.VERSION_1,
      VIRTIO_F.ACCESS_PLATFORM,
      VIRTIO_F.EVENT_IDX,
      VIRTIO_NET_F.MAC,
      VIRTIO_NET_F.STATUS,
      VIRTIO_NET_F.MRG_RXBUF,
    ];
    if (rings === 'packed') bits.push(VIRTIO_F.RING_PACKED);
    return featureWords(bits);
  }
}
