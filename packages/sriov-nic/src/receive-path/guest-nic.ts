import type { AddressSpace, HostMemory } from '@ringwire/guest-memory';
import { DELIVERED, type Delivered, type Frame, type FrameSink } from '@ringwire/net-backend';
import type { PciFunction } from '@ringwire/pci';
import { NetDevice, type NetDeviceOptions, type VirtioDevice, VirtioPci } from '@ringwire/virtio-device';
import type { ReceiveTrace } from './receive-trace.js';

/** Bytes of a cache line. */
const LINE = 64;

/** What a guest's paravirtual network card is made of. */
export interface GuestNicOptions {
  /** For people, and in the trace. */
  readonly name: string;
  /** Where the guest runs. */
  readonly core: number;
  readonly memory: HostMemory;
  /** Host memory of the device's own: `NET_SCRATCH_BYTES` of it. */
  readonly scratch: number;
  /** The guest's RAM, as its hypervisor has it. */
  readonly space: AddressSpace;
  /** The station's address that the guest finds. */
  readonly mac: Uint8Array;
  /** The guest takes an interrupt. @param vector of its virtio function */
  readonly interrupt: (vector: number) => void;
  readonly trace?: ReceiveTrace;
  readonly net?: Partial<NetDeviceOptions>;
}

/**
 * A guest's paravirtual network card: virtio's, in software, which the hypervisor copies frames into. What the guest's driver
 * sees is {@link pci}.
 */
export class GuestNic {
  readonly name: string;
  readonly core: number;
  readonly pci: PciFunction;
  readonly device: VirtioDevice;
  /** Takes frames that the guest sends; they are lost until somebody does. */
  onTransmit: ((frame: Frame) => Delivered) | undefined = undefined;
  private readonly trace: ReceiveTrace | undefined;
  private sink: FrameSink | undefined = undefined;

  /** @throws VirtioError for what no device can be */
  constructor(options: GuestNicOptions) {
    const { name, core, memory, scratch, space, mac, trace, net = {} } = options;
    this.name = name;
    this.core = core;
    this.trace = trace;
    const backend = {
      offloads: 0,
      receive: (frame: Frame) => this.onTransmit?.(frame) ?? DELIVERED.DROPPED,
      attach: (device: FrameSink | undefined) => {
        this.sink = device;
      },
      pump: () => 0,
    };
    const interrupt = (vector: number): void => {
      trace?.virtualInterrupt(name, core);
      options.interrupt(vector);
    };
    const virtio = new VirtioPci({
      model: new NetDevice({ ...net, memory, scratch, backend, mac }),
      space,
      host: {
        sendMessage: (_low, _high, _data, vector) => interrupt(vector),
        setIntx: (asserted) => {
          if (asserted) interrupt(0);
        },
      },
    });
    this.pci = virtio.pci;
    this.device = virtio.device;
  }

  /**
   * Copy a frame into the guest's buffers. It sees it after {@link flush}.
   * @param core that copies
   */
  deliver(frame: Frame, core: number): Delivered {
    const lines = linesOf(frame, frame.length);
    const delivered = this.sink?.receive(frame) ?? DELIVERED.DROPPED;
    if (delivered === DELIVERED.ACCEPTED) this.trace?.copy(core, this.name, frame.length, lines);
    return delivered;
  }

  /** The end of a burst: what was copied becomes visible, and the guest is told if it wants to be. */
  flush(): void {
    this.sink?.flush?.();
    this.device.step(0);
  }

  /** What the guest sends. @param budget most frames @returns frames handled */
  step(budget: number): number {
    return this.device.step(budget);
  }
}

/** Cache lines that the first bytes of a frame lie in. @param bytes at most its length */
export function linesOf({ ranges, first, end, skip }: Frame, bytes: number): number {
  let lines = 0;
  let left = bytes;
  let from = skip;
  for (let range = first; range < end && left > 0; range++) {
    const at = ranges.offset[range]! + from;
    const take = Math.min(ranges.length[range]! - from, left);
    if (take > 0) lines += Math.floor((at + take - 1) / LINE) - Math.floor(at / LINE) + 1;
    left -= take;
    from = 0;
  }
  return lines;
}
