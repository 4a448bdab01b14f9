import { type DmaMemory, guestDma, type MsixMessage } from '@ringwire/guest-drivers';
import { GuestMemory, HostMemory, PageAllocator } from '@ringwire/guest-memory';
import { NET_SCRATCH_BYTES } from '@ringwire/virtio-device';
import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { CountedSpace, type Ledger } from './ledger.js';

export const RAM = 0x1_0000_0000;
export const RAM_BYTES = 0x80_0000;
const GUESTS = 3;
const OWN = GUESTS * RAM_BYTES;
const OWN_BYTES = 0x40_0000;

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
  private readonly guests: readonly GuestMemory[];
  private readonly pages: readonly PageAllocator[];

  constructor() {
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

  /** The same for its device, counted. */
  space(guest: number, ledger: Ledger): CountedSpace {
    return new CountedSpace(this.guests[guest]!, ledger);
  }

  scratch(): number {
    return this.own.allocate(NET_SCRATCH_BYTES);
  }

  static mac(guest: number): Uint8Array {
    return Uint8Array.of(2, 0, 0, 0, 0, guest + 1);
  }

  /** What the guests' virtio drivers choose from: whole frames, and either format of rings. */
  static features(rings: 'split' | 'packed'): Uint32Array {
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
