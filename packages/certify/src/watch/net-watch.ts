import type { BufferDescriptor, PendingElement } from '@ringwire/ring-oracle';
import type { SpaceReader } from '@ringwire/virtio-device';
import { hasFeature } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F, virtioNetHdrBytes } from '@ringwire/virtio-spec/net';
import type { StatementId } from '../statements.js';
import type { Verdict } from '../verdict.js';
import { type CommandFacts, judgeCommand } from './net-commands.js';
import { judgeTxHeader } from './tx-header.js';

const F = VIRTIO_NET_F;
const ETHERNET = 14;
/** virtio 1.4 §5.1.9.3.1: a header of 12 bytes and a frame of 1514; those of segmentation are longer. */
const PLAIN_BYTES = 1514;
const LARGEST_BYTES = 65589;
const GUEST_GSO = [F.GUEST_TSO4, F.GUEST_TSO6, F.GUEST_UFO, F.GUEST_USO4, F.GUEST_USO6];
/** A command has a few bytes in front that say what it is. */
const COMMAND_BYTES = 64;

/** What a network driver puts into its queues. */
export class NetWatch {
  private readonly verdict: Verdict;
  private readonly features: Uint32Array;
  private readonly facts: CommandFacts;
  private readonly mtu: number;

  /** @param facts of the device, and its mtu as the driver reads it */
  constructor(verdict: Verdict, features: Uint32Array, facts: CommandFacts & { readonly mtu: number }) {
    this.verdict = verdict;
    this.features = features;
    this.facts = facts;
    this.mtu = this.has(F.MTU) ? facts.mtu : 0;
  }

  /** A buffer that was made available. */
  judge(queue: number, element: PendingElement, read: SpaceReader): void {
    if (!element.complete) return;
    const isMulti = this.has(F.MQ) || this.has(F.RSS);
    const control = 2 * (isMulti ? this.facts.pairs : 1);
    if (queue === control) {
      const bytes = readableBytes(element, read, COMMAND_BYTES);
      if (bytes !== undefined) judgeCommand(this.verdict, this.features, this.facts, bytes);
    } else if (queue % 2 === 0) this.judgeReceive(queue, element);
    else this.judgeTransmit(queue, element, read);
  }

  private has(bit: number): boolean {
    return hasFeature(this.features, bit);
  }

  private judgeReceive(
    queue: number,
    { readableBytes: readable, writableBytes: writable, descriptors }: PendingElement,
  ): void {
    const { verdict } = this;
    const at = descriptors[0]?.address ?? null;
    const message = `queue ${queue}: a receive buffer has ${readable} bytes that the device can only read`;
    verdict.judge('net.rx.writable', readable === 0, message, at);
    const header = virtioNetHdrBytes(this.features);
    const says = `queue ${queue}: a receive buffer has ${writable} bytes`;
    if (this.has(F.MRG_RXBUF)) {
      verdict.judge('drv.net.rx-buffers.3', writable >= header, `${says}, want ${header} for the header at least`, at);
      return;
    }
    const segments = GUEST_GSO.some((bit) => this.has(bit));
    const frame = segments ? LARGEST_BYTES : Math.max(PLAIN_BYTES, this.mtu + ETHERNET);
    const id: StatementId = segments ? 'drv.net.rx-buffers.1' : 'drv.net.rx-buffers.2';
    verdict.judge(id, writable >= header + frame, `${says}, want ${header + frame}`, at);
    if (this.mtu === 0) return;
    const least = header + this.mtu + ETHERNET;
    verdict.judge('drv.net.config.8', writable >= least, `${says}, want ${least}: mtu is ${this.mtu}`, at);
  }

  private judgeTransmit(queue: number, element: PendingElement, read: SpaceReader): void {
    const { verdict, features } = this;
    const { readableBytes: readable, writableBytes: writable, descriptors } = element;
    const at = descriptors[0]?.address ?? null;
    const header = virtioNetHdrBytes(features);
    const isWhole = writable === 0 && readable >= header + ETHERNET;
    const message = `queue ${queue}: a buffer has ${readable} bytes to be read and ${writable} to be written`;
    verdict.judge('net.tx.readable', isWhole, `${message}, want ${header + ETHERNET} and none`, at);
    const bytes = readableBytes(element, read, header);
    if (bytes === undefined || bytes.length < header) return;
    const length = readable - header;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const isPlain = judgeTxHeader(verdict, features, view, length, at);
    if (!isPlain || !this.has(F.MTU)) return;
    const most = this.mtu + ETHERNET;
    verdict.judge(
      'drv.net.config.9',
      length <= most,
      `queue ${queue}: a frame has ${length} bytes, want ${most} at most: mtu is ${this.mtu}`,
      at,
    );
  }
}

/** @returns the first bytes that the device can read; undefined where there is no memory */
function readableBytes(element: PendingElement, read: SpaceReader, most: number): Uint8Array | undefined {
  const pieces: Uint8Array[] = [];
  let left = most;
  const isReadable = ({ access }: BufferDescriptor): boolean => access === 'readable';
  for (const { address, length } of element.descriptors.filter(isReadable)) {
    if (left === 0) break;
    const piece = read.read(BigInt(address), Math.min(length, left));
    if (piece === null) return undefined;
    pieces.push(piece);
    left -= piece.length;
  }
  const bytes = new Uint8Array(most - left);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
