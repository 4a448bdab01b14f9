import { GuestMemory, HostMemory, PageAllocator } from '@ringwire/guest-memory';
import { FrameQueue, LoopbackBackend } from '@ringwire/net-backend';
import {
  type AdminOptions,
  NetDevice,
  type NetDeviceOptions,
  type VirtioDevice,
  VirtioMmio,
  VirtioPci,
} from '@ringwire/virtio-device';
import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import { isBreakdown } from '../breakdown.js';
import { type DmaMemory, guestDma } from '../dma-memory.js';
import { openMmioTransport } from '../mmio-transport.js';
import type { NetDriver } from '../net-driver.js';
import { openPciTransport } from '../pci-transport.js';
import type { MsixMessage, Transport } from '../transport.js';

/** Frames that wait on the cable, and the bytes for them. */
const CABLE_FRAMES = 16;
const CABLE_BYTES = 0x11_0000;
const RAM_BYTES = 0x180_0000;
const SCRATCH_BYTES = 0x1_0000;
const RAM = 0x1_0000_0000;
/** Made once: WebAssembly memories are few. */
const memory = HostMemory.create(RAM_BYTES + SCRATCH_BYTES + CABLE_BYTES);
export const STATION: Uint8Array = Uint8Array.of(2, 0, 0, 0, 0, 1);

export interface RealOptions {
  readonly transport: 'mmio' | 'pci';
  /** Feature bits of rings and transports to offer; all when left out. */
  readonly offer?: readonly number[];
  readonly device?: Partial<NetDeviceOptions>;
  /** Administration virtqueues, behind PCI. */
  readonly admin?: AdminOptions;
  /** MSI-X messages of the host; without any the interrupt line is used. */
  readonly messages?: number;
}

/** All bits that {@link VirtioDevice} can offer of those for rings and transports. */
const RING_BITS: readonly number[] = Object.values(VIRTIO_F).filter(
  (bit) => bit !== VIRTIO_F.SR_IOV && bit !== VIRTIO_F.ADMIN_VQ,
);
const NET_BITS: readonly number[] = Array.from({ length: 128 }, (_, bit) => bit).filter((bit) => bit < 24 || bit > 49);

/** The network device of this project behind one of its transports, its cable coming back to it. */
export class RealStage {
  readonly device: VirtioDevice;
  readonly net: NetDevice;
  readonly transport: Transport;
  readonly pages: PageAllocator = new PageAllocator(RAM, RAM_BYTES);
  readonly dma: DmaMemory;
  readonly messages: readonly MsixMessage[];
  time = 0;
  /** Interrupts that wait for {@link interrupt}. */
  private readonly pending: number[] = [];
  private line = false;

  constructor(options: RealOptions) {
    memory.engine.fill(0, 0, memory.size);
    const space = new GuestMemory(memory, [{ gpa: RAM, size: RAM_BYTES, host: 0 }]);
    this.dma = guestDma(space, this.pages);
    const cable = new FrameQueue(memory, RAM_BYTES + SCRATCH_BYTES, CABLE_BYTES, CABLE_FRAMES);
    const backend = new LoopbackBackend(cable);
    this.net = new NetDevice({
      memory,
      scratch: RAM_BYTES,
      backend,
      mac: STATION,
      holdWhenFull: true,
      ...options.device,
    });
    const admins = options.admin === undefined ? [] : [VIRTIO_F.ADMIN_VQ];
    const offer = featureWords([VIRTIO_F.VERSION_1, ...(options.offer ?? RING_BITS), ...admins, ...NET_BITS]);
    const config = { model: this.net, space, offer, now: () => this.time * 1000 };
    this.messages = Array.from({ length: options.messages ?? 0 }, (_, data) => ({
      addressLo: 0xfee0_0000,
      addressHi: 0,
      data,
    }));
    const [device, transport] = options.transport === 'pci' ? this.asPci(config, options.admin) : this.asMmio(config);
    if (isBreakdown(transport)) throw new Error(transport.message);
    this.device = device;
    this.transport = transport;
  }

  /** One turn of device and driver. @returns whether anything moved */
  turn(driver: NetDriver | undefined, budget = 64): boolean {
    const moved = this.device.step(budget);
    return (driver === undefined ? 0 : this.interrupt(driver)) + moved > 0;
  }

  /** Turns until nothing moves. @throws when that takes too many */
  settle(driver: NetDriver | undefined): void {
    for (let turns = 0; turns < 1000; turns++) if (!this.turn(driver)) return;
    throw new Error('device and driver do not come to rest');
  }

  /** Hand waiting interrupts to the driver, and let it poll. @returns interrupts and frames */
  interrupt(driver: NetDriver): number {
    let done = this.pending.length;
    for (const vector of this.pending.splice(0)) driver.interrupt(vector);
    if (this.line) {
      driver.interrupt();
      done++;
    }
    while (driver.needsPoll) done += driver.poll(16);
    return done;
  }

  private asMmio(
    config: ConstructorParameters<typeof VirtioMmio>[0] extends infer C ? Omit<C, 'interrupt'> : never,
  ): [VirtioDevice, ReturnType<typeof openMmioTransport>] {
    const mmio = new VirtioMmio({
      ...config,
      interrupt: (level) => {
        this.line = level;
      },
    });
    return [mmio.device, openMmioTransport(mmio)];
  }

  private asPci(
    config: ConstructorParameters<typeof VirtioPci>[0] extends infer C ? Omit<C, 'host'> : never,
    admin: AdminOptions | undefined,
  ): [VirtioDevice, ReturnType<typeof openPciTransport>] {
    const virtio = new VirtioPci({
      ...config,
      ...(admin === undefined ? {} : { admin }),
      host: {
        sendMessage: (_low, _high, data) => this.pending.push(data),
        setIntx: (level) => {
          this.line = level;
        },
      },
    });
    return [virtio.device, openPciTransport(virtio.pci)];
  }
}
