import { ACCESS, GuestMemory } from '@ringwire/guest-memory';
import { DEVICE_STATUS, featureWords, hasFeature, VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { BufferList, type DriverQueue, openDriverQueue, type QueueState, UsedBurst } from '@ringwire/virtqueue';
import type { QueuePlace } from '../migration/device-image.js';
import type { VdpaDevice } from '../vdpa-device.js';
import { BrokenPromise, holds, worked } from './contract-checks.js';
import { CONTRACT_RAM_BYTES, type ContractMachine } from './contract-machine.js';

const { ACKNOWLEDGE, DRIVER, FEATURES_OK, DRIVER_OK } = DEVICE_STATUS;

/** Where the driver's memory begins for the device: elsewhere than in host memory. */
export const IOVA = 0x7000_0000;
const SPACE_BYTES: number = CONTRACT_RAM_BYTES / 2;
/** Parts of the driver's memory; each is mapped for itself. */
export const PART = {
  rings: { at: 0, bytes: 0x1_0000 },
  rx: { at: 0x1_0000, bytes: 0x2_0000 },
  tx: { at: 0x4_0000, bytes: 0x2_0000 },
  control: { at: 0x8_0000, bytes: 0x1000 },
} as const;
export type PartName = keyof typeof PART;
const PARTS: readonly PartName[] = ['rings', 'rx', 'tx', 'control'];
/** Queue Size, and bytes of a buffer. */
export const SIZE = 32;
const BUFFER_BYTES = 2048;
const RING = { bytes: 0x4000, driver: 0x2000, device: 0x3000 } as const;
/** struct virtio_net_hdr with num_buffers. virtio 1.4 §5.1.9 */
const HEADER_BYTES = 12;
const FRAME_BYTES = 64;
const NUMBER_AT = 14;
export const RX = 0;
export const TX = 1;
export const CONTROL = 2;

export interface ContractDriverOptions {
  readonly isPacked?: boolean;
  /** Use the control queue, in this address space and with memory of its own there. */
  readonly controlSpace?: number;
}

/**
 * A driver for the contract, as plain as one can be: it sends frames with numbers, and notes the numbers of those that come
 * back. It outlives the device's side of its rings, so that another device can go on in them.
 */
export class ContractDriver {
  readonly machine: ContractMachine;
  readonly features: Uint32Array;
  /** Numbers of frames that came back, in their order. */
  readonly heard: number[] = [];
  device: VdpaDevice;
  sent = 0;
  private readonly queues: readonly DriverQueue[];
  private readonly controlSpace: number | undefined;
  private readonly used = new UsedBurst(SIZE);
  private readonly free: number[] = Array.from({ length: SIZE }, (_, slot) => SIZE - 1 - slot);
  private readonly slots = new Map<number, number>();

  constructor(
    machine: ContractMachine,
    device: VdpaDevice,
    { isPacked = false, controlSpace }: ContractDriverOptions = {},
  ) {
    this.machine = machine;
    this.device = device;
    this.controlSpace = controlSpace;
    const bits: number[] = [VIRTIO_F.VERSION_1, VIRTIO_F.ACCESS_PLATFORM];
    if (isPacked) bits.push(VIRTIO_F.RING_PACKED);
    if (controlSpace !== undefined) bits.push(VIRTIO_NET_F.CTRL_VQ, VIRTIO_NET_F.CTRL_RX);
    if (hasFeature(device.deviceFeatures, VIRTIO_NET_F.STATUS)) bits.push(VIRTIO_NET_F.STATUS);
    this.features = featureWords(bits);
    machine.memory.engine.fill(machine.ram, 0, CONTRACT_RAM_BYTES);
    const indexes = controlSpace === undefined ? [RX, TX] : [RX, TX, CONTROL];
    this.queues = indexes.map((index) => this.openQueue(index));
    for (let slot = 0; slot < SIZE; slot++) this.offer(slot);
    this.queue(RX).publish();
  }

  /** The queue that the driver's memory begins in: of the control queue, the other half. */
  hostOf(index: number, at: number): number {
    return this.machine.ram + (index === CONTROL && this.controlSpace !== 0 ? SPACE_BYTES : 0) + at;
  }

  /** Parts that the driver uses. */
  private get parts(): readonly PartName[] {
    return this.controlSpace === undefined ? PARTS.filter((part) => part !== 'control') : PARTS;
  }

  /** Map parts of the driver's memory. */
  map(parts: readonly PartName[] = this.parts, access: number = ACCESS.READ | ACCESS.WRITE): void {
    const spaces = this.controlSpace === undefined || this.controlSpace === 0 ? [0] : [0, this.controlSpace];
    for (const asid of spaces)
      for (const part of parts) {
        const { at, bytes } = PART[part];
        const host = this.machine.ram + (asid === 0 ? 0 : SPACE_BYTES) + at;
        worked(this.device.map(asid, { iova: IOVA + at, bytes, host, access }), `mapping ${part}`);
      }
  }

  /** Status up to FEATURES_OK, with the features that were chosen. */
  negotiate(): void {
    const { device } = this;
    worked(device.setStatus(ACKNOWLEDGE), 'ACKNOWLEDGE');
    worked(device.setStatus(ACKNOWLEDGE | DRIVER), 'DRIVER');
    worked(device.setDriverFeatures(this.features), 'accepting features that are offered');
    worked(device.setStatus(ACKNOWLEDGE | DRIVER | FEATURES_OK), 'FEATURES_OK');
    holds((device.status & FEATURES_OK) !== 0, `FEATURES_OK sticks: ${device.problem}`);
  }

  /**
   * Set queues up and start.
   * @param states by queue, where another device left off
   * @param parts  what commands made of it
   */
  start(states?: readonly QueueState[], parts?: Uint8Array): void {
    const { device } = this;
    this.negotiate();
    if (parts !== undefined) worked(device.setTypeState(parts), `setting the state (${device.problem})`);
    if (this.controlSpace !== undefined)
      worked(device.setGroupSpace(device.queueGroup(CONTROL), this.controlSpace), 'giving the control queue a space');
    for (const index of this.queues.keys()) {
      this.place(index);
      const state = states?.[index];
      if (state !== undefined) worked(device.setQueueState(index, state), `setting the position of queue ${index}`);
      worked(device.setQueueReady(index, true), `starting queue ${index} (${device.problem})`);
    }
    worked(device.setStatus(ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK), 'DRIVER_OK');
    holds((device.status & DRIVER_OK) !== 0, 'DRIVER_OK is set');
    // What was made available earlier is looked for once.
    for (const index of this.queues.keys()) device.kick(index, this.queue(index).notificationData(index));
  }

  /** Size and addresses of a queue. */
  place(index: number): void {
    const base = IOVA + index * RING.bytes;
    worked(this.device.setQueueSize(index, SIZE), `size of queue ${index}`);
    const addresses = { desc: base, driver: base + RING.driver, device: base + RING.device };
    worked(this.device.setQueueAddresses(index, addresses), `addresses of queue ${index}`);
  }

  /** Where its queues are. */
  get places(): readonly QueuePlace[] {
    return [...this.queues.keys()].map((index) => {
      const desc = IOVA + index * RING.bytes;
      const addresses = { desc, driver: desc + RING.driver, device: desc + RING.device };
      return { index, size: SIZE, addresses };
    });
  }

  /** Make one more frame available. @returns false without room */
  send(): boolean {
    this.reap();
    const slot = this.free.pop();
    if (slot === undefined) return false;
    const at = PART.tx.at + slot * BUFFER_BYTES;
    const bytes = this.machine.memory.u8.subarray(this.hostOf(TX, at), this.hostOf(TX, at) + BUFFER_BYTES);
    bytes.fill(0, 0, HEADER_BYTES + FRAME_BYTES);
    // To everyone, from a station.
    bytes.fill(0xff, HEADER_BYTES, HEADER_BYTES + 6);
    bytes.set([2, 0, 0, 0, 0, 9, 0x88, 0xb5], HEADER_BYTES + 6);
    bytes.set([this.sent & 0xff, this.sent >> 8], HEADER_BYTES + NUMBER_AT);
    const id = this.queue(TX).addReadable(IOVA + at, HEADER_BYTES + FRAME_BYTES);
    this.slots.set(id, slot);
    this.sent++;
    if (this.queue(TX).publish()) this.device.kick(TX, this.queue(TX).notificationData(TX));
    return true;
  }

  /** Let the device work, and take what it brought. @returns 0 when nothing moved */
  turn(budget = 64): number {
    const moved = this.machine.step?.(this.device, budget) ?? this.device.step(budget);
    return moved + this.collect() + this.reap();
  }

  settle(): void {
    for (let turns = 0; turns < 500; turns++) if (this.turn() === 0) return;
    throw new BrokenPromise('a device comes to rest when there is nothing to do');
  }

  /** @returns the byte that the device answered with, or undefined while it did not. virtio 1.4 §5.1.9.5 */
  command(bytes: readonly number[]): number | undefined {
    const { memory } = this.machine;
    const at = PART.control.at;
    const host = this.hostOf(CONTROL, at);
    memory.u8.set(bytes, host);
    const answer = 0x100;
    memory.u8[host + answer] = 0xee;
    const list = new BufferList(2).addReadable(IOVA + at, bytes.length).addWritable(IOVA + at + answer, 1);
    const queue = this.queue(CONTROL);
    queue.add(list);
    if (queue.publish()) this.device.kick(CONTROL, queue.notificationData(CONTROL));
    this.settle();
    this.used.clear();
    return queue.takeUsed(this.used, 1) === 1 ? memory.u8[host + answer] : undefined;
  }

  /** Frames that are expected to have come back, all of them. */
  get all(): number[] {
    return Array.from({ length: this.sent }, (_, number) => number);
  }

  /** A copy of a part of the driver's memory. */
  bytesOf(part: PartName): string {
    const { at, bytes } = PART[part];
    const host = this.hostOf(RX, at);
    return String.fromCharCode(...this.machine.memory.u8.slice(host, host + Math.min(bytes, 0x1_0000)));
  }

  private openQueue(index: number): DriverQueue {
    const { memory } = this.machine;
    const space = new GuestMemory(memory, [{ gpa: IOVA, size: SPACE_BYTES, host: this.hostOf(index, 0) }]);
    const base = IOVA + index * RING.bytes;
    const { features } = this;
    return openDriverQueue({
      space,
      size: SIZE,
      desc: base,
      driver: base + RING.driver,
      device: base + RING.device,
      features,
    });
  }

  private queue(index: number): DriverQueue {
    return this.queues[index]!;
  }

  private offer(slot: number): void {
    const id = this.queue(RX).addWritable(IOVA + PART.rx.at + slot * BUFFER_BYTES, BUFFER_BYTES);
    this.slots.set(SIZE + id, slot);
  }

  /** Take frames that came in, and give their buffers back. */
  private collect(): number {
    const { used } = this;
    const queue = this.queue(RX);
    used.clear();
    const taken = queue.takeUsed(used, SIZE);
    holds(queue.broken === 0, 'the device uses buffers of the receive queue that it was given, each once');
    for (let i = 0; i < taken; i++) {
      const slot = this.slots.get(SIZE + used.token[i]!)!;
      const frame = this.hostOf(RX, PART.rx.at + slot * BUFFER_BYTES + HEADER_BYTES);
      holds(used.written[i] === HEADER_BYTES + FRAME_BYTES, 'a frame comes back as long as it went');
      const { u8 } = this.machine.memory;
      this.heard.push(u8[frame + NUMBER_AT]! | (u8[frame + NUMBER_AT + 1]! << 8));
      this.offer(slot);
    }
    if (taken > 0 && queue.publish()) this.device.kick(RX, queue.notificationData(RX));
    return taken;
  }

  /** Take back what was sent. */
  private reap(): number {
    const { used } = this;
    const queue = this.queue(TX);
    used.clear();
    const taken = queue.takeUsed(used, SIZE);
    holds(queue.broken === 0, 'the device uses buffers of the transmit queue that it was given, each once');
    for (let i = 0; i < taken; i++) this.free.push(this.slots.get(used.token[i]!)!);
    return taken;
  }
}
