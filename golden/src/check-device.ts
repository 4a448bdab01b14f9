import type { PendingElement, RingReport } from '@ringwire/ring-oracle';
import {
  PVIRTQ_DESC,
  PVIRTQ_EVENT_SUPPRESS,
  VIRTIO_F,
  VIRTIO_NET_F,
  VIRTIO_NET_HDR,
  VIRTIO_NET_HDR_SIZE,
  VIRTQ_DESC_F,
  VIRTQ_USED,
  VIRTQ_USED_ELEM,
  virtqAvailEventAt,
} from '@ringwire/virtio-spec';
import { DeviceImage } from './device-image.js';
import { DeviceUnderTest, type FrameHeader, type SentFrame } from './device-under-test.js';
import { bytesOfHex, frameAt, frameCount } from './frames.js';
import { hasKnownFaults } from './known-faults.js';
import type { RingSet } from './load-set.js';
import { givenPlaces, type Place, placeText } from './ring-view.js';
import type { Queue, Step } from './set-schema.js';
import type { Tally } from './tally.js';

/** What a device need not do as the set's did, per byte of the image: bits that may differ. See `golden/sets/README.md`. */
type Freedom = Uint8Array;

const ALL_BITS = 0xff;
const AVAIL_OR_USED = 0x80;

/** Run our own network device over the set's memory, step by step, and compare frames, bytes, positions and notifications. */
export class DeviceCheck {
  private readonly set: RingSet;
  private readonly tally: Tally;
  private readonly image: DeviceImage;
  private readonly test: DeviceUnderTest;
  private readonly pendingTx: PendingElement[];
  /** Where num_buffers lies, by where the frame behind the header would begin: host offsets. */
  private readonly countAt: Map<number, number> = new Map();

  /** Copies the set's memory as it is now. */
  constructor(set: RingSet, reports: readonly RingReport[], tally: Tally) {
    this.set = set;
    this.tally = tally;
    this.image = new DeviceImage(set, reports);
    this.test = new DeviceUnderTest(set, this.image);
    const tx = set.queues.findIndex(({ name }) => name.startsWith('tx'));
    this.pendingTx = [...(reports[tx]?.pending ?? [])];
    for (const [i, { name }] of set.queues.entries()) {
      if (!name.startsWith('rx')) continue;
      for (const element of reports[i]!.pending) {
        const frameAt = this.byteOf(element, set.expected.header_len);
        this.countAt.set(frameAt, this.byteOf(element, VIRTIO_NET_HDR.num_buffers));
      }
    }
  }

  run(): void {
    if (this.test.refusal === undefined) for (const step of this.set.expected.steps) this.runStep(step);
    else this.tally.differ(`device: ${this.test.refusal}`);
  }

  private runStep(step: Step): void {
    const { image, test, tally } = this;
    const name = `device, ${step.name.split(':')[0]}`;
    const before = image.copy();
    const frames = Array.from({ length: frameCount(step.inject) }, (_, i) => ({
      bytes: frameAt(step.inject, i, 'in'),
      header: headerOf(step.inject_vnet_hdr?.[i]),
    }));
    const sent = test.run(frames);
    if (test.resetReason !== undefined) tally.differ(`${name}: needs a reset: ${test.resetReason}`);
    this.compareFrames(name, step, sent);
    this.compareMemory(name, step, before);
    this.comparePositions(name, step);
    this.compareNotifications(name, step);
  }

  /** The frames that left, in order, but for those of chains that a device has to give up. */
  private compareFrames(name: string, step: Step, sent: readonly SentFrame[]): void {
    const { tally, set } = this;
    const count = frameCount(step.frames_out);
    const elements = this.pendingTx.splice(0, count);
    const expected = Array.from({ length: count }, (_, i) => i).filter(
      (i) => !(hasKnownFaults(set) && isOutOfOrder(elements[i])),
    );
    if (!tally.equal(`${name}: frames sent`, sent.length, expected.length)) return;
    for (const [at, i] of expected.entries()) {
      const ours = sent[at]!;
      const theirs = frameAt(step.frames_out, i, 'out');
      if (!tally.equal(`${name}: length of frame ${i}`, ours.bytes.length, theirs.length)) return;
      const differs = ours.bytes.findIndex((byte, k) => ours.known[k] === 1 && byte !== theirs[k]);
      if (differs >= 0) tally.equal(`${name}: byte ${differs} of frame ${i}`, ours.bytes[differs]!, theirs[differs]!);
      const header = headerOf(step.frames_out_vnet_hdr?.[i]);
      if (header !== undefined)
        tally.equal(`${name}: header of frame ${i}`, JSON.stringify(ours.header), JSON.stringify(header));
      tally.deviceFrames++;
    }
  }

  /** Every byte of memory: what the frames and the listed changes made of it, and nothing else. */
  private compareMemory(name: string, step: Step, before: Uint8Array): void {
    const { image, tally } = this;
    const expected = before.slice();
    for (const [frame, offset, address, length] of step.placements) {
      const bytes = frameAt(step.inject, frame, 'in').subarray(offset, offset + length);
      this.put(name, expected, Number(address), bytes);
    }
    for (const [address, , after] of step.changes) this.put(name, expected, Number(address), bytesOfHex(after));
    const now = image.copy();
    const free = this.freedom(before, now);
    this.freeBufferCounts(name, free, step, now);
    let wrong = 0;
    for (let host = 0; host < now.length; host++) {
      if (((now[host]! ^ expected[host]!) & ~free[host]!) === 0) {
        if (now[host] !== before[host]) tally.deviceBytes++;
        continue;
      }
      if (++wrong <= 3)
        tally.equal(`${name}: the byte at 0x${image.addressOf(host).toString(16)}`, now[host]!, expected[host]!);
    }
    if (wrong > 3) tally.differ(`${name}: ${wrong} bytes of memory differ`);
    tally.deviceBytesCompared += now.length;
  }

  /**
   * num_buffers of a frame's header: without MRG_RXBUF it has to be 1 (virtio 1.4 §5.1.9.4.1) and both oracles leave it
   * alone; in a page that was not saved it may have been what it is now, and then is no change.
   */
  private freeBufferCounts(name: string, free: Freedom, step: Step, now: Uint8Array): void {
    const mergeable = isSet(this.set, VIRTIO_NET_F.MRG_RXBUF);
    if (this.set.expected.header_len === VIRTIO_NET_HDR_SIZE.LEGACY) return;
    for (const [frame, offset, address] of step.placements) {
      if (offset !== 0) continue;
      const at = this.countAt.get(this.image.hostOf(Number(address))) ?? -1;
      if (at < 0 || (mergeable && this.image.isKnown(at))) continue;
      const buffers = now[at]! | (now[at + 1]! << 8);
      if (!mergeable) this.tally.equal(`${name}: num_buffers of frame ${frame}`, buffers, 1);
      if (buffers === 1) free.fill(ALL_BITS, at, at + 2);
    }
  }

  private put(name: string, into: Uint8Array, address: number, bytes: Uint8Array): void {
    for (const [i, byte] of bytes.entries()) {
      const host = this.image.hostOf(address + i);
      if (host >= 0) into[host] = byte;
      else if (byte !== 0) {
        this.tally.differ(`${name}: the set's device wrote 0x${(address + i).toString(16)}, which no element names`);
        return;
      }
    }
  }

  private freedom(before: Uint8Array, now: Uint8Array): Freedom {
    const free = new Uint8Array(before.length);
    for (const queue of this.set.queues) {
      if (this.set.layout === 'split') this.freeSplit(free, queue);
      else this.freePacked(free, queue, before, now);
    }
    return free;
  }

  /**
   * When the device asks for notifications, and what it says of bytes written into buffers that it only reads. With
   * IN_ORDER one used element may stand for a batch, with the id of its last buffer.
   */
  private freeSplit(free: Freedom, { name, num, device }: Queue): void {
    this.free(free, device + BigInt(VIRTQ_USED.flags), 2, ALL_BITS);
    this.free(free, device + BigInt(virtqAvailEventAt(num)), 2, ALL_BITS);
    if (!name.startsWith('tx')) return;
    for (let i = 0; i < num; i++) {
      const element = device + BigInt(VIRTQ_USED.ring + i * VIRTQ_USED_ELEM.SIZE);
      this.free(free, element + BigInt(VIRTQ_USED_ELEM.len), 4, ALL_BITS);
      if (isSet(this.set, VIRTIO_F.IN_ORDER)) this.free(free, element + BigInt(VIRTQ_USED_ELEM.id), 4, ALL_BITS);
    }
  }

  /** The same, and flags of used descriptors that say nothing. */
  private freePacked(free: Freedom, { name, num, desc, device }: Queue, before: Uint8Array, now: Uint8Array): void {
    this.free(free, device, PVIRTQ_EVENT_SUPPRESS.SIZE, ALL_BITS);
    for (let slot = 0; slot < num; slot++) {
      const at = desc + BigInt(slot * PVIRTQ_DESC.SIZE);
      const flags = this.hostAt(at + BigInt(PVIRTQ_DESC.flags));
      if (flags < 0 || (before[flags] === now[flags] && before[flags + 1] === now[flags + 1])) continue;
      this.free(free, at + BigInt(PVIRTQ_DESC.flags), 2, ALL_BITS & ~AVAIL_OR_USED);
      const writes = (now[flags]! & VIRTQ_DESC_F.WRITE) !== 0;
      if (name.startsWith('tx') && !writes) this.free(free, at + BigInt(PVIRTQ_DESC.len), 4, ALL_BITS);
    }
  }

  private free(free: Freedom, address: bigint, bytes: number, bits: number): void {
    for (let i = 0; i < bytes; i++) {
      const host = this.hostAt(address + BigInt(i));
      if (host >= 0) free[host]! |= bits;
    }
  }

  /** Host offset of an element's `n`th byte, or -1. */
  private byteOf({ descriptors }: PendingElement, n: number): number {
    let before = 0;
    for (const { address, length } of descriptors) {
      if (n < before + length) return this.hostAt(BigInt(address) + BigInt(n - before), 'write');
      before += length;
    }
    return -1;
  }

  /** Host offset of an address in the rings. */
  private hostAt(address: bigint, access: 'read' | 'write' = 'read'): number {
    const runs = this.set.memory.reach(address, 1, access);
    return typeof runs === 'string' ? -1 : this.image.hostOf(Number(runs[0]!.address));
  }

  private comparePositions(name: string, step: Step): void {
    for (const after of step.queues_after ?? []) {
      const queue = this.test.queues.get(after.index);
      if (queue === undefined) continue;
      const state = queue.save();
      const ours: Place = {
        index: state.lastAvailIdx,
        wrap: state.layout === 'split' ? 0 : state.lastAvailWrapCounter,
      };
      const theirs = givenPlaces(this.set, after).lastAvail;
      const what = `${name}: position of queue ${after.index}`;
      this.tally.equal(what, placeText(this.set.layout, ours), placeText(this.set.layout, theirs));
    }
  }

  /** How often is the device's to choose; whether the driver hears of it at all is not. */
  private compareNotifications(name: string, step: Step): void {
    if (step.interrupts === undefined) return;
    const required = step.interrupts_required ?? step.interrupts;
    for (const { index } of this.set.queues) {
      const ours = this.test.notifications.has(index) ? 'some' : 'none';
      const theirs = (required[index] ?? 0) > 0 ? 'some' : 'none';
      this.tally.equal(`${name}: notifications of queue ${index}`, ours, theirs);
    }
  }
}

const isSet = ({ expected }: RingSet, bit: number): boolean => ((expected.features >> BigInt(bit)) & 1n) === 1n;

/** A device-readable buffer behind a device-writable one: virtio 1.4 §2.8.17 has the chain given up. */
function isOutOfOrder(element: PendingElement | undefined): boolean {
  const accesses = element?.descriptors.map(({ access }) => access) ?? [];
  const first = accesses.indexOf('writable');
  return first >= 0 && accesses.lastIndexOf('readable') > first;
}

/** The 10 bytes of a tap's header, without hdr_len: the kernel makes one of its own. */
function headerOf(text: string | undefined): FrameHeader | undefined {
  if (text === undefined) return undefined;
  const bytes = bytesOfHex(text);
  const view = new DataView(bytes.buffer);
  return {
    flags: bytes[0]!,
    gsoType: bytes[1]!,
    gsoSize: view.getUint16(4, true),
    csumStart: view.getUint16(6, true),
    csumOffset: view.getUint16(8, true),
  };
}
