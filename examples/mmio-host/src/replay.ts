import { VIRTQ_AVAIL, VIRTQ_DESC, VIRTQ_USED, virtqUsedBytes } from '@ringwire/virtio-spec';
import { VIRTIO_NET_HDR_SIZE } from '@ringwire/virtio-spec/net';
import { MMIO_INTERRUPT, MMIO_REGISTERS } from '@ringwire/virtio-spec/transport';
import { Machine } from './machine.js';
import type { Recording, RegisterAccess } from './recording.js';
import { Station } from './station.js';

/** What came of a replay. */
export interface Replay {
  /** Reads whose answers had to be those of the recorded device. */
  readonly compared: number;
  /** Those that were not, one sentence each. */
  readonly differences: readonly string[];
  /** Queue Size of each queue that the driver set up. */
  readonly queueSizes: readonly number[];
  /** Status of the device at the end. */
  readonly status: number;
  /** Frames that the driver's transmit queue held. */
  readonly sent: readonly Uint8Array[];
  /** Frames that are in the driver's buffers, without their virtio headers. */
  readonly received: readonly Uint8Array[];
  readonly interrupts: number;
}

const RX = 0;
const TX = 1;
const HEADER_BYTES = VIRTIO_NET_HDR_SIZE.V1;
const STATION = Uint8Array.of(2, 0, 0, 0, 0, 2);
/** Legacy features that another device may offer: NOTIFY_ON_EMPTY and ANY_LAYOUT. virtio 1.4 §6.3 */
const LEGACY = 0x0900_0000;

/** What a driver wrote into registers of one queue. */
interface QueueWrites {
  size: number;
  desc: number;
  driver: number;
  device: number;
}

/**
 * Be the processor of a recording: put what its driver had written into the RAM of a machine, make its register accesses
 * again, with a turn of the host loop after each, and then take the interrupt as its driver would.
 * @throws Error for a recording without accesses
 */
export function replay(recording: Recording): Replay {
  const { ramBytes, accesses, memory } = recording;
  const deviceAt = accesses[0]?.address;
  if (deviceAt === undefined) throw new Error('the recording has no register accesses');
  const heard: Uint8Array[] = [];
  const machine = new Machine({
    ramBytes,
    deviceAt,
    backend: (host, at) => new Station({ mac: STATION, memory: host, at, heard }),
    queueSize: answerAt(recording, deviceAt + MMIO_REGISTERS.QueueSizeMax.at),
    vendorId: answerAt(recording, deviceAt + MMIO_REGISTERS.VendorID.at),
  });
  const queues: QueueWrites[] = [RX, TX].map((queue) => queueWrites(recording, deviceAt, queue));
  for (const { gpa, bytes } of memory) machine.memory.u8.set(bytes, gpa);
  // What the recorded device wrote into the driver's rings is this device's to write.
  for (const { device, size } of queues) machine.memory.u8.fill(0, device, device + virtqUsedBytes(size));

  const differences: string[] = [];
  let compared = 0;
  let word = 0;
  for (const access of accesses) {
    const { isWrite, address, bytes, value } = access;
    const register = address - deviceAt;
    if (isWrite) {
      if (register === MMIO_REGISTERS.DeviceFeaturesSel.at) word = value;
      machine.write(address, bytes, value);
    } else {
      const answer = machine.read(address, bytes);
      compared++;
      const difference = differenceOf(register, value, answer, word);
      if (difference !== undefined) differences.push(difference);
    }
    machine.turn();
  }
  // The driver's interrupt handler: what happened, acknowledged, then the used rings.
  if (machine.line) {
    const causes = machine.read(deviceAt + MMIO_REGISTERS.InterruptStatus.at, 4);
    if (causes !== MMIO_INTERRUPT.USED_BUFFER) differences.push(`InterruptStatus is ${causes}, want USED_BUFFER alone`);
    machine.write(deviceAt + MMIO_REGISTERS.InterruptACK.at, 4, causes);
  }
  return {
    compared,
    differences,
    queueSizes: queues.map(({ size }) => size),
    status: machine.read(deviceAt + MMIO_REGISTERS.Status.at, 4),
    sent: heard,
    received: usedFrames(machine, queues[RX]!),
    interrupts: machine.interrupts,
  };
}

/** Undefined when the answer is as good as the recorded one. Of features the recorded ones have to be among ours. */
function differenceOf(register: number, recorded: number, answer: number, word: number): string | undefined {
  const name = Object.entries(MMIO_REGISTERS).find(([, { at }]) => at === register)?.[0] ?? 'configuration';
  const isFeatures = register === MMIO_REGISTERS.DeviceFeatures.at;
  const wanted = isFeatures && word === 0 ? recorded & ~LEGACY : recorded;
  const isRight = isFeatures ? (answer & wanted) >>> 0 === wanted >>> 0 : answer === wanted;
  if (isRight) return undefined;
  return `${name} at 0x${register.toString(16)} is 0x${answer.toString(16)}, recorded 0x${recorded.toString(16)}`;
}

/** What the recorded device answered at an address first; 0 if it was never asked. */
function answerAt({ accesses }: Recording, address: number): number {
  return accesses.find((access) => !access.isWrite && access.address === address)?.value ?? 0;
}

/** What was last written for one queue. */
function queueWrites({ accesses }: Recording, deviceAt: number, queue: number): QueueWrites {
  let selected = 0;
  const writes: QueueWrites = { size: 0, desc: 0, driver: 0, device: 0 };
  for (const { isWrite, address, value } of accesses as readonly RegisterAccess[]) {
    if (!isWrite) continue;
    const register = address - deviceAt;
    if (register === MMIO_REGISTERS.QueueSel.at) selected = value;
    if (selected !== queue) continue;
    if (register === MMIO_REGISTERS.QueueSize.at) writes.size = value;
    if (register === MMIO_REGISTERS.QueueDescLow.at) writes.desc = value;
    if (register === MMIO_REGISTERS.QueueDriverLow.at) writes.driver = value;
    if (register === MMIO_REGISTERS.QueueDeviceLow.at) writes.device = value;
  }
  return writes;
}

/** The frames of a receive queue's used elements, one buffer each, as a driver finds them. virtio 1.4 §2.7.8 */
function usedFrames(machine: Machine, { size, desc, driver, device }: QueueWrites): Uint8Array[] {
  const frames: Uint8Array[] = [];
  const used = machine.read(device + VIRTQ_USED.idx, 2);
  for (let index = 0; index < used; index++) {
    const element = device + VIRTQ_USED.ring + (index % size) * VIRTQ_USED.ELEM_SIZE;
    const head = machine.read(element, 4);
    const length = machine.read(element + 4, 4);
    const offered = machine.read(driver + VIRTQ_AVAIL.ring + (index % size) * VIRTQ_AVAIL.ELEM_SIZE, 2);
    if (head !== offered) throw new Error(`used element ${index} has id ${head}, and ${offered} was offered`);
    const buffer = machine.read(desc + head * VIRTQ_DESC.SIZE + VIRTQ_DESC.addr, 4);
    frames.push(machine.memory.u8.slice(buffer + HEADER_BYTES, buffer + length));
  }
  return frames;
}
