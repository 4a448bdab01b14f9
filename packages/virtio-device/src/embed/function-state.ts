import { ACCESS, crc32 } from '@ringwire/guest-memory';
import { PCI_CAP_ID, PCI_HEADER, type PciFunction } from '@ringwire/pci';
import { VIRTQ_AVAIL } from '@ringwire/virtio-spec';
import { type DevicePart, decodeParts, encodeParts, partKey } from '../admin/device-part.js';
import { stateOf } from '../admin/device-state.js';
import { MemberDevice } from '../admin/member-device.js';
import { readParts } from '../admin/read-parts.js';
import { restoreDevice } from '../admin/restore-device.js';
import { QUEUE_AREA } from '../queue-slot.js';
import type { VirtioDevice } from '../virtio-device.js';
import type { VirtioPci } from '../virtio-pci.js';

/** 'RWFN', read as a little-endian word. */
const MAGIC = 0x4e46_5752;
const VERSION = 1;
/** Byte offsets; all fields are little-endian. MSI-X entries follow, then pending words, the parts, and a CRC-32. */
const AT = {
  magic: 0, // 4
  version: 4, // 4
  ids: 8, // 4: vendor and device
  vectors: 12, // 2
  isr: 14, // 1
  interruptLine: 15, // 1
  command: 16, // 2
  msixControl: 18, // 2
  bars: 20, // 6 of 4
  partBytes: 44, // 4
  SIZE: 48,
} as const;
const ENTRY_BYTES = 16;
const ENTRY_CONTROL = 12;
const CRC_BYTES = 4;
const BARS = 6;
/** The bit of a base address register that says whether it is of I/O space. */
const BAR_KIND = 1;
const TWO_32 = 0x1_0000_0000;
const MESSAGE_CONTROL = 2;
const ISR_BITS = 3;
/** Types of which a device's every part has to be there: nothing of an earlier life is to be left. */
const WHOLE = { FIRST: 0x100, LAST: 0x105 } as const;

/**
 * All that a driver made of a function: its configuration space, MSI-X table, registers and places in the rings. Guest
 * memory is not in it, nor frames that wait in the backend, nor a power state other than D0.
 * @returns undefined in the middle of a step or of a reset: ask again between two steps
 */
export function saveFunction(virtio: VirtioPci): Uint8Array | undefined {
  return virtio.device.isChanging ? undefined : functionBytes(virtio, true);
}

/** The same at any time but within a reset, without the places in the rings, which the device's keeper knows. */
export const saveKeptFunction = (virtio: VirtioPci): Uint8Array => functionBytes(virtio, false);

function functionBytes(virtio: VirtioPci, hasPositions: boolean): Uint8Array {
  const { pci } = virtio;
  const parts = encodeParts(readParts(virtio, hasPositions), true);
  const vectors = pci.msix?.vectors ?? 0;
  const tableBytes = tableSize(vectors);
  const bytes = new Uint8Array(AT.SIZE + tableBytes + parts.length + CRC_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(AT.magic, MAGIC, true);
  view.setUint32(AT.version, VERSION, true);
  view.setUint32(AT.ids, pci.config.get32(PCI_HEADER.VENDOR_ID), true);
  view.setUint16(AT.vectors, vectors, true);
  view.setUint8(AT.isr, virtio.isrStatus);
  view.setUint8(AT.interruptLine, pci.config.get8(PCI_HEADER.INTERRUPT_LINE));
  view.setUint16(AT.command, pci.config.get16(PCI_HEADER.COMMAND), true);
  if (vectors > 0) view.setUint16(AT.msixControl, pci.config.get16(msixControlAt(pci)), true);
  for (let bar = 0; bar < BARS; bar++) view.setUint32(AT.bars + 4 * bar, pci.config.get32(barAt(bar)), true);
  view.setUint32(AT.partBytes, parts.length, true);
  const table = pci.msix?.tableRegion(0);
  for (let at = 0; at < vectors * ENTRY_BYTES; at += 4) view.setUint32(AT.SIZE + at, table!.read(at, 4), true);
  for (let vector = 0; vector < vectors; vector++)
    if (pci.msix!.isPending(vector)) bytes[pendingAt(vectors, vector)]! |= 1 << (vector & 7);
  bytes.set(parts, AT.SIZE + tableBytes);
  view.setUint32(bytes.length - CRC_BYTES, crc32(bytes.subarray(0, bytes.length - CRC_BYTES)), true);
  return bytes;
}

/**
 * Put a function into a state that {@link saveFunction} gave, foreign: all of it or nothing. What the function was before
 * is gone then. The guest's memory is as it was beside that state. Messages that were pending leave as soon as they may. A
 * queue that lies nowhere in this guest's memory leaves a device that needs a reset.
 * @param kept where it stands in its queues the device's keeper knows, not the state
 * @returns why it is refused, in a sentence; undefined when it was taken
 */
export function restoreFunction(virtio: VirtioPci, bytes: Uint8Array, kept = false): string | undefined {
  const problem = frameProblem(virtio, bytes);
  if (problem !== undefined) return problem;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const vectors = view.getUint16(AT.vectors, true);
  const encoded = bytes.subarray(AT.SIZE + tableSize(vectors), bytes.length - CRC_BYTES);
  const parts = decodeParts(encoded);
  if (parts === undefined || encodeParts(parts, true).length !== encoded.length)
    return 'the parts do not end where the state says';
  const missing = missingPart(virtio, parts);
  if (missing !== undefined) return `part ${missing} is missing`;
  const { device } = virtio;
  const wasStopped = device.isStopped;
  if (!device.stop()) return 'the device is in the middle of a step';
  const wrong = new MemberDevice(virtio).setParts(parts) ?? (kept ? undefined : ringProblem(device, parts));
  if (wrong !== undefined) {
    if (!wasStopped) device.go();
    return wrong;
  }
  restoreConfig(virtio.pci, view);
  device.stop();
  restoreDevice(virtio, stateOf(parts), kept);
  device.go();
  restoreMessages(virtio.pci, bytes, view);
  virtio.restoreIsr(view.getUint8(AT.isr));
  if (wasStopped) device.stop();
  return undefined;
}

function frameProblem({ pci }: VirtioPci, bytes: Uint8Array): string | undefined {
  const least = AT.SIZE + CRC_BYTES;
  if (bytes.length < least) return `the state has ${bytes.length} bytes, want at least ${least}`;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint32(AT.magic, true) !== MAGIC) return 'this is no state of a function';
  const version = view.getUint32(AT.version, true);
  if (version !== VERSION) return `the state is of version ${version}, want ${VERSION}`;
  const end = bytes.length - CRC_BYTES;
  if (view.getUint32(end, true) !== crc32(bytes.subarray(0, end))) return 'the checksum is wrong';
  const ids = view.getUint32(AT.ids, true);
  if (ids !== pci.config.get32(PCI_HEADER.VENDOR_ID)) return `the state is of function ${ids.toString(16)}`;
  const vectors = view.getUint16(AT.vectors, true);
  const own = pci.msix?.vectors ?? 0;
  if (vectors !== own) return `the state has ${vectors} MSI-X vectors, want ${own}`;
  for (let bar = 0; bar < BARS; bar++)
    if ((view.getUint32(AT.bars + 4 * bar, true) & BAR_KIND) !== (pci.config.get32(barAt(bar)) & BAR_KIND))
      return `BAR ${bar} is of another kind`;
  if (view.getUint8(AT.isr) > ISR_BITS) return `the ISR status is ${view.getUint8(AT.isr)}, want at most ${ISR_BITS}`;
  const partBytes = view.getUint32(AT.partBytes, true);
  const room = end - AT.SIZE - tableSize(vectors);
  return partBytes === room ? undefined : `the parts have ${partBytes} bytes, want ${room}`;
}

function missingPart(virtio: VirtioPci, parts: readonly DevicePart[]): string | undefined {
  const there = new Set(parts.map(partKey));
  const isWhole = ({ type }: DevicePart): boolean => type >= WHOLE.FIRST && type <= WHOLE.LAST;
  return readParts(virtio)
    .filter(isWhole)
    .map(partKey)
    .find((key) => !there.has(key));
}

/** A driver makes at most as much available as the ring has room for, so a ring that says more is not the state's. */
function ringProblem({ space }: VirtioDevice, parts: readonly DevicePart[]): string | undefined {
  const { queues, positions } = stateOf(parts);
  space.enter();
  let problem: string | undefined;
  for (const [index, { enabled, size, areas }] of queues) {
    const position = positions.get(index);
    if (enabled !== 1 || position?.layout !== 'split') continue;
    const [lo, hi] = areas[QUEUE_AREA.driver]!;
    const at = space.resolve(hi * TWO_32 + lo + VIRTQ_AVAIL.idx, 2, ACCESS.READ);
    if (at < 0) continue;
    const waiting = (space.memory.view.getUint16(at, true) - position.lastAvailIdx) & 0xffff;
    if (waiting > size)
      problem ??= `queue ${index} has ${waiting} chains waiting, want at most its size, ${size} (virtio 1.4 §2.7.6)`;
  }
  space.leave();
  return problem;
}

function restoreConfig(pci: PciFunction, view: DataView): void {
  // Nothing is decoded, nor interrupts, while it changes.
  pci.reset('function-level');
  pci.configWrite(PCI_HEADER.INTERRUPT_LINE, 1, view.getUint8(AT.interruptLine));
  for (let bar = 0; bar < BARS; bar++) pci.configWrite(barAt(bar), 4, view.getUint32(AT.bars + 4 * bar, true));
  pci.configWrite(PCI_HEADER.COMMAND, 2, view.getUint16(AT.command, true));
}

/** Vectors are masked until what was pending is pending again. */
function restoreMessages(pci: PciFunction, bytes: Uint8Array, view: DataView): void {
  const { msix } = pci;
  if (msix === undefined) return;
  const table = msix.tableRegion(0);
  const end = msix.vectors * ENTRY_BYTES;
  const isControl = (at: number): boolean => at % ENTRY_BYTES === ENTRY_CONTROL;
  const copy = (at: number): void => table.write(at, 4, view.getUint32(AT.SIZE + at, true));
  for (let at = 0; at < end; at += 4) if (!isControl(at)) copy(at);
  pci.configWrite(msixControlAt(pci), 2, view.getUint16(AT.msixControl, true));
  for (let vector = 0; vector < msix.vectors; vector++)
    if (((bytes[pendingAt(msix.vectors, vector)]! >>> (vector & 7)) & 1) === 1) msix.raise(vector);
  for (let at = ENTRY_CONTROL; at < end; at += ENTRY_BYTES) copy(at);
}

const barAt = (bar: number): number => PCI_HEADER.BASE_ADDRESS + 4 * bar;
const tableSize = (vectors: number): number => vectors * ENTRY_BYTES + Math.ceil(vectors / 8);
const pendingAt = (vectors: number, vector: number): number => AT.SIZE + vectors * ENTRY_BYTES + (vector >>> 3);
const msixControlAt = (pci: PciFunction): number => pci.capabilityAt(PCI_CAP_ID.MSI_X) + MESSAGE_CONTROL;
