import { close } from '@ringwire/linux';
import type { BackEndLink } from './front-end-link.js';
import { INFLIGHT } from './messages.js';

/**
 * The area in which a back-end notes what it has in hand, kept here for the one after it. It is neither mapped nor looked
 * into: only back-ends have to make sense of it.
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

  forget(): void {
    if (this.fd >= 0) close(this.fd);
    this.fd = -1;
  }
}
