import { fstatSync, readSync } from 'node:fs';
import { close } from '@ringwire/linux';
import type { BackEndLink } from './front-end-link.js';
import { PACKED_REGION, REGION_VERSION, regionBytes } from './inflight-layout.js';
import { INFLIGHT } from './messages.js';

/**
 * The area in which a back-end notes what it has in hand, kept here for the one after it. It is not mapped, and only
 * back-ends have to make sense of it; all that is asked here is whether one was at it.
 */
export class InflightArea {
  private fd = -1;
  /** The area's description, as the back-end gave it. */
  private description = new Uint8Array(0);

  /** Have the back-end make one, and take it into use. @returns why there is none */
  make(link: BackEndLink, queues: number, queueSize: number): string | undefined {
    this.forget();
    const wanted = new Uint8Array(INFLIGHT.PADDED);
    const view = new DataView(wanted.buffer);
    view.setUint16(INFLIGHT.numQueues, queues, true);
    view.setUint16(INFLIGHT.queueSize, queueSize, true);
    const fds: number[] = [];
    const answer = link.ask('GET_INFLIGHT_FD', wanted, fds);
    if (typeof answer === 'string') return answer;
    const [fd] = fds;
    if (fd === undefined) return link.end('GET_INFLIGHT_FD was answered without a descriptor');
    this.fd = fd;
    this.description = new Uint8Array(INFLIGHT.PADDED);
    this.description.set(new Uint8Array(answer.buffer));
    return this.give(link);
  }

  /** Give the area to the back-end, if there is one. */
  give(link: BackEndLink): string | undefined {
    if (this.fd < 0 || !link.has('INFLIGHT_SHMFD')) return undefined;
    return link.tell('SET_INFLIGHT_FD', this.description, [this.fd]);
  }

  /**
   * Whether the area goes with a packed ring whose device is at a position: some back-ends make one and write nothing into
   * it. The area is a back-end's, so it is read as a file that may be anything.
   * @param position as SET_VRING_BASE has it, in 16 bits
   */
  goesWith(index: number, position: number): boolean {
    if (this.fd < 0) return false;
    const view = new DataView(this.description.buffer);
    const each = regionBytes(view.getUint16(INFLIGHT.queueSize, true), true);
    const at = view.getBigUint64(INFLIGHT.mmapOffset, true) + BigInt(index * each);
    const region = new DataView(new ArrayBuffer(PACKED_REGION.desc));
    try {
      if (!fstatSync(this.fd).isFile() || readSync(this.fd, region, 0, region.byteLength, at) < region.byteLength)
        return false;
    } catch {
      return false;
    }
    const says = (slot: number, wrap: number): boolean =>
      position === (region.getUint16(slot, true) | (region.getUint8(wrap) << 15));
    return (
      region.getUint16(PACKED_REGION.version, true) === REGION_VERSION &&
      (says(PACKED_REGION.used_idx, PACKED_REGION.used_wrap_counter) ||
        says(PACKED_REGION.old_used_idx, PACKED_REGION.old_used_wrap_counter))
    );
  }

  forget(): void {
    if (this.fd >= 0) close(this.fd);
    this.fd = -1;
  }
}
