import { close, GONE, NOT_NOW, receive, send } from '@ringwire/linux';
import { ackBytes, BACK_END_PAYLOAD_MAX, backEndProblem, needsReply } from './front-end-messages.js';
import { BACKEND_REQUEST, HEADER } from './messages.js';

/** Requests taken at once: a back-end that sends more has to wait. */
const MOST_AT_ONCE = 32;

/**
 * The back-end's own channel, from the front-end's side. It may say that the configuration changed, as often as it likes:
 * that is one change. Everything else is refused.
 */
export class BackEndChannel {
  readonly socket: number;
  /** Why nothing more can be believed of it. */
  problem: string | undefined;
  /** The back-end let go of it. */
  isGone = false;
  hasConfigChanged = false;
  private readonly header = new DataView(new ArrayBuffer(HEADER.SIZE));
  private readonly payload = new Uint8Array(BACK_END_PAYLOAD_MAX);
  private have = 0;

  constructor(socket: number) {
    this.socket = socket;
  }

  /** Serve what is there, a bounded number of requests. @param acknowledges whether REPLY_ACK was negotiated */
  serve(acknowledges: boolean): void {
    const fds: number[] = [];
    for (let left = MOST_AT_ONCE; left > 0 && this.isWhole(fds); left--) {
      const id = this.header.getUint32(HEADER.request, true);
      const isKnown = id === BACKEND_REQUEST.CONFIG_CHANGE_MSG;
      if (isKnown) this.hasConfigChanged = true;
      this.have = 0;
      // There is room for an answer unless the back-end reads none: then it asks in vain.
      if (acknowledges && needsReply(this.header)) send(this.socket, ackBytes(id, isKnown ? 0 : 1));
    }
    for (const fd of fds) close(fd);
  }

  close(): void {
    close(this.socket);
  }

  /** Read on. @returns whether a request is there, header and payload */
  private isWhole(fds: number[]): boolean {
    while (this.problem === undefined && !this.isGone) {
      const into = this.rest();
      if (into.length === 0) return true;
      const bytes = receive(this.socket, into, fds);
      if (bytes === NOT_NOW) return false;
      if (bytes === GONE) {
        this.isGone = true;
        return false;
      }
      this.have += bytes;
      if (this.have === HEADER.SIZE) this.problem = backEndProblem(this.header);
    }
    return false;
  }

  private rest(): Uint8Array {
    if (this.have < HEADER.SIZE) return new Uint8Array(this.header.buffer, this.have);
    const size = this.header.getUint32(HEADER.size, true);
    return this.payload.subarray(this.have - HEADER.SIZE, size);
  }
}
