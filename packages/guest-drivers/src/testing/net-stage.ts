import { GuestMemory, HostMemory, PageAllocator } from '@ringwire/guest-memory';
import { VIRTIO_F, VIRTIO_NET_HDR_SIZE } from '@ringwire/virtio-spec';
import { ChainBurst } from '@ringwire/virtqueue';
import { type Breakdown, isBreakdown } from '../breakdown.js';
import { guestDma } from '../dma-memory.js';
import { openMmioTransport } from '../mmio-transport.js';
import { type NetDriver, openNetDriver } from '../net-driver.js';
import { NetOffload } from '../net-offload.js';
import type { NetSetup } from '../net-setup.js';
import { openPciTransport } from '../pci-transport.js';
import type { Transport } from '../transport.js';
import { ScriptedDevice, type ScriptedOptions } from './scripted-device.js';
import { scriptedMmio } from './scripted-mmio.js';
import { ScriptedPci, type ScriptedPciOptions } from './scripted-pci.js';

const BYTES = 0x200_0000;
/** Where the guest's RAM is for it, above 4 GiB. */
const RAM = 0x1_0000_0000;
/** Made once: WebAssembly memories are few. */
const memory = HostMemory.create(BYTES);

export interface StageOptions extends ScriptedOptions {
  readonly transport?: 'mmio' | 'pci';
  readonly isPacked?: boolean;
  readonly pci?: ScriptedPciOptions;
  readonly setup?: Partial<NetSetup>;
}

/** Both transports and both ring formats: what is promised for one is promised for all. */
export const WAYS: readonly [string, StageOptions][] = [
  ['MMIO, split', { transport: 'mmio' }],
  ['MMIO, packed', { transport: 'mmio', isPacked: true }],
  ['PCI, split', { transport: 'pci' }],
  ['PCI, packed', { transport: 'pci', isPacked: true }],
];

/** A frame that came up, as it was during the call. */
export interface Heard {
  readonly bytes: Uint8Array;
  readonly offload: NetOffload;
  readonly pair: number;
}

/** A network driver before a scripted device. Time is what {@link NetStage.time} says. */
export class NetStage {
  readonly device: ScriptedDevice;
  readonly pci: ScriptedPci | undefined;
  readonly transport: Transport;
  readonly pages: PageAllocator;
  readonly guest: GuestMemory;
  readonly heard: Heard[] = [];
  /** What the driver told its user, frames apart. */
  readonly told: string[] = [];
  time = 1000;
  readonly setup: NetSetup;
  readonly chains: ChainBurst = new ChainBurst(64);

  constructor(options: StageOptions = {}) {
    memory.engine.fill(0, 0, BYTES);
    this.guest = new GuestMemory(memory, [{ gpa: RAM, size: BYTES, host: 0 }]);
    this.pages = new PageAllocator(RAM, BYTES);
    const features = [...(options.features ?? []), ...(options.isPacked === true ? [VIRTIO_F.RING_PACKED] : [])];
    this.device = new ScriptedDevice(this.guest, { ...options, features });
    const isPci = options.transport === 'pci';
    this.pci = isPci ? new ScriptedPci(this.device, options.pci) : undefined;
    const transport =
      this.pci === undefined ? openMmioTransport(scriptedMmio(this.device)) : openPciTransport(this.pci);
    if (isBreakdown(transport)) throw new Error(transport.message);
    this.transport = transport;
    this.setup = {
      transport,
      dma: guestDma(this.guest, this.pages),
      now: () => this.time,
      patience: { tries: 8 },
      random: () => 0.5,
      events: {
        frame: (frame) => {
          const offload = Object.assign(new NetOffload(), frame.offload);
          this.heard.push({ bytes: frame.bytes(), offload, pair: frame.pair });
        },
        sent: (cookie) => this.told.push(`sent ${cookie}`),
        writable: (pair) => this.told.push(`writable ${pair}`),
        link: (isUp) => this.told.push(`link ${isUp ? 'up' : 'down'}`),
        announce: () => this.told.push('announce'),
        broken: (why, again) => this.told.push(`broken ${why.code}${again ? ', again' : ''}`),
        restarted: () => this.told.push('restarted'),
      },
      ...options.setup,
    };
  }

  open(): NetDriver {
    const driver = this.tryOpen();
    if (isBreakdown(driver)) throw new Error(driver.message);
    return driver;
  }

  tryOpen(): NetDriver | Breakdown {
    return openNetDriver(this.setup);
  }

  /** The device takes all chains of a queue and completes them. @returns the bytes that it could read of each */
  takeSent(index = 1): Uint8Array[] {
    const { chains } = this;
    const ring = this.device.ring(index);
    const taken: Uint8Array[] = [];
    for (;;) {
      chains.clear();
      if (ring.takeBurst(chains, 64) === 0) break;
      for (let i = 0; i < chains.count; i++) taken.push(this.readable(i));
      ring.putUsedBurst(chains, 0, chains.count);
    }
    ring.publishUsed();
    return taken;
  }

  /** The device answers all commands. @returns each command's readable bytes */
  answer(index = 2, reply: (command: Uint8Array) => ArrayLike<number> = () => [0]): Uint8Array[] {
    const { chains } = this;
    const ring = this.device.ring(index);
    const commands: Uint8Array[] = [];
    for (;;) {
      chains.clear();
      if (ring.takeBurst(chains, 1) === 0) break;
      const command = this.readable(0);
      const bytes = Uint8Array.from(reply(command)).subarray(0, chains.writableBytes(0));
      memory.u8.set(bytes, chains.segments.offset[chains.firstWritable[0]!]!);
      ring.putUsed(chains.token[0]!, bytes.length);
      commands.push(command);
    }
    ring.publishUsed();
    return commands;
  }

  /** The device delivers bytes, header and all, over as many buffers as it takes. @returns buffers used */
  deliver(bytes: Uint8Array, index = 0): number {
    const { chains } = this;
    const { segments } = chains;
    const ring = this.device.ring(index);
    let at = 0;
    let count = 0;
    for (; at < bytes.length; count++) {
      chains.clear();
      if (ring.takeBurst(chains, 1) === 0) throw new Error('no buffer to deliver into');
      let written = 0;
      for (let i = 0; i < segments.count && at < bytes.length; i++) {
        const part = bytes.subarray(at, at + segments.length[i]!);
        memory.u8.set(part, segments.offset[i]!);
        at += part.length;
        written += part.length;
      }
      ring.putUsed(chains.token[0]!, written);
    }
    ring.publishUsed();
    return count;
  }

  /** Address of the n-th buffer of one element that the driver made available, out of its descriptor. */
  addressOf(index: number, n: number): number {
    const view = new DataView(this.guest.read(this.device.queues[index]!.desc + 16 * n, 8).buffer);
    return view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32;
  }

  /** An interrupt, and polling until nothing is left. */
  interrupt(driver: NetDriver, cause = 1, vector = 0): void {
    this.device.cause |= cause;
    driver.interrupt(vector);
    for (let turns = 0; turns < 100 && driver.needsPoll; turns++) driver.poll();
  }

  private readable(chain: number): Uint8Array {
    const { segments, first, firstWritable, fault } = this.chains;
    if (fault[chain] !== 0) throw new Error(`the driver made a chain with fault ${fault[chain]}`);
    const parts: number[] = [];
    for (let i = first[chain]!; i < firstWritable[chain]!; i++)
      parts.push(...memory.u8.slice(segments.offset[i]!, segments.offset[i]! + segments.length[i]!));
    return Uint8Array.from(parts);
  }
}

/** A header of zeros but for these bytes, and a frame behind it. */
export function withHeader(
  frame: Uint8Array,
  fields: Record<number, number> = {},
  hdrBytes: number = VIRTIO_NET_HDR_SIZE.V1,
): Uint8Array {
  const bytes = new Uint8Array(hdrBytes + frame.length);
  for (const [at, value] of Object.entries(fields)) bytes[Number(at)] = value;
  bytes.set(frame, hdrBytes);
  return bytes;
}

/** A frame of so many bytes: destination, source, an experimental EtherType, then counting bytes. */
export function frameOf(length: number, seed = 0): Uint8Array {
  const frame = Uint8Array.from({ length }, (_, i) => (i + seed) & 0xff);
  frame.set([0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x88, 0xb5].slice(0, length));
  return frame;
}
