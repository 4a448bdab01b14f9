import {
  guestDma,
  isBreakdown,
  NET_DRIVER_FEATURES,
  type NetDriver,
  openNetDriver,
  openPciTransport,
  SENT,
} from '@ringwire/guest-drivers';
import { GuestMemory, HostMemory, PageAllocator } from '@ringwire/guest-memory';
import { FrameQueue, LoopbackBackend } from '@ringwire/net-backend';
import { type DeviceTrace, type FrameTrace, NET_SCRATCH_BYTES, NetDevice, VirtioPci } from '@ringwire/virtio-device';
import { VIRTIO_F } from '@ringwire/virtio-spec';

const RAM = 0x1_0000_0000;
const RAM_BYTES = 0x100_0000;
const CABLE_BYTES = 0x10_0000;
const STATION = Uint8Array.of(0x52, 0x54, 0x00, 0x12, 0x34, 0x56);
/** IEEE 802: for local experiments. */
const ETHERTYPE = [0x88, 0xb5];
const VECTORS = 4;
/** Where messages go on a PC; here it is not looked at. */
const MESSAGES_AT = 0xfee0_0000;
/** Turns without a frame after which device and driver are taken to be at rest, and turns at most. */
const IDLE_TURNS = 3;
const MOST_TURNS = 10_000;

export interface MachineOptions {
  readonly packed: boolean;
  readonly trace?: DeviceTrace;
  readonly frameTrace?: FrameTrace;
}

/** A guest with a network device over PCI, both in this thread, and a cable that brings back what is sent. */
export class LoopedMachine {
  readonly guest: GuestMemory;
  readonly net: NetDevice;
  readonly virtio: VirtioPci;
  readonly driver: NetDriver;
  received = 0;
  private readonly raised: number[] = [];
  private sequence = 0;

  constructor({ packed, trace, frameTrace }: MachineOptions) {
    const memory = HostMemory.create(RAM_BYTES + NET_SCRATCH_BYTES + CABLE_BYTES);
    this.guest = new GuestMemory(memory, [{ gpa: RAM, size: RAM_BYTES, host: 0 }]);
    const cable = new FrameQueue(memory, RAM_BYTES + NET_SCRATCH_BYTES, CABLE_BYTES, 256);
    this.net = new NetDevice({
      memory,
      scratch: RAM_BYTES,
      backend: new LoopbackBackend(cable),
      mac: STATION,
      ...(frameTrace === undefined ? {} : { trace: frameTrace }),
    });
    this.virtio = new VirtioPci({
      model: this.net,
      space: this.guest,
      host: { sendMessage: (_low, _high, data) => this.raised.push(data), setIntx: () => {} },
      ...(trace === undefined ? {} : { trace }),
    });
    this.driver = this.open(packed);
  }

  /** Send a frame of so many bytes to the device itself. @returns whether the driver had room for it */
  send(bytes: number): boolean {
    const frame = new Uint8Array(bytes);
    frame.set(STATION);
    frame.set(STATION, 6);
    frame.set(ETHERTYPE, 12);
    new DataView(frame.buffer).setUint32(14, this.sequence++);
    return this.driver.sendBytes(frame) === SENT.OK;
  }

  /** Device and driver take turns until nothing moves. */
  settle(): void {
    for (let turns = 0, idle = 0; turns < MOST_TURNS && idle < IDLE_TURNS; turns++) {
      const moved = this.virtio.device.step(64) + this.turnDriver();
      idle = moved === 0 ? idle + 1 : 0;
    }
  }

  private turnDriver(): number {
    const vectors = this.raised.splice(0);
    for (const vector of vectors) this.driver.interrupt(vector);
    let frames = 0;
    while (this.driver.needsPoll) frames += this.driver.poll(64);
    return vectors.length + frames;
  }

  private open(packed: boolean): NetDriver {
    const transport = openPciTransport(this.virtio.pci);
    if (isBreakdown(transport)) throw new Error(transport.message);
    const features = NET_DRIVER_FEATURES.slice();
    if (!packed) features[VIRTIO_F.RING_PACKED >>> 5]! &= ~(1 << (VIRTIO_F.RING_PACKED & 31));
    const driver = openNetDriver({
      transport,
      dma: guestDma(this.guest, new PageAllocator(RAM, RAM_BYTES)),
      now: () => performance.now(),
      features,
      messages: Array.from({ length: VECTORS }, (_, data) => ({ addressLo: MESSAGES_AT, addressHi: 0, data })),
      events: {
        frame: () => {
          this.received++;
        },
      },
    });
    if (isBreakdown(driver)) throw new Error(driver.message);
    return driver;
  }
}
